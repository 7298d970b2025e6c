//! Guests in other languages than Rust, built with the tools of their languages, which [`crate::setup`] installs.
//!
//! A guest is rebuilt when its source, the WIT or a tool has changed.

use crate::{
    cache,
    command::{cargo, read, run, step, succeeds},
    guests::Guest,
};
use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

/// The compiler of plugins in C, by its command and Debian package.
pub(crate) const CLANG: &str = "clang-19";
/// Where the tools of plugins in JavaScript are installed.
pub(crate) const JAVASCRIPT: &str = "components/examples/welcome-js";
/// What plugins in Python are built with.
pub(crate) const PYTHON: &str = "components/examples/welcome-py/requirements.txt";

const WIT: &str = "wit/plugin/0.1.0";
/// A small world: an engine exports and imports all of its world, used or not.
const WORLD: &str = "companion";

/// A language with tools of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    /// JavaScript.
    JavaScript,
    /// Python.
    Python,
    /// C.
    C,
}

/// Builds a guest into `folder`. Where its tools are missing it is left out with a note, unless it is `needed`.
pub(crate) fn build(guest: &Guest, folder: &Path, needed: bool) -> Result<()> {
    let language = guest.language.context("Rust is built by cargo")?;
    match language.tools() {
        Some(tools) => plugin(guest, language, &tools, folder),
        None if needed => bail!(
            "{} cannot be built: {} is missing",
            guest.folder.display(),
            language.tool_name()
        ),
        None => {
            eprintln!(
                "    {} is left out: {} is missing; cargo xtask setup installs it",
                guest.folder.display(),
                language.tool_name()
            );
            Ok(())
        }
    }
}

impl Language {
    /// The language of the source `stem` in a folder.
    pub(crate) fn of(folder: &Path, stem: &str) -> Option<Self> {
        [Self::JavaScript, Self::Python, Self::C]
            .into_iter()
            .find(|language| source(folder, stem, *language).exists())
    }

    fn tool_name(self) -> &'static str {
        match self {
            Self::JavaScript => "componentize-qjs",
            Self::Python => "componentize-py",
            Self::C => "clang with the libraries of WASI",
        }
    }

    /// Names the versions of the tools; none when they are not installed.
    fn tools(self) -> Option<String> {
        match self {
            Self::JavaScript => {
                read_installed(&Path::new(JAVASCRIPT).join("node_modules/.installed-lock"))
            }
            Self::Python => read_installed(
                &cache::python_componentizer()
                    .ok()?
                    .join("installed-requirements.txt"),
            ),
            Self::C if has_clang() => read(Command::new(CLANG).arg("--version")).ok(),
            Self::C => None,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::JavaScript => "js",
            Self::Python => "py",
            Self::C => "c",
        }
    }
}

fn read_installed(stamp: &Path) -> Option<String> {
    fs::read_to_string(stamp).ok()
}

/// Whether plugins in C can be compiled and linked.
pub(crate) fn has_clang() -> bool {
    let builtins = || {
        read(Command::new(CLANG).args(["--target=wasm32-wasi", "--print-libgcc-file-name"]))
            .unwrap_or_default()
    };
    succeeds(CLANG, &["--version"])
        && succeeds("wasm-ld-19", &["--version"])
        && Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
        && Path::new(builtins().trim()).exists()
}

fn source(folder: &Path, stem: &str, language: Language) -> PathBuf {
    folder.join(stem).with_extension(language.extension())
}

fn plugin(guest: &Guest, language: Language, tools: &str, folder: &Path) -> Result<()> {
    let source = source(&guest.folder, guest.stem(), language);
    let output = folder.join(guest.file());
    let stamp = output.with_extension("stamp");
    let wanted = fingerprint(&source, tools)?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(());
    }
    step(&format!("guest {}", guest.name), || {
        match language {
            Language::JavaScript => javascript(&source, &output)?,
            Language::Python => python(&guest.folder, guest.stem(), &output)?,
            Language::C => c(&source, &output)?,
        }
        Ok(fs::write(&stamp, &wanted)?)
    })
}

/// A digest of everything that the component is made of.
fn fingerprint(source: &Path, tools: &str) -> Result<String> {
    let mut digest = DefaultHasher::new();
    tools.hash(&mut digest);
    read(Command::new("rustc").arg("--version"))?.hash(&mut digest);
    // How they are called below.
    include_str!("languages.rs").hash(&mut digest);
    let files: BTreeSet<PathBuf> = fs::read_dir(WIT)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    for path in files.iter().map(PathBuf::as_path).chain([source]) {
        fs::read(path)
            .with_context(|| format!("{} cannot be read", path.display()))?
            .hash(&mut digest);
    }
    Ok(format!("{:016x}", digest.finish()))
}

/// `--sync`: the host calls one function at a time. `--stub-wasi`: the JavaScript engine imports files and sockets even when no script uses
/// them, and plugins may not import them.
fn javascript(source: &Path, output: &Path) -> Result<()> {
    let mut command =
        Command::new(Path::new(JAVASCRIPT).join("node_modules/.bin/componentize-qjs"));
    command
        .args([
            "--wit",
            WIT,
            "--world",
            WORLD,
            "--sync",
            "--stub-wasi",
            "--js",
        ])
        .arg(source)
        .arg("--output")
        .arg(output);
    run(&mut command)
}

fn python(folder: &Path, module: &str, output: &Path) -> Result<()> {
    let mut command = Command::new(cache::python_componentizer()?.join("bin/componentize-py"));
    command.args([
        "--quiet",
        "--wit-path",
        WIT,
        "--world",
        WORLD,
        "componentize",
        module,
        "--stub-wasi",
        "--python-path",
    ]);
    run(command.arg(folder).arg("--output").arg(output))
}

/// The component linker of the Rust toolchain links what clang compiles. The adapter `proxy` imports no files.
fn c(source: &Path, output: &Path) -> Result<()> {
    let bindings = output.with_extension("bindings");
    let mut generate = cargo();
    generate
        .args(["run", "--quiet", "-p", "c-bindings", "--", WIT, WORLD])
        .arg(&bindings);
    run(&mut generate)?;
    let mut compile = Command::new(CLANG);
    compile.args([
        "--target=wasm32-wasi",
        "-mexec-model=reactor",
        "-Os",
        "-s",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
    ]);
    compile
        .arg(format!("-fuse-ld={}", component_linker()?.display()))
        .arg("-Wl,--wasi-adapter=proxy")
        .arg("-I")
        .arg(&bindings);
    compile.arg(source);
    compile.args(
        [format!("{WORLD}.c"), format!("{WORLD}_component_type.o")].map(|file| bindings.join(file)),
    );
    run(compile.arg("-o").arg(output))
}

/// Comes with rustc, which links components of Rust with it.
fn component_linker() -> Result<PathBuf> {
    let libraries = read(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let linker = Path::new(libraries.trim())
        .with_file_name("bin")
        .join("wasm-component-ld");
    if !linker.exists() {
        bail!("{} is missing; install Rust with rustup", linker.display());
    }
    Ok(linker)
}
