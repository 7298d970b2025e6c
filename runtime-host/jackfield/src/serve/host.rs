//! A running host: the gateway, the directory, the plugins and the HTTP service, and the order in which they start and stop.

use super::{directory, process, setup::Setup, tokens::TokenKeys};
use crate::{
    code_cache::CacheMetrics,
    component_metrics::{ChainMetrics, PluginMetrics},
    config::Config,
    directory_transport::DirectoryTransport,
    http::{self, HttpService},
    plugins,
};
use anyhow::{Context as _, Result};
use envelope::Validator;
use gateway::{Gateway, HttpHandoff, Hub, Metrics, rate::AddressRates};
use identity::ServiceCredential;
use limits::socket::SHARDS_DEFAULT_MAX;
use parking_lot::Mutex;
use plugin_api::PluginApi;
use plugin_host::Plugins;
use rest::cors::Origins;
use serde_json::Value;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::Semaphore;
use validator_chain::{ChainEngine, ChainFactory};

/// A running host.
pub(super) struct Host {
    gateway: Arc<Mutex<Option<Gateway>>>,
    plugins: Option<Plugins>,
    directory: DirectoryTransport,
}

impl Host {
    /// Starts everything; when it returns, connections are accepted.
    ///
    /// # Errors
    /// A component does not load, a database cannot be used, or the configuration names something that does not exist.
    pub(super) async fn start(setup: Setup) -> Result<Self> {
        let credential =
            ServiceCredential::new(&setup.credential).context("edge.service_credential")?;
        // Both compile what is new, each on its own threads.
        let chain = load_chain(&setup);
        let (directory, chain) = tokio::join!(directory::open(&setup), chain);
        let (directory, chain) = (directory?, chain?);
        let validators = validators(setup.config.socket.shards, &chain)?;
        let shards = validators.len();
        let plugin_metrics = Arc::new(OnceLock::new());
        let mut metrics = Metrics::default();
        metrics.collect(Box::new(CacheMetrics(setup.cache.clone())));
        metrics.collect(Box::new(ChainMetrics(chain)));
        metrics.collect(Box::new(PluginMetrics(plugin_metrics.clone())));
        let (directory_client, directory_worker, wake) =
            gateway::directory::DirectoryClient::connect(
                Box::new(directory.clone()),
                setup.credential.clone(),
                directory::poll_interval(&directory, &setup.config.edge),
            );
        directory::wake_on_change(&directory, &wake);
        let keys = TokenKeys {
            config: setup.config.clone(),
            data: setup.data.clone(),
        };
        let connections_max = gateway::connections_max(
            setup.config.socket.connections_max,
            process::raise_open_files_limit(),
        );
        let hub = Arc::new(Hub::new(
            setup.config.gateway(),
            metrics,
            directory_client,
            keys.verifier(None)?,
            connections_max,
        ));
        match setup.config.identity.origin.as_str() {
            "" => hub.set_origin(setup.url().as_str()),
            origin => hub.set_origin(origin),
        }
        tokio::spawn(directory_worker.run(hub.clone()));
        tokio::spawn(keys.follow(hub.clone()));
        let plugins = start_plugins(&setup, &hub).await?;
        if let Some(plugins) = &plugins {
            plugin_metrics.get_or_init(|| plugins.clone());
        }
        let (http_handoff, http_sockets) = HttpHandoff::channel();
        let gateway = Arc::new(Mutex::new(None));
        let service = HttpService {
            hub: hub.clone(),
            directory: directory.clone(),
            plugins: plugins
                .clone()
                .map(|plugins| plugin_api(plugins, &setup, &hub)),
            wake,
            credential,
            origins: Origins::from_list(setup.config.rest.cors_origins.clone()),
            limits: limits(&hub, &setup.config),
            metrics_from: setup.config.rest.metrics_from.clone(),
            keep_alive: Duration::from_millis(setup.config.rest.keep_alive_ms),
            per_address: AddressRates::new(setup.config.rest.per_address.into()),
            in_flight: Semaphore::new(setup.config.rest.in_flight_max),
            held: http::HeldBytes::default(),
            gateway: gateway.clone(),
        };
        tokio::spawn(http::serve(Arc::new(service), http_sockets));
        tracing::info!(url = setup.url(), data = %setup.data.display(), shards, connections_max, mode = setup.config.identity.mode.as_str(), "starting the gateway");
        *gateway.lock() = Some(
            Gateway::start(hub, setup.listener, validators, &http_handoff)
                .context("the gateway does not start")?,
        );
        Ok(Self {
            gateway,
            plugins,
            directory,
        })
    }

    /// Stops everything: clients are sent away with advice to reconnect, plugins finish what they do, databases are closed.
    pub(super) async fn stop(self) {
        let gateway = self.gateway.lock().take();
        if let Some(gateway) = gateway {
            gateway.drain();
        }
        if let Some(plugins) = self.plugins {
            plugins.stop().await;
        }
        if let DirectoryTransport::Local(edge) = &self.directory {
            edge.end();
        }
    }
}

/// What `/limits` answers: what clients can act on, and the configured limits.
fn limits(hub: &Hub, config: &Config) -> Value {
    let mut limits = hub.limits().clone();
    limits["connectionsMax"] = hub.connections_max().into();
    limits["configuration"] = config.limits();
    limits
}

/// Loads the operator's filters and the validator.
async fn load_chain(setup: &Setup) -> Result<ChainFactory> {
    let application = &setup.application.application;
    let validator = application.component("envelope-validator")?;
    let config = setup.config.validator.chain(validator);
    let engine = ChainEngine::new(setup.cache.clone())?;
    tokio::task::spawn_blocking(move || ChainFactory::load(&engine, &config))
        .await
        .context("loading the validator was cancelled")?
}

/// One chain of validators for each shard.
fn validators(shards: usize, chain: &ChainFactory) -> Result<Vec<Box<dyn Validator>>> {
    let shards = match shards {
        0 => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(SHARDS_DEFAULT_MAX),
        shards => shards,
    };
    (0..shards)
        .map(|_| Ok(Box::new(chain.instance()?) as Box<dyn Validator>))
        .collect()
}

/// Starts the plugins in the background: the gateway never waits for them.
async fn start_plugins(setup: &Setup, hub: &Arc<Hub>) -> Result<Option<Plugins>> {
    if !setup.config.plugins.enabled {
        return Ok(None);
    }
    let (config, data) = (&setup.config, &setup.data);
    let plugins = plugins::open(config, data, &setup.cache, hub, setup.address)?;
    plugins
        .restore_kill_switches()
        .await
        .context("the kill switches cannot be read")?;
    hub.set_plugins(Arc::new(plugins.clone()));
    let starting = plugins.clone();
    tokio::spawn(async move {
        if let Err(error) = starting.scan().await {
            tracing::error!("plugins cannot be started: {error:#}");
        }
        warn_of_missing(&starting).await;
        starting.watch().await;
    });
    Ok(Some(plugins))
}

/// Names the plugins that were granted something and are not there: what they moderated goes on without them. And those
/// that only the configuration knows.
async fn warn_of_missing(plugins: &Plugins) {
    for plugin in plugins.unknown() {
        let directory = plugins.directory().display();
        tracing::warn!(plugin, %directory, "the configuration names a plugin that no usable package in the plugins directory has");
    }
    match plugins.missing().await {
        Ok(missing) => {
            for plugin in missing {
                let directory = plugins.directory().display();
                tracing::warn!(plugin, %directory, "an enabled plugin with grants has no usable files in the plugins directory: nothing runs in its place");
            }
        }
        Err(error) => tracing::error!("the plugins that should be there cannot be read: {error}"),
    }
}

fn plugin_api(plugins: Plugins, setup: &Setup, hub: &Arc<Hub>) -> PluginApi {
    let hub = hub.clone();
    let verify: plugin_api::Verify = Box::new(move |token: &str| hub.verify(token));
    PluginApi::new(plugins, verify, setup.config.rest.cors_origins.clone())
}
