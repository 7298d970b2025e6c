//! The types between the validator chain and the gateway: the Rust counterpart of `wit/judge.wit`.
//!
//! The chain decides, the gateway acts: it checks every effect against limits and live state before it performs it.

use identifiers::{EventName, PluginId, ServerId, UserId};
pub use server_state::{EventDirection, EventScope};

/// What a component of the chain gets to know besides the envelope. Built by the gateway for each envelope.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Wall clock, milliseconds since 1970. Components of the chain have no clock of their own.
    pub now_ms: u64,
    /// The connection's id, a UUID.
    pub connection_id: &'a str,
    /// The connection's identity; `None` before `identify`.
    pub user_id: Option<&'a str>,
    /// The identity's display name; empty before `identify`.
    pub display_name: &'a str,
    /// The server this envelope is about: named in it, or implied (see `server_implied`).
    pub server_id: Option<&'a str>,
    /// The envelope names no server, and `server_id` is the sole joined (else the sole viewed) one.
    pub server_implied: bool,
    /// Newest revision of that server's definitions known to the host. A component that has older ones answers
    /// [`Verdict::NeedSnapshot`].
    pub server_revision: u64,
    /// The connection's membership of that server.
    pub membership: Membership,
}

/// A connection's membership of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Membership {
    /// Neither joined nor viewing.
    #[default]
    None,
    /// Viewing: gets roster and plugin requirements, no content.
    Viewing,
    /// Joined.
    Joined,
}

/// The answer of a component of the chain about one envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No objection: the next component is asked. Only filters may answer so.
    Pass,
    /// Like `Pass`, and the envelope continues as these bytes.
    Rewrite(Vec<u8>),
    /// The envelope is legal: patch it and perform the effects. Only the validator may answer so.
    Route(Decision),
    /// The envelope ends here; the sender gets the reply.
    Refuse(Refusal),
    /// The definitions of this server in the wanted revision are missing: deliver them and ask again.
    NeedSnapshot(String),
    /// Undecided: the connection pauses, and the chain is asked about the same envelope again. The component numbers its
    /// pending decisions for the log.
    Later(u64),
}

/// What is done with a legal envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Changes to the envelope's bytes before it is sent on, ordered by offset, not overlapping.
    pub patches: Vec<Patch>,
    /// What to do, in order.
    pub effects: Vec<Effect>,
}

/// Replace `remove` bytes at `offset` of the original envelope by `insert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Byte offset into the original envelope.
    pub offset: u32,
    /// Number of original bytes that are replaced.
    pub remove: u32,
    /// The bytes that replace them.
    pub insert: Vec<u8>,
}

/// One thing for the host to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Take this identity. The gateway verifies its proof where the identity mode requires one.
    Identify(Identify),
    /// Answer a keepalive.
    Keepalive,
    /// Set the connection's status and send it to every joined server.
    SetStatus(Status),
    /// Authorize and join.
    Join(Access),
    /// Authorize and view.
    View(Access),
    /// Leave this server.
    Leave(String),
    /// Send the patched envelope to every other connection that joined this server.
    Broadcast(String),
    /// Send the patched envelope to the connections of this identity that joined this server (plugin events of scope
    /// `user`).
    SendToMember {
        /// The server.
        server_id: String,
        /// The identity.
        user_id: String,
    },
    /// Send the patched envelope to joined connections that declared this plugin, or to all where none did.
    SendToPlugin {
        /// The server.
        server_id: String,
        /// The plugin.
        plugin_id: String,
    },
    /// Forward the patched envelope to this identity, if the forwarding rule allows it.
    Forward {
        /// The identity.
        user_id: String,
        /// Which rule applies.
        class: ForwardClass,
    },
    /// Record that this identity offers a server's icon in this version.
    IconAvailable {
        /// The server.
        server_id: String,
        /// The version, milliseconds since 1970.
        updated_at: u64,
    },
    /// Send the sender the members that offer a newer icon than this version.
    IconPeers {
        /// The server.
        server_id: String,
        /// The version the sender has; 0 when it has none.
        updated_at: u64,
    },
}

/// The forwarding rule of an envelope (`docs/concepts/envelopes.md`, "Forwarding rules").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardClass {
    /// A call offer: to the newest connection that shares a server with the sender.
    Offer,
    /// Answers and ICE candidates: back to the connection that the partner's last signalling came from.
    Reply,
    /// Direct messages and calls: to any identity, within rates and block lists; where the host is configured so, only
    /// with a shared server or earlier contact.
    Direct,
    /// Icon transfers: need a shared server or earlier contact.
    Icon,
}

/// The `identify` envelope, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identify {
    /// The claimed identity; the host makes a UUID where it is missing.
    pub user_id: Option<String>,
    /// Display name; the host makes one where it is empty.
    pub display_name: String,
    /// Usually the signalling URL; distinguishes several connections of one identity.
    pub connection_scope: Option<String>,
    /// Profile text.
    pub description: Option<String>,
    /// Version of the profile as sent: the raw JSON of a number or ISO text.
    pub profile_updated_at: Option<String>,
    /// JSON Web Token that proves the identity.
    pub token: Option<String>,
    /// Ed25519 public key, base64url, and the proof made with it.
    pub key: Option<String>,
    /// Signature, base64url.
    pub proof: Option<String>,
    /// Bind `key` to the identity, which needs proof from then on.
    pub lock: bool,
    /// Plugins that the client declares, by id and version; `None` when it declares none.
    pub plugins: Option<Vec<(String, String)>>,
    /// Features that the client understands: `errors`, `roster-paging`, …
    pub features: Vec<String>,
}

/// A request to join or view a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The server.
    pub server_id: String,
    /// Password for a server that has one.
    pub password: Option<String>,
    /// Invite token.
    pub invite: Option<String>,
    /// First roster entry wanted by a client that pages rosters.
    pub roster_offset: u32,
}

/// Presence, the most available last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Status {
    /// `offline`: connected but invisible by choice.
    Offline,
    /// `busy`
    Busy,
    /// `away`
    Away,
    /// `online`
    #[default]
    Online,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }

    /// Reads the word on the wire.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Online, Self::Away, Self::Busy, Self::Offline]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// A refusal: its code, and the complete envelope (`error`, `plugin_error` or `access_denied`) for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of the codes in [`crate::reply::code`], or a filter's own.
    pub code: String,
    /// JSON of the answer to the sender.
    pub reply: Vec<u8>,
}

/// The definitions of one server, as the validator needs them for its plugin events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The server.
    pub server_id: String,
    /// Its revision; grows with every change.
    pub revision: u64,
    /// Plugin requirements.
    pub requirements: Vec<Requirement>,
    /// Event definitions.
    pub definitions: Vec<Definition>,
}

/// A plugin requirement, as far as the validator needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The plugin.
    pub plugin_id: PluginId,
    /// Status `blocked` or `incompatible`: its events are refused with `PLUGIN_BLOCKED`.
    pub blocked: bool,
    /// Whether the stored manifest declares `events.server.publish`; `None` without a manifest.
    pub publishes: Option<bool>,
    /// The plugin's own identity (`pluginUser.id`), besides `plugin:<pluginId>`.
    pub plugin_user_id: Option<String>,
}

/// A registered plugin event.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The plugin.
    pub plugin_id: PluginId,
    /// The event.
    pub event_name: EventName,
    /// Which side may send it.
    pub direction: EventDirection,
    /// Its receivers.
    pub scope: EventScope,
    /// JSON Schema text; `None` when the payload is free.
    pub schema: Option<String>,
    /// Largest payload, bytes of compact JSON.
    pub payload_bytes_max: u32,
}

/// Decides about envelopes: a chain of sandboxed components, or the native function in tests.
///
/// One instance serves one thread. It keeps the definitions it was given and no other state.
pub trait Validator: Send {
    /// Decides about one envelope.
    ///
    /// # Errors
    /// A component trapped, exceeded its deadline or broke the contract. The sender gets `INTERNAL`; the next call
    /// works.
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Verdict, ValidatorError>;

    /// Replaces the definitions of one server.
    ///
    /// # Errors
    /// As [`Validator::validate`].
    fn update_definitions(&mut self, snapshot: &Snapshot) -> Result<(), ValidatorError>;
}

/// A component of the chain failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorError {
    /// It ran longer than its deadline.
    #[error("component '{component}' exceeded its deadline")]
    Deadline {
        /// Which component of the chain.
        component: String,
    },
    /// It trapped.
    #[error("component '{component}' trapped: {reason}")]
    Trap {
        /// Which component of the chain.
        component: String,
        /// The trap.
        reason: String,
    },
    /// Its answer is not allowed at its place in the chain.
    #[error("component '{component}' broke the contract: {reason}")]
    Contract {
        /// Which component of the chain.
        component: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// Applies `patches` to `original`; `None` when a patch lies outside the envelope, overlaps another or is out of order.
#[must_use]
pub fn apply(original: &[u8], patches: &[Patch]) -> Option<Vec<u8>> {
    let grown = patches
        .iter()
        .map(|patch| patch.insert.len())
        .sum::<usize>();
    let mut out = Vec::with_capacity(original.len() + grown);
    let mut at = 0;
    for patch in patches {
        let (offset, end) = (
            patch.offset as usize,
            (patch.offset as usize).checked_add(patch.remove as usize)?,
        );
        out.extend_from_slice(original.get(at..offset)?);
        out.extend_from_slice(&patch.insert);
        original.get(offset..end)?;
        at = end;
    }
    out.extend_from_slice(original.get(at..)?);
    Some(out)
}

/// Parses a server id out of a verdict.
#[must_use]
pub fn server(text: &str) -> Option<ServerId> {
    ServerId::new(text).ok()
}

/// Parses an identity out of a verdict.
#[must_use]
pub fn user(text: &str) -> Option<UserId> {
    UserId::new(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{Patch, apply};

    fn patch(offset: u32, remove: u32, insert: &str) -> Patch {
        Patch {
            offset,
            remove,
            insert: insert.into(),
        }
    }

    #[test]
    fn patches_replace_insert_and_remove() {
        let out = apply(
            b"abcdef",
            &[patch(0, 0, "<"), patch(1, 2, "XY"), patch(6, 0, ">")],
        );
        assert_eq!(out.as_deref(), Some(&b"<aXYdef>"[..]));
    }

    #[test]
    fn patches_outside_or_out_of_order_are_refused() {
        assert_eq!(apply(b"abc", &[patch(4, 0, "x")]), None);
        assert_eq!(apply(b"abc", &[patch(2, 2, "x")]), None);
        assert_eq!(apply(b"abc", &[patch(2, 1, "x"), patch(1, 0, "y")]), None);
        assert_eq!(apply(b"abc", &[patch(u32::MAX, u32::MAX, "x")]), None);
    }
}
