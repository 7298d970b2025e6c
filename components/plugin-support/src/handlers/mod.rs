//! The handlers of the routes: read, decide (`directory`), commit, answer. A handler runs again if the facts that it
//! decided on have changed by the time of its commit.

pub(crate) mod internal;
pub(crate) mod invites;
pub(crate) mod join_requests;
pub(crate) mod joining;
pub(crate) mod members;
pub(crate) mod plugins;
pub(crate) mod roles;
pub(crate) mod servers;
pub(crate) mod users;

use crate::{
    call::Call,
    outbound, random,
    store::{Committed, Fault, Want},
};
use directory::{
    Check, Code, Entry, Kind, Refusal, Scope, State, Transaction, etag, limit_reached,
    permission::{self, Action, MemberRights},
    server::Server,
};
use identifiers::{ServerId, UserId};
use limits::directory::{CHANGES_OWN_SHARE, CHANGES_WINDOW_MS};
use rest::page;
use serde_json::Value;

/// A server that the actor may act on.
pub(super) struct Loaded {
    pub(super) server: Server,
    pub(super) state: State,
    pub(super) rights: MemberRights,
}

impl Loaded {
    /// A transaction of this server in the actor's name, guarded by the facts its authority rests on and by `If-Match`.
    pub(super) fn transaction(
        &self,
        call: &Call,
        action: &'static str,
        target: impl Into<String>,
    ) -> Result<Transaction, Refusal> {
        let actor = call.actor.user()?;
        let transaction = Transaction::new(
            Scope::Server(self.server.id.clone()),
            actor.as_str(),
            action,
            target,
        )
        .checks(permission::checks(&call.actor, &self.state, self.rights));
        Ok(match etag::guard(call.if_match(), self.server.revision)? {
            Some(revision) => transaction.check(Check::Match { revision }),
            None => transaction,
        })
    }
}

/// The entries that say what a user is on a server; roles are needed too.
pub(super) fn about(user: &UserId) -> Vec<Want> {
    [Kind::Member, Kind::Grant, Kind::Ban]
        .into_iter()
        .map(|kind| Want::One(kind, user.as_str().to_owned()))
        .collect()
}

/// Reads a scope.
pub(super) async fn read(call: &Call, scope: &Scope, wants: &[Want]) -> Result<State, Refusal> {
    call.store
        .read(scope, wants)
        .await
        .map_err(|fault| refused(&fault))
}

/// Reads a server with what its decision needs, and decides whether the actor may do this.
///
/// # Errors
/// [`Code::NotFound`], [`Code::Unauthenticated`], [`Code::Forbidden`], and those of the store.
pub(super) async fn load(
    call: &Call,
    id: &ServerId,
    action: Action,
    wants: impl IntoIterator<Item = Want>,
) -> Result<Loaded, Refusal> {
    let mut all = vec![Want::All(Kind::Role)];
    if let Some(user) = &call.actor.user {
        all.extend(about(user));
    }
    for want in wants {
        if !all.contains(&want) {
            all.push(want);
        }
    }
    let state = read(call, &Scope::Server(id.clone()), &all).await?;
    let server = Server::from_state(id, &state)?;
    let rights = permission::require(&call.actor, &server, &state, action)?;
    Ok(Loaded {
        server,
        state,
        rights,
    })
}

/// One page of a server's entries of a kind, as [`page`] makes it; an entry for which `view` has nothing is left out.
pub(super) async fn entries_page(
    call: &Call,
    server: &ServerId,
    kind: Kind,
    name: &str,
    limit: u64,
    view: impl Fn(&Entry) -> Option<Value>,
) -> Result<Value, Refusal> {
    let scope = Scope::Server(server.clone());
    let entries = call
        .store
        .page(&scope, kind, call.after()?, limit)
        .await
        .map_err(|fault| refused(&fault))?;
    let items = entries
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), view(entry)?)));
    Ok(page(name, items.collect(), limit))
}

/// Commits, and wakes the gateways.
///
/// # Errors
/// [`Code::Conflict`] asks for another try; [`Code::RateLimited`]; limits are named; those of the store.
pub(super) async fn commit(call: &Call, transaction: &Transaction) -> Result<Committed, Refusal> {
    admit_change(call, transaction).await?;
    match call
        .store
        .commit(transaction, &random::word(), call.now_ms)
        .await
    {
        Ok(committed) => {
            outbound::wake_gateways(&call.config, committed.seq);
            Ok(committed)
        }
        Err(fault) => Err(limit(transaction, &fault).unwrap_or_else(|| refused(&fault))),
    }
}

/// Checks that the scope has not changed too often within [`CHANGES_WINDOW_MS`]. What changes at the same moment is not
/// counted yet: a few more may pass together.
///
/// # Errors
/// [`Code::RateLimited`].
async fn admit_change(call: &Call, transaction: &Transaction) -> Result<(), Refusal> {
    let all = call.config.changes_per_minute.max(1);
    let is_own = transaction.actor == transaction.target || transaction.actor == "service";
    let max = match is_own {
        true => (all / u64::from(CHANGES_OWN_SHARE)).max(1),
        false => all,
    };
    let before = call.store.earlier_change(&transaction.scope, max - 1).await;
    let Some(at_ms) = before.map_err(|fault| refused(&fault))? else {
        return Ok(());
    };
    let wait_ms = (at_ms + CHANGES_WINDOW_MS).saturating_sub(call.now_ms);
    if wait_ms == 0 {
        return Ok(());
    }
    let (kind, what) = match is_own {
        true => (transaction.scope.kind(), "changes by its users themselves"),
        false => (transaction.scope.kind(), "changes"),
    };
    Err(Refusal::new(
        Code::RateLimited,
        format!("at most {max} {what} of a {kind} a minute"),
    )
    .with("retryAfterMs", wait_ms.min(CHANGES_WINDOW_MS)))
}

/// The refusal of a fault; what the client is not told goes to the log.
pub(super) fn refused(fault: &Fault) -> Refusal {
    if matches!(
        fault,
        Fault::Newer(_) | Fault::Corrupt(_) | Fault::NoSpace(_) | Fault::Unavailable(_)
    ) {
        eprintln!("database: {fault}");
    }
    fault.refusal()
}

fn limit(transaction: &Transaction, fault: &Fault) -> Option<Refusal> {
    match fault {
        Fault::LimitReached => transaction.checks.iter().find_map(|check| match check {
            Check::MaxCount {
                kind: Kind::Member, ..
            } => Some(Code::Full.into()),
            Check::MaxCount { kind, max } => {
                Some(limit_reached(&format!("{}s", kind.as_str()), *max))
            }
            _ => None,
        }),
        Fault::Owned => transaction.checks.iter().find_map(|check| match check {
            Check::Owned { max, .. } => Some(limit_reached("servers", *max)),
            _ => None,
        }),
        Fault::Bytes => Some(limit_reached(
            "bytes of requirements and event definitions",
            directory::requirement::bytes_max(),
        )),
        _ => None,
    }
}

/// A JSON object's text with further members behind its own, whose order and number forms stay.
pub(super) fn extended(object: &str, more: &Value) -> String {
    let more = more.to_string();
    match (object.strip_suffix('}'), more.strip_prefix('{')) {
        (Some("{"), Some(_)) => more,
        (Some(head), Some(tail)) => format!("{head},{tail}"),
        _ => object.to_owned(),
    }
}
