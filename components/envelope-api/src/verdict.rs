//! A verdict as JSON.

use crate::bindings::types::{Access, Effect, ForwardClass, Identify, Status, Verdict};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

/// The answer's body. `outgoing` and `reply` are the bytes that would be sent, so that their order and spelling can be
/// seen.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct VerdictBody {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<u64>,
}

/// The JSON text of a verdict about `original`.
pub(crate) fn to_json(verdict: Verdict, original: &[u8]) -> String {
    let body = match verdict {
        Verdict::Pass => VerdictBody {
            verdict: "pass",
            ..VerdictBody::default()
        },
        Verdict::Rewrite(bytes) => VerdictBody {
            verdict: "rewrite",
            outgoing: raw(bytes),
            ..VerdictBody::default()
        },
        Verdict::Route(decision) => {
            let patches: Vec<_> = decision
                .patches
                .into_iter()
                .map(|patch| envelope::verdict::Patch {
                    offset: patch.offset,
                    remove: patch.remove,
                    insert: patch.insert,
                })
                .collect();
            let outgoing = envelope::verdict::apply(original, &patches).and_then(raw);
            VerdictBody {
                verdict: "route",
                effects: Some(decision.effects.into_iter().map(effect).collect()),
                outgoing,
                ..VerdictBody::default()
            }
        }
        Verdict::Refuse(refusal) => VerdictBody {
            verdict: "refuse",
            code: Some(refusal.code),
            reply: raw(refusal.reply),
            ..VerdictBody::default()
        },
        Verdict::NeedSnapshot(server_id) => VerdictBody {
            verdict: "need-snapshot",
            server_id: Some(server_id),
            ..VerdictBody::default()
        },
        Verdict::Later(ticket) => VerdictBody {
            verdict: "later",
            ticket: Some(ticket),
            ..VerdictBody::default()
        },
    };
    String::from_utf8(envelope::reply::bytes(&body)).unwrap_or_default()
}

/// Bytes that are JSON, as they are.
fn raw(bytes: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
}

fn effect(effect: Effect) -> Value {
    match effect {
        Effect::Identify(identify) => self::identify(&identify),
        Effect::Keepalive => json!({"effect": "keepalive"}),
        Effect::SetStatus(status) => json!({"effect": "set-status", "status": match status {
            Status::Offline => "offline",
            Status::Busy => "busy",
            Status::Away => "away",
            Status::Online => "online",
        }}),
        Effect::Join(wanted) => access("join", &wanted),
        Effect::View(wanted) => access("view", &wanted),
        Effect::Leave(server_id) => json!({"effect": "leave", "serverId": server_id}),
        Effect::Broadcast(server_id) => json!({"effect": "broadcast", "serverId": server_id}),
        Effect::SendToMember(to) => {
            json!({"effect": "send-to-member", "serverId": to.server_id, "userId": to.user_id})
        }
        Effect::SendToPlugin(to) => {
            json!({"effect": "send-to-plugin", "serverId": to.server_id, "pluginId": to.plugin_id})
        }
        Effect::Forward(to) => {
            json!({"effect": "forward", "userId": to.user_id, "class": match to.class {
                ForwardClass::Offer => "offer",
                ForwardClass::Reply => "reply",
                ForwardClass::Direct => "direct",
                ForwardClass::Icon => "icon",
            }})
        }
        Effect::IconAvailable(icon) => {
            json!({"effect": "icon-available", "serverId": icon.server_id, "updatedAt": icon.updated_at})
        }
        Effect::IconPeers(icon) => {
            json!({"effect": "icon-peers", "serverId": icon.server_id, "updatedAt": icon.updated_at})
        }
    }
}

/// Says whether secrets were given, without repeating them.
fn access(name: &str, access: &Access) -> Value {
    json!({
        "effect": name,
        "serverId": access.server_id,
        "password": access.password.is_some(),
        "invite": access.invite.is_some(),
        "rosterOffset": access.roster_offset,
    })
}

fn identify(identify: &Identify) -> Value {
    let plugins = identify.plugins.as_ref().map(|plugins| {
        let entries = plugins
            .iter()
            .map(|(id, version)| json!({"id": id, "version": version}));
        entries.collect::<Vec<_>>()
    });
    json!({
        "effect": "identify",
        "userId": identify.user_id,
        "displayName": identify.display_name,
        "connectionScope": identify.connection_scope,
        "description": identify.description,
        "profileUpdatedAt": identify.profile_updated_at,
        "token": identify.token.is_some(),
        "key": identify.key,
        "proof": identify.proof.is_some(),
        "lock": identify.lock,
        "plugins": plugins,
        "features": identify.features,
    })
}
