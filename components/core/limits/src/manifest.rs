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
