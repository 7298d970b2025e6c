//! Imports that need no capability: log, settings, clock, random bytes, and the query of capabilities.

use super::{StoreData, bounded, error};
use crate::{
    bindings::jackfield::plugin::{
        capabilities, clock, log, random, settings,
        types::{self, ErrorCode, PluginError},
    },
    now_ms,
};
use capability::{CapabilityId, CapabilityUse, Outcome, ScopeKey, Target};
use limits::plugin as bounds;
use plugin_store::Level;
use std::str::FromStr;

impl types::Host for StoreData {}

impl log::Host for StoreData {
    async fn write(
        &mut self,
        level: log::Level,
        message: String,
        fields: Option<String>,
    ) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.line(level, &message, fields);
        Ok(())
    }
}

impl settings::Host for StoreData {
    async fn all(&mut self) -> wasmtime::Result<String> {
        Ok(self.shared.settings_text())
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self
            .shared
            .settings
            .load()
            .get(&key)
            .map(ToString::to_string))
    }
}

impl clock::Host for StoreData {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(now_ms())
    }
}

impl random::Host for StoreData {
    async fn bytes(&mut self, count: u32) -> wasmtime::Result<Result<Vec<u8>, PluginError>> {
        if let Err(too_many) = bounded("count", count as usize, bounds::RANDOM_BYTES_MAX as usize) {
            return Ok(Err(too_many));
        }
        let mut bytes = vec![0; count as usize];
        Ok(match getrandom::fill(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(error(
                ErrorCode::Unavailable,
                "the system gives no random bytes",
            )),
        })
    }
}

impl capabilities::Host for StoreData {
    async fn check(
        &mut self,
        capability: String,
        target: Option<String>,
    ) -> wasmtime::Result<Result<capabilities::Decision, PluginError>> {
        let id = match CapabilityId::from_str(&capability) {
            Ok(id) => id,
            Err(unknown) => return Ok(Err(error(ErrorCode::InvalidArgument, unknown.to_string()))),
        };
        let target = match target.as_deref() {
            None => Target::ANY,
            Some(host) if id.entry().scope.contains(&ScopeKey::Hosts) => Target {
                host: Some(host),
                ..Target::ANY
            },
            Some(path) if id.entry().scope.contains(&ScopeKey::Paths) => Target::path(path),
            Some(name) => Target::name(name),
        };
        let decision = self.shared.authority.decide(&CapabilityUse { id, target });
        let outcome = match decision.outcome {
            Outcome::Allow => capabilities::Outcome::Allow,
            Outcome::Deny => capabilities::Outcome::Deny,
            Outcome::Ask => capabilities::Outcome::Ask,
        };
        Ok(Ok(capabilities::Decision {
            outcome,
            layer: decision.layer,
            reason: decision.reason.text().to_owned(),
        }))
    }
}
