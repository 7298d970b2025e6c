//! Plugins that are not written in Rust, built with the tools of their languages to where cargo puts the others.
//!
//! What it is not: an installer, which is [`setup`]. Invariant: a component is built anew when its source, the WIT or a tool has changed, and
//! left alone otherwise.

use crate::{
    build::{self, Guests},
    cache,
    command::{cargo, read, run, step, succeeds},
};
use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

/// The compiler of plugins in C. Others will do as well; this one is a package of Debian.
pub(crate) const CLANG: &str = "clang-19";
/// Where the tools of plugins in JavaScript are installed.
pub(crate) const JAVASCRIPT: &str = "components/examples/welcome-js";
/// What plugins in Python are built with.
pub(crate) const PYTHON: &str = "components/examples/welcome-py/requirements.txt";

const WIT: &str = "wit/plugin/0.1.0";
/// A small world: an engine exports and imports all of its world, used or not.
const WORLD: &str = "companion";

#[derive(Clone, Copy)]
enum Language {
    JavaScript,
    Python,
    C,
}

/// Folder and language; the source is called as the folder up to its hyphen.
const PLUGINS: [(&str, Language, Guests); 4] = [
    (
        "components/examples/welcome-js",
        Language::JavaScript,
        Guests::Product,
    ),
    (
        "components/examples/welcome-py",
        Language::Python,
        Guests::Product,
    ),
    (
        "components/examples/welcome-c",
        Language::C,
        Guests::Product,
    ),
    (
        "tests/test-scripts/trouble-js",
        Language::JavaScript,
        Guests::All,
    ),
];

/// Builds them. Those whose tools are not here are left out with a word about it, unless they are `needed`.
pub(crate) fn components(guests: Guests, needed: bool) -> Result<()> {
    for (folder, language, of) in PLUGINS {
        if of == Guests::All && guests == Guests::Product {
            continue;
        }
        match language.tools() {
            Some(tools) => plugin(Path::new(folder), language, &tools)?,
            None if needed => bail!(
                "{folder} cannot be built: {} is missing",
                language.tool_name()
            ),
            None => eprintln!(
                "    {folder} is left out: {} is missing; cargo xtask setup installs it",
                language.tool_name()
            ),
        }
    }
    Ok(())
}

impl Language {
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

fn plugin(folder: &Path, language: Language, tools: &str) -> Result<()> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .context("a plugin's folder has a name")?;
    let stem = name.split('-').next().unwrap_or(name);
    let source = folder.join(stem).with_extension(language.extension());
    let output = build::components_folder()?.join(format!("{}.wasm", name.replace('-', "_")));
    let stamp = output.with_extension("stamp");
    let wanted = fingerprint(&source, tools)?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(());
    }
    step(&format!("component {name}"), || {
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder)?;
        }
        match language {
            Language::JavaScript => javascript(&source, &output)?,
            Language::Python => python(folder, stem, &output)?,
            Language::C => c(&source, &output)?,
        }
        Ok(fs::write(&stamp, &wanted)?)
    })
}

/// Stands for everything that the component is made of.
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

/// `--sync`: the host calls one function at a time. `--stub-wasi`: an engine asks for files and sockets even when no script does, and a plugin
/// may not.
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

/// Rust's own linker for components makes one of what clang compiles. `proxy` is the adapter that asks for no files.
fn c(source: &Path, output: &Path) -> Result<()> {
    let bindings = output.with_extension("bindings");
    let mut generate = cargo();
    generate
        .args([
            "run",
            "--quiet",
            "-p",
            "c-bindings",
            "--profile",
            "generator",
            "--",
            WIT,
            WORLD,
        ])
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
