//! The tables that this binary itself reads; those of the gateway are in `gateway::config`.

use anyhow::{Context as _, Result};
use capability::{
    DefaultOutcome, Environment, Grant, Mode, Policy, PolicySettings, Profile, Request, Rules,
};
use egress::GuardSettings;
use gateway::{address::Network, config::RateSetting};
use identifiers::PluginId;
use plugin_host::{HostLimits, OperatorOptions, PluginOptions, Reach};
use plugin_manifest::ToolMode;
use sandbox::ComponentSource;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};
use validator_chain::{ChainConfig, FilterConfig};

/// `[rest]`: the REST API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rest {
    /// Requests of one address.
    pub per_address: RateSetting,
    /// Requests handled at once; more are refused with 503.
    pub in_flight_max: usize,
    /// Time for which an HTTP connection is kept between two requests. A proxy that reuses connections should close them
    /// earlier than that.
    pub keep_alive_ms: u64,
    /// Addresses and networks that may read `/metrics` without a credential.
    pub metrics_from: Vec<Network>,
    /// Origins from which browsers may call the REST API; `*` = any.
    pub cors_origins: Vec<String>,
    /// Identities that may create servers.
    pub create_servers: CreateServers,
    /// Servers that one identity may own.
    pub servers_per_owner: u32,
    /// Changes of one server in a minute; half of them of users about themselves.
    pub changes_per_minute: u32,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            per_address: limits::rest::PER_ADDRESS.into(),
            in_flight_max: limits::rest::IN_FLIGHT_MAX,
            metrics_from: Network::loopback(),
            keep_alive_ms: limits::rest::KEEP_ALIVE_MS,
            cors_origins: vec!["*".into()],
            create_servers: CreateServers::default(),
            servers_per_owner: limits::directory::SERVERS_PER_OWNER_MAX,
            changes_per_minute: limits::directory::CHANGES_PER_MINUTE,
        }
    }
}

/// Identities that may create servers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CreateServers {
    /// Identities proven by a token or a key.
    #[default]
    Proven,
    /// Tokens with the role admin.
    Admin,
    /// Every identity.
    Anyone,
}

impl CreateServers {
    /// The value of the application's variable `create_servers`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Admin => "admin",
            Self::Anyone => "anyone",
        }
    }
}

/// `[validator]`: the chain that decides about envelopes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Validator {
    /// Processor time that a component may spend on one envelope; beyond it the sender gets `INTERNAL`.
    pub call_deadline_ms: u64,
    /// The operator's components, called in this order before the validator.
    pub filters: Vec<Filter>,
}

impl Default for Validator {
    fn default() -> Self {
        Self {
            call_deadline_ms: limits::validator::CALL_DEADLINE_MS,
            filters: Vec::new(),
        }
    }
}

impl Validator {
    /// The chain before `validator`.
    pub(crate) fn chain(&self, validator: ComponentSource) -> ChainConfig {
        ChainConfig {
            filters: self.filters.iter().map(Into::into).collect(),
            validator,
            call_deadline: Duration::from_millis(self.call_deadline_ms),
        }
    }
}

/// `[[validator.filters]]`: one of the operator's components.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Name in logs, metrics and refusals.
    pub name: String,
    /// The component's file.
    pub source: PathBuf,
    /// What happens to an envelope when the filter fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Envelope types that the filter is called with; empty = all.
    #[serde(default)]
    pub types: Vec<String>,
}

impl From<&Filter> for FilterConfig {
    fn from(filter: &Filter) -> Self {
        Self {
            name: filter.name.clone(),
            source: filter.source.clone(),
            on_failure: match filter.on_failure {
                OnFailure::Refuse => validator_chain::OnFailure::Refuse,
                OnFailure::Skip => validator_chain::OnFailure::Skip,
            },
            types: filter.types.clone(),
        }
    }
}

/// What happens to an envelope when a filter fails.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// The envelope is refused.
    #[default]
    Refuse,
    /// The envelope continues as if the filter had passed it.
    Skip,
}

/// `[edge]`: the application with the directory, in this process or elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Edge {
    /// Base URL of an application that runs elsewhere; empty = in this process.
    pub url: String,
    /// The application's `spin.toml`; empty = `spin.toml` in the working directory, else the application in the binary.
    pub app: PathBuf,
    /// Shared secret between gateway and application; empty = the file `service-credential` in the data folder, made if missing.
    pub service_credential: String,
    /// Requests that one instance of a component serves before it is replaced; 1 = a fresh instance for each request, 0 = the maximum, 128.
    pub requests_per_instance_max: usize,
    /// Base URLs of further gateways that are notified after each change.
    pub gateway_urls: Vec<String>,
    /// Variables of the application; they override what other tables set.
    pub variables: BTreeMap<String, String>,
}

impl Edge {
    /// The application's manifest, if one is named.
    pub(crate) fn app(&self) -> Option<&Path> {
        Some(self.app.as_path()).filter(|app| !app.as_os_str().is_empty())
    }
}

/// `[cache]`: compiled code.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// Folder of compiled components. Empty = `$JACKFIELD_CACHE/code`, else `$XDG_CACHE_HOME/jackfield/code`, else
    /// `~/.cache/jackfield/code`, shared by all hosts of the user; if none can be used, `cache` in the data folder.
    pub directory: PathBuf,
}

/// `[plugins]`: third-party plugins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginSettings {
    /// Whether this host runs plugins.
    pub enabled: bool,
    /// Folder of the plugins; empty = `plugins` in the data folder.
    pub directory: PathBuf,
    /// Delay before the first restart after a crash, at most 1000. Each further crash in a row doubles it, up to 16 times.
    pub restart_ms: u64,
    /// The plugins that may run, and no others; empty = all.
    pub enable: BTreeSet<PluginId>,
    /// Plugins that do not run, also if `enable` names them.
    pub disable: BTreeSet<PluginId>,
    /// What becomes of a chat message or a hook that a plugin decides about if the plugin fails or is being started again: `refuse`, or `pass`
    /// (it goes on without the plugin). A manifest may ask for `refuse`.
    pub on_failure: plugin_manifest::OnFailure,
    /// Where plugins act, besides the servers whose requirements name them as required, recommended or optional: `named`
    /// nowhere else, `public` on servers that neither are private nor have a password, `all` on all servers. A plugin
    /// never acts where it is blocked.
    pub servers: Reach,
    /// Which calls of tools a user has to allow first, if the caller names no mode: `plan` and `auto` all, `acceptEdits` those of the tier `exec`,
    /// `default` those of `write` and `exec`, `bypass` none; `dontAsk` denies what `default` asks about.
    pub tool_mode: ToolMode,
    /// Decisions about capabilities without a grant: profile `safe` denies them, `standard` requires consent, `permissive` allows them; and lists
    /// of capabilities that are denied or allowed to all plugins.
    pub policy: PolicySettings,
    /// Destinations of plugins' requests beyond public addresses and usual ports.
    pub network: GuardSettings,
    /// Most that one plugin may use; a manifest may ask for less.
    pub limits: HostLimits,
    /// Settings of single plugins, such as `[plugins.by_id."example.polls"]`: `servers`; `on_failure`, whatever the manifest says; `mode`, instead of the
    /// policy's; `timeout_ms` of each tool and each handler that decides, at most 30000; `tools`, such as `{ wipe = "deny" }`: `allow`, `deny` or
    /// `ask` for calls of single tools, whatever the mode.
    pub by_id: BTreeMap<PluginId, PluginOptions>,
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: PathBuf::new(),
            restart_ms: limits::lifecycle::BACKOFF_FIRST_MS,
            enable: BTreeSet::new(),
            disable: BTreeSet::new(),
            on_failure: plugin_manifest::OnFailure::default(),
            servers: Reach::default(),
            tool_mode: ToolMode::default(),
            policy: PolicySettings::default(),
            network: GuardSettings::default(),
            limits: HostLimits::default(),
            by_id: BTreeMap::new(),
        }
    }
}

impl PluginSettings {
    /// What the operator says about all plugins and about single ones; no mode is looser than what the environment
    /// demands.
    pub(crate) fn options(&self, environment: &Environment) -> OperatorOptions {
        let mut by_id = self.by_id.clone();
        for mode in by_id.values_mut().filter_map(|own| own.mode.as_mut()) {
            *mode = Mode::effective(environment.mode, Some(*mode), None);
        }
        OperatorOptions {
            on_failure: self.on_failure,
            servers: self.servers,
            tool_mode: self.tool_mode,
            enable: self.enable.clone(),
            disable: self.disable.clone(),
            by_id,
        }
    }

    /// The policy with the environment applied, which can only forbid more.
    ///
    /// # Errors
    /// A list contains something that is not a capability or a scope.
    pub(crate) fn policy(&self, environment: &Environment) -> Result<Policy> {
        let mut policy = self.policy.compile().context("plugins.policy")?;
        policy.kill = environment.kill.clone();
        policy.mode = Mode::effective(environment.mode, Some(policy.mode), None);
        // The default is asked before the mode, and must not be looser than what the environment demands.
        policy.default = policy.default.filter(|default| {
            matches!(
                (environment.mode, default),
                (None | Some(Mode::Permissive), _)
                    | (_, DefaultOutcome::Deny)
                    | (Some(Mode::Prompt), DefaultOutcome::Ask)
            )
        });
        if !environment.deny.is_empty() {
            let requests = self
                .policy
                .deny
                .clone()
                .unwrap_or_else(|| Profile::DENIED.map(Request::unscoped).into());
            let mut denied: Vec<Grant> = requests
                .into_iter()
                .map(|request| Grant {
                    capability: request.id,
                    scope: request.scope,
                })
                .collect();
            denied.extend(environment.deny.iter().cloned());
            policy.deny =
                Rules::from_grants(&denied).context("environment variable PLUGIN_DENY")?;
        }
        Ok(policy)
    }
}

/// `[log]`: the log on standard error, and traces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,gateway=debug`. The variable RUST_LOG overrides it.
    pub filter: String,
    /// Form of a line.
    pub format: LogFormat,
    /// OTLP collector that receives spans over HTTP, such as `http://127.0.0.1:4318`; empty = none.
    pub otlp_endpoint: String,
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

/// Form of a log line.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text.
    #[default]
    Text,
    /// One JSON object.
    Json,
}
