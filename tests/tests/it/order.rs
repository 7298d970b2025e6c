//! Messages of one sender arrive in the order in which they were sent, also when they are batched.

use serde_json::{Value, json};
use tests::{
    client::Client,
    host::{Host, Settings},
};

fn chat(server: &str, text: &str) -> Value {
    json!({"type": "chat_message", "serverId": server, "message": {"id": text, "content": text}})
}

fn direct(to: &str, text: &str) -> Value {
    json!({"type": "direct-message", "targetUserId": to, "message": {"id": text, "content": text}})
}

/// The texts of the next `count` messages, whatever their type.
fn texts(client: &mut Client, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let message = client.find("a message", |envelope| {
            envelope["message"]["id"].is_string()
        });
        texts.push(
            message["message"]["id"]
                .as_str()
                .expect("found by it")
                .to_owned(),
        );
    }
    texts
}

#[test]
fn linger_batches_frames_in_order() {
    let host = Settings::new()
        .config("[socket]\nshards = 1\nlinger_ms = 100\n")
        .start();
    host.create_server("owner", "hall");
    let mut receiver = Client::joined(&host, "receiver", "hall");
    let mut sender = Client::joined(&host, "sender", "hall");
    receiver.expect("user_joined");
    let mut expected = Vec::new();
    for round in 0..5 {
        for (kind, envelope) in [
            ("c", chat("hall", &format!("c{round}"))),
            ("d", direct("receiver", &format!("d{round}"))),
        ] {
            sender.send(envelope);
            expected.push(format!("{kind}{round}"));
        }
        sender.send(chat("hall", &format!("e{round}")));
        expected.push(format!("e{round}"));
    }
    assert_eq!(
        texts(&mut receiver, expected.len()),
        expected,
        "content of the server and messages to one person, as they were sent"
    );
}

#[test]
fn a_member_gets_exactly_the_messages_sent_while_joined() {
    let host = Settings::new()
        .config("[socket]\nshards = 1\nlinger_ms = 100\n")
        .start();
    host.create_server("owner", "hall");
    let mut sender = Client::joined(&host, "sender", "hall");
    let mut staying = Client::joined(&host, "staying", "hall");
    let mut leaving = Client::joined(&host, "leaving", "hall");
    sender.send(chat("hall", "before"));
    staying.find("before", |envelope| envelope["message"]["id"] == "before");
    leaving.find("before", |envelope| envelope["message"]["id"] == "before");
    leaving.send(json!({"type": "leave_server", "serverId": "hall"}));
    staying.find("user_left", |envelope| {
        envelope["type"] == "user_left" && envelope["oderId"] == "leaving"
    });
    let mut entering = Client::joined(&host, "entering", "hall");
    sender.send(chat("hall", "after"));
    assert_eq!(texts(&mut staying, 1), ["after"]);
    assert_eq!(
        texts(&mut entering, 1),
        ["after"],
        "and nothing of the time before"
    );
    assert!(
        leaving
            .settled()
            .iter()
            .all(|envelope| envelope["message"]["id"] != "after"),
        "a client that has left gets no more messages"
    );
}

#[test]
fn shards_keep_the_order_of_each_sender() {
    let host = Host::start();
    host.create_server("owner", "hall");
    let mut receivers: Vec<Client> = (0..4)
        .map(|at| Client::joined(&host, &format!("receiver-{at}"), "hall"))
        .collect();
    let mut sender = Client::joined(&host, "sender", "hall");
    let expected: Vec<String> = (0..20).map(|at| format!("m{at}")).collect();
    expected
        .iter()
        .for_each(|text| sender.send(chat("hall", text)));
    for receiver in &mut receivers {
        assert_eq!(texts(receiver, expected.len()), expected);
    }
}
