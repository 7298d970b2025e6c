//! The configuration: one struct, its defaults the constants of `limits`, read from file, then environment, then flags.
//!
//! `JACKFIELD_<TABLE>__<KEY>` sets one key, such as `JACKFIELD_SOCKET__CONNECTIONS_MAX=5000`. An unknown key is an error that names it.

use anyhow::{Context, Result, bail};
use capability::{Environment, Grant, Mode, Policy, PolicySettings, Profile, Request, Rules};
use egress::GuardSettings;
use gateway::config::{Forward, Identity, RateSetting, Rates, Socket};
use plugin_host::plugin::Ceilings;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Everything an operator may set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Sockets and their limits.
    pub socket: Socket,
    /// Rates of one connection.
    pub rates: Rates,
    /// Who somebody is.
    pub identity: Identity,
    /// Forwarding between people.
    pub forward: Forward,
    /// The REST side.
    pub rest: Rest,
    /// Components that judge envelopes before the validator.
    pub judge: Judge,
    /// The edge app.
    pub edge: Edge,
    /// Third-party plugins.
    pub plugins: PluginSettings,
    /// What is logged.
    pub log: Log,
}

/// The REST side.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rest {
    /// Requests of one address.
    pub per_address: RateSetting,
    /// Requests in work at once; more are answered with 503.
    pub in_flight_max: usize,
    /// Origins that browsers may call the REST side from; `*` = any.
    pub cors_origins: Vec<String>,
    /// Who may create servers: `proven`, `admin` or `anyone`.
    pub create_servers: String,
    /// Servers one identity may own.
    pub servers_per_owner: u32,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            per_address: limits::rest::PER_ADDRESS.into(),
            in_flight_max: limits::rest::IN_FLIGHT_MAX,
            cors_origins: vec!["*".into()],
            create_servers: "proven".into(),
            servers_per_owner: limits::directory::SERVERS_PER_OWNER_MAX,
        }
    }
}

/// Components that judge envelopes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Judge {
    /// Asked in this order, before the validator.
    pub filters: Vec<Filter>,
}

/// An operator's component in the chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// For logs, metrics and refusals.
    pub name: String,
    /// The component file.
    pub source: PathBuf,
    /// What its failure means: the envelope is refused (`refuse`), or goes on without it (`skip`).
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Types it is asked about; empty = all.
    #[serde(default)]
    pub types: Vec<String>,
}

/// What a filter's failure means.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// The envelope is refused.
    #[default]
    Refuse,
    /// The envelope goes on without it.
    Skip,
}

/// The edge app: in this process, or elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Edge {
    /// Base URL of an edge app that runs elsewhere; empty = in this process.
    pub url: String,
    /// The `spin.toml` of the application; empty = `spin.toml` in the working directory, else the application in the binary.
    pub app: PathBuf,
    /// Where compiled components are kept; empty = `cache` in the data directory.
    pub cache: String,
    /// What gateways present to the edge; empty = the file `service-credential` in the data directory, made when missing.
    pub service_credential: String,
    /// Requests one instance of a component serves before it is replaced, at most 128; 1 gives every request an instance of its own, which
    /// costs each of them one; 0 = the most.
    pub requests_per_instance_max: usize,
    /// Base URLs of further gateways that are woken after each change.
    pub gateway_urls: Vec<String>,
    /// Variables of the edge app; they win over what this file says elsewhere.
    pub variables: BTreeMap<String, String>,
}

/// Third-party plugins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginSettings {
    /// Whether this host runs plugins.
    pub enabled: bool,
    /// Where they lie; empty = `plugins` in the data directory.
    pub directory: String,
    /// Wait before the first restart of a plugin that crashed, at most 1000; each further crash in a row doubles it, up to sixteen times as long.
    pub restart_ms: u64,
    /// What they may do when nobody said so: profile `safe` denies, `standard` asks, `permissive` allows; lists of capabilities that are denied
    /// and allowed to all of them.
    pub policy: PolicySettings,
    /// Where their requests may go beyond public addresses and ordinary ports.
    pub network: GuardSettings,
    /// The most that any one of them gets; a manifest may ask for less.
    pub limits: Ceilings,
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: String::new(),
            restart_ms: limits::lifecycle::BACKOFF_FIRST_MS,
            policy: PolicySettings::default(),
            network: GuardSettings::default(),
            limits: Ceilings::default(),
        }
    }
}

impl PluginSettings {
    /// The policy, with what the environment says on top: it only ever forbids more (J31).
    ///
    /// # Errors
    /// A list that cannot be understood.
    pub(crate) fn policy(&self, environment: &Environment) -> Result<Policy> {
        let mut policy = self.policy.compile().context("plugins.policy")?;
        policy.kill = environment.kill.clone();
        policy.mode = Mode::effective(environment.mode, Some(policy.mode), None);
        if !environment.deny.is_empty() {
            let requests = self
                .policy
                .deny
                .clone()
                .unwrap_or_else(|| Profile::DENIED.map(Request::of).into());
            let mut denied: Vec<Grant> = requests
                .into_iter()
                .map(|request| Grant {
                    capability: request.id,
                    scope: request.scope,
                })
                .collect();
            denied.extend(environment.deny.iter().cloned());
            policy.deny = Rules::from_grants(&denied).context("the variable PLUGIN_DENY")?;
        }
        Ok(policy)
    }
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,gateway=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
    /// Collector that spans go to over OTLP with HTTP, such as `http://127.0.0.1:4318`; empty = none.
    pub otlp_endpoint: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, one object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Text,
            otlp_endpoint: String::new(),
        }
    }
}

const PREFIX: &str = "JACKFIELD_";

impl Config {
    /// Reads the file where there is one, then the environment.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or a key or value is not understood; the text names it.
    pub(crate) fn read(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut table = toml::Table::new();
        let mut origin = "the environment".to_owned();
        if let Some(path) = path {
            origin = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("configuration {origin} cannot be read"))?;
            // Once alone, so that errors point into the file.
            toml::from_str::<Self>(&text).with_context(|| format!("configuration {origin}"))?;
            table = text
                .parse()
                .with_context(|| format!("configuration {origin}"))?;
        }
        for (name, value) in environment {
            let Some(path) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else {
                continue;
            };
            set(&mut table, &path.to_ascii_lowercase(), &value)
                .with_context(|| format!("environment variable {name}"))?;
        }
        let config: Self = table
            .try_into()
            .with_context(|| format!("configuration {origin}"))?;
        config.check()?;
        Ok(config)
    }

    /// Relations between keys that the types alone do not say.
    fn check(&self) -> Result<()> {
        let socket = &self.socket;
        if socket.ping_interval_ms >= socket.silence_max_ms {
            bail!(
                "socket.ping_interval_ms ({}) must be below socket.silence_max_ms ({})",
                socket.ping_interval_ms,
                socket.silence_max_ms
            );
        }
        if !(1_024..=limits::socket::MESSAGE_BYTES_MAX).contains(&socket.message_bytes_max) {
            bail!(
                "socket.message_bytes_max ({}) must be from 1024 to {}",
                socket.message_bytes_max,
                limits::socket::MESSAGE_BYTES_MAX
            );
        }
        if socket.linger_ms > limits::socket::LINGER_MAX_MS {
            bail!(
                "socket.linger_ms ({}) must be at most {}",
                socket.linger_ms,
                limits::socket::LINGER_MAX_MS
            );
        }
        if !(1..=limits::dispatch::DECISION_LIMIT_MS).contains(&socket.decision_max_ms) {
            bail!(
                "socket.decision_max_ms ({}) must be from 1 to {}",
                socket.decision_max_ms,
                limits::dispatch::DECISION_LIMIT_MS
            );
        }
        if socket.shards > 64 {
            bail!("socket.shards ({}) must be at most 64", socket.shards);
        }
        if self.judge.filters.len() >= limits::validator::CHAIN_LENGTH_MAX {
            bail!(
                "judge.filters ({}) must be fewer than {}",
                self.judge.filters.len(),
                limits::validator::CHAIN_LENGTH_MAX
            );
        }
        if self.plugins.restart_ms > limits::lifecycle::BACKOFF_FIRST_MS {
            bail!(
                "plugins.restart_ms ({}) must be at most {}",
                self.plugins.restart_ms,
                limits::lifecycle::BACKOFF_FIRST_MS
            );
        }
        self.plugins.limits.check().context("plugins.limits")?;
        if !matches!(
            self.rest.create_servers.as_str(),
            "proven" | "admin" | "anyone"
        ) {
            bail!(
                "rest.create_servers ({:?}) must be \"proven\", \"admin\" or \"anyone\"",
                self.rest.create_servers
            );
        }
        Ok(())
    }

    /// What the gateway is told.
    pub(crate) fn gateway(&self) -> gateway::Config {
        gateway::Config {
            socket: self.socket.clone(),
            rates: self.rates.clone(),
            identity: self.identity.clone(),
            forward: self.forward.clone(),
        }
    }
}

/// Sets the key at `path` (`socket__shards`); the value is TOML where it parses as such, else text.
fn set(table: &mut toml::Table, path: &str, value: &str) -> Result<()> {
    let parsed = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split("__").collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        at = match at
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        {
            toml::Value::Table(inner) => inner,
            _ => bail!("'{key}' is no table"),
        };
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
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
    fn the_default_configuration_reads_back() {
        let text = toml::to_string_pretty(&Config::default()).expect("serializes");
        toml::from_str::<Config>(&text).expect("reads back");
    }
}
