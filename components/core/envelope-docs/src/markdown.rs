//! The reference page for people.

use envelope::{
    CATALOGUE, EnvelopeType,
    catalogue::{
        Direction, FEATURES, Field, Kind, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, RateClass,
        Routing, Side,
    },
    verdict::ForwardClass,
};
use std::fmt::Write as _;

/// The text of `envelopes.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = format!(
        "# Envelopes\n\n<!-- Generated from the envelope table by `cargo xtask gen`; do not edit. -->\n\n\
         Contract version {PROTOCOL_VERSION}, oldest understood {PROTOCOL_VERSION_MIN}. Features announced in `connected.protocol.features`: \
         {}.\n\n\
         One text frame is one envelope: a JSON object with a `type`. A server passes on members it does not know. In the tables, *set by* \
         says whose word counts: `client` is passed on as sent, `stamped` may be sent and is overwritten, `server` is never sent by a client. \
         `null` means the same as a missing member.\n\n\
         Machine-readable forms: [asyncapi.json](asyncapi.json), [schemas/](schemas), [envelopes.d.ts](envelopes.d.ts). \
         Refusals: [errors.md](errors.md).\n\n",
        FEATURES
            .iter()
            .map(|feature| format!("`{feature}`"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    rates(&mut out);
    overview(&mut out);
    for envelope in CATALOGUE {
        section(&mut out, envelope);
    }
    out
}

fn rates(out: &mut String) {
    out.push_str("## Rates\n\nEach connection has one bucket per name; `all` pays for every envelope besides its own bucket.\n\n");
    out.push_str("| bucket | a second | at once |\n|---|---|---|\n");
    for class in RateClass::ALL {
        let rate = class.rate();
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            class.name(),
            rate.per_second,
            rate.burst
        );
    }
}

fn overview(out: &mut String) {
    out.push_str("\n## All types\n\n| type | direction | goes to | bytes at most | bucket |\n|---|---|---|---|---|\n");
    for envelope in CATALOGUE {
        let _ = writeln!(
            out,
            "| [`{name}`](#{name}) | {} | {} | {} | {} |",
            direction(envelope.direction),
            routing(envelope.routing),
            envelope.bytes_max,
            envelope.rate.name(),
            name = envelope.name,
        );
    }
}

fn section(out: &mut String, envelope: &EnvelopeType) {
    let _ = write!(
        out,
        "\n## {}\n\n{} {}.",
        envelope.name,
        envelope.summary,
        capitalised(direction(envelope.direction))
    );
    if envelope.coalesce {
        out.push_str(" A slow receiver gets only the newest one from each sender.");
    }
    out.push('\n');
    if !envelope.fields.is_empty() {
        out.push_str("\n| member | JSON | set by | always | |\n|---|---|---|---|---|\n");
        rows(out, envelope.fields, "");
    }
}

fn rows(out: &mut String, fields: &[Field], prefix: &str) {
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        let always = if field.required { "yes" } else { "no" };
        let _ = writeln!(
            out,
            "| `{path}` | {} | {} | {always} | {} |",
            kind(&field.kind),
            side(field.side),
            field.summary
        );
        match field.kind {
            Kind::Object(inner) => rows(out, inner, &format!("{path}.")),
            Kind::ListOf(inner) => rows(out, inner, &format!("{path}[].")),
            _ => {}
        }
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "client to server",
        Direction::ToClient => "server to client",
        Direction::Both => "both ways",
    }
}

fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::Connection => "the connection",
        Routing::Membership => "the server's membership",
        Routing::Presence => "all joined servers",
        Routing::Server => "the joined members",
        Routing::Target(ForwardClass::Offer) => "`targetUserId`, sharing a server",
        Routing::Target(ForwardClass::Reply) => "where the offer came from",
        Routing::Target(ForwardClass::Direct) => "`targetUserId`",
        Routing::Target(ForwardClass::Icon) => "`targetUserId`, sharing a server",
        Routing::Answer => "the client",
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Stamped => "stamped",
        Side::Server => "server",
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::TextMax(chars) => format!("text, {chars} characters"),
        Kind::Boolean => "true or false".into(),
        Kind::Count => "whole number".into(),
        Kind::Millis => "milliseconds since 1970".into(),
        Kind::Time => "number or ISO 8601 text".into(),
        Kind::ServerId => "server id".into(),
        Kind::UserId => "identity".into(),
        Kind::PluginId => "plugin id".into(),
        Kind::EventName => "event name".into(),
        Kind::OneOf(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::TextOrObject => "text or object".into(),
        Kind::Any => "any".into(),
        Kind::Object(_) => "object".into(),
        Kind::ListOf(_) => "list of objects".into(),
        Kind::Texts => "list of texts".into(),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().to_string() + letters.as_str()
    })
}
