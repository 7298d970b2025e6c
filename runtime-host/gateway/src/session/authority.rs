//! Whether a session may be what it is and where it is: the user that it identified as, and the servers that it joined
//! or views.
//!
//! [`check_user`] and [`check_server`] decide at the entrance, and again whenever something changes: the user or the
//! server in the directory, a membership, and the clock at the end of a token. Nothing else takes a user or a server
//! from a session that still wants it.

use crate::{
    directory::views::{ServerView, UserView},
    hub::Hub,
    room::{Room, local::Admitted},
    session::{Session, Sessions, refusals::Reason},
};
use envelope::reply::code;
use identity::Mode;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// What a session has shown of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A token for this user.
    Token {
        /// Its end, milliseconds since 1970.
        expires_at_ms: u64,
    },
    /// Possession of this key.
    Key(String),
}

impl Proof {
    /// Whether it proves the user.
    pub(super) fn proves(&self, view: &UserView) -> bool {
        match self {
            Self::Token { .. } => true,
            Self::Key(key) => view.keys.contains(key),
        }
    }
}

/// Which of some users are members of a server.
#[derive(Debug)]
pub(crate) struct KnownMembers {
    /// [`ServerView::access`] at which they were asked for.
    pub access: u64,
    /// Each user that was asked about, with the answer.
    pub users: HashMap<Arc<str>, bool>,
}

/// Checks that a session may have a user: what it has shown still holds, and is enough for what the directory says of
/// the user.
///
/// # Errors
/// `IDENTITY_PROOF_REQUIRED`.
pub(super) fn check_user(
    mode: Mode,
    proof: Option<&Proof>,
    view: &UserView,
    now_ms: u64,
) -> Result<(), Reason<'static>> {
    if let Some(Proof::Token { expires_at_ms }) = proof
        && *expires_at_ms <= now_ms
    {
        return Err(unproven("the token has expired: identify with a new one"));
    }
    let is_proven = proof.is_some_and(|proof| proof.proves(view));
    if mode != Mode::Open && view.proof_required && !is_proven {
        return Err(unproven(
            "this oderId is protected: identify with a token, or with its key and proof",
        ));
    }
    if mode == Mode::Required && !is_proven {
        return Err(unproven(
            "this server asks for proof: identify with a token, or with a bound key",
        ));
    }
    Ok(())
}

/// The reason of a refusal because of a proof that is missing, wrong or over.
pub(super) fn unproven(message: impl Into<std::borrow::Cow<'static, str>>) -> Reason<'static> {
    Reason::new(code::IDENTITY_PROOF_REQUIRED, message)
}

/// Checks that a user may be on a server, as far as the server's view says it: the server exists, and has not banned the
/// user. Who was admitted to a guarded server is asked of the directory, see [`Sessions::members_known`].
///
/// # Errors
/// `NOT_FOUND` or `BANNED`.
pub(super) fn check_server(user_id: &str, view: &ServerView) -> Result<(), Reason<'static>> {
    if view.gone {
        return Err(Reason::new("NOT_FOUND", "there is no such server"));
    }
    if view.bans.contains(user_id) {
        return Err(Reason::new("BANNED", "you are banned from this server"));
    }
    Ok(())
}

/// The ends of the tokens of a shard's sessions, one for each session that has one.
#[derive(Debug, Default)]
pub(super) struct Expiries(BTreeSet<(u64, u32)>);

impl Expiries {
    /// Replaces the end of a session's token, both in milliseconds since 1970.
    pub(super) fn replace(&mut self, slot: u32, before: Option<u64>, after: Option<u64>) {
        if let Some(before) = before {
            self.0.remove(&(before, slot));
        }
        if let Some(after) = after {
            self.0.insert((after, slot));
        }
    }

    /// The next end.
    fn next_ms(&self) -> Option<u64> {
        self.0.first().map(|(at_ms, _)| *at_ms)
    }
}

impl Sessions {
    // ---- the user

    /// Takes a newer view of a user, whose session may have to give it up.
    pub(crate) fn user_changed(&mut self, slot: u32, user_id: &str, view: &UserView) {
        let Some(user) = self
            .user(slot)
            .filter(|user| *user.profile.user_id == *user_id)
        else {
            return;
        };
        let mode = self.hub.config.identity.mode;
        let is_proven = user.proof.as_ref().is_some_and(|proof| proof.proves(view));
        if let Err(reason) = check_user(mode, user.proof.as_deref(), view, Hub::now_ms()) {
            self.lose_user(slot, reason);
        } else if user.profile.verified && !is_proven {
            let session = self.sockets.session_mut(slot);
            session.map(Session::unverify);
            self.update_rooms(slot);
        }
    }

    /// Milliseconds until the next token ends, if a session has one.
    pub(crate) fn next_expiry_ms(&self) -> Option<u32> {
        let in_ms = self.expiries.next_ms()?.saturating_sub(Hub::now_ms());
        Some(u32::try_from(in_ms).unwrap_or(u32::MAX))
    }

    /// Takes the user from each session whose token has ended.
    pub(crate) fn end_expired(&mut self) {
        while let Some((at_ms, slot)) = self.expiries.0.first().copied()
            && at_ms <= Hub::now_ms()
        {
            self.expiries.0.pop_first();
            self.lose_user(
                slot,
                unproven("the token has expired: identify with a new one"),
            );
        }
    }

    /// Takes the user from a session: it leaves its servers, and may identify again. A client that asked for no errors
    /// sees it by its servers.
    fn lose_user(&mut self, slot: u32, reason: Reason<'_>) {
        self.refuse_waiting(slot, &reason);
        self.refuse_identify(slot, None, reason.clone());
        let session = self.sockets.session(slot);
        let rooms = session.map(|session| session.rooms()).unwrap_or_default();
        self.give_up(slot);
        for room in &rooms {
            self.deny(slot, &room.server_id, None, reason.clone());
        }
    }

    // ---- the servers

    /// Takes changed rules of a server: the user of each connection there is checked, and the others get the new plugin
    /// requirements. `is_restated` if the rules may be older than those before, because the directory was restored from
    /// a backup.
    pub(crate) fn revised(&mut self, room: &Room, view: &ServerView, is_restated: bool) {
        let rooms = self.sockets.rooms();
        let Some(revision) = rooms.revise(room.index, view, is_restated) else {
            return;
        };
        if is_restated && !view.gone {
            // Of themselves they ask only for newer ones.
            self.restate_definitions(view);
        }
        for slot in revision.slots {
            if self.check_presence(slot, room, view) && revision.plugins_changed {
                self.send_requirements(slot, room, view);
            }
        }
    }

    /// Whether a connection in a room may be there by the view; otherwise it leaves.
    pub(super) fn check_presence(&mut self, slot: u32, room: &Room, view: &ServerView) -> bool {
        let Some(user) = self.user(slot) else {
            return false;
        };
        let checked = check_server(&user.profile.user_id, view);
        checked
            .map_err(|reason| self.expel(slot, room, reason))
            .is_ok()
    }

    /// Takes the directory's answer about memberships: a connection leaves that is there as a member, or came in before
    /// the server was guarded as it is now, and whose user is none.
    pub(crate) fn members_known(&mut self, room: &Room, known: &KnownMembers) {
        for slot in self.sockets.rooms().all(room.index) {
            let Some(user) = self.user(slot) else {
                continue;
            };
            // A user that was not asked about came in since then.
            let Some(is_member) = known.users.get(&user.profile.user_id).copied() else {
                continue;
            };
            let session = self.sockets.session_mut(slot);
            let Some(admitted) = session.and_then(|one| one.admitted_mut(&room.server_id)) else {
                continue;
            };
            if is_member {
                *admitted = Admitted {
                    access: known.access,
                    as_member: true,
                };
            } else if admitted.as_member || admitted.access != known.access {
                let message = "only members may be on this server now, and you are none";
                self.expel(slot, room, Reason::new(code::NOT_A_MEMBER, message));
            }
        }
    }

    fn expel(&mut self, slot: u32, room: &Room, reason: Reason<'_>) {
        self.leave(slot, &room.server_id);
        self.deny(slot, &room.server_id, None, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::{Expiries, Proof, check_user};
    use crate::directory::views::UserView;
    use identity::Mode;

    #[test]
    fn a_user_is_kept_only_with_a_proof_that_holds() {
        let locked = UserView {
            proof_required: true,
            keys: vec!["k1".to_owned()],
            ..UserView::default()
        };
        let free = UserView::default();
        let token = Proof::Token {
            expires_at_ms: 1_000,
        };
        let (bound, other) = (Proof::Key("k1".to_owned()), Proof::Key("k2".to_owned()));
        for (mode, proof, view, now_ms, holds) in [
            (Mode::Open, None, &locked, 0, true),
            (Mode::Claimed, None, &free, 0, true),
            (Mode::Claimed, None, &locked, 0, false),
            (Mode::Claimed, Some(&bound), &locked, 0, true),
            (Mode::Claimed, Some(&other), &locked, 0, false),
            (Mode::Claimed, Some(&token), &locked, 999, true),
            (Mode::Claimed, Some(&token), &free, 1_000, false),
            (Mode::Open, Some(&token), &free, 1_000, false),
            (Mode::Required, None, &free, 0, false),
            (Mode::Required, Some(&other), &free, 0, false),
            (Mode::Required, Some(&token), &free, 999, true),
        ] {
            let checked = check_user(mode, proof, view, now_ms);
            assert_eq!(
                checked.is_ok(),
                holds,
                "{mode:?} {proof:?} {view:?} {now_ms}"
            );
        }
    }

    #[test]
    fn a_session_has_one_end() {
        let mut expiries = Expiries::default();
        expiries.replace(1, None, Some(500));
        expiries.replace(2, None, Some(400));
        expiries.replace(2, Some(400), Some(900));
        assert_eq!(expiries.next_ms(), Some(500));
        expiries.replace(1, Some(500), None);
        assert_eq!(expiries.next_ms(), Some(900));
    }
}
