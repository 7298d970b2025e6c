//! Compiling components: in a process of its own with limits of its own, and a cache of its results that only this host can have written.
//!
//! Compiled code is native code: whoever could put a file into the cache could run anything. So each file carries a keyed digest, and one
//! that does not fit is compiled anew (case 22). A component that is too expensive to compile ends the compiling process (case 21).

use super::engine::{PluginEngine, compiler};
use anyhow::{Context, Result, anyhow, bail, ensure};
use hmac::{Hmac, KeyInit, Mac};
use limits::{manifest::COMPONENT_BYTES_MAX, plugin as bounds};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use wasmtime::component::Component;

/// Bytes of the keyed digest before the code.
const TAG_BYTES: usize = 32;
/// The least there is that still gets somewhere on a busy machine.
const COMPILE_NICENESS: i32 = 19;
/// Compiled code is a few times longer than its component.
const CODE_BYTES_MAX: u64 = 16 * COMPONENT_BYTES_MAX as u64;

/// Where components become native code.
#[derive(Debug, Clone)]
pub struct Compiler {
    directory: PathBuf,
    key: [u8; 32],
    /// The program whose command `compile-plugin` is [`compile_standard_input`].
    program: PathBuf,
}

impl Compiler {
    /// A compiler that runs `program compile-plugin`, and keeps its results below `directory`.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(program: PathBuf, directory: &Path, key: [u8; 32]) -> Result<Self> {
        let directory = directory.join("plugins");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot use the cache directory {}", directory.display()))?;
        Ok(Self {
            directory,
            key,
            program,
        })
    }

    /// The component, from the cache when it is there.
    ///
    /// # Errors
    /// The bytes are no component, or compiling them takes more than it may.
    pub(crate) fn component(&self, engine: &PluginEngine, bytes: &[u8]) -> Result<Component> {
        sandbox::check_preamble(bytes)?;
        let name = self.name(engine, bytes);
        let path = self.directory.join(&name);
        if let Some(code) = self.cached(&path, &name) {
            match deserialize(engine, &code) {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(file = %path.display(), "compiled code cannot be used and is made anew: {error:#}")
                }
            }
        }
        let code = patiently(|| {
            let code = self.compile(bytes)?;
            if let Err(error) = self.keep(&path, &name, &code) {
                tracing::warn!(file = %path.display(), "compiled code is not kept: {error:#}");
            }
            Ok(code)
        })?;
        deserialize(engine, &code)
    }

    /// Names what was compiled, and for which engine.
    fn name(&self, engine: &PluginEngine, bytes: &[u8]) -> String {
        let mut fits = DefaultHasher::new();
        engine
            .wasmtime()
            .precompile_compatibility_hash()
            .hash(&mut fits);
        format!(
            "{}-{:016x}.cwasm",
            hex(&Sha256::digest(bytes)),
            fits.finish()
        )
    }

    fn tag(&self, name: &str, code: &[u8]) -> Result<Hmac<Sha256>> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.key)
            .map_err(|_| anyhow!("the key of the cache has a wrong length"))?;
        tag.update(name.as_bytes());
        tag.update(&[0]);
        tag.update(code);
        Ok(tag)
    }

    /// Code of the cache, when its digest fits.
    fn cached(&self, path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut file = fs::File::open(path).ok()?;
        let mut tag = [0; TAG_BYTES];
        let mut code = Vec::new();
        file.read_exact(&mut tag).ok()?;
        file.take(CODE_BYTES_MAX).read_to_end(&mut code).ok()?;
        if self.tag(name, &code).ok()?.verify_slice(&tag).is_err() {
            tracing::warn!(file = %path.display(), "compiled code was not written by this host and is made anew");
            return None;
        }
        Some(code)
    }

    fn keep(&self, path: &Path, name: &str, code: &[u8]) -> Result<()> {
        let tag = self.tag(name, code)?.finalize().into_bytes();
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(&tag)?;
        file.write_all(code)?;
        file.persist(path)?;
        self.evict()
    }

    /// Removes the oldest files beyond the limit.
    fn evict(&self) -> Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let about = entry.metadata()?;
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if bytes <= bounds::CODE_CACHE_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }

    /// Compiles in a process of its own.
    fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .arg("compile-plugin")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {} compile-plugin", self.program.display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let mut errors = child.stderr.take().context("no standard error")?.take(4096);
        let mut output = child
            .stdout
            .take()
            .context("no standard output")?
            .take(CODE_BYTES_MAX + 1);
        let (code, said) = std::thread::scope(|threads| {
            // A compiler that ends early closes the pipe; why it ended is told by its status.
            threads.spawn(move || { input }.write_all(bytes).is_ok());
            let said = threads.spawn(move || {
                let mut said = String::new();
                errors.read_to_string(&mut said).map(|_| said)
            });
            let mut code = Vec::new();
            let read = output.read_to_end(&mut code).map(|_| code);
            (read, said.join())
        });
        let status = child.wait()?;
        if status.success() {
            let code = code?;
            ensure!(
                code.len() as u64 <= CODE_BYTES_MAX,
                "its compiled code exceeds the limit of {CODE_BYTES_MAX} bytes"
            );
            return Ok(code);
        }
        let said = said.ok().and_then(Result::ok).unwrap_or_default();
        match (status.code(), said.trim()) {
            (Some(_), said) if !said.is_empty() => bail!("is not a valid component: {said}"),
            _ => bail!(
                "is too expensive to compile: more than {} s of processor time or {} bytes of memory ({status})",
                bounds::COMPILE_CPU_SECONDS_MAX,
                bounds::COMPILE_MEMORY_BYTES_MAX
            ),
        }
    }
}

/// Does `work` in a thread that takes what others leave. A process that it starts does so from its first instruction: before it could step
/// back by itself, it has kept a processor for milliseconds.
fn patiently<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let patient = || {
        // On Linux niceness belongs to the thread, and what a thread starts inherits it.
        rustix::process::nice(COMPILE_NICENESS)?;
        work()
    };
    std::thread::scope(|threads| threads.spawn(patient).join())
        .map_err(|_| anyhow!("the thread that compiles has panicked"))?
}

/// The command `compile-plugin`: a component on standard input becomes native code on standard output, within limits that end the process.
///
/// # Errors
/// The input is no component.
pub fn compile_standard_input() -> Result<()> {
    limit(Resource::Cpu, bounds::COMPILE_CPU_SECONDS_MAX)?;
    limit(Resource::As, bounds::COMPILE_MEMORY_BYTES_MAX)?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(COMPONENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() <= COMPONENT_BYTES_MAX,
        "more than {COMPONENT_BYTES_MAX} bytes"
    );
    let code = compiler()?.precompile_component(&bytes)?;
    std::io::stdout().lock().write_all(&code)?;
    Ok(())
}

/// Limits this process. Where the operator's own limit is lower, that one stays: it may not be raised.
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

/// The one place where bytes become code that runs.
#[allow(
    unsafe_code,
    reason = "the bytes come from our own compiler: from its pipe, or from a file that carries this host's keyed digest"
)]
fn deserialize(engine: &PluginEngine, code: &[u8]) -> Result<Component> {
    // SAFETY: `code` is the output of `precompile_component` of this program, as the callers have made sure.
    unsafe { Component::deserialize(engine.wasmtime(), code) }
        .map_err(|error| anyhow!("compiled code cannot be loaded: {error:#}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
