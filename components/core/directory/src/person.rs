//! People on a server: members and bans.

use crate::{
    body::Body,
    refusal::{Code, Refusal, not_found},
    role::Grant,
    server::Server,
    transaction::{Check, Edit, Kind, State, Transaction},
};
use identifiers::UserId;
use limits::directory::{BANS_PER_SERVER_MAX, REASON_CHARS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The method by which an identity became a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinMethod {
    /// Made the server.
    Created,
    /// Joined a public server.
    Open,
    /// By password.
    Password,
    /// By invite.
    Invite,
    /// By an approved request.
    Approved,
}

/// A membership as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Milliseconds since 1970.
    pub joined_at: u64,
    /// The method.
    pub way: JoinMethod,
}

/// A member on the wire.
#[must_use]
pub fn member_json(
    server: &Server,
    user: &str,
    member: &Member,
    grant: Option<&Grant>,
) -> serde_json::Value {
    let roles = grant
        .map(|grant| grant.roles.as_slice())
        .unwrap_or_default();
    json!({"userId": user, "owner": server.owner.as_str() == user, "roles": roles, "joinedAt": member.joined_at, "way": member.way})
}

/// Makes a membership. An open request of the same identity is settled by it.
#[must_use]
pub fn join(
    transaction: Transaction,
    state: &State,
    server: &Server,
    user: &UserId,
    way: JoinMethod,
    now_ms: u64,
) -> Transaction {
    transaction
        .check(state.head_unchanged())
        .check(state.unchanged(Kind::Member, user.as_str()))
        .check(state.unchanged(Kind::Ban, user.as_str()))
        .check(Check::MaxCount {
            kind: Kind::Member,
            max: server.members_max(),
        })
        .edit(Edit::put(
            Kind::Member,
            user.as_str(),
            &Member {
                joined_at: now_ms,
                way,
            },
        ))
        .edit(Edit::delete(Kind::Request, user.as_str()))
        .detail(json!({"way": way}))
}

/// Ends a membership, with its roles.
///
/// # Errors
/// [`Code::OwnerCannotLeave`], and [`Code::NotFound`] for an identity that is no member.
pub fn leave(
    transaction: Transaction,
    state: &State,
    server: &Server,
    user: &UserId,
) -> Result<Transaction, Refusal> {
    if server.owner == *user {
        return Err(Code::OwnerCannotLeave.into());
    }
    if state.entry(Kind::Member, user.as_str()).is_none() {
        return Err(not_found("member"));
    }
    Ok(transaction
        .check(state.head_unchanged())
        .edit(Edit::delete(Kind::Member, user.as_str()))
        .edit(Edit::delete(Kind::Grant, user.as_str()))
        .user(user.clone()))
}

/// A ban as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ban {
    /// For people.
    #[serde(default)]
    pub reason: Option<String>,
    /// The user that banned.
    pub banned_by: String,
    /// Milliseconds since 1970.
    pub banned_at: u64,
}

/// A ban on the wire.
#[must_use]
pub fn ban_json(user: &str, ban: &Ban) -> serde_json::Value {
    json!({"userId": user, "reason": ban.reason, "bannedBy": ban.banned_by, "bannedAt": ban.banned_at})
}

/// Reads a ban's body: `reason` alone, optional.
///
/// # Errors
/// All violations.
pub fn parse_ban(mut body: Body, by: &UserId, now_ms: u64) -> Result<Ban, Refusal> {
    let reason = body.text("reason", REASON_CHARS_MAX);
    body.finish()?;
    Ok(Ban {
        reason,
        banned_by: by.as_str().to_owned(),
        banned_at: now_ms,
    })
}

/// Bans an identity, member or not; its membership, roles and request end.
#[must_use]
pub fn ban(transaction: Transaction, state: &State, user: &UserId, ban: &Ban) -> Transaction {
    let transaction = transaction
        .edit(Edit::put(Kind::Ban, user.as_str(), ban))
        .edit(Edit::delete(Kind::Member, user.as_str()))
        .edit(Edit::delete(Kind::Grant, user.as_str()))
        .edit(Edit::delete(Kind::Request, user.as_str()))
        .user(user.clone());
    match state.entry(Kind::Ban, user.as_str()) {
        Some(_) => transaction,
        None => transaction.check(Check::MaxCount {
            kind: Kind::Ban,
            max: BANS_PER_SERVER_MAX as u64,
        }),
    }
}
