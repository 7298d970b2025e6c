//! What a user keeps: the lock of the name, its keys, and the block list.

use crate::{
    body::Body,
    refusal::{Code, Refusal},
    transaction::{Check, Edit, HeadEdit, Kind, State, Transaction},
};
use identifiers::UserId;
use identity::PublicKey;
use limits::identity::{BLOCKS_MAX, KEYS_PER_USER_MAX};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
    let users = body.user_ids("blocks", BLOCKS_MAX);
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
