//! The caller: a bearer token, a claimed name where the mode is `open`, or the service credential of a gateway.
//!
//! A token that does not verify is an error even where none is needed: a client with a bad token must not be served as
//! one without an identity.

use crate::{call::header, config::Config};
use directory::{Code, Refusal, body::Body, permission::Actor};
use identifiers::ClientId;
use identity::{Claims, KeySet, Mode, Role, TokenError, Verifier};
use limits::identity::{
    KEY_SET_BYTES_MAX, KEY_SET_LIFETIME_SECONDS, KEY_SET_RETRY_SECONDS, KEY_SET_TIMEOUT_MS,
};
use rest::{Credential, bearer, credential, query::Query};
use spin_sdk::http::HeaderMap;
use std::{cell::RefCell, time::Duration};

/// The actor that the head of a request proves; none if it presents no credential.
///
/// # Errors
/// [`Code::InvalidToken`], [`Code::NoKeys`], [`Code::KeySetUnavailable`].
pub(crate) async fn proven_actor(
    config: &Config,
    headers: &HeaderMap,
    now_ms: u64,
) -> Result<Option<Actor>, Refusal> {
    match credential(headers) {
        Credential::None => Ok(None),
        Credential::Bearer(token) => proven(config, token, now_ms).await.map(Some),
        Credential::Malformed => Err(Refusal::new(
            Code::InvalidToken,
            "the authorization header presents no bearer token",
        )),
    }
}

/// The actor that a request without a credential claims to be, which counts in the mode `open` alone.
///
/// # Errors
/// [`Code::InvalidUserId`] for a name that is none.
pub(crate) fn claimed_actor(
    config: &Config,
    headers: &HeaderMap,
    query: &Query,
    body: &[u8],
) -> Result<Actor, Refusal> {
    if config.mode != Mode::Open {
        return Ok(Actor::default());
    }
    let in_query = || query.get("actorUserId").map(ToOwned::to_owned);
    let in_body = || {
        let body = Body::parse(body).ok()?;
        serde_json::from_str::<String>(body.given("actorUserId")?.get()).ok()
    };
    let Some(name) = header(headers, "x-actor-user-id")
        .map(ToOwned::to_owned)
        .or_else(in_query)
        .or_else(in_body)
    else {
        return Ok(Actor::default());
    };
    let user = ClientId::new(name).map_err(|error| {
        Refusal::new(Code::InvalidUserId, format!("actorUserId {}", error.rule))
    })?;
    Ok(Actor {
        user: Some(user.into()),
        admin: false,
        proven: false,
    })
}

async fn proven(config: &Config, token: &str, now_ms: u64) -> Result<Actor, Refusal> {
    let now_s = now_ms / 1_000;
    let known = verifier(config, now_s, KEY_SET_LIFETIME_SECONDS).await?;
    let mut verified = known.verify(token, now_s);
    if config.jwks_url.is_some() && is_for_other_keys(&verified) {
        // The key may be newer than the set.
        let renewed = verifier(config, now_s, KEY_SET_RETRY_SECONDS).await?;
        verified = renewed.verify(token, now_s);
        if is_for_other_keys(&verified) && KEY_SET.with_borrow(KnownKeys::is_failing) {
            return Err(Code::KeySetUnavailable.into());
        }
    }
    match verified {
        Ok(claims) => Ok(Actor {
            user: Some(claims.user_id),
            admin: claims.role == Role::Admin,
            proven: true,
        }),
        Err(TokenError::NoKeys) => Err(Code::NoKeys.into()),
        Err(error) => {
            Err(Refusal::new(Code::InvalidToken, error.to_string()).with("reason", error.code()))
        }
    }
}

/// Whether a token may be by a key that is not known: it names one, or no known key has its algorithm.
fn is_for_other_keys(verified: &Result<Claims, TokenError>) -> bool {
    matches!(
        verified,
        Err(TokenError::UnknownKey | TokenError::Algorithm)
    )
}

/// Whether the request presents the service credential.
///
/// # Errors
/// [`Code::ServiceDisabled`] without a configured one, [`Code::Unauthenticated`] without a presented one,
/// [`Code::Forbidden`] for a wrong one.
pub(crate) fn service(config: &Config, headers: &HeaderMap) -> Result<(), Refusal> {
    let credential = config.service.as_ref().ok_or(Code::ServiceDisabled)?;
    let presented = bearer(headers).ok_or(Code::Unauthenticated)?;
    if credential.admits(presented) {
        Ok(())
    } else {
        Err(
            Refusal::new(Code::Forbidden, "this is not the service credential")
                .with("needs", "service"),
        )
    }
}

/// The key set as it was fetched last, and the last attempt to do so.
#[derive(Default)]
struct KnownKeys {
    keys: Option<KeySet>,
    fetched_s: u64,
    tried_s: u64,
}

impl KnownKeys {
    /// Whether the set has to be fetched to be at most `age_max_s` old; a failed attempt is not repeated at once.
    fn is_due(&self, now_s: u64, age_max_s: u64) -> bool {
        let age_s = |then_s: u64| now_s.saturating_sub(then_s);
        let is_old = self.keys.is_none() || age_s(self.fetched_s) >= age_max_s;
        is_old && age_s(self.tried_s) >= KEY_SET_RETRY_SECONDS
    }

    /// Whether the last attempt has failed.
    fn is_failing(&self) -> bool {
        self.keys.is_none() || self.tried_s > self.fetched_s
    }
}

thread_local! {
    static KEY_SET: RefCell<KnownKeys> = RefCell::default();
}

/// The configured keys and those of a key set of at most this age. While the set cannot be fetched the configured keys
/// still serve, and so does a set that was fetched before.
async fn verifier(config: &Config, now_s: u64, age_max_s: u64) -> Result<Verifier, Refusal> {
    let Some(url) = &config.jwks_url else {
        return Ok(config.verifier.clone());
    };
    if KEY_SET.with_borrow(|known| known.is_due(now_s, age_max_s)) {
        // Other requests of this instance do not fetch it meanwhile.
        KEY_SET.with_borrow_mut(|known| known.tried_s = now_s);
        match fetch(url).await {
            Ok(keys) => KEY_SET.with_borrow_mut(|known| {
                (known.keys, known.fetched_s) = (Some(keys), known.tried_s);
            }),
            Err(reason) => eprintln!("the key set cannot be fetched: {reason}"),
        }
    }
    match KEY_SET.with_borrow(|known| known.keys.clone()) {
        Some(keys) => Ok(config.verifier.clone().with_key_set(&keys)),
        None if config.verifier.is_empty() => Err(Code::KeySetUnavailable.into()),
        None => Ok(config.verifier.clone()),
    }
}

async fn fetch(url: &str) -> Result<KeySet, String> {
    let get = async {
        let response = spin_sdk::http::get(url)
            .await
            .map_err(|error| format!("{error}"))?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()));
        }
        let bytes = crate::outbound::bounded(response, KEY_SET_BYTES_MAX).await?;
        KeySet::parse(&bytes).map_err(|error| error.to_string())
    };
    crate::outbound::within(Duration::from_millis(KEY_SET_TIMEOUT_MS), get)
        .await
        .unwrap_or_else(|| Err("it took too long".to_owned()))
}
