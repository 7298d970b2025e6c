//! People on a server: members, bans, invites, requests to join; and what a user keeps for itself: keys and blocks.

use crate::{
    body::Body,
    refusal::{Code, Refusal, not_found},
    role::Grant,
    server::Server,
    transaction::{Check, Edit, HeadEdit, Kind, State, Transaction},
};
use identifiers::UserId;
use identity::PublicKey;
use limits::{
    directory::{
        BANS_PER_SERVER_MAX, INVITE_LIFETIME_MAX_MS, INVITE_LIFETIME_MS, INVITE_USES_MAX,
        INVITES_PER_SERVER_MAX, JOIN_REQUESTS_PER_SERVER_MAX, REASON_CHARS_MAX,
    },
    identity::{BLOCKS_MAX, KEYS_PER_USER_MAX},
};
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
    /// Who.
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

/// An invite as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Who made it.
    pub created_by: String,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// Milliseconds since 1970.
    pub expires_at: u64,
    /// How often it still admits; without bound where none is named.
    #[serde(default)]
    pub uses_left: Option<u64>,
}

impl Invite {
    /// Whether it still admits.
    #[must_use]
    pub fn is_open(&self, now_ms: u64) -> bool {
        self.expires_at > now_ms && self.uses_left != Some(0)
    }
}

/// An invite on the wire.
#[must_use]
pub fn invite_json(code: &str, invite: &Invite) -> serde_json::Value {
    json!({"code": code, "createdBy": invite.created_by, "createdAt": invite.created_at, "expiresAt": invite.expires_at, "usesLeft": invite.uses_left})
}

/// Reads an invite's body: `expiresInMs` (ten days when absent) and `maxUses` (without bound when absent).
///
/// # Errors
/// All violations.
pub fn parse_invite(mut body: Body, by: &UserId, now_ms: u64) -> Result<Invite, Refusal> {
    let lifetime = body
        .number("expiresInMs", 1..=INVITE_LIFETIME_MAX_MS)
        .unwrap_or(INVITE_LIFETIME_MS);
    let uses_left = body.number("maxUses", 1..=INVITE_USES_MAX);
    body.finish()?;
    Ok(Invite {
        created_by: by.as_str().to_owned(),
        created_at: now_ms,
        expires_at: now_ms.saturating_add(lifetime),
        uses_left,
    })
}

/// Stores an invite; expired and used up ones are removed. The state must hold all invites.
#[must_use]
pub fn invite(
    transaction: Transaction,
    state: &State,
    code: &str,
    invite: &Invite,
    now_ms: u64,
) -> Transaction {
    let dead: Vec<_> = state
        .entries(Kind::Invite)
        .filter(|entry| {
            entry
                .read::<Invite>()
                .is_none_or(|invite| !invite.is_open(now_ms))
        })
        .collect();
    let max = (INVITES_PER_SERVER_MAX + dead.len()) as u64;
    let gone: Vec<_> = dead
        .iter()
        .map(|entry| Edit::delete(Kind::Invite, entry.key.clone()))
        .collect();
    let still: Vec<_> = dead
        .iter()
        .map(|entry| state.unchanged(Kind::Invite, &entry.key))
        .collect();
    transaction
        .edits(gone)
        .checks(still)
        .edit(Edit::put(Kind::Invite, code, invite))
        .check(Check::MaxCount {
            kind: Kind::Invite,
            max,
        })
}

/// Uses an invite once.
#[must_use]
pub fn use_invite(
    transaction: Transaction,
    state: &State,
    code: &str,
    invite: &Invite,
) -> Transaction {
    let transaction = transaction.check(state.unchanged(Kind::Invite, code));
    match invite.uses_left {
        None => transaction,
        Some(left @ (0 | 1)) => {
            debug_assert!(left == 1, "a used up invite does not admit");
            transaction.edit(Edit::delete(Kind::Invite, code))
        }
        Some(left) => transaction.edit(Edit::put(
            Kind::Invite,
            code,
            &Invite {
                uses_left: Some(left - 1),
                ..invite.clone()
            },
        )),
    }
}

/// An open request to join as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRequest {
    /// For those who decide.
    #[serde(default)]
    pub message: Option<String>,
    /// Milliseconds since 1970.
    pub requested_at: u64,
}

/// A request on the wire.
#[must_use]
pub fn request_json(user: &str, request: &JoinRequest) -> serde_json::Value {
    json!({"userId": user, "message": request.message, "requestedAt": request.requested_at})
}

/// Reads a request's body: `message` alone, optional.
///
/// # Errors
/// All violations.
pub fn parse_request(mut body: Body, now_ms: u64) -> Result<JoinRequest, Refusal> {
    let message = body.text("message", REASON_CHARS_MAX);
    body.finish()?;
    Ok(JoinRequest {
        message,
        requested_at: now_ms,
    })
}

/// Stores a request.
///
/// # Errors
/// [`Code::Banned`], and [`Code::Exists`] for a member.
pub fn request(
    transaction: Transaction,
    state: &State,
    user: &UserId,
    request: &JoinRequest,
) -> Result<Transaction, Refusal> {
    if state.entry(Kind::Ban, user.as_str()).is_some() {
        return Err(Code::Banned.into());
    }
    if state.entry(Kind::Member, user.as_str()).is_some() {
        return Err(Refusal::new(
            Code::Exists,
            "the identity is a member already",
        ));
    }
    let transaction = transaction
        .check(state.head_unchanged())
        .check(state.unchanged(Kind::Ban, user.as_str()))
        .check(state.unchanged(Kind::Member, user.as_str()))
        .edit(Edit::put(Kind::Request, user.as_str(), request));
    Ok(match state.entry(Kind::Request, user.as_str()) {
        Some(_) => transaction,
        None => transaction.check(Check::MaxCount {
            kind: Kind::Request,
            max: JOIN_REQUESTS_PER_SERVER_MAX as u64,
        }),
    })
}

/// The document of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The identity needs proof wherever it appears.
    #[serde(default)]
    pub locked: bool,
}

impl User {
    /// The user of a state; users that the directory does not know are not locked.
    #[must_use]
    pub fn from_state(state: &State) -> Self {
        state
            .head
            .as_ref()
            .and_then(|head| serde_json::from_str(&head.doc).ok())
            .unwrap_or_default()
    }
}

/// A bound key as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundKey {
    /// Milliseconds since 1970.
    pub bound_at: u64,
}

/// Reads a lock's body: `key`, base64url of an Ed25519 public key; without one, tokens alone prove the identity.
///
/// # Errors
/// [`Code::InvalidKey`].
pub fn parse_key(mut body: Body, required: bool) -> Result<Option<PublicKey>, Refusal> {
    let text = body.text("key", 100);
    if required && text.is_none() && body.given("key").is_none() {
        body.violation(Code::InvalidKey, "key", "is required");
    }
    let key = text.and_then(|text| {
        PublicKey::parse(&text)
            .map_err(|error| {
                body.violation(Code::InvalidKey, "key", format!("cannot be used: {error}"))
            })
            .ok()
    });
    body.finish()?;
    Ok(key)
}

/// Locks an identity and binds a key to it. Where `first_only`, another bound key stands in the way: that is how
/// gateways bind, who saw a proof by the new key alone.
///
/// # Errors
/// [`Code::KeyConflict`].
pub fn lock(
    transaction: Transaction,
    state: &State,
    key: Option<&PublicKey>,
    first_only: bool,
    now_ms: u64,
) -> Result<Transaction, Refusal> {
    let mut transaction = transaction.with_user(User { locked: true });
    if let Some(key) = key.map(ToString::to_string)
        && state.entry(Kind::Key, &key).is_none()
    {
        if first_only
            && (state.entries(Kind::Key).next().is_some() || User::from_state(state).locked)
        {
            return Err(Code::KeyConflict.into());
        }
        transaction = transaction
            .edit(Edit::put(Kind::Key, key, &BoundKey { bound_at: now_ms }))
            .check(Check::MaxCount {
                kind: Kind::Key,
                max: KEYS_PER_USER_MAX as u64,
            });
    }
    Ok(transaction.check(Check::Revision {
        revision: state.head.as_ref().map_or(0, |head| head.revision),
    }))
}

/// Unlocks an identity and forgets its keys.
#[must_use]
pub fn unlock(transaction: Transaction, state: &State) -> Transaction {
    let keys: Vec<_> = state
        .entries(Kind::Key)
        .map(|entry| Edit::delete(Kind::Key, entry.key.clone()))
        .collect();
    let revision = state.head.as_ref().map_or(0, |head| head.revision);
    transaction
        .edits(keys)
        .check(Check::Revision { revision })
        .with_user(User { locked: false })
}

/// Reads the body of a block list: `blocks`, identities.
///
/// # Errors
/// All violations.
pub fn parse_blocks(mut body: Body) -> Result<Vec<UserId>, Refusal> {
    if body.given("blocks").is_none() {
        body.violation(Code::InvalidBody, "blocks", "is required");
    }
    let mut users = Vec::new();
    for text in body.texts("blocks", BLOCKS_MAX).unwrap_or_default() {
        match UserId::new(text) {
            Ok(user) if !users.contains(&user) => users.push(user),
            Ok(_) => {}
            Err(error) => body.violation(
                Code::InvalidUserId,
                "blocks",
                format!("names no identity: it {}", error.rule),
            ),
        }
    }
    body.finish()?;
    Ok(users)
}

/// Replaces the block list.
#[must_use]
pub fn set_blocks(
    transaction: Transaction,
    state: &State,
    users: &[UserId],
    now_ms: u64,
) -> Transaction {
    let wanted = |key: &str| users.iter().any(|user| user.as_str() == key);
    let gone: Vec<_> = state
        .entries(Kind::Block)
        .filter(|entry| !wanted(&entry.key))
        .map(|entry| Edit::delete(Kind::Block, entry.key.clone()))
        .collect();
    let new: Vec<_> = users
        .iter()
        .filter(|user| state.entry(Kind::Block, user.as_str()).is_none())
        .map(|user| Edit::put(Kind::Block, user.as_str(), &json!({"blockedAt": now_ms})))
        .collect();
    let revision = state.head.as_ref().map_or(0, |head| head.revision);
    transaction
        .edits(gone)
        .edits(new)
        .check(Check::Revision { revision })
        .detail(json!({"blocks": users.len()}))
        .with_user(User::from_state(state))
}

impl Transaction {
    fn with_user(mut self, user: User) -> Self {
        self.head = HeadEdit::Put {
            doc: serde_json::to_string(&user).unwrap_or_default(),
            owner: None,
            listed: false,
        };
        self
    }
}
