//! Connections that end: what their client and the other members are told.

use crate::{
    client::Client,
    fixture::{Fixture, SERVER, chat},
};
use gateway::frame::close;
use serde_json::json;

#[test]
fn a_connection_that_ends_leaves_its_servers() {
    let fixture = Fixture::start(2, None);
    let mut witness = fixture.join("witness");
    let left = |witness: &mut Client| witness.expect("user_left")["oderId"].clone();

    let mut polite = fixture.join("polite");
    polite.close();
    assert_eq!(polite.close_code(), Some(close::NORMAL));
    assert_eq!(left(&mut witness), "polite");

    drop(fixture.join("torn"));
    assert_eq!(left(&mut witness), "torn");

    let mut binary = fixture.join("binary");
    binary.send_binary(b"no envelope");
    assert_eq!(binary.close_code(), Some(close::UNSUPPORTED));
    assert_eq!(left(&mut witness), "binary");

    let mut rash = fixture.join("rash");
    // Strikes are a second apart.
    let mut told = 0;
    let code = loop {
        (0..300).for_each(|at| rash.try_send(&chat(&at.to_string())));
        match rash.next_until_closed("error") {
            Ok(error) => {
                assert_eq!(error["code"], "RATE_LIMITED");
                told += 1;
            }
            Err(code) => break code,
        }
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    };
    assert_eq!((told, code), (limits::rate::STRIKES_MAX, Some(close::RATE)));
    assert_eq!(left(&mut witness), "rash");
}

#[test]
fn a_slow_receiver_is_closed_and_delays_no_other_one() {
    const TEXT_BYTES: usize = 40_000;
    let fixture = Fixture::with(1, None, |config| {
        config.socket.queue_bytes_max = 256 * limits::KIB;
        config.rates.bytes_per_second = u32::MAX;
        (config.rates.all.burst, config.rates.chat.burst) = (1_000_000, 1_000_000);
    });
    let mut slow = fixture.join("slow");
    let (mut sender, mut witness) = (fixture.join("sender"), fixture.join("witness"));
    let text = "x".repeat(TEXT_BYTES);
    // The system takes some megabytes for a socket that is not read.
    loop {
        sender.send(chat(&text));
        let (envelope, _) = witness.next_of(&["chat_message", "user_left"]);
        if envelope["type"] == "user_left" {
            assert_eq!(envelope["oderId"], "slow");
            break;
        }
        assert_eq!(envelope["message"], text);
    }
    assert_eq!(slow.close_code(), Some(close::SLOW));
    assert_eq!(sender.expect("user_left")["oderId"], "slow");
}

#[test]
fn a_client_that_reads_is_not_cut_for_what_it_asked_for_at_once() {
    const ASKED: usize = 500;
    let fixture = Fixture::with(1, None, |config| {
        config.socket.queue_bytes_max = 8 * limits::KIB;
        (config.rates.all.burst, config.rates.membership.burst) = (1_000_000, 1_000_000);
    });
    let mut eager = fixture.join("eager");
    (0..ASKED).for_each(|_| eager.send(json!({"type": "join_server", "serverId": SERVER})));
    for _ in 0..ASKED {
        eager.expect("plugin_requirements");
    }
}

#[test]
fn direct_messages_of_others_cost_no_connection() {
    for shards in [1, 2] {
        let fixture = Fixture::with(shards, None, |config| {
            config.socket.queue_bytes_max = 256 * limits::KIB;
            config.socket.write_stall_max_ms = 600_000;
            config.rates.bytes_per_second = u32::MAX;
            (config.rates.all.burst, config.rates.direct.burst) = (1_000_000, 1_000_000);
        });
        let mut victim = fixture.join("victim");
        let mut sender = fixture.join("sender");
        sender.send(json!({"type": "identify", "oderId": "sender", "features": ["errors"]}));
        // The victim does not read; the system takes some megabytes for it.
        let text = "x".repeat(40_000);
        let refused = loop {
            sender.send(json!({"type": "direct-message", "targetUserId": "victim", "text": text}));
            // Its refusal says that the message was handled.
            sender.send(json!({"type": "ice_candidate"}));
            let refusal = sender.expect("error");
            if refusal["code"] != "INVALID_FIELD" {
                break refusal;
            }
        };
        assert_eq!(refused["code"], "NOT_REACHABLE");
        let mut witness = fixture.join("witness");
        witness.send(chat("still here"));
        assert_eq!(victim.expect("chat_message")["message"], "still here");
    }
}

#[test]
fn a_slow_client_that_is_sent_much_of_its_own_ends_alone() {
    let fixture = Fixture::with(1, None, |config| {
        config.rates.bytes_per_second = u32::MAX;
    });
    let mut witness = fixture.join("witness");
    // Half a megabyte of requirements, which each join brings twice, beside frames of the room.
    let manifest = json!({"id": "example.big", "description": "x".repeat(500_000)});
    let requirement =
        json!({"pluginId": "example.big", "status": "optional", "manifest": manifest});
    fixture.revise(2, &[], json!({"requirements": [requirement]}));
    witness.expect("plugin_requirements");
    let mut slow = fixture.join("slow");
    for at in 0..60 {
        slow.try_send(&chat(&at.to_string()));
        slow.try_send(&json!({"type": "join_server", "serverId": SERVER}));
    }
    assert_eq!(witness.expect("user_left")["oderId"], "slow");
}

#[test]
fn members_get_frames_in_order_and_none_of_their_own() {
    for shards in [1, 2] {
        let fixture = Fixture::start(shards, None);
        let [mut alice, mut bob] = ["alice", "bob"].map(|name| fixture.join(name));
        for round in 0..5 {
            // A frame of the room, then one for Bob alone: they keep their order.
            alice.send(chat(&round.to_string()));
            alice.send(json!({"type": "direct-message", "targetUserId": "bob", "message": round}));
            bob.send(json!({"type": "join_server", "serverId": SERVER}));
        }
        assert_eq!(bob.chats(5), ["0", "1", "2", "3", "4"]);
        for _ in 0..5 {
            let roster = bob.expect("server_users");
            assert_eq!(roster["users"].as_array().map(Vec::len), Some(1));
        }
        alice.send(json!({"type": "keepalive"}));
        alice.expect("keepalive");
        assert!(!alice.has("chat_message"));
    }
}

#[test]
fn the_end_of_the_process_sends_clients_away() {
    let mut fixture = Fixture::start(2, None);
    let mut clients: Vec<Client> = (0..4)
        .map(|at| fixture.join(&format!("user-{at}")))
        .collect();
    let reader = std::thread::spawn(move || {
        let codes = clients.iter_mut().map(Client::close_code);
        codes.collect::<Vec<_>>()
    });
    fixture.end();
    let codes = reader.join().expect("the clients end");
    assert_eq!(codes, vec![Some(close::GOING_AWAY); 4]);
    assert_eq!(fixture.hub.connections(), 0);
}
