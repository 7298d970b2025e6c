//! G1-G4, G9 and G10: what a delivery costs, and how long it takes.

use super::{
    Bench,
    pairs::{Crowds, Series},
};
use crate::{
    figure::{Bound, Figure, Unit},
    load::{CHAT_BYTES, Crowd, Pace},
    server::{Kind, Server},
};
use anyhow::Result;

/// G1, G9 and G3: a room of 1000, with one message on its way and with forty.
pub(crate) fn large_room(bench: &Bench) -> Result<Vec<Figure>> {
    const MEMBERS: usize = 1_000;
    let (one, many) = (bench.wants("G1") || bench.wants("G9"), bench.wants("G3"));
    if !one && !many {
        return Ok(Vec::new());
    }
    let mut crowds = Crowds::gather(bench, 1, MEMBERS, &[])?;
    let mut figures = Vec::new();
    let time = bench.time(1_500, 600);
    if one {
        let (mut cost, mut delay) = (Series::default(), Series::default());
        crowds.take_turns(
            bench,
            "G1, G9",
            |crowd| crowd.saturate(1, time),
            |kind, sample| {
                cost.add(kind, sample.cpu_per_delivery_ns());
                delay.add(kind, sample.latency_ns(0.5));
            },
        )?;
        if bench.wants("G1") {
            let what = "processor time of a delivery, room of 1000, one message on its way";
            figures.push(cost.against(
                "G1",
                what,
                Kind::Floor,
                Unit::Nanoseconds,
                (Some(1.10), None),
            ));
            figures.push(cost.against(
                "G1",
                what,
                Kind::Seed,
                Unit::Nanoseconds,
                (None, Some(0.80)),
            ));
        }
        if bench.wants("G9") {
            let what = "p50 from publishing to the median member of 1000";
            figures.push(delay.against(
                "G9",
                what,
                Kind::Floor,
                Unit::Nanoseconds,
                (Some(1.5), None),
            ));
            figures.push(delay.against(
                "G9",
                what,
                Kind::Seed,
                Unit::Nanoseconds,
                (None, Some(0.7)),
            ));
        }
    }
    if many {
        let what = "processor time of a delivery, room of 1000, 40 messages on their way";
        figures.extend(cost_of(
            bench,
            &mut crowds,
            "G3",
            what,
            |crowd| crowd.saturate(40, time),
            (0.08, 0.10),
        )?);
    }
    Ok(figures)
}

/// G2: 200 rooms of 10, two publishers in each, each with one message on its way. G10: the same rooms with 2000 messages
/// a second.
pub(crate) fn small_rooms(bench: &Bench) -> Result<Vec<Figure>> {
    const MEMBERS: usize = 10;
    let (saturated, paced) = (bench.wants("G2"), bench.wants("G10"));
    if !saturated && !paced {
        return Ok(Vec::new());
    }
    let mut crowds = Crowds::gather(bench, 200, MEMBERS, &[])?;
    let mut figures = Vec::new();
    if saturated {
        let time = bench.time(1_500, 600);
        let mut cost = Series::default();
        crowds.take_turns(
            bench,
            "G2",
            |crowd| crowd.saturate(2, time),
            |kind, sample| cost.add(kind, sample.cpu_per_delivery_ns()),
        )?;
        let what = "processor time of a delivery, 200 rooms of 10, two publishers each";
        for (reference, bounds) in [
            (Kind::Floor, (Some(0.62), Some(0.72))),
            (Kind::Seed, (None, Some(0.40))),
        ] {
            figures.push(cost.against("G2", what, reference, Unit::Nanoseconds, bounds));
        }
    }
    if paced {
        let time = bench.time(3_000, 1_000);
        let mut cost = Series::default();
        crowds.take_turns(
            bench,
            "G10",
            |crowd| {
                crowd.pace(&Pace {
                    per_second: 2_000,
                    time,
                    bytes: CHAT_BYTES,
                    publishers: 2,
                    counts: &|_| true,
                    counted: MEMBERS as u64,
                })
            },
            |kind, sample| cost.add(kind, sample.cpu_per_delivery_ns()),
        )?;
        let what = "processor time of a delivery, 200 rooms of 10, 2000 messages a second";
        let bounds = (Some(1.10), Some(1.15));
        figures.push(cost.against("G10", what, Kind::Floor, Unit::Nanoseconds, bounds));
    }
    Ok(figures)
}

/// A cost against both references: the aim against the floor, what must be against the seed.
fn cost_of(
    bench: &Bench,
    crowds: &mut Crowds,
    case: &'static str,
    what: &str,
    turn: impl FnMut(&mut Crowd) -> Result<crate::load::Sample>,
    (aim, must): (f64, f64),
) -> Result<Vec<Figure>> {
    let mut cost = Series::default();
    crowds.take_turns(bench, case, turn, |kind, sample| {
        cost.add(kind, sample.cpu_per_delivery_ns())
    })?;
    Ok(vec![
        cost.against(
            case,
            what,
            Kind::Floor,
            Unit::Nanoseconds,
            (Some(aim), None),
        ),
        cost.against(
            case,
            what,
            Kind::Seed,
            Unit::Nanoseconds,
            (None, Some(must)),
        ),
    ])
}

/// G4: a room of 100 with 1000 messages a second; the subject may let a delivery wait 5 ms for others.
pub(crate) fn paced(bench: &Bench) -> Result<Vec<Figure>> {
    const MEMBERS: usize = 100;
    const LINGER: [(&str, &str); 1] = [("JACKFIELD_SOCKET__LINGER_MS", "5")];
    if !bench.wants("G4") {
        return Ok(Vec::new());
    }
    let lingers = Server::start(Kind::Subject, &bench.place, &LINGER).is_ok();
    if !lingers {
        bench.say("G4: this subject knows no `socket.linger_ms`; measured without it");
    }
    let mut crowds = Crowds::gather(bench, 1, MEMBERS, if lingers { &LINGER } else { &[] })?;
    let time = bench.time(2_000, 1_000);
    let (mut cost, mut delay) = (Series::default(), Series::default());
    crowds.take_turns(
        bench,
        "G4",
        |crowd| {
            crowd.pace(&Pace {
                per_second: 1_000,
                time,
                bytes: CHAT_BYTES,
                publishers: 10,
                counts: &|_| true,
                counted: MEMBERS as u64,
            })
        },
        |kind, sample| {
            cost.add(kind, sample.cpu_per_delivery_ns());
            delay.add(kind, sample.latency_ns(0.5));
        },
    )?;
    let what = "processor time of a delivery, room of 100, 1000 messages a second";
    let p50 = Figure {
        case: "G4",
        what: "p50 from publishing to a member at that rate".into(),
        value: delay.median(Kind::Subject),
        unit: Unit::Nanoseconds,
        aim: Some(Bound::AtMost(10e6)),
        must: None,
        note: if lingers {
            "with socket.linger_ms = 5"
        } else {
            "without a latency budget: the subject has none"
        }
        .into(),
    };
    Ok(vec![
        cost.against(
            "G4",
            what,
            Kind::Floor,
            Unit::Nanoseconds,
            (Some(0.25), None),
        ),
        cost.against("G4", what, Kind::Seed, Unit::Nanoseconds, (None, Some(0.5))),
        p50,
    ])
}
