//! The cases against the native validator, and properties that hold for any bytes.

mod runner;

use envelope::{
    CATALOGUE, Context, Envelope, Verdict,
    catalogue::Routing,
    verdict::{Definition, EventDirection, EventScope, Membership, Snapshot, apply},
};
use identifiers::{EventName, PluginId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use validation::{Definitions, NativeValidator, validate};

#[test]
fn every_case_against_the_native_validator() {
    let count = runner::run(|| Box::new(NativeValidator::new()));
    assert!(count > 150, "{count} cases");
}

/// Members whose value the server may set.
const STAMPED: &[&str] = &[
    "senderId",
    "senderName",
    "oderId",
    "displayName",
    "connectionId",
    "fromUserId",
    "sourceUserId",
    "sourcePluginUserId",
    "emittedAt",
    "serverId",
];

fn context(membership: Membership, server_id: Option<&'static str>) -> Context<'static> {
    Context {
        now_ms: 1_777_470_000_000,
        connection_id: "c1",
        user_id: Some("al\"ice"),
        display_name: "Alice \\ \u{1f600}",
        server_id,
        server_implied: false,
        server_revision: 1,
        membership,
    }
}

fn definitions() -> Definitions {
    let mut known = Definitions::new();
    known.update(Snapshot {
        server_id: "s1".to_owned(),
        revision: 1,
        requirements: Vec::new(),
        definitions: vec![Definition {
            plugin_id: PluginId::new("example.polls").expect("legal"),
            event_name: EventName::new("poll:vote").expect("legal"),
            direction: EventDirection::ServerRelay,
            scope: EventScope::Server,
            schema: Some(r#"{"type":["object","null"]}"#.to_owned()),
            payload_bytes_max: 65_536,
        }],
    });
    known
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("alice")),
        Just(json!("s1")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,3}|type|serverId", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Envelopes that are nearly right: members of the catalogue with fitting and unfitting values.
fn any_envelope() -> impl Strategy<Value = Map<String, Value>> {
    let kinds: Vec<&'static str> = CATALOGUE.iter().map(|kind| kind.name).collect();
    let names = "serverId|targetUserId|message|isTyping|status|senderId|senderName|oderId|displayName|voiceState|channelId|requestId|iconUpdatedAt|fromUserId|sourceUserId|sourcePluginUserId|emittedAt|plugins|features|x|\u{e4}";
    (
        prop::sample::select(kinds),
        prop::collection::btree_map(names, any_json(), 0..8),
        any::<bool>(),
    )
        .prop_map(|(kind, members, complete)| {
            let mut envelope: Map<String, Value> = members.into_iter().collect();
            if complete {
                for (key, value) in [
                    ("serverId", json!("s1")),
                    ("targetUserId", json!("bob")),
                    ("message", json!({"a": 1})),
                    ("isTyping", json!(true)),
                    ("status", json!("away")),
                    ("pluginId", json!("example.polls")),
                    ("eventName", json!("poll:vote")),
                    ("payload", json!({"b": [1, 2.5, "\u{1f600}"]})),
                    ("requestId", json!("r")),
                    ("iconUpdatedAt", json!(5)),
                    ("senderId", json!("mallory")),
                ] {
                    envelope.insert(key.to_owned(), value);
                }
                envelope.remove("channelId");
                envelope.remove("sourcePluginUserId");
                envelope.remove("senderName");
            }
            envelope.insert("type".to_owned(), json!(kind));
            envelope
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_decided_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut known = definitions();
        prop_assert!(matches!(validate(&mut known, &context(Membership::Joined, Some("s1")), &bytes), Verdict::Refuse(_) | Verdict::Route(_)));
    }

    #[test]
    fn what_goes_on_differs_in_stamped_members_only(envelope in any_envelope(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&envelope) } else { serde_json::to_string(&envelope) }.expect("serializes");
        let mut known = definitions();
        match validate(&mut known, &context(Membership::Joined, Some("s1")), text.as_bytes()) {
            Verdict::Route(decision) => {
                let outgoing = apply(text.as_bytes(), &decision.patches).expect("patches fit");
                let before = Envelope::decode(text.as_bytes()).expect("legal");
                let after = Envelope::decode(&outgoing).expect("still an envelope");
                for member in before.members() {
                    let now = after.member(&member.key).expect("nothing is removed");
                    prop_assert!(now.raw == member.raw || STAMPED.contains(&member.key.as_ref()), "{} became {}", member.raw, now.raw);
                }
                let kept: Vec<_> = after.members().iter().map(|member| &member.key).collect();
                let order: Vec<_> = before.members().iter().map(|member| &member.key).collect();
                prop_assert_eq!(&kept[..order.len()], &order[..], "the order stays");
                prop_assert!(kept[order.len()..].iter().all(|key| STAMPED.contains(&key.as_ref())));
                let signature = match envelope["type"].as_str().expect("a text") {
                    "plugin_event" => Some("sourceUserId"),
                    "typing" | "voice_state" | "status_update" => Some("oderId"),
                    _ if envelope::find(envelope["type"].as_str().expect("a text")).is_some_and(|kind| matches!(kind.routing, Routing::Target(_))) => {
                        Some("fromUserId")
                    }
                    _ => None,
                };
                if let Some(key) = signature {
                    prop_assert_eq!(after.member(key).expect("stamped").raw, r#""al\"ice""#);
                }
            }
            Verdict::Refuse(refusal) => {
                let reply: Value = serde_json::from_slice(&refusal.reply).expect("a reply is JSON");
                prop_assert_eq!(&reply["code"], refusal.code.as_str());
                prop_assert!(refusal.reply.len() < limits::validator::REPLY_BYTES_MAX);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
