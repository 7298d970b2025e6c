//! The envelopes that the server itself writes, as bytes: refusals and `connected`.

use crate::{catalogue, verdict::Refusal};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::borrow::Cow;

/// Codes of refusals.
pub mod code {
    /// The bytes are not an envelope.
    pub const BAD_JSON: &str = "BAD_JSON";
    /// No such type, or one that only the server sends.
    pub const UNKNOWN_TYPE: &str = "UNKNOWN_TYPE";
    /// A member is missing or malformed.
    pub const INVALID_FIELD: &str = "INVALID_FIELD";
    /// `identify` must be sent first.
    pub const NOT_IDENTIFIED: &str = "NOT_IDENTIFIED";
    /// The connection has not joined this server.
    pub const NOT_A_MEMBER: &str = "NOT_A_MEMBER";
    /// `pluginId` breaks its pattern.
    pub const INVALID_PLUGIN_ID: &str = "INVALID_PLUGIN_ID";
    /// `eventName` breaks its pattern.
    pub const INVALID_EVENT_NAME: &str = "INVALID_EVENT_NAME";
    /// No such event is registered on this server.
    pub const EVENT_NOT_REGISTERED: &str = "EVENT_NOT_REGISTERED";
    /// The definition's direction forbids the WebSocket.
    pub const DIRECTION_NOT_ALLOWED: &str = "DIRECTION_NOT_ALLOWED";
    /// The server blocks this plugin.
    pub const PLUGIN_BLOCKED: &str = "PLUGIN_BLOCKED";
    /// The stored manifest does not declare the capability.
    pub const CAPABILITY_DENIED: &str = "CAPABILITY_DENIED";
    /// Over the cap of the type or of the definition.
    pub const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";
    /// The payload breaks the schema.
    pub const SCHEMA_VIOLATION: &str = "SCHEMA_VIOLATION";
    /// Over the rate.
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    /// A component failed; nothing was sent.
    pub const INTERNAL: &str = "INTERNAL";
    /// The target cannot be reached; the answer is the same for every reason.
    pub const NOT_REACHABLE: &str = "NOT_REACHABLE";
    /// The identity needs a proof that is missing or invalid.
    pub const IDENTITY_PROOF_REQUIRED: &str = "IDENTITY_PROOF_REQUIRED";
    /// The identity of a connection cannot change while it has joined or viewed a server.
    pub const IDENTITY_FIXED: &str = "IDENTITY_FIXED";
    /// Too many connections, joins or views.
    pub const LIMIT_REACHED: &str = "LIMIT_REACHED";
    /// The edge does not answer; a retry may succeed.
    pub const EDGE_UNAVAILABLE: &str = "EDGE_UNAVAILABLE";
    /// The key set of the token's issuer cannot be read at present; a retry may succeed.
    pub const KEY_SET_UNAVAILABLE: &str = "KEY_SET_UNAVAILABLE";
    /// A plugin refused it; the message is the plugin's reason.
    pub const PLUGIN_REFUSED: &str = "PLUGIN_REFUSED";
    /// A plugin that decides about such envelopes did not answer in time; nothing was sent, a retry may succeed.
    pub const PLUGIN_UNAVAILABLE: &str = "PLUGIN_UNAVAILABLE";

    /// All of them.
    pub const ALL: &[&str] = &[
        BAD_JSON,
        UNKNOWN_TYPE,
        INVALID_FIELD,
        NOT_IDENTIFIED,
        NOT_A_MEMBER,
        INVALID_PLUGIN_ID,
        INVALID_EVENT_NAME,
        EVENT_NOT_REGISTERED,
        DIRECTION_NOT_ALLOWED,
        PLUGIN_BLOCKED,
        CAPABILITY_DENIED,
        PAYLOAD_TOO_LARGE,
        SCHEMA_VIOLATION,
        RATE_LIMITED,
        INTERNAL,
        NOT_REACHABLE,
        IDENTITY_PROOF_REQUIRED,
        IDENTITY_FIXED,
        LIMIT_REACHED,
        EDGE_UNAVAILABLE,
        KEY_SET_UNAVAILABLE,
        PLUGIN_REFUSED,
        PLUGIN_UNAVAILABLE,
    ];
}

/// An `error` envelope.
#[must_use]
pub fn error(
    code: &str,
    message: &str,
    kind: Option<&str>,
    request_id: Option<&str>,
    retry_after_ms: Option<u64>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Error<'a> {
        r#type: &'static str,
        code: &'a str,
        message: &'a str,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    bytes(&Error {
        r#type: "error",
        code,
        message,
        kind,
        request_id,
        retry_after_ms,
    })
}

/// A refusal by an `error` envelope.
#[must_use]
pub fn refuse(code: &str, message: &str, kind: Option<&str>, request_id: Option<&str>) -> Refusal {
    Refusal {
        code: code.to_owned(),
        reply: error(code, message, kind, request_id, None),
    }
}

/// What a refused plugin event said about itself, as far as it can be repeated.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventNames<'a> {
    /// `serverId`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<Cow<'a, str>>,
    /// `pluginId`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_id: Option<Cow<'a, str>>,
    /// `eventName`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<Cow<'a, str>>,
    /// `requestId`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
}

/// A refusal by a `plugin_error` envelope; `violations` are left out when there are none.
#[must_use]
pub fn refuse_event<V: Serialize>(
    code: &str,
    message: &str,
    names: &EventNames<'_>,
    violations: &[V],
) -> Refusal {
    event_error(code, message, names, violations, None)
}

/// A refusal by a `plugin_error` envelope that may be tried again after `retry_after_ms`.
#[must_use]
pub fn postpone_event(
    code: &str,
    message: &str,
    names: &EventNames<'_>,
    retry_after_ms: Option<u64>,
) -> Refusal {
    event_error::<()>(code, message, names, &[], retry_after_ms)
}

fn event_error<V: Serialize>(
    code: &str,
    message: &str,
    names: &EventNames<'_>,
    violations: &[V],
    retry_after_ms: Option<u64>,
) -> Refusal {
    #[derive(Serialize)]
    struct PluginError<'a, V> {
        r#type: &'static str,
        code: &'a str,
        message: &'a str,
        #[serde(flatten)]
        names: &'a EventNames<'a>,
        #[serde(skip_serializing_if = "<[V]>::is_empty")]
        violations: &'a [V],
        #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    let reply = bytes(&PluginError {
        r#type: "plugin_error",
        code,
        message,
        names,
        violations,
        retry_after_ms,
    });
    Refusal {
        code: code.to_owned(),
        reply,
    }
}

/// An `access_denied` envelope.
#[must_use]
pub fn access_denied(
    server_id: &str,
    code: &str,
    reason: &str,
    request_id: Option<&str>,
    retry_after_ms: Option<u64>,
) -> Vec<u8> {
    let mut body = object(
        json!({"type": "access_denied", "serverId": server_id, "reason": reason, "code": code}),
    );
    if let Some(id) = request_id {
        body.insert("requestId".into(), id.into());
    }
    if let Some(wait) = retry_after_ms {
        body.insert("retryAfterMs".into(), wait.into());
    }
    bytes(&body)
}

/// The member `protocol` of `connected`, serialized once for all connections; `limits` comes from the configuration.
#[must_use]
pub fn protocol(limits: &Value) -> Box<RawValue> {
    let protocol = json!({
        "version": catalogue::PROTOCOL_VERSION,
        "min": catalogue::PROTOCOL_VERSION_MIN,
        "features": catalogue::FEATURES,
        "limits": limits,
    });
    serde_json::value::to_raw_value(&protocol).expect("texts and numbers always serialize")
}

/// The `connected` envelope.
#[must_use]
pub fn connected(connection_id: &str, server_time_ms: u64, protocol: &RawValue) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Connected<'a> {
        r#type: &'a str,
        connection_id: &'a str,
        server_time: u64,
        protocol: &'a RawValue,
    }
    bytes(&Connected {
        r#type: "connected",
        connection_id,
        server_time: server_time_ms,
        protocol,
    })
}

/// JSON bytes of a value that cannot fail to serialize: texts, numbers, maps with text keys.
pub fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers always serialize")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
