//! `/api/users/me`: an identity's own data: its lock, its keys, the identities that it blocks.

use super::{commit, read, refused};
use crate::{call::Call, store::Want};
use directory::{
    Kind, Refusal, Scope, State, Transaction, limit_reached,
    user::{self, User},
};
use identifiers::UserId;
use rest::Answer;
use serde_json::{Value, json};

/// What the directory knows of an identity, for itself and for gateways.
pub(super) async fn about(call: &Call, user: &UserId) -> Result<Value, Refusal> {
    let state = read(
        call,
        &Scope::User(user.clone()),
        &[Want::All(Kind::Key), Want::All(Kind::Block)],
    )
    .await?;
    let facts = call
        .store
        .user_facts(user.as_str())
        .await
        .map_err(|fault| refused(&fault))?;
    let keys: Vec<_> = state.entries(Kind::Key).map(|entry| &entry.key).collect();
    let blocks: Vec<_> = state.entries(Kind::Block).map(|entry| &entry.key).collect();
    let locked = User::from_state(&state).locked;
    Ok(json!({
        "userId": user,
        "proofRequired": locked || facts.owns || facts.holds_role,
        "locked": locked,
        "keys": keys,
        "blocks": blocks,
        "revision": state.head.as_ref().map_or(0, |head| head.revision),
    }))
}

/// `GET /api/users/me`.
pub(crate) async fn me(call: &Call) -> Result<Answer, Refusal> {
    let mut view = about(call, call.actor.user()?).await?;
    view["role"] = if call.actor.admin { "admin" } else { "client" }.into();
    Ok(Answer::ok(&view))
}

/// `PUT /api/users/me/lock`: from now on the identity needs proof, by token or by this key.
pub(crate) async fn lock(call: &Call) -> Result<Answer, Refusal> {
    let user = call.actor.proven()?;
    let key = user::parse_key(call.body()?, false)?;
    let (state, transaction) = own(call, user, "user.lock", Kind::Key).await?;
    answer(
        call,
        user,
        user::lock(transaction, &state, key.as_ref(), false, call.now_ms)?,
    )
    .await
}

/// `DELETE /api/users/me/lock`: the lock and all keys go.
pub(crate) async fn unlock(call: &Call) -> Result<Answer, Refusal> {
    let user = call.actor.proven()?;
    let (state, transaction) = own(call, user, "user.unlock", Kind::Key).await?;
    let revision = commit(call, &user::unlock(transaction, &state))
        .await?
        .revision;
    Ok(Answer::done(revision))
}

/// `GET /api/users/me/blocks`.
pub(crate) async fn blocks(call: &Call) -> Result<Answer, Refusal> {
    let view = about(call, call.actor.user()?).await?;
    Ok(Answer::ok(&json!({"blocks": view["blocks"]})))
}

/// `PUT /api/users/me/blocks`: replaces the list.
pub(crate) async fn set_blocks(call: &Call) -> Result<Answer, Refusal> {
    let user = call.actor.user()?;
    let users = user::parse_blocks(call.body()?)?;
    change_blocks(call, user, |_| users.clone()).await
}

/// `DELETE /api/users/me/blocks`: empties the list.
pub(crate) async fn clear_blocks(call: &Call) -> Result<Answer, Refusal> {
    change_blocks(call, call.actor.user()?, |_| Vec::new()).await
}

/// `PUT /api/users/me/blocks/{userId}`.
pub(crate) async fn block(call: &Call) -> Result<Answer, Refusal> {
    let other = call.user_id(0)?;
    change_blocks(call, call.actor.user()?, |mut users| {
        if !users.contains(&other) {
            users.push(other.clone());
        }
        users
    })
    .await
}

/// `DELETE /api/users/me/blocks/{userId}`.
pub(crate) async fn unblock(call: &Call) -> Result<Answer, Refusal> {
    let other = call.user_id(0)?;
    change_blocks(call, call.actor.user()?, |mut users| {
        users.retain(|user| *user != other);
        users
    })
    .await
}

async fn change_blocks(
    call: &Call,
    user: &UserId,
    change: impl Fn(Vec<UserId>) -> Vec<UserId>,
) -> Result<Answer, Refusal> {
    let (state, transaction) = own(call, user, "user.blocks", Kind::Block).await?;
    let users = change(
        state
            .entries(Kind::Block)
            .filter_map(|entry| UserId::new(entry.key.clone()).ok())
            .collect(),
    );
    if users.len() > limits::identity::BLOCKS_MAX {
        return Err(limit_reached("blocks", limits::identity::BLOCKS_MAX as u64));
    }
    let revision = commit(
        call,
        &user::set_blocks(transaction, &state, &users, call.now_ms),
    )
    .await?
    .revision;
    Ok(Answer::ok(
        &json!({"ok": true, "blocks": users, "revision": revision}),
    ))
}

async fn own(
    call: &Call,
    user: &UserId,
    action: &'static str,
    kind: Kind,
) -> Result<(State, Transaction), Refusal> {
    let scope = Scope::User(user.clone());
    let state = read(call, &scope, &[Want::All(kind)]).await?;
    Ok((
        state,
        Transaction::new(scope, user.as_str(), action, user.as_str()),
    ))
}

async fn answer(call: &Call, user: &UserId, transaction: Transaction) -> Result<Answer, Refusal> {
    let revision = commit(call, &transaction).await?.revision;
    let mut view = about(call, user).await?;
    view["ok"] = true.into();
    view["revision"] = revision.into();
    Ok(Answer::ok(&view))
}

/// `PUT /api/internal/users/{userId}/key`: a gateway binds a key that it saw proven. Another key that is bound already
/// stands in the way, unless the gateway says with `add` that the identity was proven otherwise.
pub(crate) async fn bind(call: &Call) -> Result<Answer, Refusal> {
    let user = call.user_id(0)?;
    let mut body = call.body()?;
    let add = body.flag("add").unwrap_or(false);
    let key = user::parse_key(body, true)?;
    let scope = Scope::User(user.clone());
    let state = read(call, &scope, &[Want::All(Kind::Key)]).await?;
    let transaction = Transaction::new(scope, "service", "user.bind", user.as_str());
    answer(
        call,
        &user,
        user::lock(transaction, &state, key.as_ref(), !add, call.now_ms)?,
    )
    .await
}
