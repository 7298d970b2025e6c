//! `/api/internal`: the requests of gateways. Every route needs the service credential.

use super::{read, refused};
use crate::{call::Call, store::Want};
use directory::{Code, Kind, Refusal, Scope, server::Server, snapshot};
use http::StatusCode;
use limits::directory::{CHANGES_PAGE_MAX, KNOWN_USERS_PAGE_MAX, MEMBERS_ASKED_MAX};
use rest::Answer;
use serde_json::json;
use server_state::ServerState;

/// `GET /api/internal/servers/{serverId}`: everything a gateway decides on, at one revision. Requirements and event
/// definitions are left out for a gateway that has them already, as of `pluginsRevision`.
pub(crate) async fn server(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let known = call.number("pluginsRevision", 0, i64::MAX as u64)?;
    let scope = Scope::Server(id.clone());
    if known > 0 {
        // A ban or a role must not cost what all plugins of the server cost.
        let state = read(call, &scope, &[Want::All(Kind::Ban)]).await?;
        let server = Server::from_state(&id, &state)?;
        if server.plugins_revision == known {
            return answer(call, &server, &snapshot::without_plugins(&server, &state));
        }
    }
    let wants = [Kind::Requirement, Kind::Event, Kind::Ban].map(Want::All);
    let state = read(call, &scope, &wants).await?;
    let server = Server::from_state(&id, &state)?;
    answer(call, &server, &snapshot::for_gateways(&server, &state))
}

fn answer(call: &Call, server: &Server, state: &ServerState) -> Result<Answer, Refusal> {
    if call.has_revision(server.revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).etag(server.revision));
    }
    let text = serde_json::to_string(state).map_err(|_| Code::Internal)?;
    Ok(Answer::text(StatusCode::OK, text).etag(server.revision))
}

/// `POST /api/internal/servers/{serverId}/members`: which of some identities are members; none of them where there is
/// no such server.
pub(crate) async fn members(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let mut body = call.body()?;
    let asked = body.user_ids("userIds", MEMBERS_ASKED_MAX);
    body.finish()?;
    let members = call
        .store
        .members_among(&Scope::Server(id), &asked)
        .await
        .map_err(|fault| refused(&fault))?;
    Ok(Answer::ok(&json!({"members": members})))
}

/// `GET /api/internal/users/{userId}`; unknown ones need no proof.
pub(crate) async fn user(call: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::ok(
        &super::users::about(call, &call.user_id(0)?).await?,
    ))
}

/// `GET /api/internal/users`: identities with data of their own, by id. A gateway need not ask about others.
pub(crate) async fn users(call: &Call) -> Result<Answer, Refusal> {
    let limit = call.limit_of(KNOWN_USERS_PAGE_MAX, KNOWN_USERS_PAGE_MAX)?;
    let users = call
        .store
        .known_users(call.after()?, limit)
        .await
        .map_err(|fault| refused(&fault))?;
    let next = users
        .last()
        .filter(|_| users.len() as u64 == limit)
        .cloned();
    Ok(Answer::ok(&json!({"users": users, "next": next})))
}

/// `GET /api/internal/changes`: the feed above `after`. `reset` says that `after` is older than what is kept or newer
/// than what there is, so that the gateway has to read everything anew.
pub(crate) async fn changes(call: &Call) -> Result<Answer, Refusal> {
    let after = call.number("after", 0, i64::MAX as u64)?;
    let limit = call.limit_of(CHANGES_PAGE_MAX, CHANGES_PAGE_MAX)?;
    let feed = call
        .store
        .changes(after, limit)
        .await
        .map_err(|fault| refused(&fault))?;
    let reset = after > feed.latest || after + 1 < feed.oldest;
    let changes: Vec<_> = feed
        .changes
        .iter()
        .map(|change| json!({"seq": change.seq, "kind": change.kind, "id": change.id, "revision": change.revision}))
        .collect();
    Ok(Answer::ok(
        &json!({"changes": changes, "latest": feed.latest, "reset": reset}),
    ))
}
