//! The configuration of a host: a TOML file, then the environment, then the command line. Each table is one struct with its defaults, units are
//! in the names, and an unknown key is an error.

mod check;
mod environment;
mod tables;

use crate::failure::Coded;
use anyhow::{Context as _, Result};
use gateway::config::{Forward, Identity, Rates, Socket};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) use tables::{Cache, Edge, Log, LogFormat, PluginSettings, Rest, Validator};

/// All tables.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Sockets and their limits.
    pub socket: Socket,
    /// Rates of one connection.
    pub rates: Rates,
    /// Identities and tokens.
    pub identity: Identity,
    /// Messages forwarded from client to client.
    pub forward: Forward,
    /// The REST API.
    pub rest: Rest,
    /// The chain that decides about envelopes.
    pub validator: Validator,
    /// The application with the directory.
    pub edge: Edge,
    /// Compiled code.
    pub cache: Cache,
    /// Third-party plugins.
    pub plugins: PluginSettings,
    /// The log and traces.
    pub log: Log,
}

/// The environment variables. One that is not UTF-8 is refused if its name is one of this program's, and left out
/// otherwise.
///
/// # Errors
/// The text names the variable.
pub(crate) fn variables() -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let shown = name.to_string_lossy().into_owned();
        let is_ours = shown.starts_with("JACKFIELD_") || shown.starts_with("JCODE_");
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            _ if is_ours => anyhow::bail!("the environment variable {shown} is not UTF-8"),
            _ => {}
        }
    }
    Ok(variables)
}

impl Config {
    /// Reads the file if there is one, then the environment, and checks the result.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML, or a key or value is not valid; the text names it.
    pub(crate) fn read(path: Option<&Path>, variables: Vec<(String, String)>) -> Result<Self> {
        let mut table = toml::Table::new();
        let mut origin = "the environment".to_owned();
        if let Some(path) = path {
            origin = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("configuration {origin} cannot be read"))?;
            // The file alone first, so that errors name a line in it.
            toml::from_str::<Self>(&text).with_context(|| format!("configuration {origin}"))?;
            table = text
                .parse()
                .with_context(|| format!("configuration {origin}"))?;
        }
        environment::apply(&mut table, &variables)?;
        let read: Result<Self, toml::de::Error> = table.try_into();
        let mut config = read.map_err(|error| {
            let hint = match error.message().contains("expected a sequence") {
                true => "; a list is written as `[\"one\", \"two\"]`, in an environment variable as well",
                false => "",
            };
            anyhow::anyhow!("configuration {origin}: {}{hint}", error.to_string().trim_end())
        })?;
        config.normalize().map_err(invalid)?;
        config.check(&variables).map_err(invalid)?;
        Ok(config)
    }

    /// Brings origins into the form in which browsers send them, since they are compared as texts.
    ///
    /// # Errors
    /// A text is no origin; the text names the key and the right spelling.
    fn normalize(&mut self) -> Result<()> {
        for (key, origins) in [
            ("socket.origins", &mut self.socket.origins),
            ("rest.cors_origins", &mut self.rest.cors_origins),
        ] {
            for origin in origins
                .iter_mut()
                .filter(|text| !matches!(&***text, "*" | "null"))
            {
                *origin = rest::origin::normalize(origin).context(key)?;
            }
        }
        let own = &mut self.identity.origin;
        if !own.is_empty() {
            *own = rest::origin::normalize(own).context("identity.origin")?;
        }
        Ok(())
    }

    /// The keys that are limits, as `/limits` shows them: the numbers of these tables, and the tables of numbers in them.
    pub(crate) fn limits(&self) -> Value {
        json!({
            "socket": numbers(&self.socket),
            "rates": numbers(&self.rates),
            "rest": numbers(&self.rest),
            "validator": numbers(&self.validator),
            "edge": numbers(&self.edge),
            "plugins": numbers(&self.plugins),
        })
    }

    /// The part that the gateway reads.
    pub(crate) fn gateway(&self) -> gateway::Config {
        gateway::Config {
            socket: self.socket.clone(),
            rates: self.rates.clone(),
            identity: self.identity.clone(),
            forward: self.forward.clone(),
        }
    }
}

/// The members of a table that are numbers, or tables with numbers.
fn numbers(table: &impl Serialize) -> Value {
    fn keep(value: Value) -> Option<Value> {
        match value {
            Value::Number(_) => Some(value),
            Value::Object(members) => {
                let kept = members.into_iter();
                let kept = kept.filter_map(|(key, value)| Some((key, keep(value)?)));
                let kept: Map<String, Value> = kept.collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            _ => None,
        }
    }
    serde_json::to_value(table)
        .ok()
        .and_then(keep)
        .unwrap_or_default()
}

fn invalid(error: anyhow::Error) -> anyhow::Error {
    let message = format!("configuration: {error:#}");
    let code = "CONFIG_INVALID";
    Coded { code, message }.into()
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_environment_is_never_loosened() {
        use capability::{CapabilityId, CapabilityUse, Environment, Outcome, PluginRules, Rules};
        let outcome = |mode: &str, default: &str| {
            let text = format!("[plugins.policy]\ndefault = {default:?}\n");
            let config: Config = toml::from_str(&text).expect("legal");
            let variables = [("JACKFIELD_PLUGIN_MODE", mode)];
            let environment = Environment::read(variables).expect("legal");
            let policy = config.plugins.policy(&environment).expect("legal");
            let rules = PluginRules {
                declared: Rules::whole([CapabilityId::StorageKv]),
                ..PluginRules::default()
            };
            capability::decide(
                &CapabilityUse::any(CapabilityId::StorageKv),
                &rules,
                &policy,
            )
            .outcome
        };
        for (mode, default, expected) in [
            ("", "allow", Outcome::Allow),
            ("permissive", "allow", Outcome::Allow),
            ("prompt", "allow", Outcome::Ask),
            ("prompt", "deny", Outcome::Deny),
            ("strict", "allow", Outcome::Deny),
            ("strict", "ask", Outcome::Deny),
        ] {
            assert_eq!(outcome(mode, default), expected, "{mode} {default}");
        }
    }

    #[test]
    fn environment_wins_over_the_file_and_unknown_keys_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jackfield.toml");
        std::fs::write(&path, "[socket]\nshards = 3\nconnections_max = 7\n").expect("a file");
        let config = Config::read(
            Some(&path),
            environment(&[("JACKFIELD_SOCKET__SHARDS", "2"), ("JACKFIELD_CACHE", "x")]),
        )
        .expect("legal");
        assert_eq!(
            (config.socket.shards, config.socket.connections_max),
            (2, 7)
        );
        let error = Config::read(None, environment(&[("JACKFIELD_SOCKET__SHARD", "2")]))
            .expect_err("unknown");
        assert!(format!("{error:#}").contains("shard"), "{error:#}");
    }

    #[test]
    fn origins_mean_what_browsers_send_and_lists_say_their_form() {
        let config = Config::read(
            None,
            environment(&[
                (
                    "JACKFIELD_SOCKET__ORIGINS",
                    "[\"https://Chat.example:443/\", \"null\"]",
                ),
                ("JACKFIELD_REST__CORS_ORIGINS", "[\"*\"]"),
                ("JACKFIELD_IDENTITY__ORIGIN", "https://chat.example/"),
            ]),
        )
        .expect("legal");
        assert_eq!(config.socket.origins, ["https://chat.example", "null"]);
        assert_eq!(config.identity.origin, "https://chat.example");
        let list = ("JACKFIELD_SOCKET__TRUSTED_PROXIES", "127.0.0.1");
        let error = Config::read(None, environment(&[list])).expect_err("no list");
        assert!(
            format!("{error:#}").contains("[\"one\", \"two\"]"),
            "{error:#}"
        );
    }

    #[test]
    fn the_default_configuration_reads_back() {
        let text = toml::to_string_pretty(&Config::default()).expect("serializes");
        let config = toml::from_str::<Config>(&text).expect("reads back");
        config.check(&[]).expect("valid");
    }

    #[test]
    fn what_a_host_could_not_start_with_is_refused_by_name() {
        for (key, value) in [
            ("SOCKET__PING_INTERVAL_MS", "60000"),
            ("SOCKET__SHARDS", "65"),
            ("SOCKET__IPV6_PREFIX_BITS", "0"),
            ("SOCKET__TRUSTED_PROXIES", "[\"localhost\"]"),
            ("SOCKET__MESSAGE_BYTES_MAX", "1023"),
            ("IDENTITY__HS256_SECRET", "short"),
            ("IDENTITY__JWKS_URL", "ftp://keys.example"),
            ("IDENTITY__JWKS_URL", "https://keys.example"),
            ("IDENTITY__ORIGIN", "chat.example"),
            ("SOCKET__ORIGINS", "[\"https://*.example\"]"),
            ("REST__CORS_ORIGINS", "[\"https://chat.example/app\"]"),
            ("REST__CORS_ORIGINS", "https://chat.example"),
            ("REST__CREATE_SERVERS", "everybody"),
            ("REST__KEEP_ALIVE_MS", "0"),
            ("EDGE__SERVICE_CREDENTIAL", "short"),
            ("EDGE__URL", "edge.example"),
            ("EDGE__REQUESTS_PER_INSTANCE_MAX", "129"),
            ("PLUGINS__RESTART_MS", "1001"),
            ("PLUGINS__NETWORK__OPEN", "[\"nonsense nonsense\"]"),
            ("LOG__FILTER", "gateway=loudly"),
            ("LOG__OTLP_ENDPOINT", "collector"),
            (
                "VALIDATOR__FILTERS",
                "[{ name = \"a\", source = \"a.wasm\", types = [\"no_such_type\"] }]",
            ),
        ] {
            let variable = format!("JACKFIELD_{key}");
            let error = Config::read(None, environment(&[(&variable, value)])).expect_err(key);
            let error = format!("{error:#}");
            let name = key.rsplit("__").next().expect("a key").to_lowercase();
            assert!(error.contains(&name), "{key}: {error}");
        }
    }
}
