//! What every plugin holds: its log, its settings, and the question what it may do.

use super::{State, error};
use crate::plugin::bindings::jackfield::plugin::{
    capabilities, log, settings,
    types::{self, ErrorCode, PluginError},
};
use capability::{Asked, CapabilityId, Outcome, Target};
use std::str::FromStr;
use storage::LogLevel;

impl types::Host for State {}

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String, fields: Option<String>) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => LogLevel::Trace,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.diary.line(level, &message, fields);
        Ok(())
    }
}

impl settings::Host for State {
    async fn all(&mut self) -> wasmtime::Result<String> {
        Ok(self.shared.settings_text())
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.shared.settings.load().get(&key).map(ToString::to_string))
    }
}

impl capabilities::Host for State {
    async fn check(&mut self, capability: String, target: Option<String>) -> wasmtime::Result<Result<capabilities::Decision, PluginError>> {
        let id = match CapabilityId::from_str(&capability) {
            Ok(id) => id,
            Err(unknown) => return Ok(Err(error(ErrorCode::InvalidArgument, unknown.to_string()))),
        };
        let target = target.as_deref().map_or(Target::Any, |target| Target::read(id, target));
        let decision = self.shared.authority.decide(&Asked { id, target });
        let outcome = match decision.outcome {
            Outcome::Allow => capabilities::Outcome::Allow,
            Outcome::Deny => capabilities::Outcome::Deny,
            Outcome::Ask => capabilities::Outcome::Ask,
        };
        Ok(Ok(capabilities::Decision { outcome, layer: decision.layer, reason: decision.ground.reason().to_owned() }))
    }
}
