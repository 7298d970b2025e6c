//! Admission: bans, ownership, membership, invites, the password, open requests, the limit of members.
//!
//! Hashing is expensive and limited by rate, so the decision is made in two steps: [`decide`] without the password, and
//! once more with the outcome of comparing it when it asked for that.

use crate::{permission::MemberRights, person::JoinMethod, refusal::Code};

/// The facts that a request to join is decided on.
#[derive(Debug, Clone, Copy, Default)]
pub struct JoinFacts {
    /// What the identity is on the server.
    pub rights: MemberRights,
    /// Operator of the host.
    pub admin: bool,
    /// The server is private.
    pub private: bool,
    /// The server has a password.
    pub has_password: bool,
    /// The server has as many members as it admits.
    pub full: bool,
    /// The identity has an open request.
    pub requested: bool,
    /// An invite was shown: whether it admits.
    pub invite: Option<bool>,
    /// A password was given.
    pub password_given: bool,
    /// The password was compared: whether it is right.
    pub password_right: Option<bool>,
}

/// The decision about a request to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Member, owner or admin: nothing to store.
    Inside,
    /// Admitted by this method; a membership may be stored.
    Admit(JoinMethod),
    /// Compare the password, then decide again.
    ComparePassword,
    /// Refused, for this reason.
    Refuse(Code),
}

/// Decides.
#[must_use]
pub fn decide(facts: &JoinFacts) -> Verdict {
    let MemberRights {
        owner,
        member,
        banned,
        ..
    } = facts.rights;
    if owner || facts.admin {
        return Verdict::Inside;
    }
    if banned {
        return Verdict::Refuse(Code::Banned);
    }
    if member {
        return Verdict::Inside;
    }
    let way = match way(facts) {
        Ok(way) => way,
        Err(verdict) => return verdict,
    };
    if facts.full {
        Verdict::Refuse(Code::Full)
    } else {
        Verdict::Admit(way)
    }
}

fn way(facts: &JoinFacts) -> Result<JoinMethod, Verdict> {
    if facts.invite == Some(true) {
        return Ok(JoinMethod::Invite);
    }
    if facts.has_password && facts.password_given {
        return match facts.password_right {
            // A full server refuses before it spends a hash.
            None if facts.full => Err(Verdict::Refuse(Code::Full)),
            None => Err(Verdict::ComparePassword),
            Some(true) => Ok(JoinMethod::Password),
            Some(false) => Err(Verdict::Refuse(Code::PasswordInvalid)),
        };
    }
    if !facts.private && !facts.has_password {
        return Ok(JoinMethod::Open);
    }
    Err(Verdict::Refuse(
        match (facts.invite, facts.has_password, facts.requested) {
            (Some(_), _, _) => Code::InviteInvalid,
            (None, true, _) => Code::PasswordRequired,
            (None, false, true) => Code::RequestPending,
            (None, false, false) => Code::InviteRequired,
        },
    ))
}
