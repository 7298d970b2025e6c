//! The `identify` envelope: tokens, key proofs, the directory's view of the user, and the registration of the
//! connection under its user.

use crate::{
    directory::{Question, views::UserView},
    hub::{Hub, IdentityRates, NoPlace},
    room::{DeclaredPlugins, Profile},
    session::{
        Session, Sessions, User,
        authority::{Proof, check_user, unproven},
        pending::Wait,
        refusals::Reason,
    },
};
use envelope::{
    reply::code,
    verdict::{Identify, Status},
};
use identifiers::{ClientId, UserId};
use identity::TokenError;
use limits::identity::{KEY_SET_RETRY_SECONDS, TOKEN_LEEWAY_SECONDS};
use std::sync::Arc;

/// An identity that a client claims.
#[derive(Debug)]
pub(crate) struct Claim {
    identify: Identify,
    user_id: Arc<str>,
    proof: Option<Arc<Proof>>,
    /// The key that it shows was bound by it: a first binding claims a name, it does not prove one.
    binds_key: bool,
}

impl Sessions {
    /// The `identify` envelope: verifies the offered proof, then asks the directory about the user.
    pub(super) fn identify(&mut self, slot: u32, identify: Identify, request_id: Option<&str>) {
        let Some(session) = self.sockets.session(slot) else {
            return;
        };
        let outcome = match claim(&self.hub, session, identify) {
            Ok(claim) => match self.hub.directory.known_user(&claim.user_id) {
                Some(view) => self.check_claim(slot, claim, &view, request_id),
                None => {
                    self.ask_user(slot, claim, request_id);
                    Ok(())
                }
            },
            Err(reason) => Err(reason),
        };
        self.answer_identify(slot, outcome, request_id);
    }

    /// Continues with the directory's view of the user.
    pub(super) fn user_answered(
        &mut self,
        slot: u32,
        claim: Claim,
        view: &Arc<UserView>,
        request_id: Option<&str>,
    ) {
        let outcome = self.check_claim(slot, claim, view, request_id);
        self.answer_identify(slot, outcome, request_id);
    }

    /// Continues after a key was bound, with what the directory says of the user now.
    pub(super) fn key_bound(&mut self, slot: u32, claim: Claim, request_id: Option<&str>) {
        let claim = Claim {
            binds_key: true,
            ..claim
        };
        self.ask_user(slot, claim, request_id);
    }

    fn ask_user(&mut self, slot: u32, claim: Claim, request_id: Option<&str>) {
        let question = Question::User(claim.user_id.clone());
        self.ask_directory(slot, request_id, Wait::User(claim), question);
    }

    fn answer_identify(
        &mut self,
        slot: u32,
        outcome: Result<(), Reason<'_>>,
        request_id: Option<&str>,
    ) {
        if let Err(reason) = outcome {
            self.refuse_identify(slot, request_id, reason);
        }
    }

    /// Compares a claim with the directory's view of the user, and binds its key if it asks for that.
    fn check_claim(
        &mut self,
        slot: u32,
        claim: Claim,
        view: &Arc<UserView>,
        request_id: Option<&str>,
    ) -> Result<(), Reason<'static>> {
        // Before a key is bound: a first binding claims a name, it does not prove one.
        check_user(
            self.hub.config.identity.mode,
            claim.proof.as_deref(),
            view,
            Hub::now_ms(),
        )?;
        let Some(key) = key_to_bind(&claim.identify, view) else {
            return self.sign_in(slot, claim, view, request_id);
        };
        if claim.proof.is_none() {
            let message = "lock: needs the proof of the key that is to be bound";
            return Err(unproven(message));
        }
        let question = Question::BindKey {
            user_id: claim.user_id.clone(),
            key,
            add: claim.is_proven(view),
        };
        self.ask_directory(slot, request_id, Wait::KeyBinding(claim), question);
        Ok(())
    }

    /// Registers the connection under its user. If it had this user before, its profile is replaced.
    fn sign_in(
        &mut self,
        slot: u32,
        claim: Claim,
        view: &Arc<UserView>,
        request_id: Option<&str>,
    ) -> Result<(), Reason<'static>> {
        let (conn, now_ms) = (self.sockets.reference(slot), self.sockets.now_ms());
        let Some(session) = self.sockets.session(slot) else {
            return Ok(());
        };
        let (hub, user_id) = (self.hub.clone(), claim.user_id.clone());
        let before = session.user().cloned();
        let known_as = before.as_ref().map(|user| &user.profile.user_id);
        let is_new = known_as != Some(&user_id);
        let entered = match before.as_ref().filter(|_| !is_new) {
            Some(before) => hub
                .users
                .set_proven(conn, &user_id, claim.verifies(view))
                .map(|()| before.shared_rates.clone()),
            None => hub.users.sign_in(
                conn,
                &user_id,
                view.clone(),
                session.connection_id(),
                claim.identify.connection_scope.as_deref(),
                claim.verifies(view),
            ),
        };
        let shared_rates = entered.map_err(|NoPlace| {
            let most = hub.config.socket.connections_per_identity_max;
            let message = format!("this oderId has {most} connections, and no more are allowed");
            Reason::new(code::LIMIT_REACHED, message)
        })?;
        // From here on a change of the user reaches the connection; one that came since the view was asked for is seen
        // here.
        let mode = hub.config.identity.mode;
        let latest = hub.latest_user(&user_id);
        let checked = latest
            .as_ref()
            .map(|latest| check_user(mode, claim.proof.as_deref(), latest, Hub::now_ms()));
        if is_new && !matches!(checked, Some(Ok(()))) {
            hub.users.sign_out(conn, &user_id, now_ms);
        }
        match checked {
            Some(Ok(())) => {}
            Some(Err(reason)) => return Err(reason),
            None => {
                self.ask_user(slot, claim, request_id);
                return Ok(());
            }
        }
        if let Some(known_as) = known_as.filter(|_| is_new) {
            hub.users.sign_out(conn, known_as, now_ms);
        }
        let status = before.as_ref().map(|user| user.status);
        let status = status.filter(|_| !is_new).unwrap_or_default();
        let verified = latest.is_some_and(|latest| claim.verifies(&latest));
        let user = claim.into_user(verified, status, shared_rates);
        let ends = (
            before.and_then(|user| user.expires_at_ms()),
            user.expires_at_ms(),
        );
        self.expiries.replace(slot, ends.0, ends.1);
        if let Some(session) = self.sockets.session_mut(slot) {
            session.set_user(user);
        }
        self.update_rooms(slot);
        Ok(())
    }
}

impl Claim {
    /// Whether what was shown proves the user.
    fn is_proven(&self, view: &UserView) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.proves(view))
    }

    /// Whether the user counts as proven: a key that this claim itself has bound only claims it.
    fn verifies(&self, view: &UserView) -> bool {
        self.is_proven(view) && !self.only_claims()
    }

    /// Whether what was shown is a key that this claim itself has bound.
    fn only_claims(&self) -> bool {
        self.binds_key && matches!(self.proof.as_deref(), Some(Proof::Key(_)))
    }

    fn into_user(self, verified: bool, status: Status, shared_rates: Arc<IdentityRates>) -> User {
        let Self {
            identify,
            user_id,
            proof,
            binds_key: _,
        } = self;
        let display_name = if identify.display_name.is_empty() {
            fallback_name(&user_id)
        } else {
            identify.display_name
        };
        let has_feature = |name: &str| identify.features.iter().any(|feature| feature == name);
        User {
            shared_rates,
            wants_errors: has_feature("errors"),
            pages_rosters: has_feature("roster-paging"),
            profile: Arc::new(Profile {
                user_id,
                display_name: display_name.into(),
                description: identify.description.map(Into::into),
                profile_updated_at: identify.profile_updated_at.map(Into::into),
                verified,
            }),
            status,
            plugins: identify.plugins.map(DeclaredPlugins::new).map(Arc::new),
            proof,
        }
    }
}

/// The identity that an `identify` claims, its proof verified.
fn claim(hub: &Hub, session: &Session, mut identify: Identify) -> Result<Claim, Reason<'static>> {
    let proof = if let Some(token) = &identify.token {
        let (user_id, expires_at_ms) = verify_token(hub, token, identify.user_id.as_deref())?;
        identify.user_id = Some(user_id);
        Some(Proof::Token { expires_at_ms })
    } else if let (Some(key), Some(proof), Some(user_id)) =
        (&identify.key, &identify.proof, &identify.user_id)
    {
        verify_key(hub, session, key, proof, user_id)?;
        Some(Proof::Key(key.clone()))
    } else {
        None
    };
    let current = session.user().map(|user| &user.profile.user_id);
    let user_id: Arc<str> = match (&identify.user_id, current) {
        (Some(user_id), _) => client(user_id)?.as_str().into(),
        (None, Some(current)) => current.clone(),
        (None, None) => uuid::Uuid::new_v4().to_string().into(),
    };
    if current.is_some_and(|current| *current != user_id) && !session.memberships().is_empty() {
        let message = "oderId cannot change while a server is joined or viewed; leave them first";
        return Err(Reason::new(code::IDENTITY_FIXED, message));
    }
    Ok(Claim {
        identify,
        user_id,
        proof: proof.map(Arc::new),
        binds_key: false,
    })
}

/// The name that a client claims, which is none of a plugin.
fn client(user_id: &str) -> Result<ClientId, Reason<'static>> {
    ClientId::new(user_id).map_err(|error| Reason::new(code::INVALID_FIELD, error.to_string()))
}

/// Verifies a token; returns its subject, which is the claimed user if one is claimed, and the first moment at which
/// it is refused, in milliseconds since 1970.
fn verify_token(
    hub: &Hub,
    token: &str,
    claimed: Option<&str>,
) -> Result<(String, u64), Reason<'static>> {
    let claims = hub.verify(token).map_err(|error| match error {
        TokenError::KeySetUnavailable => {
            let wait_ms = KEY_SET_RETRY_SECONDS * 1_000;
            Reason::retry(code::KEY_SET_UNAVAILABLE, error.to_string(), wait_ms)
        }
        error => unproven(format!("token: {error} ({})", error.code())),
    })?;
    let subject = claims.user_id.as_str();
    if claimed.is_some_and(|claimed| claimed != subject) {
        return Err(unproven("token: its subject is not the oderId"));
    }
    Ok((
        subject.to_owned(),
        claims
            .expires_at_s
            .saturating_add(TOKEN_LEEWAY_SECONDS + 1)
            .saturating_mul(1_000),
    ))
}

/// Verifies the proof that the client has a key, made for this connection.
fn verify_key(
    hub: &Hub,
    session: &Session,
    key: &str,
    proof: &str,
    user_id: &str,
) -> Result<(), Reason<'static>> {
    let user_id = UserId::from(client(user_id)?);
    let message = identity::proof::message(
        &hub.origin(),
        &user_id,
        &session.connection_id().to_string(),
        session.server_time_ms(),
    );
    identity::proof::verify(key, proof, &message)
        .map_err(|error| unproven(format!("proof: {error}")))?;
    Ok(())
}

/// The key that `identify` asks to bind, unless it is bound already.
fn key_to_bind(identify: &Identify, view: &UserView) -> Option<String> {
    let key = identify.key.as_ref().filter(|_| identify.lock)?;
    (!view.keys.contains(key)).then(|| key.clone())
}

/// The display name of a user that gave none.
fn fallback_name(user_id: &str) -> String {
    format!("User {}", user_id.chars().take(8).collect::<String>())
}
