//! C12 and C13: what a request costs that a component answers, in our host and under `spin up`.

use super::{Bench, pairs::Series};
use crate::{
    figure::{Bound, Figure, Unit},
    http::{self, Asked},
    server::{Kind, Server},
};
use anyhow::{Context as _, Result};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// A guest that says hello: what is left is the way to it and back.
const HELLO: &str = "GET /api/hello";
/// What a browser asks first of two composed components, one of which reads a variable: the least that the product itself answers.
const PRODUCT: &str = "OPTIONS /api/envelopes/validate";
/// Requests at once.
const CONNECTIONS: usize = 16;

/// C12 and C13.
pub(crate) fn http(bench: &Bench) -> Result<Vec<Figure>> {
    if !bench.wants("C12") && !bench.wants("C13") {
        return Ok(Vec::new());
    }
    let mut wanted = vec![(Kind::Subject, PRODUCT)];
    if bench.wants("C12") {
        wanted.extend([
            (Kind::Fresh, PRODUCT),
            (Kind::Subject, HELLO),
            (Kind::Fresh, HELLO),
        ]);
    }
    let spin = has_spin();
    match (bench.wants("C13"), &spin) {
        (true, Some(_)) => wanted.push((Kind::Spin, PRODUCT)),
        (true, None) => bench.say("C13 is left out: there is no `spin` on the PATH"),
        (false, _) => {}
    }
    let folder = tempfile::tempdir()?;
    let manifest = with_hello(&bench.place.root, folder.path())?;
    let mut servers = BTreeMap::new();
    for (kind, _) in &wanted {
        if let Entry::Vacant(place) = servers.entry(*kind) {
            bench.say(&format!("{}: {HELLO} and {PRODUCT}", kind.name()));
            place.insert(Server::start(
                *kind,
                &bench.place,
                &[("JACKFIELD_APP", &manifest)],
            )?);
        }
    }
    let time = bench.time(1_500, 700);
    let mut costs: BTreeMap<&str, Series> = BTreeMap::new();
    for pair in 0..=bench.pairs {
        if pair > 0 {
            bench.say(&format!("C12, C13: pair {pair} of {}", bench.pairs));
        }
        for (kind, request) in &wanted {
            let server = &servers[kind];
            let before = server.cpu_ns()?;
            let asked = Asked {
                line: request,
                connections: CONNECTIONS,
                ..Asked::default()
            };
            let answers = http::load(server.address(), asked, time).with_context(|| kind.name())?;
            // The first turn compiles nothing any more, but it fills caches and pools.
            if pair > 0 {
                costs
                    .entry(request)
                    .or_default()
                    .add(*kind, (server.cpu_ns()? - before) as f64 / answers as f64);
            }
        }
    }
    let mut figures = Vec::new();
    if bench.wants("C12") {
        for (kind, state, aim, must) in [
            (Kind::Subject, "reused", 25e3, 40e3),
            (Kind::Fresh, "fresh", 60e3, 110e3),
        ] {
            figures.push(Figure {
                case: "C12",
                what: format!("processor time of a request to a component, instance {state}"),
                value: costs[HELLO].median(kind),
                unit: Unit::Nanoseconds,
                aim: Some(Bound::AtMost(aim)),
                must: Some(Bound::AtMost(must)),
                note: format!(
                    "{HELLO}; {} for {PRODUCT}, which is two components; no reference",
                    Unit::Nanoseconds.show(costs[PRODUCT].median(kind))
                ),
            });
        }
    }
    if let (true, Some(version)) = (bench.wants("C13"), spin) {
        let cost = &costs[PRODUCT];
        figures.push(Figure {
            case: "C13",
            what: "requests of a processor second, ours / under spin up".into(),
            // Costs the other way round are requests of a second.
            value: 1.0 / cost.ratio(Kind::Spin),
            unit: Unit::Times,
            aim: Some(Bound::AtLeast(1.3)),
            must: Some(Bound::AtLeast(1.0)),
            note: format!(
                "{PRODUCT}; {} and {}; {version}",
                Unit::Nanoseconds.show(cost.median(Kind::Subject)),
                Unit::Nanoseconds.show(cost.median(Kind::Spin))
            ),
        });
    }
    Ok(figures)
}

/// The product's manifest with one more component, written to `folder`; its path.
fn with_hello(root: &Path, folder: &Path) -> Result<String> {
    let product = root.join("spin.toml");
    let text = fs::read_to_string(&product).with_context(|| product.display().to_string())?;
    let mut text = text.replace("\"target/", &format!("\"{}/target/", root.display()));
    text.push_str(&format!(
        "\n[[trigger.http]]\nroute = \"/api/hello\"\ncomponent = \"hello\"\n\n[component.hello]\nsource = \"{}\"\n",
        root.join("target/guests/http_hello.wasm").display()
    ));
    let path = folder.join("spin.toml");
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// The version of the `spin` on the PATH, if there is one.
pub(super) fn has_spin() -> Option<String> {
    let output = Command::new("spin")
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| {
        text.split(" (")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    })
}
