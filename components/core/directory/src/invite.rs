//! Invites: codes that admit to a server.

use crate::{
    body::Body,
    refusal::Refusal,
    transaction::{Check, Edit, Kind, State, Transaction},
};
use identifiers::UserId;
use limits::directory::{
    INVITE_LIFETIME_MAX_MS, INVITE_LIFETIME_MS, INVITE_USES_MAX, INVITES_PER_SERVER_MAX,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An invite as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// The user that created it.
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
    body.misnamed("expiresAt", "expiresInMs");
    body.misnamed("usesLeft", "maxUses");
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
