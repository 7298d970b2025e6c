//! Compiling third-party components in a process of its own, so that one that is too expensive to compile ends that
//! process alone.

use anyhow::{Context, Result, anyhow, bail, ensure};
use limits::{
    manifest::COMPONENT_BYTES_MAX,
    sandbox::{
        CODE_BYTES_MAX, COMPILE_CPU_SECONDS_MAX, COMPILE_ERROR_BYTES_MAX, COMPILE_MEMORY_BYTES_MAX,
    },
};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
};
use wasmtime::Engine;

/// The lowest scheduling priority.
const COMPILE_NICENESS: i32 = 19;

/// Runs a program whose command compiles a component ([`compile_standard_input`]), at the lowest priority.
#[derive(Debug, Clone)]
pub struct CompilerProcess {
    program: PathBuf,
    command: &'static str,
}

impl CompilerProcess {
    /// Runs `program command` for each component.
    #[must_use]
    pub const fn new(program: PathBuf, command: &'static str) -> Self {
        Self { program, command }
    }

    /// Native code of the component `bytes`. Blocks for as long as compiling takes.
    ///
    /// # Errors
    /// `bytes` is no component, or compiling it needs more than [`COMPILE_CPU_SECONDS_MAX`] or
    /// [`COMPILE_MEMORY_BYTES_MAX`].
    pub fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        at_low_priority(|| self.run(bytes))
    }

    fn run(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .arg(self.command)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {} {}", self.program.display(), self.command))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let errors = child.stderr.take().context("no standard error")?;
        let (code, message) = exchange(bytes, input, output, errors);
        let status = child.wait()?;
        if !status.success() {
            return Err(failure(status, message.trim()));
        }
        let code = code?;
        ensure!(
            code.len() as u64 <= CODE_BYTES_MAX,
            "its compiled code exceeds the limit of {CODE_BYTES_MAX} bytes"
        );
        Ok(code)
    }
}

/// Writes the component and reads code and errors at the same time: with full pipes neither process would go on.
fn exchange(
    bytes: &[u8],
    mut input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
) -> (std::io::Result<Vec<u8>>, String) {
    thread::scope(|threads| {
        // A process that ends early closes the pipe; its exit status says why.
        threads.spawn(move || input.write_all(bytes).is_ok());
        let message = threads.spawn(move || {
            let mut text = String::new();
            let read = errors
                .take(COMPILE_ERROR_BYTES_MAX as u64)
                .read_to_string(&mut text);
            read.map(|_| text).unwrap_or_default()
        });
        let mut code = Vec::new();
        let read = output.take(CODE_BYTES_MAX + 1).read_to_end(&mut code);
        (read.map(|_| code), message.join().unwrap_or_default())
    })
}

fn failure(status: ExitStatus, message: &str) -> anyhow::Error {
    if status.code().is_some() && !message.is_empty() {
        return anyhow!("is not a valid component: {message}");
    }
    anyhow!(
        "is too expensive to compile: more than {COMPILE_CPU_SECONDS_MAX} s of processor time or {COMPILE_MEMORY_BYTES_MAX} bytes of memory ({status})"
    )
}

/// Runs `work` in a thread of the lowest priority. The process that it starts inherits the priority from its first
/// instruction; by lowering its own it would keep a processor busy for milliseconds before.
fn at_low_priority<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|threads| {
        let thread = threads.spawn(|| {
            // On Linux niceness belongs to the thread.
            nice(COMPILE_NICENESS)?;
            work()
        });
        thread.join()
    })
    .map_err(|_| anyhow!("the thread that compiles has panicked"))?
}

/// The command of a [`CompilerProcess`]: a component on standard input becomes native code on standard output. Limits
/// this process first; the code fits engines that are configured as `engine` makes one.
///
/// # Errors
/// The input is no component, or has more than [`COMPONENT_BYTES_MAX`] bytes.
pub fn compile_standard_input(engine: impl FnOnce() -> wasmtime::Result<Engine>) -> Result<()> {
    limit(Resource::Cpu, COMPILE_CPU_SECONDS_MAX)?;
    limit(Resource::As, COMPILE_MEMORY_BYTES_MAX)?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(COMPONENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > COMPONENT_BYTES_MAX {
        bail!("more than {COMPONENT_BYTES_MAX} bytes");
    }
    let code = engine()?.precompile_component(&bytes)?;
    std::io::stdout().lock().write_all(&code)?;
    Ok(())
}

/// Limits this process. A lower limit that the operator has set stays: it may not be raised.
fn limit(resource: Resource, value: u64) -> Result<()> {
    let value = getrlimit(resource)
        .maximum
        .map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )?)
}
