//! Envelopes that no plugin, a listening plugin or a deciding plugin is interested in.

use crate::{
    client::Client,
    fixture::{ACTOR, Fixture, PLUGIN, SERVER, chat, decide, event},
};
use plugin_bus::{ChatHost, Interest, OfferKind, Outcome, Topic};
use serde_json::{Value, json};

#[test]
fn without_interest_the_bytes_are_the_same() {
    let texts = [
        None,
        Some((|_| Interest::None) as crate::fixture::InterestRule),
    ]
    .map(|rule| {
        let fixture = Fixture::start(2, rule);
        let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
        alice.send(chat("hello"));
        alice.send(event("vote:cast", 1));
        let chat = bob.expect_text("chat_message");
        let mut voted = bob.expect("plugin_event");
        assert!(voted["emittedAt"].take().is_u64(), "the server's clock");
        assert!(fixture.nothing_offered());
        (chat, voted)
    });
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0].1["sourceUserId"], "alice");
}

#[test]
fn a_topic_without_listeners_costs_no_question_of_interest() {
    let fixture = Fixture::start(2, Some(|_| Interest::Inform));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    let mut in_channel = chat("x");
    in_channel["channelId"] = "general".into();
    // Which topics, how often interest is asked for then, and whether the channel is remembered.
    for (topics, interests, channels) in [
        (&[][..], 0, 0),
        (&[Topic::PluginEvent], 1, 0),
        (&[Topic::Channels], 0, 1),
        (&[Topic::Chat], 1, 1),
    ] {
        fixture.set_topics(topics);
        let before = fixture.interests();
        alice.send(in_channel.clone());
        alice.send(event("vote:cast", 1));
        bob.expect("chat_message");
        bob.expect("plugin_event");
        assert_eq!(fixture.interests() - before, interests, "{topics:?}");
        assert_eq!(
            fixture
                .chat_host
                .recent_channels(ACTOR, SERVER)
                .map(|known| known.len()),
            Ok(channels),
            "{topics:?}"
        );
    }
}

#[test]
fn a_listening_plugin_gets_a_copy_of_the_sent_envelope() {
    let fixture = Fixture::start(2, Some(|_| Interest::Inform));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    alice.send(chat("hello"));
    let sent = bob.expect_text("chat_message");
    let offered = fixture.offered();
    assert_eq!(
        (&*offered.server_id, &offered.kind, &*offered.envelope),
        (SERVER, &OfferKind::Chat, sent.as_bytes())
    );
    assert_eq!(
        (&*offered.sender_id, &*offered.sender_name),
        ("alice", "ALICE")
    );
    assert_eq!(
        (offered.decision, offered.hops, offered.author),
        (None, 0, None)
    );
    alice.send(event("vote:tally", 1));
    let kind = OfferKind::PluginEvent {
        plugin_id: PLUGIN.into(),
        event_name: "vote:tally".into(),
        client_to_server: false,
    };
    assert_eq!(fixture.offered().kind, kind);
    alice.send(event("vote:cast", 1));
    let kind = OfferKind::PluginEvent {
        plugin_id: PLUGIN.into(),
        event_name: "vote:cast".into(),
        client_to_server: true,
    };
    assert_eq!(fixture.offered().kind, kind);
    // An envelope that the validator refuses is not offered.
    alice.send(event("vote:hint", 1));
    assert_eq!(
        alice.expect("plugin_error")["code"],
        "DIRECTION_NOT_ALLOWED"
    );
    assert!(fixture.nothing_offered());
}

#[test]
fn a_listening_plugin_delays_nothing_and_a_full_queue_costs_only_its_owner() {
    let fixture = Fixture::start(2, Some(|_| Interest::Inform));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    // The offers are not taken: the messages arrive all the same.
    (0..10).for_each(|at| alice.send(chat(&at.to_string())));
    assert_eq!(
        bob.chats(10),
        (0..10).map(|at| at.to_string()).collect::<Vec<_>>()
    );
    (0..10).for_each(|_| drop(fixture.offered()));
    fixture.set_room(false);
    alice.send(chat("unheard"));
    assert_eq!(bob.chats(1), ["unheard"]);
    alice.send(chat("unheard too"));
    assert_eq!(bob.chats(1), ["unheard too"]);
    assert!(
        fixture.metric("jackfield_plugin_offers_total{kind=\"dropped\"}") >= 1,
        "a lost copy is counted"
    );
    assert!(fixture.nothing_offered());
}

#[test]
fn waiting_envelopes_are_relayed_in_order_and_no_other_connection_waits() {
    for shards in [1, 2] {
        let fixture = Fixture::start(shards, Some(decide));
        let [mut alice, mut bob, mut carol] =
            ["alice", "bob", "carol"].map(|name| fixture.join(name));
        alice.send(chat("first"));
        let (first, ask) = fixture.asked();
        assert_eq!(
            (&first["message"], &first["senderId"], &first["senderName"]),
            (&json!("first"), &json!("alice"), &json!("ALICE"))
        );
        for text in ["second", "third"] {
            alice.send(chat(text));
        }
        // A message of another connection is decided and sent meanwhile, on the same thread.
        bob.send(chat("bob's"));
        let (bobs, bobs_ask) = fixture.asked();
        assert_eq!(
            bobs["message"], "bob's",
            "the next message of the paused connection is not even read"
        );
        fixture.decide(bobs_ask, Outcome::Relay);
        assert_eq!(carol.chats(1), ["bob's"]);
        assert!(fixture.nothing_offered());
        assert_eq!(fixture.metric("jackfield_plugin_waiting"), 1);

        fixture.decide(ask, Outcome::Relay);
        for text in ["second", "third"] {
            let (next, next_ask) = fixture.asked();
            assert_eq!(next["message"], *text);
            // An answer counts once, and not for the next envelope.
            fixture.decide(ask, Outcome::Consume);
            fixture.decide(next_ask, Outcome::Relay);
        }
        assert_eq!(carol.chats(3), ["first", "second", "third"]);
        assert_eq!(bob.chats(3), ["first", "second", "third"]);
        assert!(!alice.has("chat_message") && !alice.has("error"));
        assert_eq!(fixture.metric("jackfield_plugin_waiting"), 0);
        let decisions = |kind: &str| {
            fixture.metric(&format!(
                "jackfield_plugin_decisions_total{{kind=\"{kind}\"}}"
            ))
        };
        assert_eq!(
            (decisions("relay"), decisions("late"), decisions("consume")),
            (4, 2, 0)
        );
    }
}

/// How a plugin changes an envelope.
type Change = fn(&mut Value);

#[test]
fn a_plugin_may_rewrite_a_waiting_envelope_and_forge_nothing() {
    let fixture = Fixture::start(2, Some(decide));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    let rewrite = |alice: &mut Client, envelope: &Value, change: Change| {
        alice.send(envelope.clone());
        let (mut waiting, ask) = fixture.asked();
        change(&mut waiting);
        fixture.decide(ask, Outcome::Rewrite(waiting.to_string().into()));
    };
    rewrite(&mut alice, &chat("heck"), |chat| {
        chat["message"] = "****".into()
    });
    assert_eq!(bob.chats(1), ["****"]);
    rewrite(&mut alice, &chat("mine"), |chat| {
        (chat["senderId"], chat["senderName"]) = ("bob".into(), "BOB".into())
    });
    let forged = bob.expect("chat_message");
    assert_eq!(
        (&forged["senderId"], &forged["senderName"]),
        (&json!("alice"), &json!("ALICE")),
        "stamped anew"
    );
    rewrite(&mut alice, &event("vote:cast", 1), |event| {
        event["payload"]["option"] = 2.into()
    });
    assert_eq!(bob.expect("plugin_event")["payload"], json!({"option": 2}));

    let illegal: [(Value, Change); 7] = [
        (chat("x"), |chat| chat["type"] = "typing".into()),
        (chat("x"), |chat| chat["serverId"] = "elsewhere".into()),
        (chat("x"), |chat| {
            chat["message"] = "x".repeat(70_000).into()
        }),
        (chat("x"), |chat| *chat = json!([chat.take()])),
        (event("vote:cast", 1), |event| {
            event["payload"]["option"] = "two".into()
        }),
        (event("vote:cast", 1), |event| {
            event["eventName"] = "vote:tally".into()
        }),
        (event("vote:cast", 1), |event| {
            event["pluginId"] = "example.other".into()
        }),
    ];
    for (envelope, change) in illegal {
        rewrite(&mut alice, &envelope, change);
        let (told, _) = alice.next_of(&["error", "plugin_error"]);
        assert_eq!(
            (&told["code"], &told["requestId"]),
            (&json!("INTERNAL"), &json!("r"))
        );
    }
    assert!(!bob.has("chat_message") && !bob.has("plugin_event"));
    assert_eq!(
        fixture.metric("jackfield_plugin_decisions_total{kind=\"bad_rewrite\"}"),
        7
    );
}

#[test]
fn a_plugin_may_consume_or_refuse_a_waiting_envelope() {
    let fixture = Fixture::start(2, Some(decide));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    let settle = |alice: &mut Client, envelope: Value, outcome: Outcome| {
        alice.send(envelope);
        fixture.decide(fixture.asked().1, outcome);
    };
    settle(&mut alice, event("vote:cast", 1), Outcome::Consume);
    let refuse = |code: &str| Outcome::Refuse {
        code: code.into(),
        message: "one vote each".repeat(100),
    };
    settle(&mut alice, event("vote:cast", 2), refuse("ALREADY_VOTED"));
    let told = alice.expect("plugin_error");
    assert_eq!(
        (
            &told["code"],
            &told["pluginId"],
            &told["eventName"],
            &told["serverId"],
            &told["requestId"]
        ),
        (
            &json!("ALREADY_VOTED"),
            &json!(PLUGIN),
            &json!("vote:cast"),
            &json!(SERVER),
            &json!("r")
        )
    );
    assert_eq!(
        told["message"].as_str().map(str::len),
        Some(limits::dispatch::REASON_CHARS_MAX),
        "cut"
    );
    settle(&mut alice, chat("spam"), refuse("not a code"));
    let told = alice.expect("error");
    assert_eq!(
        (&told["code"], &told["ref"], &told["requestId"]),
        (
            &json!("PLUGIN_REFUSED"),
            &json!("chat_message"),
            &json!("r")
        )
    );
    settle(&mut alice, chat("undecided"), Outcome::Failed);
    let told = alice.expect("error");
    assert_eq!(
        (&told["code"], told["retryAfterMs"].is_u64()),
        (&json!("PLUGIN_UNAVAILABLE"), true)
    );
    settle(&mut alice, chat("fine"), Outcome::Relay);
    assert_eq!(bob.chats(1), ["fine"]);
    assert!(
        !bob.has("plugin_event") && !alice.has("plugin_error"),
        "a consumed envelope is not answered"
    );
}

#[test]
fn an_envelope_without_a_decision_is_refused_and_a_late_answer_does_nothing() {
    let fixture = Fixture::with(1, Some(decide), |config| config.socket.decision_max_ms = 1);
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    alice.send(event("vote:cast", 1));
    let (_, late) = fixture.asked();
    let told = alice.expect("plugin_error");
    assert_eq!(
        (&told["code"], told["retryAfterMs"].is_u64()),
        (&json!("PLUGIN_UNAVAILABLE"), true)
    );
    fixture.decide(late, Outcome::Relay);
    // The connection goes on; no plugin decides about this envelope.
    alice.send(event("vote:tally", 2));
    assert_eq!(
        bob.expect("plugin_event")["payload"],
        json!({"option": 2}),
        "the late one is not sent"
    );
    assert_eq!(
        fixture.metric("jackfield_plugin_decisions_total{kind=\"deadline\"}"),
        1
    );
    assert_eq!(
        fixture.metric("jackfield_plugin_decisions_total{kind=\"late\"}"),
        1
    );
    assert_eq!(fixture.metric("jackfield_plugin_waiting"), 0);
}

#[test]
fn where_plugins_have_no_room_the_sender_may_try_again() {
    let fixture = Fixture::start(1, Some(decide));
    let (mut alice, mut bob) = (fixture.join("alice"), fixture.join("bob"));
    fixture.set_room(false);
    alice.send(chat("lost"));
    let told = alice.expect("error");
    assert_eq!(
        (&told["code"], told["retryAfterMs"].is_u64()),
        (&json!("PLUGIN_UNAVAILABLE"), true)
    );
    fixture.set_room(true);
    alice.send(chat("again"));
    let (waiting, ask) = fixture.asked();
    assert_eq!(waiting["message"], "again");
    fixture.decide(ask, Outcome::Relay);
    assert_eq!(bob.chats(1), ["again"]);
}

/// Four users send thirty messages each, decided in any order and in every way: each connection keeps its order, and
/// each message has one end.
#[test]
fn each_connection_keeps_its_order_under_any_decisions() {
    const PEOPLE: usize = 4;
    const MESSAGES: usize = 30;
    for seed in 1..=3_u64 {
        let fixture = Fixture::with(2, Some(decide), |config| {
            (config.rates.all.burst, config.rates.chat.burst) = (10_000, 10_000);
        });
        let mut witness = fixture.join("witness");
        let mut people: Vec<Client> = (0..PEOPLE)
            .map(|at| fixture.join(&format!("person-{at}")))
            .collect();
        for at in 0..MESSAGES {
            people
                .iter_mut()
                .for_each(|person| person.send(chat(&at.to_string())));
        }
        let mut random = seed;
        let mut draw = |below: usize| {
            // Knuth's multiplier: any order will do, as long as it is the same each time.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % below
        };
        let (mut open, mut relayed, mut refused) =
            (Vec::new(), vec![Vec::new(); PEOPLE], vec![0; PEOPLE]);
        for _ in 0..PEOPLE * MESSAGES {
            // At most one question of each user is open: those that have come are collected, and any one of them is
            // answered.
            if open.is_empty() || draw(2) == 0 {
                open.extend(fixture.asked_by_now(open.is_empty()));
            }
            assert!(open.len() <= PEOPLE);
            let (envelope, ask) = open.swap_remove(draw(open.len()));
            let who: usize = envelope["senderId"]
                .as_str()
                .and_then(|id| id.strip_prefix("person-"))
                .expect("a person")
                .parse()
                .expect("a number");
            let text = envelope["message"].as_str().expect("a text").to_owned();
            let outcome = match draw(4) {
                0 => Outcome::Consume,
                1 => {
                    refused[who] += 1;
                    Outcome::Refuse {
                        code: "NO".into(),
                        message: text,
                    }
                }
                2 => {
                    let rewritten = format!("{text}, rewritten");
                    relayed[who].push(rewritten.clone());
                    let mut envelope = envelope;
                    envelope["message"] = rewritten.into();
                    Outcome::Rewrite(envelope.to_string().into())
                }
                _ => {
                    relayed[who].push(text);
                    Outcome::Relay
                }
            };
            fixture.decide(ask, outcome);
        }
        let mut heard = vec![Vec::new(); PEOPLE];
        for _ in 0..relayed.iter().map(Vec::len).sum() {
            let chat = witness.expect("chat_message");
            let who: usize = chat["senderId"]
                .as_str()
                .and_then(|id| id.strip_prefix("person-"))
                .expect("a person")
                .parse()
                .expect("a number");
            heard[who].push(chat["message"].as_str().expect("a text").to_owned());
        }
        assert_eq!(heard, relayed, "seed {seed}");
        for (person, count) in people.iter_mut().zip(refused) {
            let told: Vec<usize> = (0..count)
                .map(|_| {
                    person.expect("error")["message"]
                        .as_str()
                        .expect("a text")
                        .parse()
                        .expect("a number")
                })
                .collect();
            assert!(told.is_sorted(), "seed {seed}: {told:?}");
            // A connection whose event arrives is not paused any more.
            person.send(event("vote:tally", 1));
            witness.expect("plugin_event");
            assert_eq!(fixture.offered().decision, None);
        }
        assert!(fixture.nothing_offered());
        assert_eq!(fixture.metric("jackfield_plugin_waiting"), 0);
    }
}

#[test]
fn a_connection_may_end_while_it_waits() {
    let mut fixture = Fixture::start(2, Some(decide));
    let [mut alice, mut bob, mut carol, mut dave] =
        ["alice", "bob", "carol", "dave"].map(|name| fixture.join(name));
    // The client says goodbye: what it sent before is decided first.
    alice.send(chat("last words"));
    let (_, ask) = fixture.asked();
    alice.close();
    fixture.decide(ask, Outcome::Relay);
    assert_eq!(
        (bob.chats(1), dave.chats(1)),
        (vec!["last words".into()], vec!["last words".into()])
    );
    assert_eq!(bob.expect("user_left")["oderId"], "alice");
    fixture.decide(ask, Outcome::Relay);
    // The connection is lost; its slot may be taken by another one when the decision comes.
    let mut eve = fixture.join("eve");
    eve.send(event("vote:cast", 1));
    let (_, ask) = fixture.asked();
    drop(eve);
    let mut fred = fixture.join("fred");
    fixture.decide(
        ask,
        Outcome::Refuse {
            code: "NOT_FOR_FRED".into(),
            message: String::new(),
        },
    );
    assert_eq!(dave.next_of(&["user_left"]).0["oderId"], "alice");
    assert_eq!(dave.expect("user_left")["oderId"], "eve");
    fred.send(event("vote:tally", 1));
    assert_eq!(dave.expect("plugin_event")["sourceUserId"], "fred");
    assert!(fixture.offered().decision.is_none() && !fred.has("plugin_error"));
    // The sender is banned: its waiting envelope is not sent.
    carol.send(chat("too late"));
    let (_, ask) = fixture.asked();
    fixture.revise(2, &[], json!({"bans": ["carol"]}));
    assert_eq!(carol.expect("access_denied")["code"], "BANNED");
    fixture.decide(ask, Outcome::Relay);
    assert_eq!(carol.expect("error")["code"], "NOT_A_MEMBER");
    // The host ends.
    bob.send(chat("never"));
    let (_, ask) = fixture.asked();
    fixture.end();
    fixture.decide(ask, Outcome::Relay);
    assert_eq!(fixture.metric("jackfield_plugin_waiting"), 0);
    assert!(
        !dave.until_closed().contains(&"\"chat_message\"".to_owned()),
        "an envelope without a decision is not sent"
    );
}
