//! The rooms of one shard: its connections in each room, and the frames that wait for them.

use crate::{
    directory::views::ServerView,
    room::{
        Room,
        outbox::{Outbox, Receiver},
    },
    shard::message::{Delivery, Receivers},
};
use limits::socket::{
    ROSTER_COUNT_INTERVAL_MAX_MS, ROSTER_COUNT_INTERVAL_MS, ROSTER_COUNTS_PER_SECOND,
};
use std::{collections::HashMap, sync::Arc};

/// A room that a connection joined or views.
#[derive(Debug, Clone)]
pub(crate) struct RoomMembership {
    /// The room.
    pub room: Arc<Room>,
    /// Joined; otherwise it is viewed.
    pub joined: bool,
    /// By what the connection was admitted.
    pub admitted: Admitted,
    /// The client announced `roster-paging` when it entered.
    pub pages: bool,
    /// The index among the shard's joined connections of the room, if joined.
    position: u32,
}

/// By what a connection is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// [`ServerView::access`] when it was admitted, or when its user was found to be a member.
    pub access: u64,
    /// Its user is a stored member of a guarded server.
    pub as_member: bool,
}

/// A room as far as this shard has connections in it.
#[derive(Debug, Default)]
pub(crate) struct LocalRoom {
    /// The joined connections.
    pub joined: Vec<Receiver>,
    /// The frames that wait for them.
    pub outbox: Outbox,
    /// The number of joined connections that page a large roster.
    paging: usize,
    /// When they were told the number of users last.
    counted_ms: Option<u32>,
    /// They do not know the number of users.
    is_uncounted: bool,
    /// Slots of the viewing connections.
    viewing: Vec<u32>,
    /// Revision and plugins digest of the view that all of these connections were sent.
    sent: (u64, u64),
}

/// What a new revision of a server means for the connections in its room.
#[derive(Debug)]
pub(crate) struct Revision {
    /// Slots of the joined and viewing connections.
    pub slots: Vec<u32>,
    /// The plugin requirements or event definitions differ from those that were sent last.
    pub plugins_changed: bool,
}

/// The rooms of one shard, by [`Room::index`].
#[derive(Debug)]
pub(crate) struct LocalRooms {
    rooms: HashMap<u64, LocalRoom>,
    /// Rooms whose outbox holds frames.
    waiting: Vec<u64>,
    /// Since when the first of them does.
    waiting_since_ms: Option<u32>,
    /// Counts the flushes. A sender has the number of the flush that its own frames are part of.
    flushes: u32,
    /// Rooms with connections that do not know the number of users.
    uncounted: Vec<Arc<Room>>,
}

impl Default for LocalRooms {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
            waiting: Vec::new(),
            waiting_since_ms: None,
            flushes: 1,
            uncounted: Vec::new(),
        }
    }
}

impl LocalRooms {
    // ---- connections

    /// Adds a connection, which is sent `view`. `since` is the last presence event in the roster of a joining
    /// connection; a viewing one has none. One that `pages` gets a large roster in pages.
    pub(crate) fn enter(
        &mut self,
        room: Arc<Room>,
        view: &ServerView,
        slot: u32,
        since: Option<u64>,
        pages: bool,
        admitted: Admitted,
    ) -> RoomMembership {
        let local = self.rooms.entry(room.index).or_default();
        // What one connection is sent says nothing about those that are here: for them the revision has to come still.
        if local.joined.is_empty() && local.viewing.is_empty() {
            local.sent = (view.revision, view.rules.digest());
        }
        let position = local.joined.len() as u32;
        match since {
            Some(since) => {
                local.paging += usize::from(pages);
                local.joined.push(Receiver {
                    slot,
                    since,
                    from: local.outbox.len(),
                    pages,
                });
            }
            None => local.viewing.push(slot),
        }
        RoomMembership {
            room,
            joined: since.is_some(),
            admitted,
            pages,
            position,
        }
    }

    /// Removes a connection. Returns the slot of the receiver that was moved to its position, if one was; see
    /// [`RoomMembership::move_to`].
    pub(crate) fn leave(&mut self, membership: &RoomMembership, slot: u32) -> Option<u32> {
        let local = self.rooms.get_mut(&membership.room.index)?;
        let at = membership.position as usize;
        let mut moved = None;
        if !membership.joined {
            local.viewing.retain(|viewer| *viewer != slot);
        } else if local
            .joined
            .get(at)
            .is_some_and(|receiver| receiver.slot == slot)
        {
            let left = local.joined.swap_remove(at);
            local.paging -= usize::from(left.pages);
            moved = local.joined.get(at).map(|receiver| receiver.slot);
        }
        if local.joined.is_empty() && local.viewing.is_empty() {
            self.rooms.remove(&membership.room.index);
        }
        moved
    }

    /// Slots of the joined connections.
    pub(crate) fn joined(&self, room: u64) -> Vec<u32> {
        let local = self.rooms.get(&room);
        local.map_or_else(Vec::new, |local| {
            local.joined.iter().map(|receiver| receiver.slot).collect()
        })
    }

    /// Slots of the joined and viewing connections.
    pub(crate) fn all(&self, room: u64) -> Vec<u32> {
        let local = self.rooms.get(&room);
        local.map_or_else(Vec::new, LocalRoom::slots)
    }

    /// Takes a newer view of a server, or any if it `is_restated`; `None` if no connection is concerned.
    pub(crate) fn revise(
        &mut self,
        room: u64,
        view: &ServerView,
        is_restated: bool,
    ) -> Option<Revision> {
        let local = self.rooms.get_mut(&room)?;
        if view.revision <= local.sent.0 && !view.gone && !is_restated {
            return None;
        }
        let plugins_changed = local.sent.1 != view.rules.digest();
        local.sent = (view.revision, view.rules.digest());
        Some(Revision {
            slots: local.slots(),
            plugins_changed,
        })
    }

    pub(crate) fn get_mut(&mut self, room: u64) -> Option<&mut LocalRoom> {
        self.rooms.get_mut(&room)
    }

    // ---- waiting frames

    /// Adds a frame for all members, or for those that page a large roster, or for the others. Returns the bytes that
    /// wait, or `None` if the shard has no connection in the room that gets it.
    pub(crate) fn push(
        &mut self,
        room: u64,
        delivery: Delivery,
        skip: Option<u32>,
        sequence: Option<u64>,
        now_ms: u32,
    ) -> Option<usize> {
        let local = self.rooms.get_mut(&room)?;
        if let Receivers::Paging(paging) = delivery.receivers
            && local.count(paging) == 0
        {
            return None;
        }
        if local.outbox.is_empty() {
            self.waiting.push(room);
            self.waiting_since_ms.get_or_insert(now_ms);
        }
        local.outbox.push(delivery, skip, sequence);
        Some(local.outbox.bytes())
    }

    /// A receiver with the outbox of its room, if frames wait there.
    pub(crate) fn waiting(
        &mut self,
        membership: &RoomMembership,
    ) -> Option<(&mut Receiver, &Outbox)> {
        let LocalRoom { joined, outbox, .. } = self.rooms.get_mut(&membership.room.index)?;
        if outbox.is_empty() {
            return None;
        }
        Some((joined.get_mut(membership.position as usize)?, outbox))
    }

    /// Whether frames wait in a room.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Since when frames wait, if any do.
    pub(crate) fn waiting_since_ms(&self) -> Option<u32> {
        self.waiting_since_ms
    }

    /// Takes the list of rooms in which frames wait.
    pub(crate) fn take_waiting(&mut self) -> Vec<u64> {
        self.waiting_since_ms = None;
        std::mem::take(&mut self.waiting)
    }

    /// The number of the next flush.
    pub(crate) fn flushes(&self) -> u32 {
        self.flushes
    }

    /// Ends a flush.
    pub(crate) fn end_flush(&mut self) {
        self.flushes = self.flushes.wrapping_add(1);
    }
}

/// How often connections that page a large roster are told the number of its users.
impl LocalRooms {
    /// Users have come to a large room, or left it.
    pub(crate) fn roster_changed(&mut self, room: &Arc<Room>) {
        let Some(local) = self.rooms.get_mut(&room.index) else {
            return;
        };
        if local.paging > 0 && !local.is_uncounted {
            local.is_uncounted = true;
            self.uncounted.push(room.clone());
        }
    }

    /// Whether connections wait for the number of a room's users.
    pub(crate) fn has_uncounted(&self) -> bool {
        !self.uncounted.is_empty()
    }

    /// Takes the rooms whose connections are to be told the number of users now.
    pub(crate) fn take_uncounted(&mut self, now_ms: u32) -> Vec<Arc<Room>> {
        let rooms = &mut self.rooms;
        let is_due = |room: &mut Arc<Room>| {
            let Some(local) = rooms.get_mut(&room.index) else {
                return true;
            };
            let waits = local
                .counted_ms
                .is_some_and(|then_ms| now_ms.wrapping_sub(then_ms) < local.count_interval_ms());
            if !waits {
                local.is_uncounted = false;
                local.counted_ms = Some(now_ms);
            }
            !waits
        };
        self.uncounted.extract_if(.., is_due).collect()
    }
}

impl LocalRoom {
    /// The number of joined connections that page a large roster, or of those that do not.
    fn count(&self, paging: bool) -> usize {
        match paging {
            true => self.paging,
            false => self.joined.len() - self.paging,
        }
    }

    /// Milliseconds from one number of users that connections are told to the next: the more they are, the more.
    fn count_interval_ms(&self) -> u32 {
        let fair_ms = self.paging as u64 * 1_000 / ROSTER_COUNTS_PER_SECOND;
        fair_ms.clamp(ROSTER_COUNT_INTERVAL_MS, ROSTER_COUNT_INTERVAL_MAX_MS) as u32
    }

    fn slots(&self) -> Vec<u32> {
        let joined = self.joined.iter().map(|receiver| receiver.slot);
        joined.chain(self.viewing.iter().copied()).collect()
    }
}

impl RoomMembership {
    /// Takes the position of a receiver that has left.
    pub(crate) fn move_to(&mut self, vacated: &Self) {
        self.position = vacated.position;
    }
}

#[cfg(test)]
mod tests {
    use super::{Admitted, LocalRooms};
    use crate::{directory::views::ServerView, room::Room};
    use std::sync::Arc;

    #[test]
    fn a_revision_that_one_connection_was_sent_still_reaches_the_others() {
        let mut rooms = LocalRooms::default();
        let room = Arc::new(Room::new(1, Arc::new(ServerView::at_revision(1))));
        let admitted = Admitted {
            access: 0,
            as_member: false,
        };
        let _ = rooms.enter(
            room.clone(),
            &ServerView::at_revision(1),
            10,
            Some(0),
            false,
            admitted,
        );
        // It comes between the room's new view and the shard's message about it.
        let newer = ServerView::at_revision(2);
        let _ = rooms.enter(room, &newer, 11, Some(0), false, admitted);
        let revision = rooms
            .revise(1, &ServerView::at_revision(2), false)
            .expect("a revision");
        assert_eq!(revision.slots, [10, 11]);
        let again = rooms.revise(1, &ServerView::at_revision(2), false);
        assert!(again.is_none(), "it was applied");
        let restated = rooms.revise(1, &ServerView::at_revision(1), true);
        assert!(restated.is_some(), "a restored directory goes back");
    }

    #[test]
    fn the_number_of_users_is_told_less_often_the_more_are_told() {
        let (mut rooms, view) = (LocalRooms::default(), ServerView::at_revision(1));
        let room = Arc::new(Room::new(1, Arc::new(ServerView::at_revision(1))));
        let admitted = Admitted {
            access: 0,
            as_member: false,
        };
        let enter = |rooms: &mut LocalRooms, slot, pages| {
            rooms.enter(room.clone(), &view, slot, Some(0), pages, admitted)
        };
        enter(&mut rooms, 0, false);
        rooms.roster_changed(&room);
        assert!(!rooms.has_uncounted(), "the connection hears of each user");
        let first = enter(&mut rooms, 1, true);
        let counts = |rooms: &mut LocalRooms, now_ms| {
            rooms.roster_changed(&room);
            rooms.roster_changed(&room);
            rooms.take_uncounted(now_ms).len()
        };
        let start_ms = u32::MAX - 500;
        let count =
            |rooms: &mut LocalRooms, after_ms| counts(rooms, start_ms.wrapping_add(after_ms));
        assert_eq!((count(&mut rooms, 0), count(&mut rooms, 999)), (1, 0));
        assert_eq!(count(&mut rooms, 1_000), 1, "the clock has wrapped");
        (2..5_001).for_each(|slot| drop(enter(&mut rooms, slot, true)));
        assert_eq!((count(&mut rooms, 5_999), count(&mut rooms, 6_000)), (0, 1));
        (5_001..50_000).for_each(|slot| drop(enter(&mut rooms, slot, true)));
        assert_eq!(
            (count(&mut rooms, 15_999), count(&mut rooms, 16_000)),
            (0, 1)
        );
        assert_eq!(rooms.leave(&first, 1), Some(49_999));
        assert!(!rooms.has_uncounted());
    }
}
