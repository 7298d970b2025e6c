//! The servers that a connection has joined or views: entering and leaving them, and the consequences of changed rules.

use crate::{
    directory::views::ServerView,
    room::{MemberConnection, Page, Room, local::RoomMembership},
    session::{Sessions, join::check_user, refusals::Reason},
    shard::coalesce::CoalesceKey,
};
use envelope::verdict::Access;
use std::sync::Arc;

impl Sessions {
    /// Enters the room and sends the roster, then the plugin requirements.
    pub(super) fn enter_room(
        &mut self,
        slot: u32,
        view: &Arc<ServerView>,
        access: &Access,
        view_only: bool,
    ) {
        let (conn, page) = (self.sockets.reference(slot), self.page(access));
        let Some(user) = self.user(slot).cloned() else {
            return;
        };
        if !view_only {
            // From viewing to joined: one membership for each server.
            self.leave(slot, &access.server_id);
        }
        let (room, (since, roster)) = if view_only {
            self.hub.enter(view, |room| {
                let roster = room.add_viewer(conn, &user.profile.user_id, page)?;
                Some((None, roster))
            })
        } else {
            let connection = MemberConnection {
                conn,
                status: user.status,
                plugins: user.plugins,
            };
            self.hub.enter(view, |room| {
                let entered = room.join(&user.profile, &connection, page, &self.shards)?;
                Some((Some(entered.sequence), entered.roster))
            })
        };
        // A change that came before the room was open did not reach the room.
        if let Some(known) = self.hub.directory.known_server(&access.server_id)
            && known.revision > room.revision()
        {
            self.hub.revise(&known);
        }
        let current = room.view();
        let membership = self
            .sockets
            .rooms()
            .enter(room.clone(), &current, slot, since);
        if let Some(session) = self.sockets.session_mut(slot) {
            session.add_membership(membership);
        }
        self.set_rooms(slot);
        self.sockets.push(slot, roster, None);
        self.sockets.push(slot, current.requirements.clone(), None);
        self.check_presence(slot, &room, &current);
    }

    /// A join of a server that is joined already: sends roster and plugins again, or the requested page of the roster.
    pub(super) fn resend_roster(&mut self, slot: u32, room: &Room, access: &Access) {
        let Some(user_id) = self.user_id(slot) else {
            return;
        };
        let roster = room.roster(&user_id, self.page(access));
        self.sockets.push(slot, roster, None);
        if access.roster_offset == 0 {
            let requirements = room.view().requirements.clone();
            self.sockets.push(slot, requirements, None);
        }
    }

    /// Leaves a server, or stops viewing it.
    pub(super) fn leave(&mut self, slot: u32, server_id: &str) {
        self.sockets.collect_room_frames(slot);
        let session = self.sockets.session_mut(slot);
        let Some(membership) = session.and_then(|session| session.remove_membership(server_id))
        else {
            return;
        };
        self.set_rooms(slot);
        self.leave_room(slot, &membership);
    }

    /// Removes a connection that ends from its servers and its user.
    pub(super) fn end(&mut self, slot: u32) {
        self.sockets.collect_room_frames(slot);
        let conn = self.sockets.reference(slot);
        let Some(session) = self.sockets.session_mut(slot) else {
            return;
        };
        let (pending, memberships) = (session.take_pending(), session.take_memberships());
        if let Some(pending) = pending {
            self.end_wait(&pending);
        }
        for membership in &memberships {
            self.leave_room(slot, membership);
        }
        let session = self.sockets.session_mut(slot);
        if let Some(user) = session.and_then(|session| session.take_user()) {
            self.hub.users.sign_out(conn, &user.profile.user_id);
        }
    }

    /// Applies changed rules of a server: banned connections leave, the others get the new plugin requirements.
    pub(crate) fn revised(&mut self, room: &Room, view: &ServerView) {
        let Some(revision) = self.sockets.rooms().revise(room.index, view) else {
            return;
        };
        for slot in revision.slots {
            if self.check_presence(slot, room, view) && revision.plugins_changed {
                let coalesce = Some(CoalesceKey::requirements(room.index));
                self.sockets.push(slot, view.requirements.clone(), coalesce);
            }
        }
    }

    /// Whether a connection in a room may be there by the view; otherwise it leaves.
    fn check_presence(&mut self, slot: u32, room: &Room, view: &ServerView) -> bool {
        let Some(user_id) = self.user_id(slot) else {
            return false;
        };
        match check_user(&user_id, view) {
            Ok(()) => true,
            Err(reason) => {
                self.expel(slot, room, reason);
                false
            }
        }
    }

    fn expel(&mut self, slot: u32, room: &Room, reason: Reason<'_>) {
        self.leave(slot, &room.server_id);
        self.deny(slot, &room.server_id, None, reason);
    }

    /// Takes a connection out of a room that is not among its memberships any more.
    fn leave_room(&mut self, slot: u32, membership: &RoomMembership) {
        let conn = self.sockets.reference(slot);
        if let Some(moved) = self.sockets.rooms().leave(membership, slot)
            && let Some(session) = self.sockets.session_mut(moved)
        {
            session.move_to(membership);
        }
        if !membership.joined {
            membership.room.remove_viewer(conn);
        } else if let Some(user_id) = self.user_id(slot) {
            membership.room.leave(conn, &user_id, &self.shards);
        }
        self.hub.close_if_empty(&membership.room);
    }

    /// Tells the hub which rooms a connection is in, for forwarding.
    fn set_rooms(&self, slot: u32) {
        let conn = self.sockets.reference(slot);
        let Some(session) = self.sockets.session(slot) else {
            return;
        };
        if let Some(user) = session.user() {
            let users = &self.hub.users;
            users.set_rooms(conn, &user.profile.user_id, session.rooms());
        }
    }

    fn page(&self, access: &Access) -> Page {
        Page {
            offset: access.roster_offset as usize,
            entries_max: self.hub.config.socket.roster_entries_max,
        }
    }

    fn user_id(&self, slot: u32) -> Option<Arc<str>> {
        Some(self.user(slot)?.profile.user_id.clone())
    }
}
