//! Invites of a server.

use crate::{
    call::Call,
    handlers::{Loaded, commit, load},
    random,
    store::Want,
};
use directory::{
    Edit, Kind, Refusal,
    invite::{self, Invite},
    not_found,
    permission::Action,
};
use rest::Answer;
use serde_json::json;

/// The server with all of its invites, for an actor that manages its members.
async fn load_invites(call: &Call) -> Result<Loaded, Refusal> {
    let wants = [Want::All(Kind::Invite)];
    load(call, &call.server_id()?, Action::ManageMembers, wants).await
}

/// `GET /api/servers/{serverId}/invites`: those that still admit.
pub(crate) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let loaded = load_invites(call).await?;
    let open = loaded
        .state
        .entries(Kind::Invite)
        .filter_map(|entry| Some((&entry.key, entry.read::<Invite>()?)));
    let views: Vec<_> = open
        .filter(|(_, invite)| invite.is_open(call.now_ms))
        .map(|(code, invite)| invite::invite_json(code, &invite))
        .collect();
    Ok(Answer::ok(&json!({"invites": views})))
}

/// `POST /api/servers/{serverId}/invites`.
pub(crate) async fn create(call: &Call) -> Result<Answer, Refusal> {
    let loaded = load_invites(call).await?;
    let invite = invite::parse_invite(call.body()?, call.actor.user()?, call.now_ms)?;
    let code = random::word();
    // The audit names an invite by its beginning: its whole is a credential.
    let target = code.chars().take(4).collect::<String>();
    let transaction = invite::invite(
        loaded.transaction(call, "invite.create", target)?,
        &loaded.state,
        &code,
        &invite,
        call.now_ms,
    );
    let revision = commit(call, &transaction).await?.revision;
    Ok(Answer::ok(&invite::invite_json(&code, &invite)).etag(revision))
}

/// `DELETE /api/servers/{serverId}/invites/{code}`.
pub(crate) async fn delete(call: &Call) -> Result<Answer, Refusal> {
    let code = call.word(1).replace(char::is_control, "\u{fffd}");
    let loaded = load(
        call,
        &call.server_id()?,
        Action::ManageMembers,
        [Want::One(Kind::Invite, code.clone())],
    )
    .await?;
    if loaded.state.entry(Kind::Invite, &code).is_none() {
        return Err(not_found("invite"));
    }
    let target = code.chars().take(4).collect::<String>();
    let transaction = loaded
        .transaction(call, "invite.delete", target)?
        .edit(Edit::delete(Kind::Invite, code));
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}
