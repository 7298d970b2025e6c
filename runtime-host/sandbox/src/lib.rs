//! What every kind of sandbox shares: reading and compiling components, the cache of compiled code, the clock of deadlines, the account of
//! memory, and lines of output. Nothing here grows with what a component writes, claims or asks for.

mod account;
mod clock;
mod code_cache;
mod compiler;
mod file;
mod lines;
mod source;

pub use account::Account;
pub use clock::Clock;
pub use code_cache::{CodeCache, CodeCacheStats, user_folder};
pub use compiler::{CompilerProcess, compile_standard_input};
pub use file::{check_preamble, read, read_open};
pub use lines::{Lines, Sink};
pub use source::ComponentSource;
