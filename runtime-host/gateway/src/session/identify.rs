//! The `identify` envelope: tokens, key proofs, the directory's view of the user, and the registration of the
//! connection under its user.

use crate::{
    directory::{Question, views::UserView},
    hub::Hub,
    room::Profile,
    session::{Session, Sessions, User, pending::Wait, refusals::Reason},
};
use envelope::{reply::code, verdict::Identify};
use identifiers::UserId;
use identity::Mode;
use std::{borrow::Cow, sync::Arc};

/// An identity that a client claims.
#[derive(Debug)]
pub(crate) struct Claim {
    identify: Identify,
    user_id: Arc<str>,
    proof: Option<Proof>,
}

/// What a proof has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// A token for this user.
    Token,
    /// Possession of this key.
    Key(String),
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
                    let question = Question::User(claim.user_id.clone());
                    self.ask_directory(slot, request_id, Wait::User(claim), question);
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

    /// Continues after a key was bound. The binding itself proves nothing; later connections prove the name with the
    /// key.
    pub(super) fn key_bound(
        &mut self,
        slot: u32,
        claim: Claim,
        verified: bool,
        before: &UserView,
        request_id: Option<&str>,
    ) {
        let mut view = before.clone();
        view.proof_required = true;
        view.keys.extend(claim.identify.key.clone());
        let view = Arc::new(view);
        let outcome = self.sign_in(slot, claim, verified, view);
        self.answer_identify(slot, outcome, request_id);
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
        let mode = self.hub.config.identity.mode;
        let verified = match &claim.proof {
            Some(Proof::Token) => true,
            Some(Proof::Key(key)) => view.keys.contains(key),
            None => false,
        };
        if mode != Mode::Open && view.proof_required && !verified {
            let message =
                "this oderId is protected: identify with a token, or with its key and proof";
            return Err(unproven(message));
        }
        // Before a key is bound: a first binding claims a name, it does not prove one.
        if mode == Mode::Required && !verified {
            let message = "this server asks for proof: identify with a token, or with a bound key";
            return Err(unproven(message));
        }
        let Some(key) = key_to_bind(&claim.identify, view) else {
            return self.sign_in(slot, claim, verified, view.clone());
        };
        if claim.proof.is_none() {
            let message = "lock: needs the proof of the key that is to be bound";
            return Err(unproven(message));
        }
        let question = Question::BindKey {
            user_id: claim.user_id.clone(),
            key,
            add: verified,
        };
        let wait = Wait::KeyBinding {
            claim,
            verified,
            view: view.clone(),
        };
        self.ask_directory(slot, request_id, wait, question);
        Ok(())
    }

    /// Registers the connection under its user. If it had this user before, its profile is replaced.
    fn sign_in(
        &mut self,
        slot: u32,
        claim: Claim,
        verified: bool,
        view: Arc<UserView>,
    ) -> Result<(), Reason<'static>> {
        let conn = self.sockets.reference(slot);
        let Some(session) = self.sockets.session_mut(slot) else {
            return Ok(());
        };
        let users = &self.hub.users;
        let user_id = &claim.user_id;
        let mut status = Default::default();
        match session.take_user() {
            Some(user) if user.profile.user_id == *user_id => status = user.status,
            before => {
                if let Some(before) = before {
                    users.sign_out(conn, &before.profile.user_id);
                }
                let scope = claim.identify.connection_scope.as_deref();
                if !users.sign_in(conn, user_id, view, session.connection_id(), scope) {
                    let most = self.hub.config.socket.connections_per_identity_max;
                    let message =
                        format!("this oderId has {most} connections, and no more are allowed");
                    return Err(Reason::new(code::LIMIT_REACHED, message));
                }
            }
        }
        // What changed since the view was asked for.
        if let Some(known) = self.hub.directory.known_user(user_id) {
            users.update_view(user_id, &known);
        }
        session.set_user(claim.into_user(verified, status));
        self.update_rooms(slot);
        Ok(())
    }
}

impl Claim {
    fn into_user(self, verified: bool, status: envelope::verdict::Status) -> User {
        let Self {
            identify, user_id, ..
        } = self;
        let display_name = if identify.display_name.is_empty() {
            fallback_name(&user_id)
        } else {
            identify.display_name
        };
        let ids = |plugins: Vec<(String, String)>| {
            let ids = plugins.into_iter().map(|(id, _)| id.into_boxed_str());
            ids.collect()
        };
        User {
            profile: Arc::new(Profile {
                user_id,
                display_name: display_name.into(),
                description: identify.description.map(Into::into),
                profile_updated_at: identify.profile_updated_at.map(Into::into),
                verified,
            }),
            status,
            plugins: identify.plugins.map(ids),
            wants_errors: identify.features.iter().any(|feature| feature == "errors"),
        }
    }
}

/// The reason of a refusal because of a proof that is missing or wrong.
fn unproven(message: impl Into<Cow<'static, str>>) -> Reason<'static> {
    Reason::new(code::IDENTITY_PROOF_REQUIRED, message)
}

/// The identity that an `identify` claims, its proof verified.
fn claim(hub: &Hub, session: &Session, mut identify: Identify) -> Result<Claim, Reason<'static>> {
    let proof = if let Some(token) = &identify.token {
        let user_id = verify_token(hub, token, identify.user_id.as_deref())?;
        identify.user_id = Some(user_id);
        Some(Proof::Token)
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
        (Some(user_id), _) => user_id.as_str().into(),
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
        proof,
    })
}

/// Verifies a token; returns its subject, which is the claimed user if one is claimed.
fn verify_token(hub: &Hub, token: &str, claimed: Option<&str>) -> Result<String, Reason<'static>> {
    let claims = hub
        .verify(token)
        .map_err(|error| unproven(format!("token: {error} ({})", error.code())))?;
    let subject = claims.user_id.as_str();
    if claimed.is_some_and(|claimed| claimed != subject) {
        return Err(unproven("token: its subject is not the oderId"));
    }
    Ok(subject.to_owned())
}

/// Verifies the proof that the client has a key, made for this connection.
fn verify_key(
    hub: &Hub,
    session: &Session,
    key: &str,
    proof: &str,
    user_id: &str,
) -> Result<(), Reason<'static>> {
    let user_id = UserId::new(user_id)
        .map_err(|error| Reason::new(code::INVALID_FIELD, error.to_string()))?;
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
