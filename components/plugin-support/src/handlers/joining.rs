//! Joining and leaving, for clients, and for gateways on behalf of a connection.

use crate::{
    call::Call,
    handlers::{about, commit, read},
    password,
    store::Want,
};
use directory::{
    Code, Kind, Refusal, Scope, State, Transaction,
    attempt::Attempt,
    invite::{self, Invite},
    join::{self, JoinFacts, Verdict},
    permission::MemberRights,
    person::{self, JoinMethod},
    server::Server,
};
use identifiers::{ServerId, UserId};
use identity::Mode;
use rest::Answer;
use serde_json::{Value, json};

/// The credentials with which an identity asks to join.
struct Credentials {
    user: UserId,
    admin: bool,
    /// The identity is proven, or this host asks for no proof.
    trusted: bool,
    proven: bool,
    /// The address of the client, as the host or a gateway tells it.
    address: Option<String>,
    password: Option<String>,
    invite: Option<String>,
}

/// A server, its state, and the decision about a request to join it.
struct Admission {
    server: Server,
    state: State,
    verdict: Verdict,
    member: bool,
}

async fn admission(
    call: &Call,
    id: &ServerId,
    credentials: &Credentials,
) -> Result<Admission, Refusal> {
    let user = credentials.user.as_str().to_owned();
    let mut wants = about(&credentials.user);
    wants.extend([
        Want::All(Kind::Role),
        Want::Members,
        Want::One(Kind::Request, user.clone()),
    ]);
    wants.extend(
        credentials
            .invite
            .iter()
            .map(|code| Want::One(Kind::Invite, code.clone())),
    );
    let state = read(call, &Scope::Server(id.clone()), &wants).await?;
    let server = Server::from_state(id, &state)?;
    let mut rights = MemberRights::from_state(&state, &server, &credentials.user);
    if !credentials.trusted && (rights.owner || rights.holds_role) {
        // An unproven name with rights to lose has no rights here.
        rights = MemberRights {
            banned: rights.banned,
            ..MemberRights::default()
        };
    }
    let mut facts = JoinFacts {
        rights,
        admin: credentials.admin,
        private: server.stored.private,
        has_password: server.stored.password_hash.is_some(),
        full: state.members >= server.members_max(),
        requested: state.entry(Kind::Request, &user).is_some(),
        invite: credentials
            .invite
            .as_ref()
            .map(|code| open_invite(&state, code, call.now_ms).is_some()),
        password_given: credentials.password.is_some(),
        password_right: None,
    };
    let mut verdict = join::decide(&facts);
    if verdict == Verdict::ComparePassword {
        facts.password_right = Some(compare(call, &server, credentials).await?);
        verdict = join::decide(&facts);
    }
    Ok(Admission {
        server,
        state,
        verdict,
        member: rights.member,
    })
}

async fn compare(call: &Call, server: &Server, credentials: &Credentials) -> Result<bool, Refusal> {
    if let Some(right) = call.compared.get() {
        return Ok(*right);
    }
    let attempt = Attempt {
        server: server.id.as_str(),
        user: credentials.user.as_str(),
        proven: credentials.proven,
        address: credentials.address.as_deref(),
    };
    password::admit_attempt(call, &attempt).await?;
    let given = credentials.password.as_deref().unwrap_or_default();
    let fits = given.len() <= limits::directory::PASSWORD_BYTES_MAX;
    let right = fits
        && server
            .stored
            .password_hash
            .as_deref()
            .is_some_and(|hash| password::is_right(given, hash));
    Ok(*call.compared.get_or_init(|| right))
}

fn open_invite(state: &State, code: &str, now_ms: u64) -> Option<Invite> {
    state
        .entry(Kind::Invite, code)?
        .read::<Invite>()
        .filter(|invite| invite.is_open(now_ms))
}

/// The transaction that makes the membership.
fn membership(
    call: &Call,
    admission: &Admission,
    credentials: &Credentials,
    actor: &str,
    way: JoinMethod,
) -> Transaction {
    let transaction = Transaction::new(
        Scope::Server(admission.server.id.clone()),
        actor,
        "member.join",
        credentials.user.as_str(),
    );
    let transaction = person::join(
        transaction,
        &admission.state,
        &admission.server,
        &credentials.user,
        way,
        call.now_ms,
    );
    match credentials
        .invite
        .as_deref()
        .filter(|_| way == JoinMethod::Invite)
    {
        Some(code) => match open_invite(&admission.state, code, call.now_ms) {
            Some(invite) => invite::use_invite(transaction, &admission.state, code, &invite),
            None => transaction,
        },
        None => transaction,
    }
}

/// `password` and `invite` (also `inviteToken`) of a body.
fn credentials_in(call: &Call) -> Result<(Option<String>, Option<String>), Refusal> {
    let mut body = call.body()?;
    let password = body.text("password", limits::directory::PASSWORD_BYTES_MAX);
    let (invite, token) = (body.text("invite", 128), body.text("inviteToken", 128));
    body.finish()?;
    Ok((password, invite.or(token)))
}

/// `POST /api/servers/{serverId}/join`.
pub(crate) async fn join(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let user = call.actor.user()?.clone();
    let (password, invite) = credentials_in(call)?;
    let credentials = Credentials {
        user,
        admin: call.actor.admin,
        trusted: true,
        proven: call.actor.proven,
        address: call.client_address(),
        password,
        invite,
    };
    let admission = admission(call, &id, &credentials).await?;
    let way = match admission.verdict {
        Verdict::Inside if admission.member => None,
        // Operators come in anywhere; the membership is theirs from now on.
        Verdict::Inside => Some(JoinMethod::Open),
        Verdict::Admit(way) => Some(way),
        Verdict::Refuse(code) => return Err(code.into()),
        Verdict::ComparePassword => return Err(Code::Internal.into()),
    };
    let revision = match way {
        Some(way) => {
            commit(
                call,
                &membership(
                    call,
                    &admission,
                    &credentials,
                    credentials.user.as_str(),
                    way,
                ),
            )
            .await?
            .revision
        }
        None => admission.server.revision,
    };
    Ok(Answer::ok(
        &json!({"ok": true, "serverId": id, "userId": credentials.user, "revision": revision}),
    )
    .etag(revision))
}

/// `POST /api/servers/{serverId}/leave`.
pub(crate) async fn leave(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let user = call.actor.user()?;
    let state = read(call, &Scope::Server(id.clone()), &about(user)).await?;
    let server = Server::from_state(&id, &state)?;
    let transaction = Transaction::new(
        Scope::Server(id),
        user.as_str(),
        "member.leave",
        user.as_str(),
    );
    Ok(Answer::done(
        commit(call, &person::leave(transaction, &state, &server, user)?)
            .await?
            .revision,
    ))
}

/// `POST /api/internal/servers/{serverId}/join`: a gateway asks for a socket.
pub(crate) async fn ask(call: &Call) -> Result<Answer, Refusal> {
    let id = call.server_id()?;
    let mut body = call.body()?;
    let user = body
        .text("userId", limits::identity::USER_ID_CHARS_MAX)
        .and_then(|text| UserId::new(text).ok());
    if user.is_none() {
        body.violation(Code::InvalidUserId, "userId", "must be an identity");
    }
    let verified = body.flag("verified").unwrap_or(false);
    let view = body.flag("view").unwrap_or(false);
    let address = body.text("address", limits::directory::ADDRESS_CHARS_MAX);
    body.finish()?;
    let user = user.ok_or(Code::InvalidUserId)?;
    // Gateways pass on what clients sent: a password that is too long is a wrong one, not an invalid body.
    let lenient = |name: &str| {
        let body = call.body().ok()?;
        let text: String = serde_json::from_str(body.given(name)?.get()).ok()?;
        Some(text.replace('\0', "\u{fffd}"))
    };
    let credentials = Credentials {
        user,
        admin: false,
        trusted: verified || call.config.mode == Mode::Open,
        proven: verified,
        address,
        password: lenient("password"),
        invite: lenient("invite"),
    };
    match asked(call, &id, &credentials, view).await {
        Ok(member) => Ok(Answer::ok(&json!({"allowed": true, "member": member}))),
        Err(refusal) if is_verdict(refusal.code) => Ok(Answer::ok(&verdict_json(&refusal))),
        Err(refusal) => Err(refusal),
    }
}

/// Admits an identity; whether it is a member from now on.
async fn asked(
    call: &Call,
    id: &ServerId,
    credentials: &Credentials,
    view: bool,
) -> Result<bool, Refusal> {
    let admission = admission(call, id, credentials).await?;
    let stored = admission
        .state
        .entry(Kind::Member, credentials.user.as_str());
    match admission.verdict {
        // An unproven name with rights to lose is admitted by password or invite, but its membership is not touched.
        Verdict::Inside | Verdict::Admit(_) if stored.is_some() => Ok(true),
        Verdict::Inside | Verdict::Admit(JoinMethod::Open) => Ok(false),
        Verdict::Admit(_) if view => Ok(false),
        Verdict::Admit(way) => commit(
            call,
            &membership(call, &admission, credentials, "service", way),
        )
        .await
        .map(|_| true),
        Verdict::Refuse(code) => Err(code.into()),
        Verdict::ComparePassword => Err(Code::Internal.into()),
    }
}

fn is_verdict(code: Code) -> bool {
    use Code::{
        Banned, Full, InviteInvalid, InviteRequired, NotFound, PasswordInvalid, PasswordRequired,
        RateLimited, RequestPending,
    };
    matches!(
        code,
        Banned
            | Full
            | InviteInvalid
            | InviteRequired
            | NotFound
            | PasswordInvalid
            | PasswordRequired
            | RateLimited
            | RequestPending
    )
}

fn verdict_json(refusal: &Refusal) -> Value {
    let mut view = json!({"allowed": false, "code": refusal.code, "reason": refusal.message});
    if let Some(wait) = refusal.details.get("retryAfterMs") {
        view["retryAfterMs"] = wait.clone();
    }
    view
}
