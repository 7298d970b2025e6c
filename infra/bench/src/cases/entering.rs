//! G5 to G7: memory of a connection that has joined, and processor time of connecting, identifying and joining.

use super::{
    Bench,
    pairs::{Series, fresh_turns},
};
use crate::{
    figure::{Bound, Figure, Unit},
    load::{QUIET, client, clients, room_names},
    server::{Kind, Server},
    swarm::{Client, ENTERING_MAX, Swarm},
};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Connections before the first look at the memory: what a server sets up once is there by then.
const WARM: usize = 500;
/// Members of a small room.
const MEMBERS: usize = 10;

/// G5: memory of an idle connection that has joined a server, in rooms of ten.
pub(crate) fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("G5") {
        return Ok(Vec::new());
    }
    let count = if bench.quick { 3_000 } else { 10_000 };
    ensure!(
        bench.descriptors > count as u64 + 100,
        "G5 needs {count} open files, and the limit is {}; raise it with `ulimit -n`",
        bench.descriptors
    );
    let rooms = room_names(count / MEMBERS);
    let mut bytes = Series::default();
    fresh_turns(bench, "G5", bench.pairs, &Kind::TURNS, |kind| {
        let server = Server::start(kind, &bench.place, &[])?;
        server.make_rooms(&rooms)?;
        let mut swarm = Swarm::new(server.address())?;
        let mut clients = clients(&rooms, MEMBERS);
        let mut enter = |more: usize| {
            swarm.enter(clients.by_ref().take(more), ENTERING_MAX)?;
            swarm.settle(Duration::from_secs(1))?;
            server.memory_bytes()
        };
        let before = enter(WARM)?;
        let after = enter(count - WARM)?;
        bytes.add(kind, (after as f64 - before as f64) / (count - WARM) as f64);
        Ok(())
    })?;
    let what = format!("own memory of an idle joined connection, rooms of {MEMBERS}, at {count}");
    let absolute = Figure {
        case: "G5",
        what: what.clone(),
        value: bytes.median(Kind::Subject),
        unit: Unit::Bytes,
        aim: Some(Bound::AtMost(1_500.0)),
        must: Some(Bound::AtMost(3_072.0)),
        note: format!("floor {}", Unit::Bytes.show(bytes.median(Kind::Floor))),
    };
    Ok(vec![
        absolute,
        bytes.against("G5", &what, Kind::Seed, Unit::Bytes, (None, Some(0.25))),
    ])
}

/// G6: accept, handshake, identify and join, in rooms of ten.
pub(crate) fn small_rooms(bench: &Bench) -> Result<Vec<Figure>> {
    const WARM_ROOMS: usize = 20;
    if !bench.wants("G6") {
        return Ok(Vec::new());
    }
    let rooms = room_names(if bench.quick { 120 } else { 220 });
    let mut cost = Series::default();
    fresh_turns(bench, "G6", bench.pairs, &Kind::TURNS, |kind| {
        let server = Server::start(kind, &bench.place, &[])?;
        server.make_rooms(&rooms)?;
        let mut swarm = Swarm::new(server.address())?;
        let mut clients = clients(&rooms, MEMBERS);
        swarm.enter(clients.by_ref().take(WARM_ROOMS * MEMBERS), ENTERING_MAX)?;
        let count = (rooms.len() - WARM_ROOMS) * MEMBERS;
        cost.add(kind, cost_of_entering(&server, &mut swarm, clients, count)?);
        Ok(())
    })?;
    let what = "processor time of accept, identify and join, rooms of 10";
    Ok(vec![
        cost.against(
            "G6",
            what,
            Kind::Seed,
            Unit::Nanoseconds,
            (Some(0.25), Some(0.5)),
        ),
        cost.against(
            "G6",
            what,
            Kind::Floor,
            Unit::Nanoseconds,
            (None, Some(1.5)),
        ),
    ])
}

/// G7: joining a room that is full already. The clients announce `roster-paging`, which only the subject knows.
///
/// The growth from 1,000 to 10,000 members is that of the joins before each. Many joins are counted at 10,000, because a
/// count of the users goes to all of them, and one that falls into the measurement is a part of what they cost.
pub(crate) fn large_room(bench: &Bench) -> Result<Vec<Figure>> {
    const BATCH: usize = 100;
    const MANY: usize = 1_000;
    if !bench.wants("G7") {
        return Ok(Vec::new());
    }
    let rooms = room_names(1);
    let arrivals = |from: usize, to: usize| -> Vec<Client> {
        (from..to)
            .map(|at| Client {
                features: r#"["roster-paging"]"#,
                ..client(at, Some(rooms[0].clone()))
            })
            .collect()
    };
    let (mut cost, mut growth) = (Series::default(), Series::default());
    ensure!(
        bench.descriptors > 10_100,
        "G7 needs 10000 open files, and the limit is {}; raise it with `ulimit -n`",
        bench.descriptors
    );
    // Filling the references' rooms takes longer than the rest of a quick look.
    let (pairs, kinds): (usize, &[Kind]) = if bench.quick {
        (1, &[Kind::Subject, Kind::Seed])
    } else {
        (bench.pairs, &Kind::TURNS)
    };
    fresh_turns(bench, "G7", pairs, kinds, |kind| {
        let server = Server::start(kind, &bench.place, &[])?;
        server.make_rooms(&rooms)?;
        let mut swarm = Swarm::new(server.address())?;
        swarm.enter(arrivals(0, 1_000 - BATCH), ENTERING_MAX)?;
        let at_thousand =
            cost_of_entering(&server, &mut swarm, arrivals(1_000 - BATCH, 1_000), BATCH)?;
        cost.add(kind, at_thousand);
        if kind == Kind::Subject {
            bench.say("G7: on to 10000 members");
            swarm.enter(arrivals(1_000, 10_000 - MANY), ENTERING_MAX)?;
            let at_ten_thousand =
                cost_of_entering(&server, &mut swarm, arrivals(10_000 - MANY, 10_000), MANY)?;
            growth.add(kind, at_ten_thousand / at_thousand);
        }
        Ok(())
    })?;
    let what = "processor time of the 1000th join of a room";
    let mut figures = vec![cost.against(
        "G7",
        what,
        Kind::Seed,
        Unit::Nanoseconds,
        (Some(0.05), Some(0.2)),
    )];
    if !cost.of(Kind::Floor).is_empty() {
        figures.push(cost.against("G7", what, Kind::Floor, Unit::Nanoseconds, (None, None)));
    }
    figures.push(Figure {
        case: "G7",
        what: "processor time of the 10000th join / of the 1000th".into(),
        value: growth.median(Kind::Subject),
        unit: Unit::Times,
        aim: Some(Bound::AtMost(1.2)),
        must: Some(Bound::AtMost(1.5)),
        note: format!("rooms filled: {}", growth.of(Kind::Subject).len()),
    });
    Ok(figures)
}

/// Processor time for each of `count` clients that join, with what the other members are told about them.
fn cost_of_entering(
    server: &Server,
    swarm: &mut Swarm,
    clients: impl IntoIterator<Item = Client>,
    count: usize,
) -> Result<f64> {
    swarm.settle(QUIET)?;
    let before = server.cpu_ns()?;
    swarm.enter(clients, ENTERING_MAX)?;
    swarm.settle(QUIET)?;
    Ok((server.cpu_ns()? - before) as f64 / count as f64)
}
