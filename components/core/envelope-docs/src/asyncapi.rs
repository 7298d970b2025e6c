//! The AsyncAPI 3.0 document: what a client may send over the socket and what it may receive.

use crate::{Direction, pascal_case, schema};
use envelope::{
    EnvelopeType,
    catalogue::{PROTOCOL_VERSION, RateClass},
};
use serde_json::{Map, Value, json};

/// The document, described from the server's side: it receives what clients send.
#[must_use]
pub fn asyncapi() -> Value {
    let mut messages = Map::new();
    let mut schemas = Map::new();
    for direction in Direction::ALL {
        for envelope in direction.types() {
            let key = key(envelope, direction);
            messages.insert(key.clone(), message(envelope, direction, &key));
            schemas.insert(key, Value::Object(schema::body(envelope, direction)));
        }
    }
    let channel: Map<String, Value> = messages
        .keys()
        .map(|key| {
            (
                key.clone(),
                json!({"$ref": format!("#/components/messages/{key}")}),
            )
        })
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jackfield gateway",
            "version": PROTOCOL_VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}",
                "protocol": "ws",
                "description": "A gateway. Behind a proxy that ends TLS the protocol is wss.",
                "variables": {"host": {"default": "127.0.0.1:8080", "description": "Host and port."}},
            },
        },
        "channels": {
            "socket": {
                "address": "/ws",
                "title": "The socket",
                "description": "One text frame is one envelope. The path / is answered in the same way.",
                "servers": [{"$ref": "#/servers/gateway"}],
                "messages": channel,
            },
        },
        "operations": {
            "fromClient": operation(Direction::ClientToServer),
            "toClient": operation(Direction::ServerToClient),
        },
        "components": {"messages": messages, "schemas": schemas},
    })
}

const DESCRIPTION: &str = "Envelopes are JSON objects with a `type`. The first frame on a connection is `connected`; a client answers \
with `identify` before anything else. Unknown members are kept and passed on. Every envelope carries its limits as \
`x-bytes-max` and `x-rate`; the limits in force are in `connected.protocol.limits`.";

fn operation(direction: Direction) -> Value {
    let (action, summary) = match direction {
        Direction::ClientToServer => ("receive", "What a client may send."),
        Direction::ServerToClient => ("send", "What a client may receive."),
    };
    let messages: Vec<Value> =
        direction.types().map(|envelope| json!({"$ref": format!("#/channels/socket/messages/{}", key(envelope, direction))})).collect();
    json!({"action": action, "summary": summary, "channel": {"$ref": "#/channels/socket"}, "messages": messages})
}

fn message(envelope: &EnvelopeType, direction: Direction, key: &str) -> Value {
    let mut message = json!({
        "name": envelope.name,
        "title": envelope.name,
        "summary": envelope.summary,
        "contentType": "application/json",
        "payload": {"$ref": format!("#/components/schemas/{key}")},
    });
    if direction == Direction::ClientToServer {
        let rate = envelope.rate.rate();
        message["x-bytes-max"] = envelope.bytes_max.into();
        message["x-rate"] = json!({"bucket": envelope.rate.name(), "perSecond": rate.per_second, "burst": rate.burst});
        if envelope.rate != RateClass::Other {
            message["x-rate"]["also"] = RateClass::Other.name().into();
        }
    }
    message
}

fn key(envelope: &EnvelopeType, direction: Direction) -> String {
    let side = match direction {
        Direction::ClientToServer => "Client",
        Direction::ServerToClient => "Server",
    };
    format!("{side}{}", pascal_case(envelope.name))
}
