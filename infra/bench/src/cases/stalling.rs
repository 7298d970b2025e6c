//! G8: half of a room stops reading, and the others go on talking.

use super::{
    Bench,
    pairs::{Series, fresh_turns},
};
use crate::{
    figure::{Bound, Figure, Unit},
    load::{Crowd, Pace, Sample},
    server::Kind,
    swarm::Client,
};
use anyhow::Result;
use std::time::Duration;

const MEMBERS: usize = 100;
/// The first half reads, and publishes; the others stall.
const READERS: usize = 50;
/// Of a stalled client: small, so that the server's side fills up soon.
const RECEIVE_BYTES: usize = 64 * 1024;

/// One turn.
struct Seen {
    /// p99 of the readers while everybody read.
    undisturbed_ns: f64,
    /// p99 of the readers while the others stalled.
    disturbed_ns: f64,
    /// Most own memory of the server while they stalled, less what it had before.
    growth_bytes: f64,
    /// Share of the stalled whose connection the server has ended, in percent.
    ended: f64,
    /// Connections that the server says it closed with 4013, in percent of the stalled; zero for the references.
    typed: f64,
    /// Stalled clients that found the close frame when they read again.
    frames: usize,
}

/// G8.
pub(crate) fn half_a_room(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("G8") {
        return Ok(Vec::new());
    }
    let (pairs, kinds): (usize, &[Kind]) = if bench.quick {
        (1, &[Kind::Subject])
    } else {
        (bench.pairs.min(3), &Kind::TURNS)
    };
    let (mut calm, mut growth, mut delay, mut ended, mut typed) = (
        Series::default(),
        Series::default(),
        Series::default(),
        Series::default(),
        Series::default(),
    );
    let mut frames = 0;
    fresh_turns(bench, "G8", pairs, kinds, |kind| {
        let seen = turn(bench, kind)?;
        calm.add(kind, seen.undisturbed_ns);
        growth.add(kind, seen.growth_bytes);
        delay.add(kind, seen.disturbed_ns / seen.undisturbed_ns);
        ended.add(kind, seen.ended);
        typed.add(kind, seen.typed);
        if kind == Kind::Subject {
            frames += seen.frames;
        }
        Ok(())
    })?;
    let references = |series: &Series, unit: Unit| {
        let known = kinds.iter().filter(|kind| **kind != Kind::Subject);
        known
            .map(|kind| format!("{} {}", kind.name(), unit.show(series.median(*kind))))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let figure = |what: &str, series: &Series, unit, aim, must, note: String| Figure {
        case: "G8",
        what: what.into(),
        value: series.median(Kind::Subject),
        unit,
        aim,
        must,
        note,
    };
    let all = Some(Bound::AtLeast(100.0));
    Ok(vec![
        figure(
            "growth of own memory while 50 of 100 do not read, 100 × 16 kB a second",
            &growth,
            Unit::Bytes,
            Some(Bound::AtMost(16.0 * 1_048_576.0)),
            None,
            references(&growth, Unit::Bytes),
        ),
        figure(
            "p99 of those who read / undisturbed",
            &delay,
            Unit::Times,
            Some(Bound::AtMost(1.2)),
            None,
            references(&delay, Unit::Times),
        ),
        figure(
            "stalled connections that were closed",
            &ended,
            Unit::Percent,
            None,
            all,
            references(&ended, Unit::Percent),
        ),
        figure(
            "stalled connections closed with 4013, by the server's own count",
            &typed,
            Unit::Percent,
            all,
            None,
            format!(
                "{frames} of {} found the close frame when they read again",
                READERS * pairs
            ),
        ),
    ])
}

fn turn(bench: &Bench, kind: Kind) -> Result<Seen> {
    let mut crowd = Crowd::gather_as(kind, &bench.place, &[], 1, MEMBERS, |client| {
        let stalls = client.user.as_str() >= "user-00050";
        Client {
            receive_bytes: stalls.then_some(RECEIVE_BYTES),
            ..client
        }
    })?;
    let pace = Pace {
        per_second: 100,
        time: Duration::from_millis(500),
        bytes: 16_384,
        publishers: 10,
        counts: &|member| member < READERS,
        counted: READERS as u64,
    };
    // In slices, to look at the memory in between; both halves alike. The first one does not count.
    let slices = |crowd: &mut Crowd, count: usize| -> Result<(Sample, u64)> {
        let (mut all, mut most) = (Sample::default(), 0);
        for _ in 0..count {
            all.latencies_ns.extend(crowd.pace(&pace)?.latencies_ns);
            most = most.max(crowd.server.memory_bytes()?);
        }
        Ok((all, most))
    };
    slices(&mut crowd, 1)?;
    let (undisturbed, _) = slices(&mut crowd, if bench.quick { 4 } else { 12 })?;
    let before = crowd.server.memory_bytes()?;
    for member in READERS..MEMBERS {
        crowd.swarm.stall(member);
    }
    // Longer than the stall limit and the buffers of the kernel together.
    let (disturbed, most) = slices(&mut crowd, 18)?;
    let typed = if kind == Kind::Subject {
        crowd
            .server
            .metric("jackfield_connections_closed_total", "\"4013\"")?
    } else {
        0.0
    };
    for member in READERS..MEMBERS {
        crowd.swarm.resume(member)?;
    }
    crowd.swarm.settle(Duration::from_millis(500))?;
    let codes: Vec<u16> = (READERS..MEMBERS)
        .filter_map(|member| crowd.swarm.closed(member))
        .collect();
    Ok(Seen {
        undisturbed_ns: undisturbed.latency_ns(0.99),
        disturbed_ns: disturbed.latency_ns(0.99),
        growth_bytes: most as f64 - before as f64,
        ended: codes.len() as f64 * 100.0 / READERS as f64,
        typed: typed * 100.0 / READERS as f64,
        frames: codes.iter().filter(|code| **code == 4013).count(),
    })
}
