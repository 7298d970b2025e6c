//! Requests to join a server.

use crate::{
    call::Call,
    handlers::{about, commit, entries_page, load, read},
    store::Want,
};
use directory::{
    Code, Edit, Entry, Kind, Refusal, Scope, State, Transaction,
    join_request::{self, JoinRequest},
    not_found,
    permission::Action,
    person::{self, JoinMethod},
    server::Server,
};
use identifiers::UserId;
use rest::Answer;
use serde_json::json;

/// `GET /api/servers/{serverId}/join-requests`.
pub(crate) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let limit = call.limit()?;
    let loaded = load(call, &call.server_id()?, Action::ManageMembers, []).await?;
    let view = |entry: &Entry| Some(join_request::request_json(&entry.key, &entry.read()?));
    let id = &loaded.server.id;
    let requests = entries_page(call, id, Kind::Request, "requests", limit, view).await?;
    Ok(Answer::ok(&requests))
}

/// `POST /api/servers/{serverId}/join-requests`.
pub(crate) async fn create(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let user = call.actor.user()?;
    let mut wants = about(user);
    wants.push(Want::One(Kind::Request, user.as_str().to_owned()));
    let state = read(call, &Scope::Server(id.clone()), &wants).await?;
    let server = Server::from_state(&id, &state)?;
    let request = join_request::parse_request(call.body()?, call.now_ms)?;
    let transaction = Transaction::new(
        Scope::Server(id),
        user.as_str(),
        "request.create",
        user.as_str(),
    );
    let transaction = join_request::request(transaction, &state, user, &request)?;
    if !server.stored.private && server.stored.password_hash.is_none() {
        return Err(Refusal::new(
            Code::Exists,
            "the server is open to everybody: join it",
        ));
    }
    let revision = commit(call, &transaction).await?.revision;
    Ok(Answer::ok(&join_request::request_json(user.as_str(), &request)).etag(revision))
}

/// `POST /api/servers/{serverId}/join-requests/{userId}/approve`.
pub(crate) async fn approve(call: &Call) -> Result<Answer, Refusal> {
    let (id, user) = (call.server_id()?, call.user_id(1)?);
    let mut wants = about(&user);
    wants.push(Want::One(Kind::Request, user.as_str().to_owned()));
    let loaded = load(call, &id, Action::ManageMembers, wants).await?;
    requested(&loaded.state, &user)?;
    let transaction = loaded
        .transaction(call, "request.approve", user.as_str())?
        .check(loaded.state.unchanged(Kind::Request, user.as_str()));
    let transaction = person::join(
        transaction,
        &loaded.state,
        &loaded.server,
        &user,
        JoinMethod::Approved,
        call.now_ms,
    );
    let revision = commit(call, &transaction).await?.revision;
    Ok(
        Answer::ok(&json!({"ok": true, "serverId": id, "userId": user, "revision": revision}))
            .etag(revision),
    )
}

/// `POST /api/servers/{serverId}/join-requests/{userId}/refuse`, and `DELETE` of the request, which its maker may do
/// too.
pub(crate) async fn refuse(call: &Call) -> Result<Answer, Refusal> {
    let (id, user) = (call.server_id()?, call.user_id(1)?);
    let want = Want::One(Kind::Request, user.as_str().to_owned());
    let own = call.actor.user()? == &user;
    let transaction = if own {
        let state = read(call, &Scope::Server(id.clone()), &[want]).await?;
        Server::from_state(&id, &state)?;
        requested(&state, &user)?;
        Transaction::new(
            Scope::Server(id),
            user.as_str(),
            "request.withdraw",
            user.as_str(),
        )
        .check(state.unchanged(Kind::Request, user.as_str()))
    } else {
        let loaded = load(call, &id, Action::ManageMembers, [want]).await?;
        requested(&loaded.state, &user)?;
        loaded
            .transaction(call, "request.refuse", user.as_str())?
            .check(loaded.state.unchanged(Kind::Request, user.as_str()))
    };
    let transaction = transaction.edit(Edit::delete(Kind::Request, user.as_str()));
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

fn requested(state: &State, user: &UserId) -> Result<JoinRequest, Refusal> {
    state
        .entry(Kind::Request, user.as_str())
        .and_then(|entry| entry.read())
        .ok_or_else(|| not_found("request"))
}
