//! The registry of open rooms: a room opens with its first connection, follows the directory, and closes with its last connection.
//!
//! A removed room is marked closed; a connection that still holds it opens the room again.

use crate::{directory::state::ServerView, hub::Hub, room::Room};
use std::sync::{Arc, atomic::Ordering};

impl Hub {
    /// The room of a server, opened with `view` where it is not open. A newer view is taken.
    pub(crate) fn open_room(&self, view: &Arc<ServerView>) -> Arc<Room> {
        let (room, existed) = {
            let mut rooms = self.rooms.lock();
            match rooms.get(&view.server_id) {
                Some(room) => (room.clone(), true),
                None => {
                    let room = Arc::new(Room::new(
                        self.room_index.fetch_add(1, Ordering::Relaxed),
                        view.clone(),
                    ));
                    rooms.insert(view.server_id.clone(), room.clone());
                    self.metrics.rooms.set(rooms.len() as i64);
                    (room, false)
                }
            }
        };
        if existed {
            self.revise_room(&room, view);
        }
        room
    }

    /// Closes a room that is empty.
    pub(crate) fn close_if_empty(&self, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        if rooms
            .get(&room.server_id)
            .is_some_and(|open| Arc::ptr_eq(open, room))
            && room.close_if_empty()
        {
            rooms.remove(&room.server_id);
            self.metrics.rooms.set(rooms.len() as i64);
            drop(rooms);
            if let Some(plugins) = self.plugins.get() {
                plugins.server_closed(&room.server_id);
            }
        }
    }

    /// Enters a room; a room that closes at that moment is opened anew.
    pub(crate) fn enter<T>(
        &self,
        view: &Arc<ServerView>,
        mut enter: impl FnMut(&Arc<Room>) -> Option<T>,
    ) -> (Arc<Room>, T) {
        loop {
            let room = self.open_room(view);
            if let Some(entered) = enter(&room) {
                return (room, entered);
            }
        }
    }

    /// A newer view of a server arrived.
    pub(crate) fn revise(&self, view: &Arc<ServerView>) {
        if let Some(room) = self.room(&view.server_id) {
            self.revise_room(&room, view);
        }
    }

    fn revise_room(&self, room: &Arc<Room>, view: &Arc<ServerView>) {
        let plugins_changed = room.revise(view, &self.shards());
        if let Some(plugins) = self.plugins.get().filter(|_| plugins_changed && !view.gone) {
            plugins
                .requirements_changed(&view.server_id, &crate::frame::payload(&view.requirements));
        }
    }

    /// The room of an open server.
    pub(crate) fn room(&self, server_id: &str) -> Option<Arc<Room>> {
        self.rooms.lock().get(server_id).cloned()
    }

    /// Open rooms, at most `rooms_max`, in no order.
    pub(crate) fn first_rooms(&self, rooms_max: usize) -> Vec<Arc<Room>> {
        self.rooms
            .lock()
            .values()
            .take(rooms_max)
            .cloned()
            .collect()
    }

    /// Whether a server has a connection.
    pub(crate) fn is_open(&self, server_id: &str) -> bool {
        self.rooms.lock().contains_key(server_id)
    }

    /// Servers with at least one connection.
    #[must_use]
    pub fn open_server_ids(&self) -> Vec<Arc<str>> {
        self.rooms.lock().keys().cloned().collect()
    }
}
