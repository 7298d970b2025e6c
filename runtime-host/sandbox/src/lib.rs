//! What every kind of sandbox shares: engines with pools, reading and compiling components, the cache of compiled code,
//! deadlines and scheduling, limits of memory, and lines of output. Nothing here grows with what a component writes,
//! claims or asks for.

mod clock;
mod code_cache;
mod compiler;
mod engine;
mod file;
mod limiter;
mod lines;
mod scheduler;
mod source;

pub use clock::{Activity, Clock, OwnedRunning, Running};
pub use code_cache::{CodeCache, CodeCacheStats, user_folder};
pub use compiler::{CompilerProcess, compile_standard_input};
pub use engine::{PoolSize, pooled_engine};
pub use file::{check_preamble, read, read_open};
pub use limiter::Limiter;
pub use lines::{Lines, Sink};
pub use scheduler::{BlockingThreads, Scheduler};
pub use source::ComponentSource;
