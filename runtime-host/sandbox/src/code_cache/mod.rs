//! Compiled code on disk, shared by every host of one user.
//!
//! Compiled code is native code, so a file that was not written with this user's key is never loaded: it is counted as
//! refused and the component is compiled again. See *Compiled code* in `docs/concepts/sandbox.md`.

mod bundle;
mod entry;
mod folder;

pub use folder::user_folder;

use anyhow::{Context, Result, anyhow};
use bundle::Bundle;
use entry::{Entry, Found};
use sha2::{Digest, Sha256};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use wasmtime::{Engine, component::Component};

/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

/// A folder of compiled components. An entry is keyed by a digest of what the component is made of and by the engine's
/// configuration and version. Clones share the folder and the counters.
#[derive(Debug, Clone)]
pub struct CodeCache {
    inner: Arc<Inner>,
    /// Code that this program carries, used before that of the folder.
    embedded: Option<Arc<Bundle>>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    key: [u8; entry::KEY_BYTES],
    hits: AtomicU64,
    compiled: AtomicU64,
    refused: AtomicU64,
}

/// What a [`CodeCache`] has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodeCacheStats {
    /// Components taken from the cache.
    pub hits: u64,
    /// Components compiled because the cache had no usable entry.
    pub compiled: u64,
    /// Entries not loaded because they were damaged, written with another key, or made by another engine.
    pub refused: u64,
}

impl CodeCache {
    /// Opens the cache in `folder`, which is made with mode 0700 when it is missing. The key of its entries is made on
    /// first use.
    ///
    /// # Errors
    /// The folder cannot be used, or another user owns it or its key.
    pub fn open(folder: &Path) -> Result<Self> {
        let unusable = || format!("cannot use the code cache {}", folder.display());
        folder::make_private(folder).with_context(unusable)?;
        Ok(Self {
            inner: Arc::new(Inner {
                key: folder::key(folder).with_context(unusable)?,
                folder: folder.to_owned(),
                hits: AtomicU64::new(0),
                compiled: AtomicU64::new(0),
                refused: AtomicU64::new(0),
            }),
            embedded: None,
        })
    }

    /// The same cache, with the code that this program's file carries. Code for another engine or another processor is
    /// not used.
    #[must_use]
    pub fn with_embedded_code(mut self) -> Self {
        let bundle = std::env::current_exe()
            .map_err(anyhow::Error::from)
            .and_then(|program| Bundle::open(&program));
        match bundle {
            Ok(bundle) => self.embedded = bundle.map(Arc::new),
            Err(error) => {
                tracing::warn!("the compiled code in this program cannot be read: {error:#}")
            }
        }
        self
    }

    /// Puts the code of all entries into the file of a program, in place of what it carries; the file is exchanged at
    /// once.
    ///
    /// # Errors
    /// An entry or the program cannot be read, or the program's folder cannot be written.
    pub fn embed_into(&self, program: &Path) -> Result<()> {
        let mut entries = Vec::new();
        for path in folder::entries(self.folder())? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let name = name.to_owned();
            let entry = Entry::new(&self.inner.folder, &self.inner.key, name.clone());
            if let Found::Code(code) = entry.read() {
                entries.push((name, code));
            }
        }
        entries.sort();
        bundle::replace(program, &entries)
    }

    /// Opens the cache of this user ([`user_folder`]); if there is none or it cannot be used, the one in `fallback`.
    ///
    /// # Errors
    /// As [`CodeCache::open`] for `fallback`.
    pub fn open_for_user(fallback: &Path) -> Result<Self> {
        let Some(folder) = user_folder() else {
            return Self::open(fallback);
        };
        Self::open(&folder).or_else(|error| {
            tracing::warn!(folder = %fallback.display(), "{error:#}; compiled code is kept with the data");
            Self::open(fallback)
        })
    }

    /// The folder of the entries.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Counters since the cache was opened.
    #[must_use]
    pub fn stats(&self) -> CodeCacheStats {
        CodeCacheStats {
            hits: self.inner.hits.load(Relaxed),
            compiled: self.inner.compiled.load(Relaxed),
            refused: self.inner.refused.load(Relaxed),
        }
    }

    /// The component `bytes`, from the cache or compiled in this process on all processors. Blocks: compiling takes
    /// seconds. `name` appears in logs and errors.
    ///
    /// # Errors
    /// `bytes` is not a component that `engine` accepts.
    pub fn load(&self, engine: &Engine, name: &str, bytes: &[u8]) -> Result<Component> {
        crate::check_preamble(bytes)
            .with_context(|| format!("component `{name}` is not a valid component"))?;
        let digest = Sha256::digest(bytes).into();
        self.load_made(engine, name, &digest, || Ok(bytes.to_vec()))
    }

    /// As [`CodeCache::load`] for the component that `make` returns. `digest` determines what that is, and that `make`
    /// succeeds: nothing is made while the cache has the code.
    ///
    /// # Errors
    /// That of `make`, or `engine` does not accept the component.
    pub fn load_made(
        &self,
        engine: &Engine,
        name: &str,
        digest: &[u8; DIGEST_BYTES],
        make: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Component> {
        self.find_or_compile(engine, name, digest, || {
            let bytes = make()?;
            crate::check_preamble(&bytes)
                .and_then(|()| Ok(engine.precompile_component(&bytes)?))
                .with_context(|| format!("component `{name}` is not a valid component"))
        })
    }

    /// The component `bytes`, from the cache or from the native code that `compile` returns. `compile` must return the
    /// output of [`Engine::precompile_component`] for `bytes`, made by an engine configured as `engine`; its result is
    /// kept in the cache.
    ///
    /// # Errors
    /// `bytes` is not a component, or compiling it fails. Failing to keep the result is logged and is no error.
    pub fn get_or_compile(
        &self,
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Component> {
        crate::check_preamble(bytes)?;
        self.find_or_compile(engine, name, &Sha256::digest(bytes).into(), compile)
    }

    fn find_or_compile(
        &self,
        engine: &Engine,
        name: &str,
        digest: &[u8; DIGEST_BYTES],
        compile: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Component> {
        let name_of_code = file_name(engine, digest);
        if let Some(component) = self.embedded(&name_of_code, engine) {
            return Ok(component);
        }
        let entry = Entry::new(&self.inner.folder, &self.inner.key, name_of_code);
        if let Some(component) = self.cached(&entry, engine, name) {
            return Ok(component);
        }
        tracing::info!(
            component = name,
            "compiling; the code is kept for later starts"
        );
        let code = compile()?;
        self.inner.compiled.fetch_add(1, Relaxed);
        if let Err(error) = entry.write(&code).and_then(|()| self.evict()) {
            tracing::warn!(component = name, file = %entry.path().display(), "compiled code is not kept: {error:#}");
        }
        deserialize(engine, &code)
    }

    /// The component whose code this program carries.
    fn embedded(&self, name: &str, engine: &Engine) -> Option<Component> {
        let code = self.embedded.as_ref()?.read(name)?;
        let component = deserialize(engine, &code).ok()?;
        self.inner.hits.fetch_add(1, Relaxed);
        Some(component)
    }

    /// The component of an entry that may be loaded.
    fn cached(&self, entry: &Entry<'_>, engine: &Engine, name: &str) -> Option<Component> {
        let problem = match entry.read() {
            Found::Code(code) => match deserialize(engine, &code) {
                Ok(component) => {
                    self.inner.hits.fetch_add(1, Relaxed);
                    return Some(component);
                }
                Err(error) => format!("{error:#}"),
            },
            Found::Nothing => return None,
            Found::Forged => "it was not written with this user's key, or is damaged".to_owned(),
        };
        self.inner.refused.fetch_add(1, Relaxed);
        tracing::warn!(component = name, file = %entry.path().display(), "compiled code is refused and compiled again: {problem}");
        None
    }

    /// Removes the least recently used entries beyond the limit.
    fn evict(&self) -> Result<()> {
        folder::evict(&self.inner.folder, limits::sandbox::CODE_CACHE_BYTES_MAX)
    }
}

/// Names what was compiled and the engine it fits.
fn file_name(engine: &Engine, digest: &[u8; DIGEST_BYTES]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let content: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{content}-{:016x}.{}",
        compatibility.finish(),
        entry::ENDING
    )
}

/// The only place where bytes become code that runs.
#[allow(
    unsafe_code,
    reason = "the bytes come from this program's compiler: from its result, from a file with a digest under this user's key, or from this program's own file"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: `code` is the output of `precompile_component`: `Entry::read` has checked its keyed digest, the compiler
    // has just made it, or it is a part of this program.
    unsafe { Component::deserialize(engine, code) }
        .map_err(|error| anyhow!("compiled code cannot be loaded: {error:#}"))
}

#[cfg(test)]
mod tests;
