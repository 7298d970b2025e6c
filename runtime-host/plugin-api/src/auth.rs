//! The caller: a person with a token of the host, or a plugin with its own. A plugin's token opens its own values
//! alone.

use crate::answer::Refusal;
use http::{HeaderMap, StatusCode};
use identity::{Claims, Role, TokenError};
use plugin_store::{PluginStore, token_digest};
use rest::{Credential, credential};

/// Verifies a token of the host at this moment.
pub type Verify = Box<dyn Fn(&str) -> Result<Claims, TokenError> + Send + Sync>;

/// What a plugin's own token begins with, so that it is told from those of people.
pub(crate) const PLUGIN_TOKEN_PREFIX: &str = "jfp_";

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A person.
    Person(Claims),
    /// A plugin, by its id.
    Plugin(String),
}

impl Caller {
    /// The name in grants, consents and the audit.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Person(claims) => claims.user_id.to_string(),
            Self::Plugin(id) => format!("plugin:{id}"),
        }
    }
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any person.
    Client,
    /// An operator.
    Admin,
    /// An operator, or the plugin that the path names.
    Own,
}

impl Needs {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Admin => "admin",
            Self::Own => "the plugin itself, or admin",
        }
    }

    /// Checks whether the caller may use the route; `plugin` is the one that the path names.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admit(self, caller: &Caller, plugin: Option<&str>) -> Result<(), Refusal> {
        match (self, caller) {
            (_, Caller::Person(claims)) if claims.role == Role::Admin => Ok(()),
            (Self::Client, Caller::Person(_)) => Ok(()),
            (Self::Own, Caller::Plugin(id)) if Some(id.as_str()) == plugin => Ok(()),
            (Self::Own, Caller::Plugin(_)) => Err(Refusal::forbidden(
                "a plugin's token opens its own values alone",
            )),
            (_, Caller::Plugin(_)) => Err(Refusal::forbidden(
                "a plugin's token opens its values and nothing else",
            )),
            (Self::Admin | Self::Own, Caller::Person(_)) => {
                Err(Refusal::forbidden("only the role admin may do this").with("needs", "admin"))
            }
        }
    }
}

/// The caller of a request.
///
/// # Errors
/// 401; 503 when the store fails.
pub(crate) async fn caller(
    headers: &HeaderMap,
    verify: &Verify,
    store: &PluginStore,
) -> Result<Caller, Refusal> {
    let token = bearer(headers)?
        .ok_or_else(|| unknown("UNAUTHENTICATED", "this needs a bearer token".into()))?;
    if token.starts_with(PLUGIN_TOKEN_PREFIX) {
        let record = store.record_by_token(&token_digest(token)).await?;
        return match record {
            Some(record) => Ok(Caller::Plugin(record.id)),
            None => Err(unknown("INVALID_TOKEN", "no plugin has this token".into())),
        };
    }
    verified(token, verify).map(Caller::Person)
}

/// Verifies the host's token of a request that needs none, where it presents one.
///
/// # Errors
/// 401.
pub(crate) fn verify_given(headers: &HeaderMap, verify: &Verify) -> Result<(), Refusal> {
    match bearer(headers)? {
        Some(token) => verified(token, verify).map(drop),
        None => Ok(()),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    match credential(headers) {
        Credential::None => Ok(None),
        Credential::Bearer(token) => Ok(Some(token)),
        Credential::Malformed => Err(unknown(
            "INVALID_TOKEN",
            "the authorization header presents no bearer token".into(),
        )),
    }
}

fn verified(token: &str, verify: &Verify) -> Result<Claims, Refusal> {
    verify(token).map_err(|error| match error {
        TokenError::KeySetUnavailable => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Refusal::new(status, "KEY_SET_UNAVAILABLE", error.to_string())
        }
        error => unknown("INVALID_TOKEN", error.to_string()).with("reason", error.code()),
    })
}

fn unknown(code: &'static str, message: String) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, code, message)
}
