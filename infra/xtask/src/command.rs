//! Steps and commands: what is being done is on the screen before it takes time, and how long it took is there afterwards.

use anyhow::{Context as _, Result, bail};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

/// Does `work` under the heading `name`, and says how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    eprintln!("==> {name}");
    let result = work().with_context(|| format!("step failed: {name}"))?;
    eprintln!("    {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(result)
}

/// Runs a command in the open: its words and its output are shown. Fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("  $ {}", words(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start: {}", words(command)))?;
    if !status.success() {
        bail!("{status}: {}", words(command));
    }
    Ok(())
}

/// Runs a command quietly and returns what it printed. Fails when it fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start: {}", words(command)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, words(command));
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

fn words(command: &Command) -> String {
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
