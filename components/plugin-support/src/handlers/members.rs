//! Members and bans.

use super::{Loaded, about, commit, entries_page, load};
use crate::{call::Call, store::Want};
use directory::{
    Edit, Entry, Kind, Refusal, not_found,
    permission::{self, Action, MemberRights},
    person::{self, Ban},
    role::Grant,
};
use identifiers::{ServerId, UserId};
use rest::Answer;

/// `GET /api/servers/{serverId}/members`.
pub(crate) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let limit = call.limit()?;
    let Loaded { server, state, .. } = load(
        call,
        &call.server_id()?,
        Action::ViewMembers,
        [Want::All(Kind::Grant), Want::Members],
    )
    .await?;
    let view = |entry: &Entry| {
        let grant = state
            .entry(Kind::Grant, &entry.key)
            .and_then(|entry| entry.read::<Grant>());
        let member = entry.read()?;
        Some(person::member_json(
            &server,
            &entry.key,
            &member,
            grant.as_ref(),
        ))
    };
    let mut body = entries_page(call, &server.id, Kind::Member, "members", limit, view).await?;
    body["total"] = state.members.into();
    Ok(Answer::ok(&body).etag(server.revision))
}

/// The server with its facts about two people, where the actor may act on the other one.
async fn load_about(call: &Call, id: &ServerId, user: &UserId) -> Result<Loaded, Refusal> {
    let loaded = load(call, id, Action::ManageMembers, about(user)).await?;
    let target = MemberRights::from_state(&loaded.state, &loaded.server, user);
    permission::may_act_on(&call.actor, loaded.rights, target)?;
    Ok(loaded)
}

/// `DELETE /api/servers/{serverId}/members/{userId}`.
pub(crate) async fn remove(call: &Call) -> Result<Answer, Refusal> {
    let (id, user) = (call.server_id()?, call.user_id(1)?);
    if call.actor.user()? == &user {
        return super::joining::leave(call).await;
    }
    let loaded = load_about(call, &id, &user).await?;
    let transaction = person::leave(
        loaded.transaction(call, "member.remove", user.as_str())?,
        &loaded.state,
        &loaded.server,
        &user,
    )?;
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

/// `GET /api/servers/{serverId}/bans`.
pub(crate) async fn bans(call: &Call) -> Result<Answer, Refusal> {
    let limit = call.limit()?;
    let loaded = load(call, &call.server_id()?, Action::ManageMembers, []).await?;
    let view = |entry: &Entry| Some(person::ban_json(&entry.key, &entry.read()?));
    let bans = entries_page(call, &loaded.server.id, Kind::Ban, "bans", limit, view).await?;
    Ok(Answer::ok(&bans))
}

/// `PUT /api/servers/{serverId}/bans/{userId}`.
pub(crate) async fn ban(call: &Call) -> Result<Answer, Refusal> {
    let (id, user) = (call.server_id()?, call.user_id(1)?);
    let loaded = load_about(call, &id, &user).await?;
    let ban: Ban = person::parse_ban(call.body()?, call.actor.user()?, call.now_ms)?;
    let transaction = person::ban(
        loaded.transaction(call, "ban.put", user.as_str())?,
        &loaded.state,
        &user,
        &ban,
    );
    let revision = commit(call, &transaction).await?.revision;
    Ok(Answer::ok(&person::ban_json(user.as_str(), &ban)).etag(revision))
}

/// `DELETE /api/servers/{serverId}/bans/{userId}`.
pub(crate) async fn unban(call: &Call) -> Result<Answer, Refusal> {
    let (id, user) = (call.server_id()?, call.user_id(1)?);
    let loaded = load(call, &id, Action::ManageMembers, about(&user)).await?;
    if loaded.state.entry(Kind::Ban, user.as_str()).is_none() {
        return Err(not_found("ban"));
    }
    let transaction = loaded
        .transaction(call, "ban.delete", user.as_str())?
        .edit(Edit::delete(Kind::Ban, user.as_str()));
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}
