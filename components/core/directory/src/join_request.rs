//! Requests to join, which a manager of members decides.

use crate::{
    body::Body,
    refusal::{Code, Refusal},
    transaction::{Check, Edit, Kind, State, Transaction},
};
use identifiers::UserId;
use limits::directory::{JOIN_REQUESTS_PER_SERVER_MAX, REASON_CHARS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
