//! C19 to C22: what the directory's REST side costs the host, and what a host with idle members costs.

use super::{Bench, pairs::Series, requests::has_spin};
use crate::{
    figure::{Bound, Figure, Unit, median},
    http::{self, Asked},
    load::{QUIET, clients, room_names},
    server::{Kind, Server},
    swarm::{ENTERING_MAX, Swarm},
};
use anyhow::{Context as _, Result, ensure};
use limits::socket::{PING_INTERVAL_IDLE_PERCENT, PING_INTERVAL_MS};
use std::time::{Duration, Instant};

/// The server that is read and changed.
const SERVER: &str = "bench-rest";
/// Requests at once.
const CONNECTIONS: usize = 16;
const DOCUMENT: &str = "/api/openapi.json";
/// Members of each room of idle connections.
const MEMBERS: usize = 10;

/// One measured request.
struct Line {
    case: &'static str,
    what: &'static str,
    asked: Asked<'static>,
    headers: String,
    aim: Option<f64>,
    must: Option<f64>,
    costs: Series,
}

/// C19 to C21.
pub(crate) fn directory(bench: &Bench) -> Result<Vec<Figure>> {
    if !["C19", "C20", "C21"].iter().any(|case| bench.wants(case)) {
        return Ok(Vec::new());
    }
    let subject = Server::start(Kind::Subject, &bench.place, &[])?;
    subject.make_rooms(&[SERVER.to_owned()])?;
    let mut servers = vec![(Kind::Subject, subject)];
    let spin = has_spin();
    match &spin {
        Some(version) => {
            bench.say(&format!("C19 to C21: beside {version}"));
            let spin = servers[0].1.spin_beside(&bench.place)?;
            spin.make_rooms(&[SERVER.to_owned()])?;
            servers.push((Kind::Spin, spin));
        }
        None => bench.say("C19 to C21 stand alone: there is no `spin` on the PATH"),
    }
    let tag = etag(&servers[0].1)?;
    let mut lines = lines(bench, &tag);
    let time = bench.time(1_500, 700);
    for pair in 0..=bench.pairs {
        bench.say(&format!("C19 to C21: pair {pair} of {}", bench.pairs));
        for line in &mut lines {
            for (kind, server) in &servers {
                let asked = Asked {
                    token: server.token(),
                    headers: &line.headers,
                    ..line.asked
                };
                let before = server.cpu_ns()?;
                let answers =
                    http::load(server.address(), asked, time).with_context(|| kind.name())?;
                // The first turn fills caches and pools.
                if pair > 0 {
                    let cost = (server.cpu_ns()? - before) as f64 / answers as f64;
                    line.costs.add(*kind, cost);
                }
            }
        }
    }
    Ok(lines
        .iter()
        .map(|line| line.figure(spin.is_some()))
        .collect())
}

impl Line {
    fn figure(&self, beside_spin: bool) -> Figure {
        let note = match beside_spin {
            true => format!(
                "{}; under spin up {}",
                self.asked.line,
                Unit::Nanoseconds.show(self.costs.median(Kind::Spin))
            ),
            false => format!("{}; no reference", self.asked.line),
        };
        Figure {
            case: self.case,
            what: format!("processor time of {}", self.what),
            value: self.costs.median(Kind::Subject),
            unit: Unit::Nanoseconds,
            aim: self.aim.map(Bound::AtMost),
            must: self.must.map(Bound::AtMost),
            note,
        }
    }
}

fn lines(bench: &Bench, tag: &str) -> Vec<Line> {
    let line = |case, what, line, body, headers: &str, aim, must| Line {
        case,
        what,
        asked: Asked {
            line,
            body,
            connections: CONNECTIONS,
            ..Asked::default()
        },
        headers: headers.to_owned(),
        aim,
        must,
        costs: Series::default(),
    };
    let mut lines = vec![
        line(
            "C19",
            "reading a server",
            "GET /api/servers/bench-rest",
            "",
            "",
            Some(80e3),
            Some(150e3),
        ),
        line(
            "C20",
            "setting a requirement, with the token's check and what the gateway asks after it",
            "PUT /api/servers/bench-rest/plugins/bench/requirement",
            r#"{"status":"required"}"#,
            "",
            Some(300e3),
            Some(600e3),
        ),
        line(
            "C21",
            "the OpenAPI document",
            "GET /api/openapi.json",
            "",
            "",
            None,
            Some(60e3),
        ),
        line(
            "C21",
            "the OpenAPI document, compressed",
            "GET /api/openapi.json",
            "",
            "accept-encoding: gzip\r\n",
            None,
            Some(60e3),
        ),
        line(
            "C21",
            "the AsyncAPI document",
            "GET /api/asyncapi.json",
            "",
            "",
            None,
            Some(60e3),
        ),
        line(
            "C21",
            "the host's own answer",
            "GET /healthz",
            "",
            "",
            None,
            None,
        ),
    ];
    if !tag.is_empty() {
        lines.push(line(
            "C21",
            "the OpenAPI document, unchanged",
            "GET /api/openapi.json",
            "",
            &format!("if-none-match: {tag}\r\n"),
            None,
            Some(60e3),
        ));
    }
    lines.retain(|line| bench.wants(line.case));
    lines
}

/// The document's entity tag; empty when it has none.
fn etag(server: &Server) -> Result<String> {
    let (status, answer) = server.http("GET", DOCUMENT, "")?;
    ensure!(status == 200, "GET {DOCUMENT}: {status}");
    let tag = answer
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("etag"));
    Ok(tag
        .map(|(_, tag)| tag.trim().to_owned())
        .unwrap_or_default())
}

/// C22: a host whose members do nothing.
pub(crate) fn idle(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C22") {
        return Ok(Vec::new());
    }
    let count = if bench.quick { 3_000 } else { 10_000 };
    ensure!(
        bench.descriptors > count as u64 + 100,
        "C22 needs {count} open files, and the limit is {}; raise it with `ulimit -n`",
        bench.descriptors
    );
    let rooms = room_names(count / MEMBERS);
    let server = Server::start(Kind::Subject, &bench.place, &[])?;
    server.make_rooms(&rooms)?;
    let mut swarm = Swarm::new(server.address())?;
    swarm.enter(clients(&rooms, MEMBERS), ENTERING_MAX)?;
    swarm.settle(QUIET)?;
    // Connections that came in together are pinged together: only whole intervals tell what an average second costs.
    let interval = Duration::from_millis(PING_INTERVAL_MS * PING_INTERVAL_IDLE_PERCENT / 100);
    let turns = if bench.quick { 1 } else { 3 };
    let mut costs = Vec::new();
    for turn in 1..=turns {
        bench.say(&format!("C22: turn {turn} of {turns}"));
        let (begin, before) = (Instant::now(), server.cpu_ns()?);
        while begin.elapsed() < interval {
            swarm.turn(|_, _| ())?;
        }
        costs.push((server.cpu_ns()? - before) as f64 / begin.elapsed().as_secs_f64());
    }
    Ok(vec![Figure {
        case: "C22",
        what: format!("processor time of a second with {count} idle joined connections"),
        value: median(&costs),
        unit: Unit::Nanoseconds,
        aim: Some(Bound::AtMost(0.5e6)),
        must: Some(Bound::AtMost(2e6)),
        note: format!("rooms of {MEMBERS}; their pings are answered; no reference"),
    }])
}
