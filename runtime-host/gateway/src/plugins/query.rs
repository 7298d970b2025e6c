//! The gateway as the plugin host calls it.

use crate::{hub::Hub, room::Room};
use bytes::Bytes;
use limits::dispatch::{SERVERS_PER_PAGE_MAX, USERS_PER_PAGE_MAX};
use plugin_bus::{
    ChatHost, OpenServer, Outcome, OutgoingMessage, PluginHost, PublishError, RosterPage, Sending,
    Ticket,
};
use std::sync::{Arc, Weak};

/// The hub for the plugin host. The reference is weak: hub and plugin host refer to each other, and one direction must
/// not keep the other alive.
#[derive(Debug)]
pub struct LiveChatHost(Weak<Hub>);

impl LiveChatHost {
    /// A handle to this hub.
    #[must_use]
    pub fn new(hub: &Arc<Hub>) -> Self {
        Self(Arc::downgrade(hub))
    }
}

impl ChatHost for LiveChatHost {
    fn send(&self, message: OutgoingMessage) -> Sending<'_> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(hub) => hub.send(&message).await,
                None => Err(PublishError::Busy),
            }
        })
    }

    fn decided(&self, ticket: Ticket, outcome: Outcome) {
        if let Some(hub) = self.0.upgrade() {
            hub.decided(ticket, outcome);
        }
    }

    fn roster(&self, server_id: &str, offset: usize, people_max: usize) -> Option<RosterPage> {
        self.0.upgrade()?.roster(server_id, offset, people_max)
    }

    fn open_servers(&self) -> Vec<OpenServer> {
        let hub = self.0.upgrade();
        hub.map(|hub| hub.open_servers()).unwrap_or_default()
    }

    fn recent_channels(&self, server_id: &str) -> Option<Vec<Box<str>>> {
        self.0.upgrade()?.recent_channels(server_id)
    }
}

impl Hub {
    /// Connects the plugin host; once, before the first socket. False if one was connected before.
    pub fn set_plugins(&self, plugins: Arc<dyn PluginHost>) -> bool {
        self.plugins.connect(plugins)
    }

    /// Members of a server: `people_max`, at most [`USERS_PER_PAGE_MAX`], from `offset` on, in the order of joining,
    /// except that a member that leaves is replaced by the last one. `None` when no connection is on the server.
    #[must_use]
    pub fn roster(&self, server_id: &str, offset: usize, people_max: usize) -> Option<RosterPage> {
        Some(
            self.rooms
                .get(server_id)?
                .roster_page(offset, people_max.min(USERS_PER_PAGE_MAX)),
        )
    }

    /// A server with at least one connection.
    #[must_use]
    pub fn open_server(&self, server_id: &str) -> Option<OpenServer> {
        self.rooms.get(server_id).map(|room| summary(&room))
    }

    /// Servers with at least one connection, at most [`SERVERS_PER_PAGE_MAX`], in no order.
    #[must_use]
    pub fn open_servers(&self) -> Vec<OpenServer> {
        self.rooms
            .first(SERVERS_PER_PAGE_MAX)
            .iter()
            .map(summary)
            .collect()
    }

    /// Channels named by recent chat messages on a server, newest first; recorded while
    /// [`Topic::Channels`](plugin_bus::Topic::Channels) has a listener. `None` when no connection is on the server.
    #[must_use]
    pub fn recent_channels(&self, server_id: &str) -> Option<Vec<Box<str>>> {
        self.rooms.get(server_id).map(|room| room.recent_channels())
    }

    /// The `plugin_requirements` envelope of a server. `None` when no connection is on the server, or it was deleted.
    #[must_use]
    pub fn requirements(&self, server_id: &str) -> Option<Bytes> {
        let view = self.rooms.get(server_id)?.view();
        (!view.gone).then(|| crate::frame::payload(&view.requirements))
    }
}

fn summary(room: &Arc<Room>) -> OpenServer {
    OpenServer {
        server_id: room.server_id.clone(),
        revision: room.revision(),
        people: room.member_count(),
    }
}
