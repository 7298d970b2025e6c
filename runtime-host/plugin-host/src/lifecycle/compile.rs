//! Compiling plugins: from the code cache, or in a process of its own.

use crate::instances::engine::{PluginEngine, compiler};
use anyhow::Result;
use sandbox::{CodeCache, CompilerProcess};
use std::path::PathBuf;
use wasmtime::component::Component;

/// The command of the host's program that compiles one component.
const COMMAND: &str = "compile-plugin";

/// Compiles plugins.
#[derive(Debug, Clone)]
pub struct Compiler {
    cache: CodeCache,
    process: CompilerProcess,
}

impl Compiler {
    /// Keeps compiled code in `cache`. What is not there is compiled by `program compile-plugin`, a command that calls
    /// [`compile_standard_input`].
    #[must_use]
    pub const fn new(program: PathBuf, cache: CodeCache) -> Self {
        Self {
            cache,
            process: CompilerProcess::new(program, COMMAND),
        }
    }

    /// The component `bytes`. Blocks for seconds when it has to be compiled; `name` appears in logs.
    ///
    /// # Errors
    /// The bytes are no component, or compiling them exceeds the limits.
    pub(crate) fn component(
        &self,
        engine: &PluginEngine,
        name: &str,
        bytes: &[u8],
    ) -> Result<Component> {
        self.cache
            .get_or_compile(engine.wasmtime(), name, bytes, || {
                self.process.compile(bytes)
            })
    }
}

/// The command `compile-plugin`: a component on standard input becomes native code on standard output, within limits
/// that end the process.
///
/// # Errors
/// The input is no component.
pub fn compile_standard_input() -> Result<()> {
    sandbox::compile_standard_input(compiler)
}
