//! Envelopes that plugins send.

use crate::{Actor, Reach};
use std::sync::Arc;

/// A plugin as the sender of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSender {
    /// The plugin.
    pub plugin_id: Arc<str>,
    /// The id of the manifest's `pluginUser`; `plugin:<pluginId>` if there is none.
    pub plugin_user_id: Option<Arc<str>>,
    /// The name shown to users; the plugin's id if it is empty.
    pub display_name: Arc<str>,
    /// Where the operator lets it act.
    pub reach: Reach,
    /// Hops of the envelope that the plugin reacts to; 0 if it acts by itself.
    pub hops: u8,
}

impl PluginSender {
    /// The plugin that is to act.
    #[must_use]
    pub fn actor(&self) -> Actor<'_> {
        Actor {
            plugin_id: &self.plugin_id,
            reach: self.reach,
        }
    }
}

/// An envelope that a plugin sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The sender.
    pub sender: PluginSender,
    /// The chat server.
    pub server_id: String,
    /// The channel; required by events of scope `channel`.
    pub channel_id: Option<String>,
    /// The content.
    pub body: OutgoingBody,
}

/// The content of an [`OutgoingMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingBody {
    /// A chat message.
    Chat {
        /// The text.
        text: String,
    },
    /// An event of the plugin. The event's definition sets its scope, size and schema.
    Event {
        /// The event's name.
        event_name: String,
        /// The payload as JSON text.
        payload: String,
        /// The receiver, for events of scope `user`.
        target_user_id: Option<String>,
    },
}
