//! TypeScript declarations: two discriminated unions, one for each direction.

use crate::{Direction, Presence, is_open, pascal_case, presence};
use envelope::{
    EnvelopeType,
    catalogue::{Field, Kind, PROTOCOL_VERSION},
};
use std::fmt::Write as _;

/// The text of `envelopes.d.ts`.
#[must_use]
pub fn typescript() -> String {
    let mut out = format!(
        "// Generated from the envelope table by `cargo xtask gen`; do not edit.\n\
         // Envelope contract version {PROTOCOL_VERSION}. Dispatch on `type`; unknown types and members may appear at any time.\n\n\
         /** A time as milliseconds since 1970 or as ISO 8601 text, passed on as it was given. */\n\
         export type Time = number | string;\n"
    );
    for direction in Direction::ALL {
        for envelope in direction.types() {
            interface(&mut out, envelope, direction);
        }
        union(&mut out, direction);
    }
    out
}

fn interface(out: &mut String, envelope: &EnvelopeType, direction: Direction) {
    let _ = write!(
        out,
        "\n/** {} */\nexport interface {} {{\n  type: {:?};\n",
        envelope.summary,
        name(envelope, direction),
        envelope.name
    );
    for field in envelope.fields {
        match presence(envelope, field, direction) {
            Presence::Absent => {}
            Presence::Required => member(out, field, true, 1),
            Presence::Optional => member(out, field, false, 1),
        }
    }
    if is_open(envelope) {
        out.push_str(
            "  /** Further members are passed on untouched. */\n  [member: string]: unknown;\n",
        );
    }
    out.push_str("}\n");
}

fn union(out: &mut String, direction: Direction) {
    let (title, summary) = match direction {
        Direction::ClientToServer => ("ClientEnvelope", "Whatever a client may send."),
        Direction::ServerToClient => ("ServerEnvelope", "Whatever a client may receive."),
    };
    let _ = write!(out, "\n/** {summary} */\nexport type {title} =");
    for envelope in direction.types() {
        let _ = write!(out, "\n  | {}", name(envelope, direction));
    }
    out.push_str(";\n");
}

fn member(out: &mut String, field: &Field, required: bool, depth: usize) {
    let indent = "  ".repeat(depth);
    let (mark, nothing) = if required { ("", "") } else { ("?", " | null") };
    let _ = write!(
        out,
        "{indent}/** {} */\n{indent}{}{mark}: ",
        field.summary, field.name
    );
    kind(out, &field.kind, depth);
    let _ = writeln!(
        out,
        "{};",
        if matches!(field.kind, Kind::Any) {
            ""
        } else {
            nothing
        }
    );
}

fn kind(out: &mut String, kind: &Kind, depth: usize) {
    match kind {
        Kind::Text
        | Kind::TextMax(_)
        | Kind::ServerId
        | Kind::UserId
        | Kind::PluginId
        | Kind::EventName => out.push_str("string"),
        Kind::Boolean => out.push_str("boolean"),
        Kind::Count | Kind::Millis => out.push_str("number"),
        Kind::Time => out.push_str("Time"),
        Kind::OneOf(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            out.push_str(&words.join(" | "));
        }
        Kind::TextOrObject => out.push_str("string | { [member: string]: unknown }"),
        Kind::Any => out.push_str("unknown"),
        Kind::Object(fields) => object(out, fields, depth),
        Kind::ListOf(fields) => {
            out.push_str("Array<");
            object(out, fields, depth);
            out.push('>');
        }
        Kind::Texts => out.push_str("string[]"),
    }
}

fn object(out: &mut String, fields: &[Field], depth: usize) {
    out.push_str("{\n");
    for field in fields {
        member(out, field, field.required, depth + 1);
    }
    let _ = write!(out, "{}}}", "  ".repeat(depth));
}

fn name(envelope: &EnvelopeType, direction: Direction) -> String {
    let side = match direction {
        Direction::ClientToServer => "Client",
        Direction::ServerToClient => "Server",
    };
    format!("{side}{}", pascal_case(envelope.name))
}
