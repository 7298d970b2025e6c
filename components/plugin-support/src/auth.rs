//! The caller: a bearer token, a claimed name where the mode is `open`, or the service credential of a gateway.
//!
//! A token that does not verify is an error even where none is needed: a client with a bad token must not be served as
//! one without an identity.

use crate::{call::header, config::Config};
use directory::{Code, Refusal, body::Body, permission::Actor};
use identifiers::UserId;
use identity::{KeySet, Mode, Role, TokenError, Verifier};
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
    let user = UserId::new(name).map_err(|error| {
        Refusal::new(Code::InvalidUserId, format!("actorUserId {}", error.rule))
    })?;
    Ok(Actor {
        user: Some(user),
        admin: false,
        proven: false,
    })
}

async fn proven(config: &Config, token: &str, now_ms: u64) -> Result<Actor, Refusal> {
    let verifier = verifier(config, now_ms / 1_000).await?;
    match verifier.verify(token, now_ms / 1_000) {
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

/// The last attempt to fetch the key set.
struct Fetched {
    at_s: u64,
    keys: Option<KeySet>,
}

thread_local! {
    static KEY_SET: RefCell<Option<Fetched>> = const { RefCell::new(None) };
}

/// The configured keys and those of the key set. While the set cannot be fetched the configured keys still serve, and
/// so does a set that was fetched before.
async fn verifier(config: &Config, now_s: u64) -> Result<Verifier, Refusal> {
    let Some(url) = &config.jwks_url else {
        return Ok(config.verifier.clone());
    };
    let due = KEY_SET.with_borrow(|fetched| {
        fetched.as_ref().is_none_or(|fetched| {
            let age_s = now_s.saturating_sub(fetched.at_s);
            age_s
                >= if fetched.keys.is_some() {
                    KEY_SET_LIFETIME_SECONDS
                } else {
                    KEY_SET_RETRY_SECONDS
                }
        })
    });
    if due {
        match fetch(url).await {
            Ok(keys) => KEY_SET.with_borrow_mut(|fetched| {
                *fetched = Some(Fetched {
                    at_s: now_s,
                    keys: Some(keys),
                })
            }),
            Err(reason) => {
                eprintln!("the key set cannot be fetched: {reason}");
                KEY_SET.with_borrow_mut(|fetched| {
                    let known = fetched.take().and_then(|fetched| fetched.keys);
                    let at_s = if known.is_some() {
                        now_s - KEY_SET_LIFETIME_SECONDS.min(now_s) + KEY_SET_RETRY_SECONDS
                    } else {
                        now_s
                    };
                    *fetched = Some(Fetched { at_s, keys: known });
                });
            }
        }
    }
    match KEY_SET.with_borrow(|fetched| fetched.as_ref().and_then(|fetched| fetched.keys.clone())) {
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
