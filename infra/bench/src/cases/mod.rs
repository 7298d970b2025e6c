//! Which cases there are, and how a run goes through them.

mod components;
mod entering;
mod fan_out;
mod hosting;
mod pairs;
mod plugins;
mod requests;
mod rest;
mod routes;
mod stalling;

use crate::{
    figure::{Figure, Table},
    page,
    process::{self, Cores},
    server::Place,
};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// All cases, in the order in which they run: those that share a crowd together.
const CASES: [&str; 27] = [
    "G1", "G9", "G3", "G2", "G10", "G4", "G5", "G6", "G7", "G8", "C1", "C2", "C3", "C4", "C5",
    "C6", "C7", "C8", "C9", "C12", "C13", "C14", "C15", "C19", "C20", "C21", "C22",
];

/// Measures some cases.
type Group = fn(&Bench) -> Result<Vec<Figure>>;

/// What measures them; each leaves out cases that were not asked for.
const GROUPS: [Group; 17] = [
    fan_out::large_room,
    fan_out::small_rooms,
    fan_out::paced,
    entering::memory,
    entering::small_rooms,
    entering::large_room,
    stalling::half_a_room,
    components::validator,
    plugins::in_process,
    hosting::start,
    hosting::compiling,
    hosting::memory,
    requests::http,
    routes::route,
    routes::slow_neighbour,
    rest::directory,
    rest::idle,
];

/// What to measure, and with what.
#[derive(Args)]
pub(crate) struct Options {
    /// A quick look of two or three minutes: two short pairs of everything instead of five, and fewer clients.
    #[arg(long)]
    quick: bool,
    /// Only these cases, such as `G1,G3`.
    #[arg(long, value_delimiter = ',')]
    case: Vec<String>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// The subject; the `jackfield` beside this program when missing.
    #[arg(long)]
    subject: Option<PathBuf>,
    /// Writes the result as a page to this file as well.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Pairs of measurements of each figure.
    #[arg(long)]
    pairs: Option<usize>,
}

/// What every case gets.
pub(crate) struct Bench {
    /// Programs and processors.
    place: Place,
    quick: bool,
    pairs: usize,
    wanted: Vec<String>,
    /// Open files that this process may have.
    descriptors: u64,
    begin: Instant,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let known: Vec<String> = CASES.iter().map(|case| (*case).to_owned()).collect();
        let wanted: Vec<String> = options
            .case
            .iter()
            .map(|case| case.to_uppercase())
            .collect();
        if let Some(unknown) = wanted.iter().find(|case| !known.contains(case)) {
            bail!(
                "there is no case '{unknown}'; there are {}",
                known.join(", ")
            );
        }
        let folder = std::env::current_exe()?
            .parent()
            .context("a program lies in a folder")?
            .to_owned();
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let place = Place {
            subject: options
                .subject
                .clone()
                .unwrap_or_else(|| folder.join("jackfield")),
            measure: folder.join("examples/measure"),
            root: manifest
                .ancestors()
                .nth(2)
                .context("infra/bench lies two folders deep")?
                .to_owned(),
            seed: manifest.join("seed"),
            cache: folder.join("bench-cache"),
            cores: Cores::find()?,
        };
        ensure!(
            place.subject.exists(),
            "{} is missing; `cargo xtask bench` builds it",
            place.subject.display()
        );
        let pairs = options
            .pairs
            .unwrap_or(if options.quick { 2 } else { 5 })
            .max(1);
        let wanted = if wanted.is_empty() { known } else { wanted };
        let descriptors = process::raise_descriptors()?;
        Ok(Self {
            place,
            quick: options.quick,
            pairs,
            wanted,
            descriptors,
            begin: Instant::now(),
        })
    }

    /// Whether a case was asked for.
    fn wants(&self, case: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted == case)
    }

    /// A duration of the full run, or the shorter one of a quick look.
    fn time(&self, full_ms: u64, quick_ms: u64) -> Duration {
        Duration::from_millis(if self.quick { quick_ms } else { full_ms })
    }

    /// Says what is being done.
    fn say(&self, what: &str) {
        eprintln!("[{:6.1} s] {what}", self.begin.elapsed().as_secs_f64());
    }
}

/// Measures what was asked for and prints it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bench = Bench::new(options)?;
    // Before this process binds itself to one processor.
    let machine = process::machine();
    install_packages(&bench)?;
    process::pin(bench.place.cores.load)?;
    if bench.place.cores.server == bench.place.cores.load {
        eprintln!("only one processor: servers and load share it, and latencies mean nothing");
    }
    let mut figures: Vec<Figure> = Vec::new();
    let mut failures = Vec::new();
    for group in GROUPS {
        // One case that cannot be measured does not cost the others of a long run.
        match group(&bench) {
            Ok(more) => figures.extend(more),
            Err(error) => {
                bench.say(&format!("failed: {error:#}"));
                failures.push(format!("{error:#}"));
            }
        }
    }
    bench.say("done");
    if let Some(path) = options.page.as_ref().filter(|_| failures.is_empty()) {
        std::fs::write(path, page::write(&machine, bench.pairs, &figures))
            .with_context(|| path.display().to_string())?;
    }
    if options.json {
        let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
        println!(
            "{:#}",
            json!({"machine": machine, "quick": bench.quick, "pairs": bench.pairs, "figures": figures})
        );
    } else {
        println!("{machine}\n\n{}", Table(&figures));
    }
    ensure!(
        failures.is_empty(),
        "not everything could be measured:\n{}",
        failures.join("\n")
    );
    Ok(())
}

/// npm packages of the references, as their lock file names them.
fn install_packages(bench: &Bench) -> Result<()> {
    let folder = &bench.place.seed;
    let lock = std::fs::read_to_string(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    bench.say("npm packages of the references");
    let status = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .status();
    ensure!(
        status
            .context("npm does not start; the reference in Node needs it")?
            .success(),
        "npm ci failed in {}",
        folder.display()
    );
    Ok(std::fs::write(&stamp, &lock)?)
}
