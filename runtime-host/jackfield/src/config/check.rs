//! Rules that the types of the configuration do not express. What passes here is accepted by `jackfield serve`, as far as the configuration
//! alone decides: files and ports are not touched.

use super::Config;
use crate::directory_transport::HttpUrl;
use anyhow::{Context as _, Result, bail, ensure};
use capability::Environment;
use egress::Guard;
use identity::{ServiceCredential, SharedSecret};
use limits::{dispatch, lifecycle, rest, socket as bounds};
use std::ops::RangeInclusive;
use tracing_subscriber::EnvFilter;
use validator_chain::FilterConfig;

impl Config {
    /// Checks every rule; `variables` are those of the environment.
    ///
    /// # Errors
    /// The first rule that is broken; the text names the key, its value and the limit.
    pub(super) fn check(&self, variables: &[(String, String)]) -> Result<()> {
        self.check_socket()?;
        within(
            "rest.keep_alive_ms",
            self.rest.keep_alive_ms,
            1..=rest::KEEP_ALIVE_LIMIT_MS,
        )?;
        self.check_secrets()?;
        self.check_addresses()?;
        self.check_plugins(variables)?;
        within(
            "validator.call_deadline_ms",
            self.validator.call_deadline_ms,
            1..=limits::validator::CALL_WALL_MAX_MS,
        )?;
        let filters: Vec<FilterConfig> = self.validator.filters.iter().map(Into::into).collect();
        FilterConfig::check(&filters).context("validator.filters")
    }

    fn check_socket(&self) -> Result<()> {
        let socket = &self.socket;
        ensure!(
            socket.ping_interval_ms < socket.silence_max_ms,
            "socket.ping_interval_ms ({}) must be less than socket.silence_max_ms ({})",
            socket.ping_interval_ms,
            socket.silence_max_ms
        );
        within(
            "socket.message_bytes_max",
            socket.message_bytes_max,
            bounds::MESSAGE_BYTES_MIN..=bounds::MESSAGE_BYTES_MAX,
        )?;
        within(
            "socket.linger_ms",
            socket.linger_ms,
            0..=bounds::LINGER_MAX_MS,
        )?;
        within(
            "socket.decision_max_ms",
            socket.decision_max_ms,
            1..=dispatch::DECISION_LIMIT_MS,
        )?;
        within(
            "socket.ipv6_prefix_bits",
            socket.ipv6_prefix_bits,
            1..=bounds::IPV6_BITS,
        )?;
        within("socket.shards", socket.shards, 0..=bounds::SHARDS_MAX)
    }

    fn check_secrets(&self) -> Result<()> {
        let (secret, credential) = (&self.identity.hs256_secret, &self.edge.service_credential);
        if !secret.is_empty() {
            SharedSecret::new(secret).context("identity.hs256_secret")?;
        }
        let identity = &self.identity;
        let names_issuer = !identity.token_audience.is_empty() && !identity.token_issuer.is_empty();
        ensure!(
            identity.jwks_url.is_empty() || names_issuer,
            "identity.jwks_url needs identity.token_audience and identity.token_issuer: an issuer makes tokens for other services too"
        );
        if !credential.is_empty() {
            ServiceCredential::new(credential).context("edge.service_credential")?;
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<()> {
        for (key, url) in [
            ("edge.url", &self.edge.url),
            ("identity.jwks_url", &self.identity.jwks_url),
            ("log.otlp_endpoint", &self.log.otlp_endpoint),
        ] {
            if !url.is_empty() {
                HttpUrl::parse(url).context(key)?;
            }
        }
        within(
            "edge.requests_per_instance_max",
            self.edge.requests_per_instance_max,
            0..=limits::edge_host::REQUESTS_PER_INSTANCE_MAX,
        )?;
        EnvFilter::try_new(&self.log.filter)
            .with_context(|| format!("log.filter {:?}", self.log.filter))
            .map(drop)
    }

    fn check_plugins(&self, variables: &[(String, String)]) -> Result<()> {
        let plugins = &self.plugins;
        within(
            "plugins.restart_ms",
            plugins.restart_ms,
            0..=lifecycle::BACKOFF_FIRST_MS,
        )?;
        plugins.limits.check().context("plugins.limits")?;
        for (id, options) in &plugins.by_id {
            let checked = options.check();
            checked.with_context(|| format!("plugins.by_id.\"{id}\""))?;
        }
        Guard::new(&plugins.network).context("plugins.network")?;
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        plugins.policy(&Environment::read(variables)?).map(drop)
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    bail!(
        "{key} ({value}) must be from {} to {}",
        range.start(),
        range.end()
    )
}
