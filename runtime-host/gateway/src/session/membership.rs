//! Joining, viewing and leaving servers, and the consequences of changed rules.

use crate::{
    directory::{Answer, JoinAnswer, JoinQuestion, Question, state::ServerView},
    room::{Entrant, Page, Room, outbox::Member},
    shard::{
        Shard,
        connection::{Pending, Place},
    },
};
use envelope::{
    reply::{self, code},
    verdict::Access,
};
use std::sync::Arc;

/// Milliseconds until a client should retry after the directory did not answer.
const EDGE_RETRY_MS: u64 = 2_000;

impl Shard {
    /// `join_server` or `view_server`.
    pub(crate) fn enter(
        &mut self,
        slot: u32,
        access: Access,
        look: bool,
        request_id: Option<&str>,
    ) {
        match self.hub.directory.known_server(&access.server_id) {
            Some(view) => self.enter_known(slot, access, look, request_id, &view),
            None => {
                let question = Question::Server(access.server_id.as_str().into());
                let request_id = request_id.map(str::to_owned);
                self.pause(
                    slot,
                    Pending::Server {
                        access,
                        look,
                        request_id,
                    },
                    question,
                );
            }
        }
    }

    fn deny(
        &mut self,
        slot: u32,
        server_id: &str,
        code: &str,
        reason: &str,
        request_id: Option<&str>,
        retry_after_ms: Option<u64>,
    ) {
        crate::metrics::Metrics::count(&self.hub.metrics.refused, "access_denied");
        let body = reply::access_denied(server_id, code, reason, request_id, retry_after_ms);
        self.reply(slot, &body);
    }

    /// Decides from the cached view; asks the directory about guarded servers.
    fn enter_known(
        &mut self,
        slot: u32,
        access: Access,
        look: bool,
        request_id: Option<&str>,
        view: &Arc<ServerView>,
    ) {
        let hub = self.hub.clone();
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_ref()) else {
            return;
        };
        let Some(person) = session.person.clone() else {
            return;
        };
        let server_id = access.server_id.as_str();
        let place = session.place(server_id).cloned();
        let counts = (session.count(true), session.count(false));
        if view.gone {
            return self.deny(
                slot,
                server_id,
                "NOT_FOUND",
                "there is no such server",
                request_id,
                None,
            );
        }
        if view.bans.contains(&*person.profile.user_id) {
            return self.deny(
                slot,
                server_id,
                "BANNED",
                "you are banned from this server",
                request_id,
                None,
            );
        }
        if let Some(place) = &place
            && (place.joined || look)
        {
            return self.show_again(slot, place, &access);
        }
        let socket = &hub.config.socket;
        let (count, most, what) = if look {
            (counts.1, socket.viewed_servers_max, "viewed")
        } else {
            (counts.0, socket.joined_servers_max, "joined")
        };
        if count >= most {
            let reason =
                format!("this connection has {most} {what} servers, and no more are allowed");
            return self.deny(
                slot,
                server_id,
                code::LIMIT_REACHED,
                &reason,
                request_id,
                None,
            );
        }
        let lacks =
            |plugins: &Arc<[Box<str>]>| view.required.iter().find(|id| !plugins.contains(id));
        if let Some(missing) = person.plugins.as_ref().filter(|_| !look).and_then(lacks) {
            let reason = format!("this server requires the plugin '{missing}'");
            return self.deny(
                slot,
                server_id,
                "PLUGIN_REQUIRED",
                &reason,
                request_id,
                None,
            );
        }
        if view.guarded {
            let question = JoinQuestion {
                server_id: view.server_id.clone(),
                user_id: person.profile.user_id.clone(),
                verified: person.profile.verified,
                password: access.password.clone(),
                invite: access.invite.clone(),
                view_only: look,
            };
            let pending = Pending::Join {
                question: question.clone(),
                access,
                request_id: request_id.map(str::to_owned),
            };
            return self.pause(slot, pending, Question::Join(question));
        }
        self.go_in(slot, view, &access, look);
    }

    fn page(&self, access: &Access) -> Page {
        Page {
            offset: access.roster_offset as usize,
            entries_max: self.hub.config.socket.roster_entries_max,
        }
    }

    /// A join of a server that is joined already: sends roster and plugins again, or the requested page of the roster.
    fn show_again(&mut self, slot: u32, place: &Place, access: &Access) {
        let Some(user_id) = self.user_id(slot) else {
            return;
        };
        let roster = place.room.roster(&user_id, self.page(access));
        self.push(slot, roster, 0);
        if access.roster_offset == 0 {
            let requirements = place.room.view().requirements.clone();
            self.push(slot, requirements, 0);
        }
    }

    fn user_id(&mut self, slot: u32) -> Option<Arc<str>> {
        Some(
            self.conn(slot)?
                .session
                .as_ref()?
                .person
                .as_ref()?
                .profile
                .user_id
                .clone(),
        )
    }

    /// Enters the room and sends the roster, then the plugin requirements.
    fn go_in(&mut self, slot: u32, view: &Arc<ServerView>, access: &Access, look: bool) {
        let (hub, reference, page) = (self.hub.clone(), self.reference(slot), self.page(access));
        let Some(person) = self
            .conn(slot)
            .and_then(|conn| conn.session.as_ref())
            .and_then(|session| session.person.clone())
        else {
            return;
        };
        if !look {
            // From viewing to joined: one place per server.
            self.leave(slot, &access.server_id);
        }
        let shards = self.shards.clone();
        let (room, roster) = if look {
            hub.enter(view, |room| {
                room.look(reference, &person.profile.user_id, page)
                    .map(|roster| (None, roster))
            })
        } else {
            let entrant = Entrant {
                conn: reference,
                profile: person.profile.clone(),
                status: person.status,
                plugins: person.plugins.clone(),
            };
            hub.enter(view, |room| {
                room.join(&entrant, page, &shards)
                    .map(|entered| (Some(entered.sequence), entered.roster))
            })
        };
        let current = room.view();
        let local = self.rooms.entry(room.index).or_default();
        if local.told.0 < current.revision {
            local.told = (current.revision, current.plugins_digest);
        }
        let at = local.joined.len() as u32;
        match roster.0 {
            Some(since) => local.joined.push(Member {
                slot,
                since,
                from: local.outbox.len(),
            }),
            None => local.viewing.push(slot),
        }
        if let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) {
            session.rooms.push(Place {
                room,
                joined: !look,
                at,
            });
        }
        self.note_rooms(slot);
        self.push(slot, roster.1, 0);
        self.push(slot, current.requirements.clone(), 0);
    }

    fn note_rooms(&mut self, slot: u32) {
        let (hub, reference) = (self.hub.clone(), self.reference(slot));
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_ref()) else {
            return;
        };
        let rooms = session.rooms.iter().map(|place| place.room.index).collect();
        if let Some(person) = &session.person {
            hub.note_rooms(reference, &person.profile.user_id, rooms);
        }
    }

    /// Leaves a server, or stops viewing it.
    pub(crate) fn leave(&mut self, slot: u32, server_id: &str) {
        self.settle(slot);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        let Some(at) = session
            .rooms
            .iter()
            .position(|place| *place.room.server_id == *server_id)
        else {
            return;
        };
        let place = session.rooms.remove(at);
        self.note_rooms(slot);
        self.vacate(slot, &place);
    }

    fn vacate(&mut self, slot: u32, place: &Place) {
        let (hub, reference, index) = (self.hub.clone(), self.reference(slot), place.room.index);
        if let Some(local) = self.rooms.get_mut(&index) {
            let at = place.at as usize;
            let mut moved = None;
            if !place.joined {
                local.viewing.retain(|viewer| *viewer != slot);
            } else if local
                .joined
                .get(at)
                .is_some_and(|member| member.slot == slot)
            {
                local.joined.swap_remove(at);
                moved = local.joined.get(at).map(|member| member.slot);
            }
            if local.joined.is_empty() && local.viewing.is_empty() {
                self.rooms.remove(&index);
            }
            // The member that took the free position has to know it.
            let session = moved
                .and_then(|moved| self.conn(moved))
                .and_then(|conn| conn.session.as_mut());
            if let Some(its) = session
                .and_then(|session| session.rooms.iter_mut().find(|its| its.room.index == index))
            {
                its.at = place.at;
            }
        }
        if place.joined {
            if let Some(user_id) = self.user_id(slot) {
                place.room.leave(reference, &user_id, &self.shards);
            }
        } else {
            place.room.look_away(reference);
        }
        hub.close_if_empty(&place.room);
    }

    /// Removes a closing connection from its servers and its user.
    pub(crate) fn part(&mut self, slot: u32) {
        self.settle(slot);
        let (hub, reference) = (self.hub.clone(), self.reference(slot));
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        let pending = session.pending.take();
        let places = std::mem::take(&mut session.rooms);
        if let Some(Pending::Plugins(decision)) = pending.as_deref() {
            self.forget_ticket(decision.ticket);
        }
        for place in &places {
            self.vacate(slot, place);
        }
        if let Some(person) = self
            .conn(slot)
            .and_then(|conn| conn.session.as_mut())
            .and_then(|session| session.person.take())
        {
            hub.sign_out(reference, &person.profile.user_id);
        }
    }

    /// Applies changed rules of a server: banned connections leave, the others get the new plugin requirements.
    pub(crate) fn revised(&mut self, room: &Arc<Room>, view: &Arc<ServerView>) {
        let Some(local) = self.rooms.get_mut(&room.index) else {
            return;
        };
        if view.revision <= local.told.0 && !view.gone {
            return;
        }
        let plugins_changed = local.told.1 != view.plugins_digest;
        local.told = (view.revision, view.plugins_digest);
        let here: Vec<u32> = local
            .joined
            .iter()
            .map(|member| member.slot)
            .chain(local.viewing.iter().copied())
            .collect();
        for slot in here {
            let Some(user_id) = self.user_id(slot) else {
                continue;
            };
            if view.gone {
                self.leave(slot, &room.server_id);
                self.deny(
                    slot,
                    &room.server_id,
                    "NOT_FOUND",
                    "the server was deleted",
                    None,
                    None,
                );
            } else if view.bans.contains(&*user_id) {
                self.leave(slot, &room.server_id);
                self.deny(
                    slot,
                    &room.server_id,
                    "BANNED",
                    "you are banned from this server",
                    None,
                    None,
                );
            } else if plugins_changed {
                self.push(slot, view.requirements.clone(), 1 | room.index << 1);
            }
        }
    }

    /// Continues a paused connection with the directory's answer.
    pub(crate) fn answered(&mut self, to: crate::hub::ConnRef, answer: Answer) {
        let Some(slot) = self.resolve(to) else { return };
        let session = self.conn(slot).and_then(|conn| conn.session.as_mut());
        let Some(pending) = session.and_then(|session| {
            session
                .pending
                .take_if(|pending| pending.waits_for_directory())
        }) else {
            return;
        };
        self.make_ready(slot);
        match (*pending, answer) {
            (
                Pending::Identify {
                    wish,
                    user_id,
                    proven,
                    request_id,
                },
                Answer::User(view),
            ) => self.identified(slot, wish, user_id, proven, &view, request_id.as_deref()),
            (
                Pending::Bind {
                    wish,
                    user_id,
                    verified,
                    request_id,
                },
                Answer::Bound,
            ) => self.bound(slot, wish, user_id, verified, request_id.as_deref()),
            (
                Pending::Server {
                    access,
                    look,
                    request_id,
                },
                Answer::Server(view),
            ) => {
                self.enter_known(slot, access, look, request_id.as_deref(), &view);
            }
            (
                Pending::Join {
                    question,
                    access,
                    request_id,
                },
                Answer::Join(answer),
            ) => {
                self.join_answered(slot, &question, &access, request_id.as_deref(), &answer);
            }
            (pending, _) => self.unanswered(slot, &pending),
        }
    }

    fn join_answered(
        &mut self,
        slot: u32,
        question: &JoinQuestion,
        access: &Access,
        request_id: Option<&str>,
        answer: &JoinAnswer,
    ) {
        if !answer.allowed {
            return self.deny(
                slot,
                &access.server_id,
                &answer.code,
                &answer.reason,
                request_id,
                answer.retry_after_ms,
            );
        }
        // The view may have changed while the edge decided; a ban since then holds.
        match self.hub.directory.known_server(&access.server_id) {
            Some(view) if !view.gone && !view.bans.contains(&*question.user_id) => {
                self.go_in(slot, &view, access, question.view_only)
            }
            _ => self.deny(
                slot,
                &access.server_id,
                "NOT_FOUND",
                "the server has just changed; try again",
                request_id,
                Some(EDGE_RETRY_MS),
            ),
        }
    }

    fn unanswered(&mut self, slot: u32, pending: &Pending) {
        let reason = "the directory does not answer; try again";
        match pending {
            Pending::Server {
                access, request_id, ..
            }
            | Pending::Join {
                access, request_id, ..
            } => {
                self.deny(
                    slot,
                    &access.server_id,
                    code::EDGE_UNAVAILABLE,
                    reason,
                    request_id.as_deref(),
                    Some(EDGE_RETRY_MS),
                );
            }
            Pending::Plugins(_) | Pending::Judges(_) => {}
            Pending::Identify { request_id, .. } | Pending::Bind { request_id, .. } => {
                let body = reply::error(
                    code::EDGE_UNAVAILABLE,
                    reason,
                    Some("identify"),
                    request_id.as_deref(),
                    Some(EDGE_RETRY_MS),
                );
                self.refuse(
                    slot,
                    &envelope::verdict::Refusal {
                        code: code::EDGE_UNAVAILABLE.into(),
                        reply: body,
                    },
                );
            }
        }
    }
}
