//! The servers that a connection has joined or views: entering and leaving them.

use crate::{
    directory::views::ServerView,
    room::{
        Page, Room,
        local::{Admitted, RoomMembership},
    },
    session::{Sessions, refusals::Reason},
    shard::coalesce::CoalesceKey,
};
use bytes::Bytes;
use envelope::{reply::code, verdict::Access};
use limits::directory::QUESTION_RETRY_AFTER_MS;
use std::sync::Arc;

impl Sessions {
    /// Enters the room and sends the roster, then the plugin requirements. `user_epoch` is the count of the user's
    /// changes when the directory was asked about the entrance, if it was.
    ///
    /// # Errors
    /// The server is full, or has changed meanwhile.
    pub(super) fn enter_room(
        &mut self,
        slot: u32,
        view: &Arc<ServerView>,
        access: &Access,
        view_only: bool,
        admitted: Admitted,
        user_epoch: Option<u64>,
    ) -> Result<(), Reason<'static>> {
        let conn = self.sockets.reference(slot);
        let Some(user) = self.user(slot).cloned() else {
            return Ok(());
        };
        let page = self.page(access, user.pages_rosters);
        let (room, entered) = if view_only {
            self.hub.enter(view, |room| {
                let roster = room.add_viewer(conn, &user.profile.user_id, page)?;
                Some(Ok((None, roster)))
            })
        } else {
            let connection = user.as_member(conn);
            // A member has its place; on a guarded server all are members, and the directory counts them.
            let has_place = admitted.as_member || view.guarded;
            let users_max = view.max_members.filter(|_| !has_place);
            self.hub.enter(view, |room| {
                let entered = room.join(&connection, page, users_max, &self.shards)?;
                Some(entered.map(|entered| (Some(entered.sequence), entered.roster)))
            })
        };
        let Ok((since, roster)) = entered else {
            self.hub.close_if_empty(&room);
            let message = "the server has as many users as it admits";
            return Err(Reason::new("FULL", message));
        };
        if !view_only {
            // From viewing to joined: one membership for each server.
            self.leave(slot, &access.server_id);
        }
        // A change that came before the room was open did not reach the room.
        let known = self.hub.directory.known_server(&access.server_id);
        if let Some(known) = &known
            && known.revision > room.revision()
        {
            let _ = self.hub.revise(known, false);
        }
        let current = room.view();
        let membership =
            self.sockets
                .rooms()
                .enter(room.clone(), &current, slot, since, page.pages, admitted);
        if let Some(session) = self.sockets.session_mut(slot) {
            session.add_membership(membership);
        }
        self.set_rooms(slot);
        // A change from here on finds the connection in the room; one before is seen here.
        let latest = room.view();
        if !self.check_presence(slot, &room, &latest) {
            return Ok(());
        }
        let user_id = &user.profile.user_id;
        let is_overtaken = latest.access != admitted.access
            || user_epoch.is_some_and(|epoch| epoch != self.hub.directory.user_epoch(user_id));
        // A view that has been dropped since it was given may be older than what dropped it.
        if known.is_none() || (latest.guarded && is_overtaken) {
            self.leave(slot, &access.server_id);
            return Err(just_changed());
        }
        self.sockets.push(slot, roster, None);
        self.sockets.push(slot, current.requirements.clone(), None);
        Ok(())
    }

    /// A join or view, by an envelope of the type `kind`, of a server that is entered already: sends roster and plugins
    /// again, or the requested page of the roster. The bytes count as if they were sent on.
    pub(super) fn resend_roster(
        &mut self,
        slot: u32,
        membership: &RoomMembership,
        access: &Access,
        kind: &str,
        request_id: Option<&str>,
    ) {
        let Some(user_id) = self.user_id(slot) else {
            return;
        };
        let room = &membership.room;
        let roster = room.roster(&user_id, self.page(access, membership.pages));
        let is_first = access.roster_offset == 0;
        let requirements = is_first.then(|| room.view().requirements.clone());
        let bytes = roster.len() + requirements.as_ref().map_or(0, Bytes::len);
        if !self.charge_answer(slot, bytes, kind, request_id) {
            return;
        }
        self.sockets.push(slot, roster, None);
        if let Some(requirements) = requirements {
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

    /// Ends a connection: the envelope that waits, its servers, its user.
    pub(super) fn end(&mut self, slot: u32) {
        let session = self.sockets.session_mut(slot);
        if let Some(pending) = session.and_then(|session| session.take_pending()) {
            self.end_wait(&pending);
        }
        self.give_up(slot);
    }

    /// Removes a connection from its servers and its user.
    pub(super) fn give_up(&mut self, slot: u32) {
        self.sockets.collect_room_frames(slot);
        let conn = self.sockets.reference(slot);
        let Some(session) = self.sockets.session_mut(slot) else {
            return;
        };
        for membership in &session.take_memberships() {
            self.leave_room(slot, membership);
        }
        let session = self.sockets.session_mut(slot);
        if let Some(user) = session.and_then(|session| session.take_user()) {
            self.expiries.replace(slot, user.expires_at_ms(), None);
            let now_ms = self.sockets.now_ms();
            let users = &self.hub.users;
            users.sign_out(conn, &user.profile.user_id, now_ms);
        }
    }

    /// Sends changed plugin requirements.
    pub(super) fn send_requirements(&mut self, slot: u32, room: &Room, view: &ServerView) {
        let coalesce = Some(CoalesceKey::requirements(room.index));
        self.sockets.push(slot, view.requirements.clone(), coalesce);
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

    fn page(&self, access: &Access, pages: bool) -> Page {
        let socket = &self.hub.config.socket;
        Page {
            offset: access.roster_offset as usize,
            entries_max: socket.roster_entries_max,
            pages,
            page_entries: socket.roster_page_entries,
        }
    }

    fn user_id(&self, slot: u32) -> Option<Arc<str>> {
        Some(self.user(slot)?.profile.user_id.clone())
    }
}

/// The reason of a refusal because a change has overtaken the decision about an entrance.
pub(super) fn just_changed() -> Reason<'static> {
    let message = "the server has just changed; try again";
    Reason::retry(code::EDGE_UNAVAILABLE, message, QUESTION_RETRY_AFTER_MS)
}
