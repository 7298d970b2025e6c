//! Prints what calls into components cost: nanoseconds of processor time, medians of batches. Run it with `--release`.
//!
//! ```sh
//! cargo run --release -p plugin-host --example measure -- target/wasm32-wasip2/component chat
//! cargo run --release -p plugin-host --example measure -- plugins target/wasm32-wasip2/component /tmp/cache 100 three
//! ```
//!
//! With `--json` the last line holds all of it for programs. The command `install` writes plugins into a plugins
//! directory; the command `compile-plugin` is what the plugin host runs to compile.

mod plugins;
mod validators;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--json")
        .collect();
    let mut arguments = arguments.iter().map(String::as_str);
    let report = match arguments.next() {
        Some("compile-plugin") => return plugin_host::compile_standard_input(),
        Some("install") => {
            let (folder, directory, count) = places(&mut arguments)?;
            return plugins::install(folder, directory, count, arguments.next());
        }
        Some("plugins") => {
            let (folder, cache, count) = places(&mut arguments)?;
            plugins::run(folder, cache, count, arguments.next())?
        }
        folder => validators::run(
            Path::new(folder.unwrap_or("target/wasm32-wasip2/component")),
            arguments.next(),
        )?,
    };
    if std::env::args().any(|argument| argument == "--json") {
        println!("{report}");
    }
    Ok(())
}

/// The folder of components, another folder, and how many plugins.
fn places<'a>(
    arguments: &mut impl Iterator<Item = &'a str>,
) -> anyhow::Result<(&'a Path, &'a Path, usize)> {
    let mut next = || {
        arguments
            .next()
            .context("a folder of components, another folder and a number of plugins are needed")
    };
    Ok((
        Path::new(next()?),
        Path::new(next()?),
        next()?.parse().context("the number of plugins")?,
    ))
}

/// Processor time of this thread: other work on the machine disturbs it least.
fn cpu_ns() -> u128 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// Processor time of all threads.
fn process_cpu_ns() -> u128 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn nanoseconds(clock: ClockId) -> u128 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() as u128 * 1_000_000_000 + time.tv_nsec.unsigned_abs() as u128
}
