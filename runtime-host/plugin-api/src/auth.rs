//! Who asks (R46): a person with a token of the host, or a plugin with its own (R40).
//!
//! Invariant: without a credential that verifies nothing is answered but 401, and a plugin's token opens its own values alone.

use crate::answer::Refusal;
use http::{HeaderMap, StatusCode, header};
use identity::{Claims, Role, TokenError};
use plugin_store::{PluginStore, token_digest};

/// Verifies a token of the host at this moment.
pub type Verify = Box<dyn Fn(&str) -> Result<Claims, TokenError> + Send + Sync>;

/// What a plugin's own token begins with, so that it is told from those of people.
pub(crate) const PLUGIN_TOKEN_PREFIX: &str = "jfp_";

/// Who asks.
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

    /// Whether `caller` may; `plugin` is the one that the path names.
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

/// Finds out who asks.
///
/// # Errors
/// 401; 503 when the store fails.
pub(crate) async fn caller(
    headers: &HeaderMap,
    verify: &Verify,
    store: &PluginStore,
) -> Result<Caller, Refusal> {
    let unknown = |code, message: String| Refusal::new(StatusCode::UNAUTHORIZED, code, message);
    let given = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| unknown("UNAUTHENTICATED", "this needs a bearer token".into()))?;
    let token = given
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return Err(unknown(
            "INVALID_TOKEN",
            "the authorization header presents no bearer token".into(),
        ));
    };
    let token = token.trim();
    if token.starts_with(PLUGIN_TOKEN_PREFIX) {
        let record = store.record_by_token(&token_digest(token)).await?;
        return match record {
            Some(record) => Ok(Caller::Plugin(record.id)),
            None => Err(unknown("INVALID_TOKEN", "no plugin has this token".into())),
        };
    }
    match verify(token) {
        Ok(claims) => Ok(Caller::Person(claims)),
        Err(error) => Err(unknown("INVALID_TOKEN", error.to_string()).with("reason", error.code())),
    }
}
