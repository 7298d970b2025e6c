//! The vocabulary between whoever judges an envelope and whoever acts on it: the Rust twin of `wit/judge.wit`.
//!
//! Judges decide, the host acts: every effect is checked against limits and live state before it is performed.

use identifiers::{EventName, PluginId, ServerId, UserId};

/// What a judge may know about the connection and the moment. Built by the host for each envelope.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Wall clock, milliseconds since 1970. Judges have no clock of their own.
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
    /// Newest revision of that server's definitions known to the host. A judge that learned an older one answers [`Verdict::NeedSnapshot`].
    pub server_revision: u64,
    /// What the connection is to that server.
    pub membership: Membership,
}

/// What a connection is to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Membership {
    /// Neither joined nor viewing.
    #[default]
    None,
    /// Viewing (W16): sees roster and requirements, gets no content.
    Viewing,
    /// Joined (W14).
    Joined,
}

/// A judge's answer about one envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it: the next judge of the chain is asked. The last judge never passes.
    Pass,
    /// As `Pass`, but the envelope goes on in these bytes.
    Rewrite(Vec<u8>),
    /// The envelope is legal: patch it and perform the effects. Only the last judge of the chain may say so.
    Route(Decision),
    /// The envelope goes no further; the sender is told.
    Refuse(Refusal),
    /// The judge has not learned this server's definitions in the wanted revision; teach it and ask again.
    NeedSnapshot(String),
    /// Undecided: the connection pauses, and the chain is asked about the same envelope again. The number is for the log.
    Later(u64),
}

/// What happens with a legal envelope.
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
    /// How many original bytes go.
    pub remove: u32,
    /// What stands there instead.
    pub insert: Vec<u8>,
}

/// One thing for the host to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Take this identity (W3). The host proves it where the identity mode asks for proof.
    Identify(Identify),
    /// Answer a keepalive (W9, D10).
    Keepalive,
    /// Set the connection's status and tell every joined server (W20).
    SetStatus(Status),
    /// Authorize and join (W14).
    Join(Access),
    /// Authorize and view (W16).
    View(Access),
    /// Leave (W17).
    Leave(String),
    /// Send the patched envelope to every other connection that joined this server (D5).
    Broadcast(String),
    /// Send the patched envelope to the connections of this identity that joined this server (plugin events of scope `user`).
    SendToMember {
        /// The server.
        server_id: String,
        /// The identity.
        user_id: String,
    },
    /// Send the patched envelope to joined connections that declared this plugin, or to all where none did (decision: scopes).
    SendToPlugin {
        /// The server.
        server_id: String,
        /// The plugin.
        plugin_id: String,
    },
    /// Forward the patched envelope to this identity, if the forwarding rule lets it (D8, D13).
    Forward {
        /// The identity.
        user_id: String,
        /// Which rule applies.
        class: ForwardClass,
    },
    /// Remember that this identity offers a server's icon in this version (W29).
    IconAvailable {
        /// The server.
        server_id: String,
        /// The version, milliseconds since 1970.
        updated_at: u64,
    },
    /// Tell the sender which members offer a newer icon than this version (W29).
    IconPeers {
        /// The server.
        server_id: String,
        /// The version the sender has; 0 when it has none.
        updated_at: u64,
    },
}

/// Which forwarding rule an envelope falls under (D8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardClass {
    /// A call offer: newest connection that shares a server with the sender (D13).
    Offer,
    /// Answers and ICE candidates: back to the connection the offer came from (D13).
    Reply,
    /// Direct messages and calls: to anyone, within rates and block lists.
    Direct,
    /// Icon transfers: need a shared server.
    Icon,
}

/// The `identify` envelope, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identify {
    /// The claimed identity; the host makes a UUID where it is missing.
    pub user_id: Option<String>,
    /// Display name; the host makes one where it is empty.
    pub display_name: String,
    /// Usually the signalling URL; tells several connections of one identity apart (W7).
    pub connection_scope: Option<String>,
    /// Profile text.
    pub description: Option<String>,
    /// Version of the profile as sent: the raw JSON of a number or ISO text.
    pub profile_updated_at: Option<String>,
    /// JSON Web Token that proves the identity.
    pub token: Option<String>,
    /// Ed25519 public key, base64url, and the proof made with it (decision: identity).
    pub key: Option<String>,
    /// Signature, base64url.
    pub proof: Option<String>,
    /// Bind `key` to the identity, so that it needs proof from now on (D7).
    pub lock: bool,
    /// Plugins the client has, by id and version; `None` when it does not say (D11).
    pub plugins: Option<Vec<(String, String)>>,
    /// Extra features the client understands: `errors`, `roster-paging`, …
    pub features: Vec<String>,
}

/// A wish to join or view a server.
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

/// Presence (W20), most available last.
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

/// A refusal: a code for counters and the complete envelope (`error`, `plugin_error` or `access_denied`) that tells the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of the codes of requirements 6.E, or an operator component's own.
    pub code: String,
    /// JSON of the answer to the sender.
    pub reply: Vec<u8>,
}

/// What a judge learns about one server before it judges that server's plugin events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The server.
    pub server_id: String,
    /// Its revision; grows with every change.
    pub revision: u64,
    /// Requirements (T42), as far as judging needs them.
    pub requirements: Vec<Requirement>,
    /// Event definitions (T44).
    pub definitions: Vec<Definition>,
}

/// A plugin requirement, as far as judging needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The plugin.
    pub plugin_id: PluginId,
    /// Status `blocked` or `incompatible`: its events are refused with `PLUGIN_BLOCKED`.
    pub blocked: bool,
    /// Whether the stored manifest declares `events.server.publish`; `None` without a manifest (decision: stored manifest).
    pub publishes: Option<bool>,
    /// The synthetic identity of the plugin (`pluginUser.id`), besides `plugin:<pluginId>` (D9).
    pub plugin_user_id: Option<String>,
}

/// A registered plugin event (T44).
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The plugin.
    pub plugin_id: PluginId,
    /// The event.
    pub event_name: EventName,
    /// Who may send it.
    pub direction: EventDirection,
    /// Whom it reaches.
    pub scope: EventScope,
    /// JSON Schema text; `None` when the payload is free.
    pub schema: Option<String>,
    /// Largest payload, bytes of compact JSON.
    pub payload_bytes_max: u32,
}

/// `direction` of an event definition (T15, T53).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDirection {
    /// From clients, seen by a server-side component first.
    ClientToServer,
    /// Relayed between clients.
    ServerRelay,
    /// Peer to peer only: refused over the WebSocket.
    P2pHint,
}

/// `scope` of an event definition (T57, decision: scopes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventScope {
    /// All joined members.
    Server,
    /// All joined members; `channelId` is required.
    Channel,
    /// The connections of `targetUserId`, where it is named.
    User,
    /// Connections that declared the plugin, or all.
    Plugin,
}

/// Whoever judges envelopes: the validator in a sandbox, a chain of components, or a native twin in tests.
///
/// One instance serves one thread; it may keep what it learned and nothing else.
pub trait Validator: Send {
    /// Judges one envelope. Never panics: a failure inside is [`ValidatorError`].
    ///
    /// # Errors
    /// The judge trapped or ran out of time; the sender gets `INTERNAL`, and the next call works.
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Verdict, ValidatorError>;

    /// Takes the definitions of one server, replacing older ones.
    ///
    /// # Errors
    /// As [`Validator::validate`].
    fn update_definitions(&mut self, snapshot: &Snapshot) -> Result<(), ValidatorError>;
}

/// A judge failed.
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
    /// It answered something that its place in the chain does not allow.
    #[error("component '{component}' broke the contract: {reason}")]
    Contract {
        /// Which component of the chain.
        component: String,
        /// What it did.
        reason: String,
    },
}

/// Applies `patches` to `original`.
///
/// # Errors
/// `None` when a patch lies outside the envelope, overlaps another or is out of order: the judge broke its contract.
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

/// A server the host may act on; the check of a judge's text happens once, here.
#[must_use]
pub fn server(text: &str) -> Option<ServerId> {
    ServerId::new(text).ok()
}

/// An identity the host may act on.
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
