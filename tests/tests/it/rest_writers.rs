//! Concurrent writers of one row over REST.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::{
    client::Client,
    host::{Host, Settings},
    http::Request,
};

const WRITERS: u64 = 100;
const PATH: &str = "/api/servers/contested/plugins/x.y/requirement";

fn installed(at: u64) -> Value {
    json!({"status": "required", "installUrl": format!("https://p.example/{at}")})
}

/// A hundred concurrent `PUT`s of one row: the URL stored by each accepted revision, and all
/// statuses.
fn contest(host: &Host, if_match: Option<&str>) -> (BTreeMap<u64, String>, Vec<u16>) {
    let token = host.token("olga", "client");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |at| {
            let request = Request::new("PUT", PATH)
                .bearer(&token)
                .json(&installed(at));
            host.send(&if_match.map_or(request.clone(), |tag| request.header("if-match", tag)))
        };
        let writers: Vec<_> = (0..WRITERS)
            .map(|at| scope.spawn(move || ask(at)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect()
    });
    let statuses = answers.iter().map(|answer| answer.status).collect();
    let rows = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| {
            let row = answer.json();
            (
                row["revision"].as_u64().expect("a revision"),
                row["installUrl"].as_str().expect("a URL").to_owned(),
            )
        });
    (rows.collect(), statuses)
}

/// Revisions and URLs that a WebSocket client got of the row, in order, up to `last`.
fn told(client: &mut Client, last: u64) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    loop {
        let snapshot = client.expect("plugin_requirements");
        let revision = snapshot["revision"].as_u64().expect("a revision");
        let rows = snapshot["requirements"].as_array().expect("a list");
        assert_eq!(rows.len(), 1, "one row: {snapshot}");
        seen.push((
            revision,
            rows[0]["installUrl"].as_str().expect("a URL").to_owned(),
        ));
        if revision >= last {
            return seen;
        }
    }
}

#[test]
fn a_hundred_concurrent_writers_get_one_order() {
    let host = Settings::new().config("[socket]\nshards = 3\n").start();
    host.create_server("olga", "contested");
    let mut witnesses: Vec<Client> = (0..9)
        .map(|at| Client::joined(&host, &format!("witness-{at}"), "contested"))
        .collect();
    let (order, statuses) = contest(&host, None);
    assert!(
        statuses.iter().all(|status| *status == 200),
        "without If-Match every writer succeeds: {statuses:?}"
    );
    assert_eq!(
        order.len() as u64,
        WRITERS,
        "each write has a revision of its own"
    );
    let (last, winner) = order.last_key_value().expect("a last write");

    let snapshot = host
        .get("/api/servers/contested/plugins")
        .expect(200)
        .json();
    assert_eq!(
        snapshot["requirements"].as_array().map(Vec::len),
        Some(1),
        "{snapshot}"
    );
    assert_eq!(
        (
            &snapshot["requirements"][0]["installUrl"],
            &snapshot["revision"]
        ),
        (&json!(winner), &json!(last)),
        "the last write won"
    );
    for witness in &mut witnesses {
        let seen = told(witness, *last);
        assert!(
            seen.is_sorted_by(|one, next| one.0 < next.0),
            "in the order of commits, none twice: {seen:?}"
        );
        for (revision, url) in &seen {
            assert_eq!(
                order.get(revision),
                Some(url),
                "what stood there at revision {revision}"
            );
        }
        assert_eq!(
            seen.last(),
            Some(&(*last, winner.clone())),
            "every client must end with the last state"
        );
        assert!(
            !witness
                .settled()
                .iter()
                .any(|frame| frame["type"] == "plugin_requirements"),
            "an older state arrived afterwards"
        );
    }
}

#[test]
fn a_server_changes_only_so_often() {
    let host = Settings::new()
        .config("[rest]\nchanges_per_minute = 6\n")
        .start();
    host.create_server("olga", "contested");
    host.create_server("olga", "quiet");
    // Users that come and go have a part of what the server may change.
    let come_or_go = |at: u32| {
        let path = ["join", "leave"][at as usize % 2];
        let path = format!("/api/servers/contested/{path}");
        host.act("guest", "POST", &path, &json!({}))
    };
    let refused = (0..1_000)
        .map(come_or_go)
        .find(|answer| answer.status != 200)
        .expect("one is refused")
        .expect(429);
    assert_eq!(refused.json()["code"], "RATE_LIMITED");
    let wait_ms = refused.json()["retryAfterMs"].as_u64().expect("a time");
    assert!((1..=60_000).contains(&wait_ms), "{wait_ms}");
    let wait_s: u64 = refused
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("seconds");
    assert_eq!(wait_s, wait_ms.div_ceil(1_000));
    // The owner may still ban, until the rest is used up as well.
    let ban = |at: u64| {
        let path = format!("/api/servers/contested/bans/user-{at}");
        host.act("olga", "PUT", &path, &json!({}))
    };
    let _ = ban(0).expect(200);
    let refused = (1..1_000)
        .map(ban)
        .find(|answer| answer.status != 200)
        .expect("one is refused");
    assert_eq!(refused.expect(429).json()["code"], "RATE_LIMITED");
    let quiet = "/api/servers/quiet/bans/user-1";
    let _ = host.act("olga", "PUT", quiet, &json!({})).expect(200);
}

#[test]
fn of_a_hundred_writers_with_one_etag_one_wins() {
    let host = Host::start();
    host.create_server("olga", "contested");
    let mut witness = Client::joined(&host, "witness", "contested");
    let tag = host
        .get("/api/servers/contested/plugins")
        .expect(200)
        .header("etag")
        .expect("a tag")
        .to_owned();
    let (order, mut statuses) = contest(&host, Some(&tag));
    statuses.sort_unstable();
    assert_eq!((statuses[0], order.len()), (200, 1), "{statuses:?}");
    assert!(
        statuses[1..].iter().all(|status| *status == 412),
        "{statuses:?}"
    );
    let (last, winner) = order.last_key_value().expect("a winner");
    assert_eq!(told(&mut witness, *last), [(*last, winner.clone())]);
}
