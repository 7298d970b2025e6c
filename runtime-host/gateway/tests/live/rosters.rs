//! Rosters of servers with more users than a page.

use crate::{
    client::Client,
    fixture::{Fixture, SERVER},
};
use serde_json::{Value, json};

const PAGE: usize = 3;

fn fixture(shards: usize) -> Fixture {
    Fixture::with(shards, None, |config| {
        config.socket.roster_page_entries = PAGE;
    })
}

/// A client that pages rosters, and the roster that it got.
fn reader(fixture: &Fixture, name: &str) -> (Client, Value) {
    let mut client = fixture.connect();
    let features = json!(["errors", "roster-paging"]);
    client.send(
        json!({"type": "identify", "oderId": name, "displayName": name, "features": features}),
    );
    client.send(json!({"type": "join_server", "serverId": SERVER}));
    let roster = client.expect("server_users");
    client.expect("plugin_requirements");
    (client, roster)
}

/// The ids of a roster's page, its `total` and its `offset`.
fn page(roster: &Value) -> (Vec<&str>, &Value, &Value) {
    let users = roster["users"].as_array().expect("a list").iter();
    let ids = users.map(|user| user["oderId"].as_str().expect("an id"));
    (ids.collect(), &roster["total"], &roster["offset"])
}

/// Reads counts until this one.
#[track_caller]
fn until_count(client: &mut Client, total: usize) {
    loop {
        let changed = client.expect("server_users_changed");
        assert_eq!(changed["serverId"], SERVER);
        if changed["total"] == total {
            return;
        }
    }
}

/// Reads everything that has come to a client by now.
fn settle(client: &mut Client) {
    client.send(json!({"type": "typing", "isTyping": "perhaps"}));
    client.expect("error");
}

#[test]
fn a_client_that_pages_rosters_hears_of_each_user_only_on_a_small_server() {
    let fixture = fixture(2);
    let (mut paging, roster) = reader(&fixture, "reader");
    assert_eq!(page(&roster), (vec![], &Value::Null, &Value::Null));
    let mut plain = fixture.join("plain");
    let mut others: Vec<_> = ["a", "b", "c"].map(|name| fixture.join(name)).into();
    let joined = paging.expect("user_joined");
    assert_eq!(joined["oderId"], "plain", "the server is small");
    assert_eq!(paging.expect("user_joined")["oderId"], "a");
    until_count(&mut paging, 4);
    for name in ["a", "b", "c"] {
        assert_eq!(plain.expect("user_joined")["oderId"], name);
    }
    drop(others.pop());
    until_count(&mut paging, 3);
    assert_eq!(plain.expect("user_left")["oderId"], "c");
    settle(&mut paging);
    settle(&mut plain);
    assert!(!paging.has("user_joined") && !paging.has("user_left"));
    assert!(!plain.has("server_users_changed"));
    // The presence of users that are there is told to all.
    others[0].send(json!({"type": "status_update", "status": "busy"}));
    assert_eq!(paging.expect("status_update")["oderId"], "a");
}

#[test]
fn a_large_roster_comes_in_pages() {
    let fixture = fixture(1);
    let _others = ["a", "b", "c", "d"].map(|name| fixture.join(name));
    let (mut paging, roster) = reader(&fixture, "reader");
    let (first, total, offset) = page(&roster);
    assert_eq!(
        (first, total, offset),
        (vec!["a", "b", "c"], &json!(4), &json!(0))
    );
    let mut ask = |offset| {
        let join = json!({"type": "join_server", "serverId": SERVER, "rosterOffset": offset});
        paging.send(join);
        paging.expect("server_users")
    };
    assert_eq!(page(&ask(3)), (vec!["d"], &json!(4), &json!(3)));
    assert_eq!(page(&ask(4)), (vec![], &json!(4), &json!(4)));
    let _more = ["e", "f"].map(|name| fixture.join(name));
    let third = ask(3);
    assert_eq!(page(&third), (vec!["d", "e", "f"], &json!(6), &json!(3)));
    let mut plain = fixture.connect();
    plain.send(json!({"type": "identify", "oderId": "plain", "displayName": "Plain"}));
    plain.send(json!({"type": "join_server", "serverId": SERVER}));
    let roster = plain.expect("server_users");
    let (all, total, _) = page(&roster);
    assert_eq!((all.len(), total), (7, &Value::Null), "all at once");
}

#[test]
fn a_server_that_was_large_stays_so_until_its_last_connection_leaves() {
    let fixture = fixture(1);
    let others = ["a", "b", "c", "d"].map(|name| fixture.join(name));
    let (mut first, _) = reader(&fixture, "first");
    drop(others);
    until_count(&mut first, 0);
    let (mut second, roster) = reader(&fixture, "second");
    assert_eq!(page(&roster), (vec!["first"], &json!(1), &json!(0)));
    until_count(&mut first, 1);
    first.send(json!({"type": "leave_server", "serverId": SERVER}));
    until_count(&mut second, 0);
    second.send(json!({"type": "leave_server", "serverId": SERVER}));
    settle(&mut second);
    let (_, roster) = reader(&fixture, "third");
    assert_eq!(page(&roster), (vec![], &Value::Null, &Value::Null));
}

#[test]
fn a_roster_that_is_asked_for_again_counts_its_bytes() {
    let fixture = Fixture::with(1, None, |config| {
        config.socket.message_bytes_max = 64 * limits::KIB;
        config.rates.bytes_per_second = 1_024;
        config.rates.membership.burst = 1_000;
    });
    let _others: Vec<_> = (0..40)
        .map(|at| {
            let mut other = fixture.connect();
            let (name, description) = (format!("other{at}"), "x".repeat(2_000));
            other.send(json!({"type": "identify", "oderId": name, "description": description}));
            other.send(json!({"type": "join_server", "serverId": SERVER}));
            other.expect("server_users");
            other
        })
        .collect();
    let (mut reader, _) = reader(&fixture, "reader");
    let join = json!({"type": "join_server", "serverId": SERVER, "requestId": "again"});
    reader.send(join.clone());
    reader.expect("server_users");
    reader.send(join);
    let refused = reader.expect("error");
    assert_eq!(refused["code"], "RATE_LIMITED");
    assert_eq!(refused["requestId"], "again");
    assert!(refused["retryAfterMs"].as_u64() > Some(0));
    assert!(!reader.has("server_users"), "it is not sent again");
}
