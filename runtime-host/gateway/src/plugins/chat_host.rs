//! The gateway as the plugin host calls it.

use crate::{hub::Hub, room::Room};
use limits::dispatch::{SERVERS_PER_PAGE_MAX, USERS_PER_PAGE_MAX};
use plugin_bus::{
    Actor, ChatHost, NotHere, OpenServer, Outcome, OutgoingMessage, PluginHost, PublishError,
    RosterPage, Sending, Ticket,
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

    fn room(&self, asks: Actor<'_>, server_id: &str) -> Result<Arc<Room>, NotHere> {
        let hub = self.0.upgrade().ok_or(NotHere::NotOpen)?;
        hub.room_for(asks, server_id)
    }
}

impl ChatHost for LiveChatHost {
    fn send(&self, message: OutgoingMessage) -> Sending<'_> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(hub) => hub.publish(&message).await,
                None => Err(PublishError::Busy),
            }
        })
    }

    fn decided(&self, ticket: Ticket, outcome: Outcome) {
        if let Some(hub) = self.0.upgrade() {
            hub.decided(ticket, outcome);
        }
    }

    /// In the order of joining, except that a member that leaves is replaced by the last one.
    fn roster(
        &self,
        asks: Actor<'_>,
        server_id: &str,
        offset: usize,
        people_max: usize,
    ) -> Result<RosterPage, NotHere> {
        let room = self.room(asks, server_id)?;
        Ok(room.roster_page(offset, people_max.min(USERS_PER_PAGE_MAX)))
    }

    fn open_servers(&self, asks: Actor<'_>) -> Vec<OpenServer> {
        let Some(hub) = self.0.upgrade() else {
            return Vec::new();
        };
        let admits = |room: &Room| room.view().plugins.admit(asks).is_ok();
        let rooms = hub.rooms.first(SERVERS_PER_PAGE_MAX, admits);
        let open_server = |room: &Arc<Room>| OpenServer {
            server_id: room.server_id.clone(),
            revision: room.revision(),
            people: room.member_count(),
        };
        rooms.iter().map(open_server).collect()
    }

    fn recent_channels(&self, asks: Actor<'_>, server_id: &str) -> Result<Vec<Box<str>>, NotHere> {
        Ok(self.room(asks, server_id)?.recent_channels())
    }
}

impl Hub {
    /// The room of a server for a plugin that is to act there.
    ///
    /// # Errors
    /// The server is not open, or the plugin does not act there.
    pub(super) fn room_for(&self, actor: Actor<'_>, server_id: &str) -> Result<Arc<Room>, NotHere> {
        let room = self.rooms.get(server_id).ok_or(NotHere::NotOpen)?;
        room.view().plugins.admit(actor)?;
        Ok(room)
    }

    /// Connects the plugin host; once, before the first socket. False if one was connected before.
    pub fn set_plugins(&self, plugins: Arc<dyn PluginHost>) -> bool {
        self.plugins.connect(plugins)
    }
}
