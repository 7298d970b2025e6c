//! The door between the gateway and whoever runs plugins: what is offered, and what may come back.
//!
//! What it is not: a plugin host. The gateway knows no engine and no grants; it asks what is wanted of an envelope that its judges let pass,
//! hands a copy over, and performs the answer. Invariant: no call through this door waits, and where nobody listens an envelope costs one
//! atomic load and one bit test (J10).

use bytes::Bytes;
use std::{fmt, sync::Arc};

pub use crate::hub::ConnRef;

/// What plugins can listen to, each a bit for whoever answers [`Plugins::listens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Topic {
    /// Chat messages.
    Chat = 0,
    /// Plugin events.
    PluginEvent = 1,
    /// The channels that chat messages name: they are remembered while some plugin may ask for them.
    Channels = 2,
}

/// What plugins want of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing.
    None,
    /// A copy of it; it goes on to its receivers at once.
    Inform,
    /// To decide about it: it waits, and with it everything that its connection sends later.
    Decide,
}

/// An envelope that passed its judges, as far as the interest in it may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The chat server.
    pub server_id: &'a str,
    /// What it is.
    pub kind: SubjectKind<'a>,
}

/// What an envelope is about.
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
        /// A client sent it, and the event's direction is `clientToServer`: a plugin of this id sees it first (requirements 7.7, number 9).
        client_to_server: bool,
    },
}

/// What an offered envelope is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferedKind {
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

impl OfferedKind {
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

impl From<SubjectKind<'_>> for OfferedKind {
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

/// A question that the gateway waits for; answered by [`Hub::decided`](crate::Hub::decided).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The connection that waits.
    pub conn: ConnRef,
    /// Names the question among those of its shard.
    pub ticket: u64,
}

/// An envelope for plugins.
#[derive(Clone)]
pub struct Offered {
    /// The chat server.
    pub server_id: Arc<str>,
    /// What it is.
    pub kind: OfferedKind,
    /// The envelope as its receivers get it: judged and stamped.
    pub envelope: Bytes,
    /// The identity that sent it; a plugin's own when a plugin did.
    pub sender_id: Arc<str>,
    /// The sender's display name.
    pub sender_name: Arc<str>,
    /// The plugin that sent it, when a plugin did.
    pub author: Option<Arc<str>>,
    /// Set where the envelope waits for a decision. Without it the envelope has been sent already.
    pub ask: Option<Ask>,
    /// How many acts of plugins led to this envelope, one after the other; what a plugin does about it carries this number on.
    pub hops: u8,
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the envelope: what people write does not belong into logs.
        f.debug_struct("Offered")
            .field("server_id", &self.server_id)
            .field("kind", &self.kind)
            .field("ask", &self.ask)
            .finish_non_exhaustive()
    }
}

/// What plugins decided about an envelope. Whether a plugin that failed lets envelopes pass is settled before: then it says `Relay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on as it is.
    Relay,
    /// It goes on in these bytes: a whole envelope of the same type, server, plugin and event. It is judged once more, as if the sender had
    /// sent it, and stamped anew; what the judges refuse is not sent, and its sender is told `INTERNAL`.
    Rewrite(Bytes),
    /// It ends here; the sender is told nothing.
    Consume,
    /// It ends here, and the sender is told.
    Refuse {
        /// `[A-Z0-9_]{1,64}`; anything else becomes `PLUGIN_REFUSED`.
        code: String,
        /// For people; cut to [`REASON_CHARS_MAX`](limits::dispatch::REASON_CHARS_MAX).
        message: String,
    },
    /// Nobody could decide. It ends here, and the sender is told to try again.
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

/// Who runs plugins. Called by the threads that own the sockets: no call may wait.
pub trait Plugins: Send + Sync + fmt::Debug {
    /// Whether anybody listens to a topic, on any server: one atomic load and one bit test (J10). What this denies is not even looked at.
    fn listens(&self, topic: Topic) -> bool {
        let _ = topic;
        true
    }

    /// What plugins want of an envelope. Asked for each that [`Plugins::listens`] is true of.
    fn interest(&self, subject: &Subject<'_>) -> Interest;

    /// Hands an envelope over; whether there was room for it. Where it carries an [`Ask`] and there was room, exactly one
    /// [`Hub::decided`](crate::Hub::decided) is due; where there was none, its sender is told to try again. Whoever decides also informs
    /// those who only listen.
    fn offer(&self, offered: Offered) -> bool;

    /// The requirements or event definitions of a server with somebody present changed; `snapshot` is the envelope `plugin_requirements`
    /// (T48).
    fn requirements_changed(&self, server_id: &Arc<str>, snapshot: &Bytes) {
        let _ = (server_id, snapshot);
    }

    /// The last connection has left a server: what was kept for it alone may go. Somebody may be there again by the time this is heard;
    /// [`Hub::open_server`](crate::Hub::open_server) knows.
    fn server_closed(&self, server_id: &Arc<str>) {
        let _ = server_id;
    }
}
