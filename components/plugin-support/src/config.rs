//! The component's variables, read once per instance. A variable that cannot be used is named in the log, and requests
//! are answered with `MISCONFIGURED`; nothing falls back to a weaker setting.

use crate::store::StoreKind;
use identity::{Expectations, Mode, PublicKey, ServiceCredential, SharedSecret, Verifier};
use limits::directory::{CHANGES_PER_MINUTE, GATEWAYS_MAX, SERVERS_PER_OWNER_MAX};
use rest::cors::Origins;
use spin_sdk::variables;
use std::{cell::RefCell, rc::Rc};

/// Who may create servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creators {
    /// Any proven identity; in the mode `open` any claimed one.
    Proven,
    /// Operators alone.
    Admin,
    /// Any identity.
    Anyone,
}

/// All variables, checked.
pub(crate) struct Config {
    pub(crate) mode: Mode,
    /// Verifies tokens by the configured keys; those of the key set are added when they have been fetched.
    pub(crate) verifier: Verifier,
    pub(crate) jwks_url: Option<String>,
    pub(crate) service: Option<ServiceCredential>,
    pub(crate) gateways: Vec<String>,
    pub(crate) store_kind: StoreKind,
    pub(crate) origins: Origins,
    pub(crate) creators: Creators,
    pub(crate) servers_per_owner: u64,
    /// Changes of one server in a minute.
    pub(crate) changes_per_minute: u64,
}

thread_local! {
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

impl Config {
    /// The variables; read anew until they are usable.
    ///
    /// # Errors
    /// The variable that cannot be used, and why; the text never quotes a value.
    pub(crate) async fn load() -> Result<Rc<Self>, String> {
        if let Some(config) = CONFIG.with_borrow(Clone::clone) {
            return Ok(config);
        }
        let config = Rc::new(Self::read().await?);
        CONFIG.with_borrow_mut(|kept| *kept = Some(config.clone()));
        Ok(config)
    }

    async fn read() -> Result<Self, String> {
        let mode = variable("identity_mode")
            .await?
            .unwrap_or_else(|| "claimed".to_owned());
        let mode = Mode::parse(&mode).ok_or("identity_mode must be open, claimed or required")?;
        let expectations = Expectations {
            audience: variable("token_audience").await?,
            issuer: variable("token_issuer").await?,
            key_set_roles: match variable("jwks_roles").await?.as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err("jwks_roles must be true or false".to_owned()),
            },
        };
        let names_issuer = expectations.audience.is_some() && expectations.issuer.is_some();
        let jwks_url = variable("jwks_url").await?;
        if jwks_url.is_some() && !names_issuer {
            return Err("jwks_url needs token_audience and token_issuer".to_owned());
        }
        let mut verifier = Verifier::new(expectations);
        let keys = variable("public_key").await?.unwrap_or_default();
        for key in PublicKey::parse_list(&keys).map_err(|error| format!("public_key: {error}"))? {
            verifier = verifier.with_public_key(&key);
        }
        if let Some(secret) = variable("hs256_secret").await? {
            verifier = verifier.with_secret(
                &SharedSecret::new(&secret).map_err(|error| format!("hs256_secret: {error}"))?,
            );
        }
        let service = match variable("service_credential").await? {
            Some(text) => Some(
                ServiceCredential::new(&text)
                    .map_err(|error| format!("service_credential: {error}"))?,
            ),
            None => None,
        };
        let gateways = list(variable("gateway_urls").await?);
        if gateways.len() > GATEWAYS_MAX {
            return Err(format!(
                "gateway_urls names more than {GATEWAYS_MAX} gateways"
            ));
        }
        Ok(Self {
            mode,
            verifier,
            jwks_url,
            service,
            gateways: gateways
                .into_iter()
                .map(|url| url.trim_end_matches('/').to_owned())
                .collect(),
            store_kind: store_kind().await?,
            origins: Origins::parse(&variable("cors_origins").await?.unwrap_or_default()),
            creators: creators(variable("create_servers").await?)?,
            servers_per_owner: number("servers_per_owner", SERVERS_PER_OWNER_MAX).await?,
            changes_per_minute: number("changes_per_minute", CHANGES_PER_MINUTE).await?,
        })
    }
}

/// A variable that is a whole number.
async fn number(name: &str, default: u32) -> Result<u64, String> {
    match variable(name).await? {
        Some(text) => text
            .parse()
            .map_err(|_| format!("{name} must be a whole number")),
        None => Ok(u64::from(default)),
    }
}

/// A variable's value; nothing when it is empty or not defined.
async fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(format!("{name} cannot be read: {error}")),
    }
}

async fn store_kind() -> Result<StoreKind, String> {
    match variable("store").await?.as_deref() {
        None | Some("sqlite") => Ok(StoreKind::Sqlite),
        Some("postgres") => variable("postgres_url")
            .await?
            .map(StoreKind::Postgres)
            .ok_or_else(|| "postgres_url must be set with store postgres".to_owned()),
        Some(_) => Err("store must be sqlite or postgres".to_owned()),
    }
}

fn creators(text: Option<String>) -> Result<Creators, String> {
    match text.as_deref() {
        None | Some("proven") => Ok(Creators::Proven),
        Some("admin") => Ok(Creators::Admin),
        Some("anyone") => Ok(Creators::Anyone),
        Some(_) => Err("create_servers must be proven, admin or anyone".to_owned()),
    }
}

fn list(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}
