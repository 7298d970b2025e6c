//! Documents about the envelope contract, all derived from [`envelope::CATALOGUE`]: JSON Schemas, the AsyncAPI document, TypeScript
//! types and a page for people.
//!
//! What it is not: the contract itself (that is the table) and not a checker (that is the judge); what these documents allow, the judge
//! may still refuse for reasons no schema can express.
//! Invariant: everything here is a pure function of the table, so a document that differs from the table is a stale file, never a bug here.
#![forbid(unsafe_code)]

mod asyncapi;
mod markdown;
mod schema;
mod typescript;

pub use asyncapi::asyncapi;
pub use markdown::markdown;
pub use schema::{schema, schemas};
pub use typescript::typescript;

use envelope::{
    EnvelopeType,
    catalogue::{Direction, Field, Routing, Side},
};

/// Whose frame is described: the same type has different members on its way in and on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a client sends it.
    ClientToServer,
    /// As a client receives it.
    ServerToClient,
}

impl Way {
    /// Both ways, in the order of the documents.
    pub const ALL: [Self; 2] = [Self::ClientToServer, Self::ServerToClient];

    /// Its name in paths: `client-to-server`, `server-to-client`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientToServer => "client-to-server",
            Self::ServerToClient => "server-to-client",
        }
    }

    /// Reads [`Way::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Whether envelopes of this type go this way.
    #[must_use]
    pub fn carries(self, envelope: &EnvelopeType) -> bool {
        match self {
            Self::ClientToServer => envelope.direction != Direction::ToClient,
            Self::ServerToClient => envelope.direction != Direction::ToServer,
        }
    }

    /// The types that go this way, in the table's order.
    pub fn types(self) -> impl Iterator<Item = &'static EnvelopeType> {
        envelope::CATALOGUE
            .iter()
            .filter(move |envelope| self.carries(envelope))
    }
}

/// How a member stands on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Always there.
    Required,
    /// May be missing, or `null`, which means the same.
    Optional,
    /// Not part of this way.
    Absent,
}

/// Where `field` of `envelope` stands on `way`.
fn presence(envelope: &EnvelopeType, field: &Field, way: Way) -> Presence {
    let said = if field.required {
        Presence::Required
    } else {
        Presence::Optional
    };
    match (way, field.side) {
        (Way::ClientToServer, Side::Client) => said,
        (Way::ClientToServer, Side::Stamped) => Presence::Optional,
        (Way::ClientToServer, Side::Server) => Presence::Absent,
        // A server that was implied is named before the envelope goes on (D1).
        (Way::ServerToClient, Side::Client)
            if field.name == "serverId" && envelope.routing == Routing::Server =>
        {
            Presence::Required
        }
        (Way::ServerToClient, _) => said,
    }
}

/// Whether a type carries members that the server passes on without looking at them.
fn is_open(envelope: &EnvelopeType) -> bool {
    matches!(envelope.routing, Routing::Server | Routing::Target(_))
}

/// `chat_message` or `direct-call` as a type name: `ChatMessage`, `DirectCall`.
fn pascal_case(name: &str) -> String {
    name.split(['_', '-'])
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            })
        })
        .collect()
}
