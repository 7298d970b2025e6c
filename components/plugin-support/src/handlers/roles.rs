//! Roles and their holders.

use super::{about, commit, load};
use crate::{call::Call, store::Want};
use directory::{
    Kind, Refusal,
    permission::Action,
    role::{self, Grant, Role},
};
use rest::Answer;
use serde_json::json;

/// `GET /api/servers/{serverId}/roles`.
pub(crate) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let loaded = load(
        call,
        &call.server_id()?,
        Action::ViewMembers,
        [Want::All(Kind::Grant)],
    )
    .await?;
    let roles: Vec<_> = loaded
        .state
        .entries(Kind::Role)
        .filter_map(|entry| Some((&entry.key, entry.read::<Role>()?)))
        .map(|(id, role)| {
            let holders = loaded.state.entries(Kind::Grant).filter(|entry| {
                entry
                    .read::<Grant>()
                    .is_some_and(|grant| grant.roles.contains(id))
            });
            let mut view = role::to_json(id, &role);
            view["members"] = holders.map(|entry| entry.key.clone()).collect();
            view
        })
        .collect();
    Ok(Answer::ok(&json!({"roles": roles})).etag(loaded.server.revision))
}

/// `PUT /api/servers/{serverId}/roles/{roleId}`.
pub(crate) async fn put(call: &Call) -> Result<Answer, Refusal> {
    let (id, role_id) = (call.server_id()?, call.role_id(1)?);
    let loaded = load(call, &id, Action::ManageServer, []).await?;
    let role = role::parse(call.body()?)?;
    let transaction = role::put(
        loaded.transaction(call, "role.put", role_id.as_str())?,
        &loaded.state,
        &role_id,
        &role,
    );
    let revision = commit(call, &transaction).await?.revision;
    Ok(Answer::ok(&role::to_json(&role_id, &role)).etag(revision))
}

/// `DELETE /api/servers/{serverId}/roles/{roleId}`.
pub(crate) async fn delete(call: &Call) -> Result<Answer, Refusal> {
    let (id, role_id) = (call.server_id()?, call.role_id(1)?);
    let loaded = load(call, &id, Action::ManageServer, [Want::All(Kind::Grant)]).await?;
    let transaction = role::delete(
        loaded.transaction(call, "role.delete", role_id.as_str())?,
        &loaded.state,
        &role_id,
    )?;
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

/// `PUT /api/servers/{serverId}/members/{userId}/roles/{roleId}`.
pub(crate) async fn grant(call: &Call) -> Result<Answer, Refusal> {
    change(call, true).await
}

/// `DELETE /api/servers/{serverId}/members/{userId}/roles/{roleId}`.
pub(crate) async fn revoke(call: &Call) -> Result<Answer, Refusal> {
    change(call, false).await
}

async fn change(call: &Call, give: bool) -> Result<Answer, Refusal> {
    let (id, user, role_id) = (call.server_id()?, call.user_id(1)?, call.role_id(2)?);
    let loaded = load(call, &id, Action::ManageServer, about(&user)).await?;
    let action = if give { "role.grant" } else { "role.revoke" };
    let transaction = loaded
        .transaction(call, action, user.as_str())?
        .detail(json!({"role": role_id}));
    let (transaction, grant) = role::grant(transaction, &loaded.state, &user, &role_id, give)?;
    let revision = commit(call, &transaction).await?.revision;
    Ok(
        Answer::ok(
            &json!({"ok": true, "userId": user, "roles": grant.roles, "revision": revision}),
        )
        .etag(revision),
    )
}
