//! C8 and C9: how long a host with plugins takes to start, what its gateway feels of it, and what an idle instance holds.

use super::{Bench, components::run_measure};
use crate::{
    figure::{Bound, Figure, Unit, median, paired_ratio},
    load::{Crowd, Pace},
    server::{Kind, Server},
};
use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time for all plugins to work when none of them has been compiled yet.
const COLD_MS_MAX: u64 = 600_000;
/// Plugins and rooms of C9: each plugin has an instance for each room.
const MODERATORS: usize = 10;
const ROOMS: usize = 50;

/// A plugins directory and the environment of a host that runs what lies there, and lets it do what it declares.
pub(super) struct Installed {
    folder: TempDir,
    count: usize,
}

impl Installed {
    pub(super) fn new(bench: &Bench, count: usize, capability: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (path, number) = (folder.path().display().to_string(), count.to_string());
        let mut arguments = vec![path.as_str(), &number];
        arguments.extend(capability);
        run_measure(bench, "install", &arguments, false)?;
        Ok(Self { folder, count })
    }

    /// Starts a host on it.
    pub(super) fn start(&self, bench: &Bench) -> Result<Server> {
        self.with_environment(|environment| Server::start(Kind::Subject, &bench.place, environment))
    }

    pub(super) fn with_environment<T>(&self, run: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let directory = self.folder.path().display().to_string();
        run(&[
            ("JACKFIELD_PLUGINS__DIRECTORY", &directory),
            ("JACKFIELD_PLUGINS__POLICY__PROFILE", "permissive"),
        ])
    }

    /// Whether the last plugin in load order answers.
    fn last_works(&self, server: &Server) -> Result<bool> {
        let Some(last) = self.count.checked_sub(1) else {
            return Ok(true);
        };
        Ok(server
            .http("GET", &format!("/api/plugins/route/bench-{last:04}/"), "")?
            .0
            == 200)
    }

    /// Waits until all plugins work.
    pub(super) fn wait(&self, server: &Server) -> Result<()> {
        let begin = Instant::now();
        while !self.last_works(server)? {
            ensure!(
                begin.elapsed() < Duration::from_millis(COLD_MS_MAX),
                "the plugins are not loaded:\n{}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let (status, text) = server.http("GET", "/api/plugins", "")?;
        let loaded = text.matches(r#""state":"loaded""#).count();
        ensure!(
            status == 200 && loaded == self.count,
            "{loaded} of {} plugins are loaded: {text:.600}\n{}",
            self.count,
            server.log()
        );
        Ok(())
    }
}

/// C8, and what a loaded plugin holds.
pub(crate) fn start(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C8") && !bench.wants("C9") {
        return Ok(Vec::new());
    }
    let count = if bench.quick { 20 } else { 100 };
    let (some, none) = (
        Installed::new(bench, count, None)?,
        Installed::new(bench, 0, None)?,
    );
    bench.say(&format!("C8: {count} plugins that were never compiled"));
    let (mut with, mut without) = (some.start(bench)?, none.start(bench)?);
    let (cold_ready, began) = (with.ready(), Instant::now());
    some.wait(&with)?;
    let cold = cold_ready + began.elapsed();
    let (mut warm, mut ready, mut bare, mut memory) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=bench.pairs {
        bench.say(&format!("C8: pair {pair} of {}", bench.pairs));
        without = none.with_environment(|environment| without.again(&bench.place, environment))?;
        with = some.with_environment(|environment| with.again(&bench.place, environment))?;
        let (said, began) = (with.ready(), Instant::now());
        some.wait(&with)?;
        warm.push((said + began.elapsed()).as_nanos() as f64);
        ready.push(said.as_nanos() as f64);
        bare.push(without.ready().as_nanos() as f64);
        memory.push((with.memory_bytes()? as f64 - without.memory_bytes()? as f64) / count as f64);
    }
    let show = |values: &[f64]| Unit::Nanoseconds.show(median(values));
    let mut figures = vec![
        Figure {
            case: "C8",
            what: format!(
                "start of the host until {count} plugins work, their code compiled before"
            ),
            value: median(&warm),
            unit: Unit::Nanoseconds,
            aim: Some(Bound::AtMost(0.5e9)),
            must: Some(Bound::AtMost(2e9)),
            note: format!(
                "elapsed time on one processor; it accepts connections after {}, without plugins after {}; all of them compiled anew: {:.1} s",
                show(&ready),
                show(&bare),
                cold.as_secs_f64()
            ),
        },
        Figure {
            case: "C8",
            what: format!("time until the host accepts connections, {count} plugins / none"),
            value: paired_ratio(&ready, &bare),
            unit: Unit::Times,
            aim: Some(Bound::AtMost(1.1)),
            must: Some(Bound::AtMost(1.5)),
            note: format!(
                "with none of them compiled yet after {}",
                Unit::Nanoseconds.show(cold_ready.as_nanos() as f64)
            ),
        },
        Figure {
            case: "C9",
            what: "own memory of a loaded plugin: code, manifest and its first instance".into(),
            value: median(&memory),
            unit: Unit::Bytes,
            aim: None,
            must: None,
            note: format!("{count} plugins / none"),
        },
    ];
    figures.retain(|figure| bench.wants(figure.case));
    Ok(figures)
}

/// C8: what people in a room feel while plugins are compiled.
pub(crate) fn compiling(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C8") {
        return Ok(Vec::new());
    }
    let (calm, busy) = (
        Installed::new(bench, 0, None)?,
        Installed::new(bench, 100, None)?,
    );
    let (mut undisturbed, mut disturbed) = (Vec::new(), Vec::new());
    for pair in 1..=bench.pairs.min(3) {
        bench.say(&format!(
            "C8: pair {pair} of {}, a room while 100 plugins are compiled",
            bench.pairs.min(3)
        ));
        for (installed, latencies) in [(&calm, &mut undisturbed), (&busy, &mut disturbed)] {
            let mut crowd = installed.with_environment(|environment| {
                Crowd::gather(Kind::Subject, &bench.place, environment, 1, 20)
            })?;
            let pace = Pace {
                per_second: 200,
                time: bench.time(4_000, 1_500),
                bytes: crate::load::CHAT_BYTES,
                publishers: 10,
                counts: &|_| true,
                counted: 20,
            };
            latencies.push(crowd.pace(&pace)?.latency_ns(0.99));
            ensure!(
                installed.count == 0 || !installed.last_works(&crowd.server)?,
                "the plugins were compiled before the measurement ended"
            );
        }
    }
    Ok(vec![Figure {
        case: "C8",
        what: "p99 of a chat message to 20 people while plugins are compiled / undisturbed".into(),
        value: paired_ratio(&disturbed, &undisturbed),
        unit: Unit::Times,
        aim: Some(Bound::AtMost(2.0)),
        must: Some(Bound::AtMost(5.0)),
        note: format!(
            "{} and {}; compilers and gateway share one processor",
            Unit::Nanoseconds.show(median(&disturbed)),
            Unit::Nanoseconds.show(median(&undisturbed))
        ),
    }])
}

/// C9: idle instances.
pub(crate) fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C9") {
        return Ok(Vec::new());
    }
    let (some, none) = (
        Installed::new(bench, MODERATORS, Some("messages.moderate"))?,
        Installed::new(bench, 0, None)?,
    );
    let mut grown = Vec::new();
    for pair in 1..=bench.pairs.min(3) {
        bench.say(&format!("C9: pair {pair} of {}", bench.pairs.min(3)));
        let mut growth = [0.0; 2];
        for (installed, growth) in [&none, &some].into_iter().zip(&mut growth) {
            let mut crowd = installed.with_environment(|environment| {
                Crowd::gather(Kind::Subject, &bench.place, environment, ROOMS, 2)
            })?;
            installed.wait(&crowd.server)?;
            let before = crowd.server.memory_bytes()?;
            // One message in each room: every plugin gets an instance there to look at it.
            crowd
                .saturate(1, Duration::from_millis(1))
                .context("one message in each room")?;
            crowd.swarm.settle(crate::load::QUIET)?;
            *growth = crowd.server.memory_bytes()? as f64 - before as f64;
        }
        grown.push((growth[1] - growth[0]) / (MODERATORS * ROOMS) as f64);
    }
    Ok(vec![Figure {
        case: "C9",
        what: "own memory of an idle plugin instance".into(),
        value: median(&grown),
        unit: Unit::Bytes,
        aim: Some(Bound::AtMost(65_536.0)),
        must: Some(Bound::AtMost(262_144.0)),
        note: format!(
            "{} instances of {MODERATORS} plugins in Rust, each of which looked at one chat message",
            MODERATORS * ROOMS
        ),
    }])
}
