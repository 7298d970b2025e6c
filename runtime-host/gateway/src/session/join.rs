//! `join_server` and `view_server`: decided from the cached view of the server, or by the directory if the server is
//! guarded or limits its members.

use crate::{
    directory::{AskedAt, JoinAnswer, JoinQuestion, Question, views::ServerView},
    room::local::Admitted,
    session::{
        Session, Sessions, User, authority::check_server, membership::just_changed, pending::Wait,
        refusals::Reason,
    },
};
use envelope::{reply::code, verdict::Access};
use std::sync::Arc;

impl Sessions {
    /// `join_server`, or `view_server` if `view_only`.
    pub(super) fn enter(
        &mut self,
        slot: u32,
        access: Access,
        view_only: bool,
        request_id: Option<&str>,
    ) {
        match self.hub.directory.known_server(&access.server_id) {
            Some(view) => self.enter_known(slot, access, view_only, request_id, &view),
            None => {
                let question = Question::Server(access.server_id.as_str().into());
                let wait = Wait::Server { access, view_only };
                self.ask_directory(slot, request_id, wait, question);
            }
        }
    }

    /// Decides with the view of the server; asks the directory about guarded servers, and about joins of those that limit
    /// their members.
    pub(super) fn enter_known(
        &mut self,
        slot: u32,
        access: Access,
        view_only: bool,
        request_id: Option<&str>,
        view: &Arc<ServerView>,
    ) {
        let Some(session) = self.sockets.session(slot) else {
            return;
        };
        let Some(user) = session.user() else {
            return;
        };
        let server_id = access.server_id.as_str();
        let denied = check_server(&user.profile.user_id, view);
        if denied.is_ok()
            && let Some(membership) = session.membership(server_id)
            && (membership.joined || view_only)
        {
            let membership = membership.clone();
            let kind = match view_only {
                true => "view_server",
                false => "join_server",
            };
            return self.resend_roster(slot, &membership, &access, kind, request_id);
        }
        let denied = denied.and_then(|()| self.check_entry(session, user, view, view_only));
        if let Err(reason) = denied {
            return self.deny(slot, server_id, request_id, reason);
        }
        let counts_users = view.max_members.is_some() && !view_only;
        if !view.guarded && !counts_users {
            let admitted = Admitted {
                access: view.access,
                as_member: false,
            };
            let entered = self.enter_room(slot, view, &access, view_only, admitted, None);
            if let Err(reason) = entered {
                self.deny(slot, &access.server_id, request_id, reason);
            }
            return;
        }
        let question = JoinQuestion {
            server_id: view.server_id.clone(),
            user_id: user.profile.user_id.clone(),
            verified: user.profile.verified,
            address: self.sockets.address(slot),
            password: access.password.clone(),
            invite: access.invite.clone(),
            view_only,
            asked_at: AskedAt {
                access: view.access,
                user_epoch: self.hub.directory.user_epoch(&user.profile.user_id),
            },
        };
        let wait = Wait::Join {
            question: question.clone(),
            access,
        };
        self.ask_directory(slot, request_id, wait, Question::Join(question));
    }

    /// Continues with the directory's decision.
    pub(super) fn join_answered(
        &mut self,
        slot: u32,
        question: &JoinQuestion,
        access: &Access,
        request_id: Option<&str>,
        answer: &JoinAnswer,
    ) {
        let server_id = access.server_id.as_str();
        if !answer.allowed {
            let reason = Reason {
                code: &answer.code,
                message: answer.reason.as_str().into(),
                retry_after_ms: answer.retry_after_ms,
            };
            return self.deny(slot, server_id, request_id, reason);
        }
        // The view may have changed while the directory decided; a ban since then holds.
        let entered = match self.hub.directory.known_server(server_id) {
            Some(view) => check_server(&question.user_id, &view).map(|()| view),
            None => Err(just_changed()),
        };
        let asked_at = question.asked_at;
        let admitted = Admitted {
            access: asked_at.access,
            as_member: answer.member,
        };
        let (view_only, user_epoch) = (question.view_only, Some(asked_at.user_epoch));
        let entered = entered
            .and_then(|view| self.enter_room(slot, &view, access, view_only, admitted, user_epoch));
        if let Err(reason) = entered {
            self.deny(slot, server_id, request_id, reason);
        }
    }

    /// Checks the limits of the connection and the plugins that the server requires.
    fn check_entry(
        &self,
        session: &Session,
        user: &User,
        view: &ServerView,
        view_only: bool,
    ) -> Result<(), Reason<'static>> {
        let socket = &self.hub.config.socket;
        let (most, what) = if view_only {
            (socket.viewed_servers_max, "viewed")
        } else {
            (socket.joined_servers_max, "joined")
        };
        if session.count(!view_only) >= most {
            let message =
                format!("this connection has {most} {what} servers, and no more are allowed");
            return Err(Reason::new(code::LIMIT_REACHED, message));
        }
        if let Some(declared) = user.plugins.as_deref().filter(|_| !view_only)
            && let Some(lack) = view.rules.lack(declared)
        {
            return Err(Reason::new("PLUGIN_REQUIRED", lack));
        }
        Ok(())
    }
}
