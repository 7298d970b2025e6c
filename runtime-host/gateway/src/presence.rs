//! What plugins may ask about chat servers: who is there, which channels were used lately, what is required.
//!
//! What it is not: stored. It is read from the live state, so a server without anybody present is unknown here. Every answer is bounded.

use crate::{hub::Hub, plugins::Plugins, room::Room};
use bytes::Bytes;
use envelope::verdict::Status;
use limits::dispatch::{SERVERS_PER_PAGE_MAX, USERS_PER_PAGE_MAX};
use std::sync::Arc;

/// Somebody on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Identity.
    pub user_id: Arc<str>,
    /// Display name.
    pub display_name: Arc<str>,
    /// Presence, the most available of the identity's devices.
    pub status: Status,
    /// Whether the identity was proven.
    pub verified: bool,
}

/// A part of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// From the wanted position on.
    pub people: Vec<Person>,
    /// How many there are.
    pub total: usize,
}

/// A chat server with somebody present or looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenServer {
    /// The server.
    pub server_id: Arc<str>,
    /// Revision of its requirements and definitions.
    pub revision: u64,
    /// Identities that have joined.
    pub people: usize,
}

impl Hub {
    /// Connects those who run plugins. Once, before the first socket; whether it was the first time.
    pub fn set_plugins(&self, plugins: Arc<dyn Plugins>) -> bool {
        self.plugins.set(plugins).is_ok()
    }

    /// People on a server, `people_max` (at most [`USERS_PER_PAGE_MAX`]) from `offset` on, in the order of coming apart from those who took
    /// the place of one who left. `None` when nobody is there.
    #[must_use]
    pub fn roster(&self, server_id: &str, offset: usize, people_max: usize) -> Option<People> {
        Some(
            self.room(server_id)?
                .people(offset, people_max.min(USERS_PER_PAGE_MAX)),
        )
    }

    /// A server with somebody present.
    #[must_use]
    pub fn open_server(&self, server_id: &str) -> Option<OpenServer> {
        self.room(server_id).map(|room| summary(&room))
    }

    /// Servers with somebody present, at most [`SERVERS_PER_PAGE_MAX`], in no order.
    #[must_use]
    pub fn open_server_list(&self) -> Vec<OpenServer> {
        self.first_rooms(SERVERS_PER_PAGE_MAX)
            .iter()
            .map(summary)
            .collect()
    }

    /// Channels that chat messages on a server named lately, newest first; remembered while
    /// [`Topic::Channels`](crate::plugins::Topic::Channels) is listened to. `None` when nobody is there.
    #[must_use]
    pub fn recent_channels(&self, server_id: &str) -> Option<Vec<Box<str>>> {
        self.room(server_id).map(|room| room.recent_channels())
    }

    /// The `plugin_requirements` envelope of a server. `None` when nobody is there, or the server was deleted.
    #[must_use]
    pub fn requirements(&self, server_id: &str) -> Option<Bytes> {
        let view = self.room(server_id)?.view();
        (!view.gone).then(|| crate::frame::payload(&view.requirements))
    }
}

fn summary(room: &Arc<Room>) -> OpenServer {
    OpenServer {
        server_id: room.server_id.clone(),
        revision: room.revision(),
        people: room.people_count(),
    }
}
