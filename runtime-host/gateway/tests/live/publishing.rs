//! Envelopes that plugins send in their own names, and what plugins can ask.

use crate::{
    client::Client,
    fixture::{ACTOR, Fixture, PLUGIN, SERVER, chat, decide, definition, event},
};
use envelope::verdict::Status;
use gateway::LiveChatHost;
use plugin_bus::{
    ChatHost, Interest, NotHere, OutgoingBody, OutgoingMessage, PluginSender, PublishError, Reach,
};
use serde_json::{Value, json};

/// The plugin of these tests, acting by itself.
fn polls() -> PluginSender {
    PluginSender {
        plugin_id: PLUGIN.into(),
        plugin_user_id: None,
        display_name: "Polls".into(),
        reach: Reach::Public,
        hops: 0,
    }
}

fn publish(
    fixture: &Fixture,
    sender: PluginSender,
    name: &str,
    payload: Value,
    further: &[(&str, &str)],
) -> Result<(), PublishError> {
    let find = |key: &str| {
        further
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| (*value).to_owned())
    };
    let message = OutgoingMessage {
        sender,
        server_id: find("server").unwrap_or_else(|| SERVER.to_owned()),
        channel_id: find("channel"),
        body: OutgoingBody::Event {
            event_name: name.to_owned(),
            payload: payload.to_string(),
            target_user_id: find("target"),
        },
    };
    fixture.runtime.block_on(fixture.chat_host.send(message))
}

fn chat_message(sender: PluginSender, text: &str) -> OutgoingMessage {
    OutgoingMessage {
        sender,
        server_id: SERVER.to_owned(),
        channel_id: Some("general".to_owned()),
        body: OutgoingBody::Chat {
            text: text.to_owned(),
        },
    }
}

fn say(fixture: &Fixture, sender: PluginSender, text: &str) -> Result<(), PublishError> {
    fixture
        .runtime
        .block_on(fixture.chat_host.send(chat_message(sender, text)))
}

fn two(fixture: &Fixture) -> (Client, Client) {
    (fixture.join("alice"), fixture.join("bob"))
}

#[test]
fn an_event_of_a_plugin_carries_its_own_identity() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let (mut alice, mut bob) = two(&fixture);
    publish(&fixture, polls(), "vote:tally", json!({"option": 1}), &[]).expect("sent");
    for client in [&mut alice, &mut bob] {
        let told = client.expect("plugin_event");
        let own = json!("plugin:example.polls");
        assert_eq!(
            (
                &told["sourcePluginUserId"],
                &told["sourceUserId"],
                &told["payload"]
            ),
            (&own, &own, &json!({"option": 1}))
        );
        assert!(told["emittedAt"].is_u64());
    }
    // A name that the server's requirement does not know is not taken over.
    let sender = PluginSender {
        plugin_user_id: Some("polls-bot".into()),
        ..polls()
    };
    publish(
        &fixture,
        sender.clone(),
        "vote:tally",
        json!({"option": 2}),
        &[],
    )
    .expect("sent");
    assert_eq!(
        alice.expect("plugin_event")["sourcePluginUserId"],
        "plugin:example.polls"
    );
    fixture.revise(2, &[], json!({"requirements": [{"pluginId": PLUGIN, "status": "required", "pluginUserId": "polls-bot"}]}));
    fixture.snapshot();
    publish(
        &fixture,
        sender.clone(),
        "vote:tally",
        json!({"option": 3}),
        &[],
    )
    .expect("sent");
    assert_eq!(
        alice.expect("plugin_event")["sourcePluginUserId"],
        "polls-bot"
    );
}

#[test]
fn an_event_reaches_the_receivers_in_its_scope() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let (mut alice, mut bob) = two(&fixture);
    publish(
        &fixture,
        polls(),
        "vote:mine",
        json!({"option": 1}),
        &[("target", "bob")],
    )
    .expect("sent");
    publish(
        &fixture,
        polls(),
        "vote:here",
        json!({"option": 2}),
        &[("channel", "general")],
    )
    .expect("sent");
    assert_eq!(bob.expect("plugin_event")["payload"]["option"], 1);
    assert_eq!(bob.expect("plugin_event")["channelId"], "general");
    assert_eq!(
        alice.expect("plugin_event")["payload"]["option"],
        2,
        "the first was not for her"
    );
    publish(&fixture, polls(), "vote:app", json!({"option": 4}), &[]).expect("sent");
    for client in [&mut alice, &mut bob] {
        assert_eq!(
            client.expect("plugin_event")["eventName"],
            "vote:app",
            "no connection declared the plugin: all are meant"
        );
    }
    let without =
        publish(&fixture, polls(), "vote:here", json!({"option": 3}), &[]).expect_err("no channel");
    assert_eq!(without.code(), "INVALID_FIELD");
}

#[test]
fn a_plugin_may_send_no_more_than_a_client() {
    let fixture = Fixture::start(2, Some(|_| Interest::Inform));
    let (mut alice, _bob) = two(&fixture);
    let refusal = |name: &str, payload: Value, further: &[(&str, &str)]| {
        let error = publish(&fixture, polls(), name, payload, further).expect_err("refused");
        assert!(!error.to_string().is_empty());
        (error.code().to_owned(), error)
    };
    assert!(matches!(
        refusal("vote:unknown", json!({}), &[]).1,
        PublishError::NotRegistered(_)
    ));
    assert!(matches!(
        refusal(
            "vote:tally",
            json!({"option": 1}),
            &[("server", "elsewhere")]
        )
        .1,
        PublishError::NotHere(NotHere::NotOpen)
    ));
    assert_eq!(
        refusal("vote:hint", json!({"option": 1}), &[]).0,
        "DIRECTION_NOT_ALLOWED"
    );
    assert_eq!(
        refusal("Not Legal", json!({"option": 1}), &[]).0,
        "INVALID_EVENT_NAME"
    );
    let too_large = json!({"option": 1, "text": "x".repeat(64)});
    assert!(
        matches!(refusal("vote:tally", too_large, &[]).1, PublishError::TooLarge(text) if text.contains("64"))
    );
    let PublishError::Violations { violations, .. } =
        refusal("vote:tally", json!({"option": "one"}), &[]).1
    else {
        panic!("a violation");
    };
    assert_eq!(
        (
            violations[0].pointer.as_str(),
            violations[0].keyword.as_str()
        ),
        ("/option", "type")
    );
    assert!(
        say(&fixture, polls(), &"x".repeat(70_000))
            .is_err_and(|error| matches!(error, PublishError::TooLarge(_)))
    );
    publish(&fixture, polls(), "vote:tally", json!({"option": 7}), &[]).expect("sent");
    assert_eq!(
        alice.expect("plugin_event")["payload"]["option"],
        7,
        "none of them was sent"
    );
    assert_eq!(
        fixture.metric("jackfield_plugin_publications_total{kind=\"refused\"}"),
        6
    );

    fixture.revise(
        2,
        &[],
        json!({"requirements": [{"pluginId": PLUGIN, "status": "blocked"}]}),
    );
    fixture.snapshot();
    assert!(say(&fixture, polls(), "anyone?").is_err_and(|error| error.code() == "PLUGIN_BLOCKED"));
    assert_eq!(
        refusal("vote:tally", json!({"option": 1}), &[]).0,
        "PLUGIN_BLOCKED"
    );
}

#[test]
fn a_plugin_acts_where_the_server_or_the_operator_lets_it() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let (_alice, mut bob) = two(&fixture);
    let with_reach = |reach| PluginSender { reach, ..polls() };
    let refused = |reach: Reach| {
        let (sender, host) = (with_reach(reach), &fixture.chat_host);
        let sent = say(&fixture, sender.clone(), "hello");
        let why = match sent.expect_err("it does not act there") {
            PublishError::NotHere(why) => why,
            other => panic!("{other:?}"),
        };
        let asks = sender.actor();
        assert_eq!(host.roster(asks, SERVER, 0, 1), Err(why));
        assert_eq!(host.recent_channels(asks, SERVER), Err(why));
        assert_eq!(host.open_servers(asks), []);
        why
    };
    let acts = |reach| {
        let (sender, host) = (with_reach(reach), &fixture.chat_host);
        say(&fixture, sender.clone(), "hello").expect("it acts there");
        assert!(host.roster(sender.actor(), SERVER, 0, 1).is_ok());
        assert_eq!(host.open_servers(sender.actor()).len(), 1);
    };
    fixture.revise(2, &[], json!({"requirements": []}));
    fixture.snapshot();
    assert_eq!(refused(Reach::Named), NotHere::NotNamed);
    acts(Reach::Public);
    let blocked = json!([{"pluginId": PLUGIN, "status": "blocked"}]);
    fixture.revise(3, &[], json!({"requirements": blocked}));
    fixture.snapshot();
    assert_eq!(refused(Reach::All), NotHere::Blocked);
    let optional = json!([{"pluginId": PLUGIN, "status": "optional"}]);
    fixture.revise(4, &[], json!({"requirements": optional}));
    fixture.snapshot();
    acts(Reach::Named);
    assert_eq!(bob.chats(2), ["hello", "hello"]);
}

#[test]
fn a_plugin_writes_as_itself() {
    let fixture = Fixture::start(2, Some(decide));
    let (mut alice, mut bob) = two(&fixture);
    say(&fixture, polls(), "hello, \"everybody\"").expect("sent");
    for client in [&mut alice, &mut bob] {
        let message = client.expect("chat_message");
        assert_eq!(
            (
                &message["message"],
                &message["senderId"],
                &message["senderName"],
                &message["channelId"]
            ),
            (
                &json!("hello, \"everybody\""),
                &json!("plugin:example.polls"),
                &json!("Polls"),
                &json!("general")
            )
        );
    }
    let offered = fixture.offered();
    assert_eq!(
        (offered.author.as_deref(), offered.decision, offered.hops),
        (Some(PLUGIN), None, 1),
        "a copy, without a question"
    );
    say(
        &fixture,
        PluginSender {
            display_name: "".into(),
            ..polls()
        },
        "nameless",
    )
    .expect("sent");
    assert_eq!(alice.expect("chat_message")["senderName"], PLUGIN);
}

#[test]
fn a_loop_of_plugins_is_cut() {
    let fixture = Fixture::start(2, Some(|_| Interest::Inform));
    let (mut alice, mut bob) = two(&fixture);
    alice.send(event("vote:tally", 0));
    // Two plugins that answer each other's events without end.
    let mut sent = 0;
    let end = loop {
        let offered = fixture.offered();
        assert_eq!(usize::from(offered.hops), sent);
        let sender = PluginSender {
            hops: offered.hops,
            ..polls()
        };
        match publish(
            &fixture,
            sender.clone(),
            "vote:tally",
            json!({"option": sent + 1}),
            &[],
        ) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (sent, end.code()),
        (usize::from(limits::dispatch::HOPS_MAX), "REDISPATCH_LOOP")
    );
    assert_eq!(
        fixture.metric("jackfield_plugin_publications_total{kind=\"loop\"}"),
        1
    );
    let heard: Vec<_> = (0..=sent)
        .map(|_| {
            bob.expect("plugin_event")["payload"]["option"]
                .as_u64()
                .expect("a number") as usize
        })
        .collect();
    assert_eq!(heard, (0..=sent).collect::<Vec<_>>());
    // Chat counts as well.
    assert_eq!(
        say(&fixture, PluginSender { hops: 8, ..polls() }, "and on"),
        Err(PublishError::Loop)
    );
}

#[test]
fn a_plugin_has_a_rate() {
    let fixture = Fixture::start(1, Some(|_| Interest::None));
    let (_alice, mut bob) = two(&fixture);
    let burst = limits::dispatch::MESSAGES.burst as usize;
    // All at once: what comes back meanwhile is far less than the second half.
    let outcomes = fixture.runtime.block_on(async {
        let mut saying = tokio::task::JoinSet::new();
        for _ in 0..burst * 4 {
            let host = LiveChatHost::new(&fixture.hub);
            saying.spawn(async move { host.send(chat_message(polls(), "again")).await });
        }
        saying.join_all().await
    });
    let (sent, held): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(
        sent.len() >= burst && !held.is_empty(),
        "{} sent",
        sent.len()
    );
    for outcome in held {
        assert!(
            matches!(
                outcome,
                Err(PublishError::RateLimited {
                    what: "messages",
                    retry_after_ms: 1..
                })
            ),
            "{outcome:?}"
        );
    }
    publish(&fixture, polls(), "vote:tally", json!({"option": 1}), &[]).expect("another rate");
    say(
        &fixture,
        PluginSender {
            plugin_id: "example.other".into(),
            ..polls()
        },
        "me too",
    )
    .expect("another plugin");
    bob.expect("plugin_event");
    assert!(bob.chats(sent.len() + 1).ends_with(&["me too".to_owned()]));
}

#[test]
fn plugins_can_ask_for_rosters_and_open_servers() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let host = &fixture.chat_host;
    assert_eq!(
        (host.roster(ACTOR, SERVER, 0, 10), host.open_servers(ACTOR)),
        (Err(NotHere::NotOpen), vec![]),
        "the server has no connection"
    );
    let (mut alice, mut bob) = two(&fixture);
    alice.send(json!({"type": "status_update", "status": "away"}));
    bob.expect("status_update");
    let roster = host.roster(ACTOR, SERVER, 0, 1).expect("open");
    assert_eq!((roster.total, roster.people.len()), (2, 1));
    let person = &roster.people[0];
    assert_eq!(
        (
            &*person.user_id,
            &*person.display_name,
            person.status,
            person.verified
        ),
        ("alice", "ALICE", Status::Away, false)
    );
    assert_eq!(
        &*host.roster(ACTOR, SERVER, 1, 10).expect("open").people[0].user_id,
        "bob"
    );
    let servers = host.open_servers(ACTOR);
    let [server] = &servers[..] else {
        panic!("{servers:?}")
    };
    assert_eq!(
        (&*server.server_id, server.people, server.revision),
        (SERVER, 2, 1)
    );
    alice.send(json!({"type": "leave_server", "serverId": SERVER}));
    bob.expect("user_left");
    assert_eq!(host.roster(ACTOR, SERVER, 0, 10).expect("open").total, 1);
    bob.close();
    assert_eq!(
        (&*fixture.closed(), host.open_servers(ACTOR)),
        (SERVER, vec![])
    );
}

#[test]
fn channels_are_remembered_from_chat_messages() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let (mut alice, mut bob) = two(&fixture);
    for channel in [
        json!("general"),
        json!("random"),
        json!(7),
        json!("general"),
    ] {
        let mut message = chat("x");
        message["channelId"] = channel;
        alice.send(message);
    }
    bob.chats(4);
    assert_eq!(
        fixture.chat_host.recent_channels(ACTOR, SERVER),
        Ok(vec!["general".into(), "random".into()])
    );
    assert_eq!(
        fixture.chat_host.recent_channels(ACTOR, "elsewhere"),
        Err(NotHere::NotOpen)
    );
}

#[test]
fn plugins_are_told_of_changed_requirements() {
    let fixture = Fixture::start(2, Some(|_| Interest::None));
    let (mut alice, _bob) = two(&fixture);
    // A ban changes the server's revision, but neither requirements nor definitions.
    fixture.revise(2, &[], json!({"bans": ["mallory"]}));
    fixture.revise(
        3,
        &[definition("vote:new", "serverRelay", "server")],
        json!({}),
    );
    let told = fixture.snapshot();
    assert_eq!(
        (&told["revision"], &told["eventDefinitions"][0]["eventName"]),
        (&json!(3), &json!("vote:new"))
    );
    assert_eq!(
        alice.expect("plugin_requirements"),
        told,
        "the same that clients get"
    );
}
