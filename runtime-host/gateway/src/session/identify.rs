//! The `identify` envelope: claims, tokens, key proofs, and the registration of the connection under its user.

use crate::{
    directory::{Question, state::UserView},
    hub::Hub,
    room::Profile,
    shard::{
        Shard,
        connection::{Pending, Person, Proven, Session},
    },
};
use envelope::{
    reply::{self, code},
    verdict::Identify,
};
use identifiers::UserId;
use identity::Mode;
use std::sync::Arc;

/// Why an identity is refused.
struct Refused(&'static str, String);

impl Shard {
    /// The `identify` envelope: verifies the offered proof, then asks the directory about the user.
    pub(crate) fn identify(&mut self, slot: u32, wish: Identify, request_id: Option<&str>) {
        let outcome = self.try_identify(slot, wish, request_id);
        self.refuse_identity(slot, outcome, request_id);
    }

    fn try_identify(
        &mut self,
        slot: u32,
        mut wish: Identify,
        request_id: Option<&str>,
    ) -> Result<(), Refused> {
        let hub = self.hub.clone();
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return Ok(());
        };
        let current = session
            .person
            .as_ref()
            .map(|person| person.profile.user_id.clone());
        let mut proven = None;
        if let Some(token) = &wish.token {
            let claims = hub
                .verifier
                .read()
                .verify(token, Hub::now_ms() / 1000)
                .map_err(|error| {
                    Refused(
                        code::IDENTITY_PROOF_REQUIRED,
                        format!("token: {error} ({})", error.code()),
                    )
                })?;
            if wish
                .user_id
                .as_deref()
                .is_some_and(|claimed| claimed != claims.user_id.as_str())
            {
                return Err(Refused(
                    code::IDENTITY_PROOF_REQUIRED,
                    "token: its subject is not the oderId".into(),
                ));
            }
            wish.user_id = Some(claims.user_id.as_str().to_owned());
            proven = Some(Proven::Token);
        } else if let (Some(key), Some(proof), Some(user_id)) =
            (&wish.key, &wish.proof, &wish.user_id)
        {
            let user_id = UserId::new(user_id.as_str())
                .map_err(|error| Refused(code::INVALID_FIELD, error.to_string()))?;
            let message = identity::proof::message(
                &hub.origin.read(),
                &user_id,
                &session.connection_id,
                session.server_time_ms,
            );
            identity::proof::verify(key, proof, &message).map_err(|error| {
                Refused(code::IDENTITY_PROOF_REQUIRED, format!("proof: {error}"))
            })?;
            proven = Some(Proven::Key(key.clone()));
        }
        let user_id: Arc<str> = match (&wish.user_id, &current) {
            (Some(user_id), _) => user_id.as_str().into(),
            (None, Some(current)) => current.clone(),
            (None, None) => uuid::Uuid::new_v4().to_string().into(),
        };
        if current.as_ref().is_some_and(|current| *current != user_id) && !session.rooms.is_empty()
        {
            return Err(Refused(
                code::IDENTITY_FIXED,
                "oderId cannot change while a server is joined or viewed; leave them first".into(),
            ));
        }
        match hub.directory.known_user(&user_id) {
            Some(view) => self.know_user(slot, wish, user_id, proven, &view, request_id),
            None => {
                let question = Question::User(user_id.clone());
                self.pause(
                    slot,
                    Pending::Identify {
                        wish,
                        user_id,
                        proven,
                        request_id: request_id.map(str::to_owned),
                    },
                    question,
                );
                Ok(())
            }
        }
    }

    /// Continues with the directory's view of the user.
    pub(crate) fn identified(
        &mut self,
        slot: u32,
        wish: Identify,
        user_id: Arc<str>,
        proven: Option<Proven>,
        view: &Arc<UserView>,
        request_id: Option<&str>,
    ) {
        let outcome = self.know_user(slot, wish, user_id, proven, view, request_id);
        self.refuse_identity(slot, outcome, request_id);
    }

    fn know_user(
        &mut self,
        slot: u32,
        wish: Identify,
        user_id: Arc<str>,
        proven: Option<Proven>,
        view: &Arc<UserView>,
        request_id: Option<&str>,
    ) -> Result<(), Refused> {
        let mode = self.hub.config.identity.mode;
        let verified = match &proven {
            Some(Proven::Token) => true,
            Some(Proven::Key(key)) => view.keys.contains(key),
            None => false,
        };
        if mode != Mode::Open && view.proof_required && !verified {
            return Err(Refused(
                code::IDENTITY_PROOF_REQUIRED,
                "this oderId is protected: identify with a token, or with its key and proof".into(),
            ));
        }
        // Before a key is bound: a first binding claims a name, it does not prove one.
        if mode == Mode::Required && !verified {
            return Err(Refused(
                code::IDENTITY_PROOF_REQUIRED,
                "this server asks for proof: identify with a token, or with a bound key".into(),
            ));
        }
        if let Some(key) = wish.key.clone().filter(|_| {
            wish.lock
                && !view
                    .keys
                    .iter()
                    .any(|known| Some(known) == wish.key.as_ref())
        }) {
            if proven.is_none() {
                return Err(Refused(
                    code::IDENTITY_PROOF_REQUIRED,
                    "lock: needs the proof of the key that is to be bound".into(),
                ));
            }
            let question = Question::BindKey {
                user_id: user_id.clone(),
                key,
                add: verified,
            };
            self.pause(
                slot,
                Pending::Bind {
                    wish,
                    user_id,
                    verified,
                    request_id: request_id.map(str::to_owned),
                },
                question,
            );
            return Ok(());
        }
        self.become_person(slot, wish, user_id, verified, view.clone())
    }

    /// Continues after a key was bound. The binding itself proves nothing; later connections prove the name with the key.
    pub(crate) fn bound(
        &mut self,
        slot: u32,
        wish: Identify,
        user_id: Arc<str>,
        verified: bool,
        request_id: Option<&str>,
    ) {
        let keys = wish.key.iter().cloned().collect();
        let view = Arc::new(UserView {
            proof_required: true,
            keys,
            blocks: Default::default(),
        });
        let outcome = self.become_person(slot, wish, user_id, verified, view);
        self.refuse_identity(slot, outcome, request_id);
    }

    /// Answers a refused `identify`.
    fn refuse_identity(
        &mut self,
        slot: u32,
        outcome: Result<(), Refused>,
        request_id: Option<&str>,
    ) {
        if let Err(Refused(code, message)) = outcome {
            self.refuse(
                slot,
                &reply::refuse(code, &message, Some("identify"), request_id),
            );
        }
    }

    fn become_person(
        &mut self,
        slot: u32,
        wish: Identify,
        user_id: Arc<str>,
        verified: bool,
        view: Arc<UserView>,
    ) -> Result<(), Refused> {
        let (hub, reference) = (self.hub.clone(), self.reference(slot));
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return Ok(());
        };
        let before = session.person.take();
        let same = before
            .as_ref()
            .is_some_and(|person| person.profile.user_id == user_id);
        if let Some(before) = before.as_ref().filter(|_| !same) {
            hub.sign_out(reference, &before.profile.user_id);
        }
        if !same
            && hub
                .sign_in(
                    reference,
                    &user_id,
                    view,
                    &session.connection_id,
                    wish.connection_scope.as_deref(),
                )
                .is_err()
        {
            let most = hub.config.socket.connections_per_identity_max;
            return Err(Refused(
                code::LIMIT_REACHED,
                format!("this oderId has {most} connections, and no more are allowed"),
            ));
        }
        let display_name = if wish.display_name.is_empty() {
            fallback_name(&user_id)
        } else {
            wish.display_name
        };
        let profile = Arc::new(Profile {
            user_id,
            display_name: display_name.into(),
            description: wish.description.map(Into::into),
            profile_updated_at: wish.profile_updated_at.map(Into::into),
            verified,
        });
        let person = Person {
            profile: profile.clone(),
            status: before
                .filter(|_| same)
                .map_or_else(Default::default, |before| before.status),
            plugins: wish.plugins.map(|plugins| {
                plugins
                    .into_iter()
                    .map(|(id, _)| id.into_boxed_str())
                    .collect()
            }),
            wants_errors: wish.features.iter().any(|feature| feature == "errors"),
        };
        let status = person.status;
        session.person = Some(person);
        let rooms = joined(session);
        for room in rooms {
            room.update(reference, &profile, status, &self.shards);
        }
        Ok(())
    }

    /// Sets the connection's presence; each joined server is told if the user's presence changed there.
    pub(crate) fn set_status(&mut self, slot: u32, status: envelope::verdict::Status) {
        let reference = self.reference(slot);
        let Some(session) = self.conn(slot).and_then(|conn| conn.session.as_mut()) else {
            return;
        };
        let Some(person) = session.person.as_mut() else {
            return;
        };
        person.status = status;
        let profile = person.profile.clone();
        for room in joined(session) {
            room.update(reference, &profile, status, &self.shards);
        }
    }
}

fn joined(session: &Session) -> Vec<Arc<crate::room::Room>> {
    session
        .rooms
        .iter()
        .filter(|place| place.joined)
        .map(|place| place.room.clone())
        .collect()
}

/// The display name of a user that gave none.
fn fallback_name(user_id: &str) -> String {
    format!("User {}", user_id.chars().take(8).collect::<String>())
}
