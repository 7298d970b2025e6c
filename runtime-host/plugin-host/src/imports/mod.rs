//! The functions that a plugin can import. Each call that needs a capability asks
//! [`Authority`](super::authority::Authority) first and returns a typed error; no argument of a plugin makes a call
//! panic or trap, and a refused call has no effect.

mod basics;
mod community;
pub(crate) mod fetch;
mod http;
mod values;

use crate::{
    bindings::{
        Plugin as World,
        jackfield::plugin::types::{ErrorCode, PluginError},
    },
    instances::store_data::StoreData,
    now_ms,
};
use anyhow::Result;
use capability::{CapabilityId, Target};
use plugin_store::StoreError;
use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

/// An error with a code and a text.
pub(crate) fn error(code: ErrorCode, message: impl Into<String>) -> PluginError {
    PluginError {
        code,
        message: message.into(),
        details: None,
    }
}

/// The code's name, as plugins and metrics know it.
pub(crate) const fn code_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotDeclared => "not-declared",
        ErrorCode::NotGranted => "not-granted",
        ErrorCode::ConsentPending => "consent-pending",
        ErrorCode::Denied => "denied",
        ErrorCode::InvalidArgument => "invalid-argument",
        ErrorCode::NotFound => "not-found",
        ErrorCode::Conflict => "conflict",
        ErrorCode::Timeout => "timeout",
        ErrorCode::TooLarge => "too-large",
        ErrorCode::RateLimited => "rate-limited",
        ErrorCode::QuotaExceeded => "quota-exceeded",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Internal => "internal",
    }
}

/// An error of the store, as the plugin sees it; faults of the database itself are told without their details.
pub(crate) fn store_error(failed: &StoreError) -> PluginError {
    let code = match failed.code() {
        "TOO_LARGE" => ErrorCode::TooLarge,
        "QUOTA_EXCEEDED" => ErrorCode::QuotaExceeded,
        "INVALID_KEY" | "INVALID_VALUE" => ErrorCode::InvalidArgument,
        "NOT_FOUND" => ErrorCode::NotFound,
        _ => {
            tracing::error!(error = %failed, "the plugin store failed");
            return error(ErrorCode::Unavailable, "the store cannot be used now");
        }
    };
    error(code, failed.to_string())
}

impl StoreData {
    /// Counts an error that the plugin gets.
    fn refused(&self, error: PluginError) -> PluginError {
        self.shared.metrics.refuse(error.code);
        error
    }

    /// An error of the store that the plugin gets.
    fn not_stored(&self, failed: &StoreError) -> PluginError {
        self.refused(store_error(failed))
    }

    /// Counts a call of the host.
    fn charge_call(&self) -> Result<(), PluginError> {
        let charged = self.shared.quota.call(now_ms());
        charged.map_err(|error| self.refused(error))
    }

    /// Counts bytes that are about to be stored.
    fn charge_bytes(&self, bytes: usize) -> Result<(), PluginError> {
        let charged = self.shared.quota.write(bytes);
        charged.map_err(|error| self.refused(error))
    }

    /// Decides and records whether the plugin may use a capability.
    async fn authorize(&mut self, id: CapabilityId, target: Target<'_>) -> Result<(), PluginError> {
        self.charge_call()?;
        let shared = self.shared.clone();
        let authorized = shared.authority.authorize(&mut self.audit, id, target);
        let authorized = authorized.await;
        authorized.map_err(|error| self.refused(error))
    }

    /// As [`StoreData::authorize`] for an action on a server: an instance of one chat server acts on that server alone.
    async fn authorize_on(
        &mut self,
        server_id: &str,
        id: CapabilityId,
        target: Target<'_>,
    ) -> Result<(), PluginError> {
        match self.scope.server_id() {
            Some(own) if own != server_id => Err(self.refused(error(
                ErrorCode::Denied,
                format!("this instance works for server {own} and may not act on another one"),
            ))),
            _ => self.authorize(id, target).await,
        }
    }
}

/// A text argument within its bound.
fn bounded(what: &str, bytes: usize, bytes_max: usize) -> Result<(), PluginError> {
    if bytes <= bytes_max {
        Ok(())
    } else {
        Err(error(
            ErrorCode::TooLarge,
            format!("{what} exceeds the limit of {bytes_max} bytes"),
        ))
    }
}

/// Everything that a plugin may import.
///
/// # Errors
/// The bindings do not fit the engine.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<StoreData>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    World::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}
