//! Steps and commands: each step is announced before it begins, and its time is printed when it ends.

use anyhow::{Context as _, Result, bail};
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// How many steps contain the running one.
static DEPTH: AtomicUsize = AtomicUsize::new(0);
/// Name, depth and seconds of each step, in the order in which they began.
static TIMES: Mutex<Vec<(String, usize, f64)>> = Mutex::new(Vec::new());

/// Does `work` under the heading `name`, prints how long it took, and keeps that for [`print_times`].
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    eprintln!("==> {name}");
    let depth = DEPTH.fetch_add(1, Relaxed);
    let at = {
        let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
        times.push((name.to_owned(), depth, 0.0));
        times.len() - 1
    };
    let result = work();
    DEPTH.store(depth, Relaxed);
    let seconds = begin.elapsed().as_secs_f64();
    TIMES.lock().unwrap_or_else(PoisonError::into_inner)[at].2 = seconds;
    eprintln!("    {name}: {seconds:.1} s");
    result.with_context(|| format!("step failed: {name}"))
}

/// Prints the time of each step so far as a table.
pub(crate) fn print_times() {
    let times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!(
        "
  seconds  step"
    );
    for (name, depth, seconds) in times.iter() {
        eprintln!("{seconds:9.1}  {:indent$}{name}", "", indent = depth * 2);
    }
}

/// Runs a command and shows it and its output. Fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("  $ {}", show(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start: {}", show(command)))?;
    if !status.success() {
        bail!("{status}: {}", show(command));
    }
    Ok(())
}

/// Runs a command quietly and returns what it printed. Fails when it fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start: {}", show(command)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, show(command));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a command runs and succeeds; nothing is shown.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let arguments = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned());
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
