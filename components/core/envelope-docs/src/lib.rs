//! Documents generated from [`envelope::CATALOGUE`]: JSON Schemas, the AsyncAPI document, TypeScript declarations and
//! the reference page.
//!
//! The validator may refuse an envelope that these documents allow, for reasons that a schema cannot express.
#![forbid(unsafe_code)]

mod asyncapi;
mod catalogue;
mod documents;
mod markdown;
mod schema;
mod typescript;

pub use asyncapi::asyncapi;
pub use documents::documents;
pub use markdown::markdown;
pub use schema::{schema, schemas};
pub use typescript::typescript;

use envelope::{
    EnvelopeType,
    catalogue::{Direction as Sides, Field, Routing, Side},
};

/// The direction of a frame: a type has other members as a client sends it than as a client receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// As a client sends it.
    ClientToServer,
    /// As a client receives it.
    ServerToClient,
}

impl Direction {
    /// Both directions, in the order of the documents.
    pub const ALL: [Self; 2] = [Self::ClientToServer, Self::ServerToClient];

    /// Its name in paths: `client-to-server`, `server-to-client`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientToServer => "client-to-server",
            Self::ServerToClient => "server-to-client",
        }
    }

    /// Reads [`Direction::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|direction| direction.name() == name)
    }

    /// Whether envelopes of this type are sent in this direction.
    #[must_use]
    pub fn carries(self, envelope: &EnvelopeType) -> bool {
        match self {
            Self::ClientToServer => envelope.direction != Sides::ToClient,
            Self::ServerToClient => envelope.direction != Sides::ToServer,
        }
    }

    /// The types sent in this direction, in the table's order.
    pub fn types(self) -> impl Iterator<Item = &'static EnvelopeType> {
        envelope::CATALOGUE
            .iter()
            .filter(move |envelope| self.carries(envelope))
    }
}

/// Whether a member occurs in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Always there.
    Required,
    /// May be missing, or `null`, which means the same.
    Optional,
    /// Not part of this direction.
    Absent,
}

/// Whether `field` of `envelope` occurs in this direction.
fn presence(envelope: &EnvelopeType, field: &Field, direction: Direction) -> Presence {
    let said = if field.required {
        Presence::Required
    } else {
        Presence::Optional
    };
    match (direction, field.side) {
        (Direction::ClientToServer, Side::Client) => said,
        (Direction::ClientToServer, Side::Stamped) => Presence::Optional,
        (Direction::ClientToServer, Side::Server) => Presence::Absent,
        // The validator adds an implied server id before the envelope is relayed.
        (Direction::ServerToClient, Side::Client)
            if field.name == "serverId" && envelope.routing == Routing::Server =>
        {
            Presence::Required
        }
        (Direction::ServerToClient, _) => said,
    }
}

/// Whether a type may have members that the server relays without checking them.
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
