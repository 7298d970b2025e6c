//! `/api/servers`: list, create, read, change and delete servers; `/api/audit`.

use super::{Loaded, commit, load, read, refused};
use crate::{
    call::Call,
    config::Creators,
    password, random,
    store::{AuditOf, AuditRow, Listing, Want},
};
use directory::{
    Code, Kind, Refusal, Scope,
    permission::Action,
    server::{self, Form, Server, ServerPatch},
};
use http::{StatusCode, header};
use identifiers::{ServerId, UserId};
use identity::Mode;
use limits::directory::{AUDIT_PAGE_MAX, SERVERS_PER_ADMIN_MAX};
use rest::{Answer, page};
use serde_json::{Value, json};

/// `GET /api/servers`.
pub(crate) async fn list(call: &Call) -> Result<Answer, Refusal> {
    let (limit, mine) = (call.limit()?, call.flag("mine")?);
    if mine {
        call.actor.user()?;
    }
    let viewer = call
        .actor
        .user
        .as_ref()
        .map(UserId::as_str)
        .unwrap_or_default();
    let listing = Listing {
        viewer,
        all: call.actor.admin,
        mine,
        after: call.after()?,
        limit,
    };
    let rows = call
        .store
        .servers(&listing)
        .await
        .map_err(|fault| refused(&fault))?;
    let servers = rows.into_iter().filter_map(|(id, head)| {
        let server = Server::from_head(&ServerId::new(id.clone()).ok()?, &head)?;
        Some((id, server.to_json()))
    });
    Ok(Answer::ok(&page("servers", servers.collect(), limit)))
}

/// `POST /api/servers`.
pub(crate) async fn create(call: &Call) -> Result<Answer, Refusal> {
    let actor = call.actor.user()?;
    let allowed = call.actor.admin
        || match call.config.creators {
            Creators::Admin => false,
            Creators::Proven => call.actor.proven || call.config.mode == Mode::Open,
            Creators::Anyone => true,
        };
    if !allowed {
        return Err(Refusal::new(
            Code::Forbidden,
            "this host lets only its operators create servers",
        )
        .with("needs", "admin"));
    }
    let patch = server::parse(call.body()?, Form::Create)?;
    let id = match &patch.id {
        Some(id) => id.clone(),
        None => ServerId::new(random::word()).map_err(|_| Code::Internal)?,
    };
    let scope = Scope::Server(id.clone());
    let state = read(call, &scope, &[]).await?;
    if state.head.is_some() {
        return Err(Refusal::new(
            Code::Exists,
            "there is a server of this id already",
        ));
    }
    let hash = hashed(call, actor, &patch).await?;
    let transaction = server::create(
        &state,
        &id,
        actor,
        patch,
        hash,
        owned_max(call),
        call.now_ms,
    )?;
    let committed = commit(call, &transaction).await?;
    let server = Server::from_state(&id, &read(call, &scope, &[]).await?)?;
    let location = format!("/api/servers/{id}");
    Ok(Answer::json(StatusCode::CREATED, &server.to_json())
        .etag(committed.revision)
        .header(header::LOCATION, &location))
}

/// `GET /api/servers/{serverId}`.
pub(crate) async fn show(call: &Call) -> Result<Answer, Refusal> {
    let Loaded {
        server,
        state,
        rights,
    } = load(call, &call.server_id()?, Action::View, [Want::Members]).await?;
    if call.has_revision(server.revision) {
        return Ok(Answer::empty(StatusCode::NOT_MODIFIED).etag(server.revision));
    }
    let mut view = server.to_json();
    view["memberCount"] = state.members.into();
    if call.actor.user.is_some() {
        view["you"] = json!({
            "owner": rights.owner,
            "member": rights.owner || rights.member,
            "manageServer": call.actor.admin || rights.owner || rights.manages_server,
            "manageMembers": call.actor.admin || rights.owner || rights.manages_members,
        });
    }
    Ok(Answer::ok(&view).etag(server.revision))
}

/// `PATCH /api/servers/{serverId}`.
pub(crate) async fn patch(call: &Call) -> Result<Answer, Refusal> {
    change(call, Form::Patch).await
}

/// `PUT /api/servers/{serverId}`.
pub(crate) async fn replace(call: &Call) -> Result<Answer, Refusal> {
    change(call, Form::Replace).await
}

async fn change(call: &Call, form: Form) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    load(call, &id, Action::ManageServer, []).await?;
    let patch = server::parse(call.body()?, form)?;
    let (action, wants) = match &patch.owner {
        Some(owner) => (
            Action::ManageServer,
            vec![Want::One(Kind::Member, owner.as_str().to_owned())],
        ),
        None => (Action::ManageServer, Vec::new()),
    };
    let loaded = load(call, &id, action, wants).await?;
    let handed_over = patch
        .owner
        .as_ref()
        .is_some_and(|owner| *owner != loaded.server.owner);
    if handed_over {
        directory::permission::require(&call.actor, &loaded.server, &loaded.state, Action::Own)?;
    }
    let hash = hashed(call, call.actor.user()?, &patch).await?;
    let transaction = loaded.transaction(
        call,
        if handed_over {
            "server.handover"
        } else {
            "server.update"
        },
        id.as_str(),
    )?;
    let transaction = server::update(
        transaction,
        &loaded.state,
        &loaded.server,
        patch,
        hash,
        owned_max(call),
    )?;
    let committed = commit(call, &transaction).await?;
    let server = Server::from_state(&id, &read(call, &Scope::Server(id.clone()), &[]).await?)?;
    Ok(Answer::ok(&server.to_json()).etag(committed.revision))
}

/// `DELETE /api/servers/{serverId}`.
pub(crate) async fn delete(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let loaded = load(call, &id, Action::Own, [Want::All(Kind::Grant)]).await?;
    let transaction = server::delete(
        loaded.transaction(call, "server.delete", id.as_str())?,
        &loaded.state,
        &loaded.server,
    );
    Ok(Answer::done(commit(call, &transaction).await?.revision))
}

async fn hashed(
    call: &Call,
    actor: &UserId,
    patch: &ServerPatch,
) -> Result<Option<String>, Refusal> {
    let Some(Some(text)) = &patch.password else {
        return Ok(None);
    };
    if let Some(hash) = call.hashed.get() {
        return Ok(hash.clone());
    }
    let hash = password::hash(call, actor.as_str(), text).await?;
    Ok(call.hashed.get_or_init(|| Some(hash)).clone())
}

fn owned_max(call: &Call) -> u64 {
    if call.actor.admin {
        SERVERS_PER_ADMIN_MAX
    } else {
        call.config.servers_per_owner
    }
}

/// `GET /api/audit`: of one server for its managers, of everything for operators. What an id's earlier servers went
/// through is for operators alone.
pub(crate) async fn audit(call: &Call) -> Result<Answer, Refusal> {
    let limit = call.limit_of(limits::rest::PAGE_ITEMS_DEFAULT, AUDIT_PAGE_MAX)?;
    let before = call.number("before", i64::MAX as u64, i64::MAX as u64)?;
    let server = match call.query.get("server") {
        Some(text) => Some(
            ServerId::new(text)
                .map_err(|error| Refusal::new(Code::InvalidServerId, error.to_string()))?,
        ),
        None => None,
    };
    call.actor.user()?;
    let of = match &server {
        Some(id) if !call.actor.admin => AuditOf::Server {
            id: id.as_str(),
            revision: load(call, id, Action::ManageServer, [])
                .await?
                .server
                .revision,
        },
        Some(id) => AuditOf::Id(id.as_str()),
        None if call.actor.admin => AuditOf::Everything,
        None => {
            return Err(Refusal::new(
                Code::Forbidden,
                "the whole audit is for operators; name a server",
            )
            .with("needs", "admin"));
        }
    };
    let rows = call
        .store
        .audit(&of, before, limit)
        .await
        .map_err(|fault| refused(&fault))?;
    let next = rows
        .last()
        .filter(|_| rows.len() as u64 == limit)
        .map(|row| row.seq);
    Ok(Answer::ok(
        &json!({"entries": rows.iter().map(audit_json).collect::<Vec<_>>(), "next": next}),
    ))
}

fn audit_json(row: &AuditRow) -> Value {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    json!({
        "seq": row.seq,
        "at": row.at_ms,
        "actor": row.actor,
        "action": row.action,
        "kind": row.scope_kind,
        "id": row.scope_id,
        "target": row.target,
        "revision": row.revision,
        "detail": detail,
    })
}
