//! Manifests and plugin packages.

use crate::{KIB, MIB};

/// Bytes of one manifest.
pub const BYTES_MAX: usize = 64 * KIB;
/// Nesting of one manifest.
pub const DEPTH_MAX: usize = 32;
/// Violations reported for one manifest.
pub const VIOLATIONS_MAX: usize = 100;
/// Entries of one list in a manifest.
pub const LIST_ENTRIES_MAX: usize = 1_000;
/// Bytes of a version or version range; npm refuses longer ones as well.
pub const RANGE_BYTES_MAX: usize = 256;
/// Characters of a path inside a plugin's folder.
pub const PATH_CHARS_MAX: usize = 512;
/// Characters of short texts: reasons, patterns, names of hosts, methods, keys.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Plugins named in the message about a dependency cycle; a cycle may have thousands.
pub const CYCLE_SHOWN_MAX: usize = 16;
/// Bytes of one component.
pub const COMPONENT_BYTES_MAX: usize = 32 * MIB;
/// Characters of a title or a name.
pub const TITLE_CHARS_MAX: usize = 100;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Characters of an author's name: under a hundred.
pub const AUTHOR_CHARS_MAX: usize = 99;
/// Characters of a foreign text that a message quotes.
pub const QUOTED_CHARS_MAX: usize = 60;
/// Keys among which a misspelt one is looked for.
pub const MISSPELT_AMONG_MAX: usize = 100;
/// Characters of the name of a process plugin that is imported.
pub const IMPORTED_NAME_CHARS_MAX: usize = 99;
/// Time for an answer that process plugins were written for; an imported manifest names it.
pub const IMPORTED_RESPONSE_TIMEOUT_MS: u32 = 30_000;
