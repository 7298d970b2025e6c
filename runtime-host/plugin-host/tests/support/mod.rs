//! Components built once, chains in one line.
#![allow(dead_code, reason = "each test program uses a part of it")]

use envelope::{Context, verdict::Membership};
use plugin_host::judge::{Chain, ChainConfig, ChainFactory, FilterConfig, JudgeEngine, OnFailure};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, OnceLock},
};

/// Guests of these tests, by package.
const GUESTS: &[&str] = &[
    "envelope-validator",
    "word-filter",
    "trap-judge",
    "judge-loops",
    "judge-waits",
    "judge-grows",
    "judge-routes",
    "judge-garbles",
    "judge-passes",
    "judge-unguarded",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders up")
        .to_owned()
}

/// The file of a guest; all are built at the first call, which costs nothing when they are fresh.
pub(crate) fn guest(package: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = std::env::var_os("JACKFIELD_GUEST_TARGET")
            .or_else(|| std::env::var_os("CARGO_TARGET_DIR"));
        let target = target.map_or_else(|| root().join("target"), |dir| root().join(dir));
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--quiet",
            "--target",
            "wasm32-wasip2",
            "--profile",
            "component",
        ]);
        command
            .args(GUESTS.iter().flat_map(|package| ["-p", package]))
            .env("CARGO_TARGET_DIR", &target)
            .current_dir(root());
        assert!(
            command.status().expect("cargo").success(),
            "the guests do not build"
        );
        target.join("wasm32-wasip2/component")
    });
    FOLDER.join(format!("{}.wasm", package.replace('-', "_")))
}

/// One engine for all tests of a program.
pub(crate) fn engine() -> &'static JudgeEngine {
    static ENGINE: OnceLock<JudgeEngine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        JudgeEngine::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache"))
            .expect("an engine")
    })
}

pub(crate) fn filter(package: &str, on_failure: OnFailure) -> FilterConfig {
    FilterConfig {
        name: package.to_owned(),
        source: guest(package),
        on_failure,
        types: Vec::new(),
    }
}

pub(crate) fn factory(filters: Vec<FilterConfig>, validator: &str) -> ChainFactory {
    ChainFactory::load(
        engine(),
        &ChainConfig {
            filters,
            validator: guest(validator).into(),
        },
    )
    .expect("a chain")
}

pub(crate) fn chain(filters: Vec<FilterConfig>, validator: &str) -> Chain {
    factory(filters, validator).instance().expect("instances")
}

pub(crate) const ALICE: Context<'static> = Context {
    now_ms: 1_777_470_000_000,
    connection_id: "c1",
    user_id: Some("alice"),
    display_name: "Alice",
    server_id: Some("s1"),
    server_implied: false,
    server_revision: 1,
    membership: Membership::Joined,
};
