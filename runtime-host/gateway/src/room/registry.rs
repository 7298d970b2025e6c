//! The registry of open rooms: a room opens with its first connection, follows the directory, and closes with its last
//! connection.
//!
//! A removed room is marked closed; a connection that still holds it opens the room again.

use crate::{directory::views::ServerView, frame, hub::Hub, room::Room};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The servers with at least one connection, joined or viewing.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
    next_index: AtomicU64,
    gauge: Gauge,
}

impl Rooms {
    /// No rooms; `gauge` shows their number.
    pub(crate) fn new(gauge: Gauge) -> Self {
        Self {
            rooms: Mutex::default(),
            next_index: AtomicU64::new(0),
            gauge,
        }
    }

    /// The room of an open server.
    pub(crate) fn get(&self, server_id: &str) -> Option<Arc<Room>> {
        self.rooms.lock().get(server_id).cloned()
    }

    /// At most `rooms_max` of the rooms that are `wanted`, in no order.
    pub(crate) fn first(&self, rooms_max: usize, wanted: impl Fn(&Room) -> bool) -> Vec<Arc<Room>> {
        let rooms = self.rooms.lock();
        let wanted = rooms.values().filter(|room| wanted(room));
        wanted.take(rooms_max).cloned().collect()
    }

    /// Whether a server has a connection.
    pub(crate) fn is_open(&self, server_id: &str) -> bool {
        self.rooms.lock().contains_key(server_id)
    }

    /// The ids of all open servers.
    pub(crate) fn server_ids(&self) -> Vec<Arc<str>> {
        self.rooms.lock().keys().cloned().collect()
    }

    /// The room of a server, opened with `view` if it is not open; and whether it was open.
    fn open(&self, view: &Arc<ServerView>) -> (Arc<Room>, bool) {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(&view.server_id) {
            return (room.clone(), true);
        }
        let index = self.next_index.fetch_add(1, Ordering::Relaxed);
        let room = Arc::new(Room::new(index, view.clone()));
        rooms.insert(view.server_id.clone(), room.clone());
        self.gauge.set(rooms.len() as i64);
        (room, false)
    }

    /// Removes a room that is empty; whether it was.
    fn close_if_empty(&self, room: &Arc<Room>) -> bool {
        let mut rooms = self.rooms.lock();
        let open = rooms.get(&room.server_id);
        if !open.is_some_and(|open| Arc::ptr_eq(open, room)) || !room.close_if_empty() {
            return false;
        }
        rooms.remove(&room.server_id);
        self.gauge.set(rooms.len() as i64);
        true
    }
}

impl Hub {
    /// Enters the room of a server by `enter`, which returns `None` if the room closes at that moment: then it is
    /// opened anew.
    pub(crate) fn enter<T>(
        &self,
        view: &Arc<ServerView>,
        mut enter: impl FnMut(&Arc<Room>) -> Option<T>,
    ) -> (Arc<Room>, T) {
        loop {
            let (room, was_open) = self.rooms.open(view);
            if was_open {
                self.revise_room(&room, view, false);
            }
            if let Some(entered) = enter(&room) {
                return (room, entered);
            }
        }
    }

    /// Closes a room that is empty.
    pub(crate) fn close_if_empty(&self, room: &Arc<Room>) {
        if self.rooms.close_if_empty(room) {
            self.plugins.server_closed(&room.server_id);
        }
    }

    /// Takes a newer view of a server, or any if it `is_restated`; its room, if it is open.
    pub(crate) fn revise(&self, view: &Arc<ServerView>, is_restated: bool) -> Option<Arc<Room>> {
        let room = self.rooms.get(&view.server_id)?;
        self.revise_room(&room, view, is_restated);
        Some(room)
    }

    fn revise_room(&self, room: &Arc<Room>, view: &Arc<ServerView>, is_restated: bool) {
        let plugins_changed = room.revise(view, is_restated, &self.shards());
        if plugins_changed && !view.gone {
            let requirements = frame::payload(&view.requirements);
            self.plugins
                .requirements_changed(&view.server_id, &view.plugins, &requirements);
        }
    }
}
