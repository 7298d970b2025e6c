//! The catalogue of envelopes as JSON, and the list of their schemas.

use crate::Direction as FrameDirection;
use envelope::{
    CATALOGUE, EnvelopeType,
    catalogue::{Direction, FEATURES, Field, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Side},
};
use serde_json::{Value, json};

/// `GET /api/envelopes/catalogue`
pub(crate) fn catalogue() -> Value {
    json!({
        "protocol": {"version": PROTOCOL_VERSION, "min": PROTOCOL_VERSION_MIN, "features": FEATURES},
        "types": CATALOGUE.iter().map(envelope).collect::<Vec<_>>(),
    })
}

/// `GET /api/schemas/envelopes`
pub(crate) fn schemas() -> Value {
    let paths = crate::schemas().map(|(path, _)| format!("/api/schemas/envelopes/{path}"));
    json!({"schemas": paths.collect::<Vec<_>>()})
}

fn envelope(envelope: &EnvelopeType) -> Value {
    let rate = envelope.rate.rate();
    let ways = FrameDirection::ALL
        .into_iter()
        .filter(|way| way.carries(envelope));
    json!({
        "type": envelope.name,
        "direction": match envelope.direction {
            Direction::ToServer => "client-to-server",
            Direction::ToClient => "server-to-client",
            Direction::Both => "both",
        },
        "summary": envelope.summary,
        "bytesMax": envelope.bytes_max,
        "rate": {"class": envelope.rate.name(), "perSecond": rate.per_second, "burst": rate.burst},
        "coalesced": envelope.coalesce,
        "fields": envelope.fields.iter().map(field).collect::<Vec<_>>(),
        "schemas": ways.map(|way| format!("/api/schemas/envelopes/{}/{}.json", way.name(), envelope.name)).collect::<Vec<_>>(),
    })
}

fn field(field: &Field) -> Value {
    json!({
        "name": field.name,
        "setBy": match field.side {
            Side::Client => "client",
            Side::Stamped => "stamped",
            Side::Server => "server",
        },
        "required": field.required,
        "summary": field.summary,
    })
}
