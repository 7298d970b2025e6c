//! What every kind of WebAssembly component shares.

use super::{MIB, manifest::COMPONENT_BYTES_MAX};

/// Compiled code that one user's cache keeps on disk; the least recently used goes first.
pub const CODE_CACHE_BYTES_MAX: u64 = 1_024 * MIB as u64;
/// Compiled code of one component: native code is a few times longer than its component.
pub const CODE_BYTES_MAX: u64 = 16 * COMPONENT_BYTES_MAX as u64;
/// Bytes of such a process's standard error that are kept for the text of its error.
pub const COMPILE_ERROR_BYTES_MAX: usize = 4 * crate::KIB;
/// Bytes of the index of the compiled code that a program carries; a line names one entry.
pub const CODE_INDEX_BYTES_MAX: usize = 64 * crate::KIB;
/// Processor time of compiling one third-party component, in a process that ends when it needs more.
pub const COMPILE_CPU_SECONDS_MAX: u64 = 60;
/// Address space of that process.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 4 * 1_024 * MIB as u64;

const _: () = assert!(CODE_BYTES_MAX <= CODE_CACHE_BYTES_MAX);
