//! Envelopes on their way to plugins, and the decisions that come back.

use crate::ServerPlugins;
use bytes::Bytes;
use limits::dispatch::DECISION_MARGIN_MS;
use std::{fmt, sync::Arc};

/// What plugins can listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Topic {
    /// Chat messages.
    Chat = 0,
    /// Plugin events.
    PluginEvent = 1,
    /// Channel names in chat messages, kept for [`ChatHost::recent_channels`](crate::ChatHost::recent_channels).
    Channels = 2,
}

impl Topic {
    /// The topic as one bit of a set of topics.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What plugins want of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing.
    None,
    /// A copy; the envelope is sent at once.
    Inform,
    /// A decision: the envelope and everything its connection sends later wait for it.
    Decide,
}

/// A validated envelope, as far as plugins' interest can depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What the chat server says about plugins.
    pub plugins: &'a ServerPlugins,
    /// What kind of envelope it is.
    pub kind: SubjectKind<'a>,
}

/// The kind of a [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind<'a> {
    /// `chat_message`
    Chat,
    /// `plugin_event`
    PluginEvent {
        /// The plugin that defines the event.
        plugin_id: &'a str,
        /// The event.
        event_name: &'a str,
        /// A client sent the event and its direction is `clientToServer`: the plugin decides about it before it is
        /// sent.
        client_to_server: bool,
    },
}

/// The kind of an [`Offer`]; [`SubjectKind`] with owned names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferKind {
    /// `chat_message`
    Chat,
    /// `plugin_event`
    PluginEvent {
        /// The plugin that defines the event.
        plugin_id: Arc<str>,
        /// The event.
        event_name: Arc<str>,
        /// As in [`SubjectKind::PluginEvent`].
        client_to_server: bool,
    },
}

impl OfferKind {
    /// The topic under which plugins listen to this kind.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::Chat => Topic::Chat,
            Self::PluginEvent { .. } => Topic::PluginEvent,
        }
    }

    /// The same, borrowed.
    #[must_use]
    pub fn as_subject(&self) -> SubjectKind<'_> {
        match self {
            Self::Chat => SubjectKind::Chat,
            Self::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => SubjectKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server: *client_to_server,
            },
        }
    }
}

impl From<SubjectKind<'_>> for OfferKind {
    fn from(kind: SubjectKind<'_>) -> Self {
        match kind {
            SubjectKind::Chat => Self::Chat,
            SubjectKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => Self::PluginEvent {
                plugin_id: plugin_id.into(),
                event_name: event_name.into(),
                client_to_server,
            },
        }
    }
}

/// Identifies one decision that the gateway waits for. Opaque to the plugin host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Asks for a decision about the offered envelope, which the gateway holds back until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionRequest {
    /// Names the request in [`ChatHost::decided`](crate::ChatHost::decided).
    pub ticket: Ticket,
    /// Milliseconds after which the gateway refuses the envelope by itself.
    pub limit_ms: u32,
}

impl DecisionRequest {
    /// Milliseconds that plugins have: less than the gateway's limit by [`DECISION_MARGIN_MS`], and never less than
    /// half of it.
    #[must_use]
    pub fn plugins_ms(&self) -> u64 {
        let limit_ms = u64::from(self.limit_ms);
        limit_ms - DECISION_MARGIN_MS.min(limit_ms / 2)
    }
}

/// An envelope for plugins.
#[derive(Clone)]
pub struct Offer {
    /// The chat server.
    pub server_id: Arc<str>,
    /// What it says about plugins.
    pub plugins: Arc<ServerPlugins>,
    /// What kind of envelope it is.
    pub kind: OfferKind,
    /// The envelope as its receivers get it: validated and stamped.
    pub envelope: Bytes,
    /// The user that sent it; the plugin's own user when a plugin did.
    pub sender_id: Arc<str>,
    /// The sender's display name.
    pub sender_name: Arc<str>,
    /// The plugin that sent it, if a plugin did.
    pub author: Option<Arc<str>>,
    /// Set if the envelope waits for a decision; otherwise it has been sent already.
    pub decision: Option<DecisionRequest>,
    /// How many acts of plugins, each caused by the one before, led to this envelope. An act of a plugin in answer to
    /// it carries the number on.
    pub hops: u8,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the envelope: message contents do not belong in logs.
        f.debug_struct("Offer")
            .field("server_id", &self.server_id)
            .field("kind", &self.kind)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

/// What plugins decided about an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The envelope is sent as it is.
    Relay,
    /// The envelope is replaced by these bytes: a whole envelope of the same type, server, plugin and event. It is
    /// validated and stamped again as if its sender had sent it; if that refuses it, nothing is sent and the sender
    /// gets `INTERNAL`.
    Rewrite(Bytes),
    /// The envelope is dropped without an answer to the sender.
    Consume,
    /// The envelope is dropped, and the sender gets an error.
    Refuse {
        /// `[A-Z0-9_]{1,64}`; anything else is replaced by `PLUGIN_REFUSED`.
        code: String,
        /// For users; cut to [`REASON_CHARS_MAX`](limits::dispatch::REASON_CHARS_MAX).
        message: String,
    },
    /// The plugins could not decide. The envelope is dropped, and the sender gets `PLUGIN_UNAVAILABLE` with a time to
    /// try again.
    Failed,
}

impl Outcome {
    /// A label for counters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Rewrite(_) => "rewrite",
            Self::Consume => "consume",
            Self::Refuse { .. } => "refuse",
            Self::Failed => "failed",
        }
    }
}
