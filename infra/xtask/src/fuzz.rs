//! Fuzzing: the checks of `tests/checks` under libFuzzer, each for a while.
//!
//! Instrumented by flags that the stable compiler takes, without sanitizers: they look for what unsafe code does, and the code under
//! test has none. Starts from the corpus that is kept, and writes what it finds below `target/fuzz`.

use crate::command::{cargo, read, run, step};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const CORPUS: &str = "infra/fuzz/corpus";
/// What is kept of a run's findings, until it is curated by hand.
const WORK: &str = "target/fuzz/work";
/// Coverage counters for every edge, and what comparisons compare: what libFuzzer steers by. libFuzzer itself is built by its crate.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longest input: beyond it, inputs get slower and not more interesting.
const INPUT_BYTES_MAX: u32 = 4_096;
/// No input may keep a check busy for so long, or make it hold so much.
const INPUT_SECONDS_MAX: u32 = 25;
const MEMORY_MIB_MAX: u32 = 1_024;

/// `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Only this target; one after the other otherwise.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Writes the inputs of the last run that reach something the corpus does not, into the corpus. Choose among them before they are committed.
    #[arg(long)]
    keep: bool,
}

impl Fuzz {
    /// Builds, and runs the targets. Fails at the first input that a check does not hold for, and says where it lies.
    pub(crate) fn run(self) -> Result<()> {
        let targets = targets()?;
        if let Some(wanted) = self
            .target
            .as_ref()
            .filter(|wanted| !targets.contains(wanted))
        {
            bail!(
                "there is no target {wanted:?}; there are {}",
                targets.join(", ")
            );
        }
        let folder = step("instrumented build", build)?;
        let chosen = targets
            .iter()
            .filter(|target| self.target.as_ref().is_none_or(|wanted| wanted == *target));
        for target in chosen {
            let binary = folder.join(target);
            if self.keep {
                step(&format!("keep {target}"), || keep(&binary, target))?;
            } else {
                step(&format!("fuzz {target} for {} s", self.seconds), || {
                    fuzz(&binary, target, self.seconds)
                })?;
            }
        }
        Ok(())
    }
}

/// The targets: one for each file in `infra/fuzz/targets`.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("infra/fuzz/targets").context("infra/fuzz/targets")? {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; the folder of their binaries. The triple is named so that build scripts and macros stay uninstrumented.
fn build() -> Result<PathBuf> {
    let version = read(Command::new("rustc").arg("-vV"))?;
    let triple = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    let mut command = cargo();
    command.env("RUSTFLAGS", FLAGS).args([
        "build",
        "--release",
        "--manifest-path",
        "infra/fuzz/Cargo.toml",
        "--target-dir",
        "target/fuzz",
    ]);
    run(command.args(["--target", triple]))?;
    Ok(Path::new("target/fuzz").join(triple).join("release"))
}

fn fuzz(binary: &Path, target: &str, seconds: u32) -> Result<()> {
    let work = Path::new(WORK).join(target);
    fs::create_dir_all(&work)?;
    let found = Path::new(WORK).join(format!("{target}-"));
    let mut command = Command::new(binary);
    command.arg(&work).arg(Path::new(CORPUS).join(target));
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
    ]);
    command.args([
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-artifact_prefix={}", found.display()),
    ]);
    run(command.args(["-print_final_stats=1", "-verbosity=1"])).with_context(|| {
        format!(
            "the input lies at {}*; once it has a test of its own, put it into {CORPUS}/{target}",
            found.display()
        )
    })
}

/// libFuzzer's own merge: of the findings only those that reach what the corpus does not, the small ones first.
fn keep(binary: &Path, target: &str) -> Result<()> {
    let (kept, work) = (Path::new(CORPUS).join(target), Path::new(WORK).join(target));
    run(Command::new(binary).arg("-merge=1").arg(&kept).arg(&work))
}
