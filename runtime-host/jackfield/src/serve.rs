//! `jackfield serve`: reads the configuration, puts the parts together, and takes them apart at the end.

use crate::{
    component_metrics::{JudgeComponents, PluginComponents},
    config::{Config, OnFailure},
    data,
    door::Door,
    failure::Coded,
    http::{self, Site},
    keys, plugins, telemetry,
};
use ::http::{Request, StatusCode, header};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use edge_host::{EdgeHost, Options, manifest::Manifest};
use envelope::Validator;
use gateway::{
    Gateway, Handover, Hub, Metrics,
    edge::{self, Transport},
    rate::Addresses,
};
use identity::{Expectations, KeySet, Mode, PublicKey, ServiceCredential, SharedSecret, Verifier};
use parking_lot::Mutex;
use plugin_api::PluginApi;
use plugin_host::{
    judge::{self, ChainConfig, ChainFactory, FilterConfig, JudgeEngine},
    plugin::Plugins,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};

/// Runs gateway and edge.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 picks a free one. The URL is printed as `ready http://HOST:PORT`.
    #[arg(long, default_value = "127.0.0.1:8080", env = "JACKFIELD_LISTEN")]
    listen: String,
    /// Databases, keys and compiled components; made when missing.
    #[arg(long, default_value = "data", env = "JACKFIELD_DATA")]
    data: PathBuf,
    /// Configuration; `jackfield config default` prints one.
    #[arg(long, env = "JACKFIELD_CONFIG")]
    config: Option<PathBuf>,
    /// Base URL of an edge app that runs elsewhere; REST goes there, and nothing is stored here.
    #[arg(long)]
    edge: Option<String>,
    /// Allow identity mode `open`, in which anybody may claim anything, on addresses that others can reach.
    #[arg(long)]
    force_open: bool,
}

/// What was found to be served.
struct Ground {
    config: Config,
    data: PathBuf,
    cache: PathBuf,
    manifest: PathBuf,
    listener: TcpListener,
    url: String,
    credential: String,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Something that is needed is missing, damaged or taken; the text says what.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut config = Config::read(args.config.as_deref(), env::vars())?;
    if let Some(url) = &args.edge {
        config.edge.url.clone_from(url);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    let telemetry = telemetry::start(&config, runtime.handle())?;
    runtime.block_on(async { outlive_file_size_limit() })?;
    let lock = edge_host::lock(&args.data)?;
    keys::init(&args.data)?;
    let listener =
        gateway::bind(&args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    if config.identity.mode == Mode::Open && !address.ip().is_loopback() && !args.force_open {
        bail!(
            "identity mode `open` lets anybody be anybody: listen on a loopback address, or say --force-open"
        );
    }
    let cache = match config.edge.cache.as_str() {
        "" => args.data.join("cache"),
        path => path.into(),
    };
    let credential = match config.edge.service_credential.as_str() {
        "" => data::service_credential(&args.data)?,
        text => text.to_owned(),
    };
    let ground = Ground {
        manifest: find_manifest(&config)?,
        url: format!("http://{address}"),
        data: args.data.clone(),
        config,
        cache,
        listener,
        credential,
    };
    let outcome = serve(&runtime, ground, address);
    drop(telemetry);
    runtime.shutdown_timeout(Duration::from_secs(2));
    drop(lock);
    outcome
}

fn serve(runtime: &Runtime, ground: Ground, address: SocketAddr) -> Result<()> {
    let credential =
        ServiceCredential::new(&ground.credential).context("edge.service_credential")?;
    let door = runtime.block_on(open_door(&ground, address))?;
    runtime.block_on(probe(&door, &ground.credential))?;
    let factory = load_judges(&ground)?;
    let judges = judges(&ground, &factory)?;
    let mut metrics = Metrics::default();
    metrics.collect(Box::new(JudgeComponents(factory)));
    let counted = Arc::new(OnceLock::new());
    metrics.collect(Box::new(PluginComponents(counted.clone())));
    let (asker, edge_task, wake) = edge::door(Box::new(door.clone()), ground.credential.clone());
    let verifier = verifier(&ground, None)?;
    let connections_max =
        gateway::connections_max(ground.config.socket.connections_max, raise_descriptors());
    let hub = Arc::new(Hub::new(
        ground.config.gateway(),
        metrics,
        asker,
        verifier,
        connections_max,
    ));
    *hub.origin.write() = match ground.config.identity.origin.as_str() {
        "" => ground.url.as_str().into(),
        origin => origin.into(),
    };
    runtime.spawn(edge_task.run(hub.clone()));
    if !ground.config.identity.jwks_url.is_empty() {
        runtime.spawn(follow_keys(
            hub.clone(),
            ground.config.clone(),
            ground.data.clone(),
        ));
    }
    let plugins = runtime.block_on(run_plugins(&ground, &hub))?;
    if let Some(plugins) = &plugins {
        counted.get_or_init(|| plugins.clone());
    }
    let (handover, passed) = Handover::new();
    let place = Arc::new(Mutex::new(None));
    let site = Site {
        hub: hub.clone(),
        door: door.clone(),
        plugins: plugins
            .clone()
            .map(|plugins| plugin_api(plugins, &ground, &hub)),
        wake,
        credential,
        per_address: Addresses::new(ground.config.rest.per_address.into()),
        places: Semaphore::new(ground.config.rest.in_flight_max),
        gateway: place.clone(),
    };
    runtime.spawn(http::serve(Arc::new(site), passed));
    let shards = judges.len();
    *place.lock() = Some(
        Gateway::start(hub, ground.listener, judges, &handover)
            .context("the gateway does not start")?,
    );
    // Before anybody can know that it runs: who ends it at once, ends it well.
    let end = runtime.block_on(async { End::listen() })?;
    tracing::info!(url = ground.url, data = %ground.data.display(), shards, connections_max, mode = ground.config.identity.mode.as_str(), "ready");
    // Whoever started this and does not listen any more is no reason to end.
    let _ = writeln!(std::io::stdout(), "ready {}", ground.url);
    runtime.block_on(end.asked());
    tracing::info!("ending: connections are told to come back later");
    if let Some(gateway) = place.lock().take() {
        gateway.drain();
    }
    if let Some(plugins) = plugins {
        runtime.block_on(plugins.stop());
    }
    if let Door::Here(edge) = &door {
        edge.end();
    }
    Ok(())
}

fn plugin_api(plugins: Plugins, ground: &Ground, hub: &Arc<Hub>) -> PluginApi {
    let hub = hub.clone();
    let verify: plugin_api::Verify =
        Box::new(move |token: &str| hub.verifier.read().verify(token, Hub::now_ms() / 1_000));
    PluginApi::new(plugins, verify, ground.config.rest.cors_origins.clone())
}

/// Starts the plugins, in the background: the gateway never waits for them.
async fn run_plugins(ground: &Ground, hub: &Arc<Hub>) -> Result<Option<Plugins>> {
    if !ground.config.plugins.enabled {
        return Ok(None);
    }
    let plugins = plugins::open(&ground.config, &ground.data, &ground.cache, hub)?;
    plugins
        .restore_switches()
        .await
        .context("the kill switches cannot be read")?;
    plugins::Door::connect(&plugins, hub);
    let starting = plugins.clone();
    tokio::spawn(async move {
        if let Err(error) = starting.look().await {
            tracing::error!("plugins cannot be started: {error:#}");
        }
        starting.watch().await;
    });
    Ok(Some(plugins))
}

/// A write beyond RLIMIT_FSIZE (`LimitFSIZE` of systemd) fails like one on a full disk, instead of ending the process: a handler that does
/// nothing is enough, and it stays when what it is told to is dropped.
fn outlive_file_size_limit() -> Result<()> {
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
        .context("no handler for SIGXFSZ")
        .map(drop)
}

/// SIGTERM or SIGINT. A second one ends the process at once.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn asked(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }
}

/// The configured `spin.toml`, or the first one beside the binary, above it, or in the working directory.
fn find_manifest(config: &Config) -> Result<PathBuf> {
    if !config.edge.manifest.is_empty() {
        return Ok(config.edge.manifest.clone().into());
    }
    let binary = env::current_exe()
        .and_then(|path| path.canonicalize())
        .context("the binary does not know where it is")?;
    let mut places: Vec<PathBuf> = binary
        .ancestors()
        .skip(1)
        .flat_map(|folder| [folder.to_owned(), folder.join("share/jackfield")])
        .collect();
    places.push(env::current_dir().context("there is no working directory")?);
    let found = places
        .into_iter()
        .map(|folder| folder.join("spin.toml"))
        .find(|path| path.is_file());
    found.context("no spin.toml beside the binary, above it, or in the working directory; name it with edge.manifest")
}

async fn open_door(ground: &Ground, address: SocketAddr) -> Result<Door> {
    if !ground.config.edge.url.is_empty() {
        return Door::to(&ground.config.edge.url);
    }
    tracing::info!(manifest = %ground.manifest.display(), "loading the edge app; compiling its components takes seconds the first time");
    let options = Options {
        manifest: ground.manifest.clone(),
        data_dir: ground.data.clone(),
        cache_dir: ground.cache.clone(),
        variables: variables(ground, address)?,
        build_missing: false,
        requests_per_instance_max: ground.config.edge.requests_per_instance_max,
    };
    Ok(Door::Here(EdgeHost::load(options).await?))
}

/// Asks the edge app in this process whether it can use its database: what it cannot is a reason not to start.
async fn probe(door: &Door, credential: &str) -> Result<()> {
    let Door::Here(_) = door else { return Ok(()) };
    let request = Request::get("/api/internal/changes?after=0&limit=1")
        .header(header::HOST, "edge.internal")
        .header(header::AUTHORIZATION, format!("Bearer {credential}"))
        .body(Bytes::new())?;
    let response = door.call(request).await?;
    if response.status() == StatusCode::OK {
        return Ok(());
    }
    let said: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let message = format!(
        "the directory cannot be used: {}",
        said["error"].as_str().unwrap_or("it gives no reason")
    );
    let code = match said["code"].as_str() {
        Some("DATABASE_NEWER") => "DATABASE_NEWER",
        Some("DATABASE_CORRUPT") => "DATABASE_CORRUPT",
        Some("DATABASE_FULL" | "DISK_FULL") => "DISK_FULL",
        _ => "DIRECTORY_UNUSABLE",
    };
    Err(Coded { code, message }.into())
}

/// What the edge app in this process runs with.
fn variables(ground: &Ground, address: SocketAddr) -> Result<BTreeMap<String, String>> {
    let Config {
        identity,
        rest,
        edge,
        ..
    } = &ground.config;
    let own = match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()))
        }
        address => address,
    };
    let mut gateways = vec![format!("http://{own}")];
    gateways.extend(edge.gateway_urls.iter().cloned());
    let mut variables: BTreeMap<String, String> = [
        ("identity_mode", identity.mode.as_str().to_owned()),
        ("public_key", keys::public_keys(&ground.data)?),
        ("hs256_secret", identity.hs256_secret.clone()),
        ("jwks_url", identity.jwks_url.clone()),
        ("jwks_host", origin_of(&identity.jwks_url)),
        ("token_audience", identity.token_audience.clone()),
        ("token_issuer", identity.token_issuer.clone()),
        ("service_credential", ground.credential.clone()),
        ("gateway_urls", gateways.join(",")),
        ("gateway_host", format!("http://{own}")),
        ("cors_origins", rest.cors_origins.join(",")),
        ("create_servers", rest.create_servers.clone()),
        ("servers_per_owner", rest.servers_per_owner.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    variables.extend(edge.variables.clone());
    Ok(variables)
}

/// Scheme, host and port of a URL; empty for none.
fn origin_of(url: &str) -> String {
    let parts = url
        .split_once("://")
        .map(|(scheme, rest)| (scheme, rest.split('/').next().unwrap_or_default()));
    parts
        .map(|(scheme, host)| format!("{scheme}://{host}"))
        .unwrap_or_default()
}

/// Loads the operator's filters and the validator.
fn load_judges(ground: &Ground) -> Result<ChainFactory> {
    let manifest = Manifest::read(&ground.manifest)?;
    let validator = manifest
        .components
        .get("envelope-validator")
        .context("spin.toml has no component 'envelope-validator'")?;
    let config = ChainConfig {
        filters: ground.config.judge.filters.iter().map(filter).collect(),
        validator: manifest.folder.join(&validator.source),
    };
    let engine = JudgeEngine::new(&ground.cache)?;
    ChainFactory::load(&engine, &config)
}

/// One chain of judges for each shard.
fn judges(ground: &Ground, factory: &ChainFactory) -> Result<Vec<Box<dyn Validator>>> {
    let shards = match ground.config.socket.shards {
        0 => std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8),
        shards => shards,
    };
    (0..shards)
        .map(|_| Ok(Box::new(factory.instance()?) as Box<dyn Validator>))
        .collect()
}

fn filter(filter: &crate::config::Filter) -> FilterConfig {
    FilterConfig {
        name: filter.name.clone(),
        source: filter.source.clone(),
        on_failure: match filter.on_failure {
            OnFailure::Refuse => judge::OnFailure::Refuse,
            OnFailure::Skip => judge::OnFailure::Skip,
        },
        types: filter.types.clone(),
    }
}

/// Verifies tokens made here, with the shared secret, and with a fetched key set.
fn verifier(ground: &Ground, fetched: Option<&KeySet>) -> Result<Verifier> {
    build_verifier(&ground.config, &ground.data, fetched)
}

fn build_verifier(config: &Config, data: &Path, fetched: Option<&KeySet>) -> Result<Verifier> {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let expectations = Expectations {
        audience: some(&config.identity.token_audience),
        issuer: some(&config.identity.token_issuer),
    };
    let mut verifier = Verifier::new(expectations);
    for key in PublicKey::parse_list(&keys::public_keys(data)?)? {
        verifier = verifier.with_public_key(&key);
    }
    if !config.identity.hs256_secret.is_empty() {
        verifier = verifier.with_secret(
            &SharedSecret::new(&config.identity.hs256_secret).context("identity.hs256_secret")?,
        );
    }
    Ok(match fetched {
        Some(set) => verifier.with_key_set(set),
        None => verifier,
    })
}

/// Fetches the key set now and then; while it cannot be had, the last one is used.
async fn follow_keys(hub: Arc<Hub>, config: Config, data: PathBuf) {
    loop {
        let fetched = crate::door::fetch(
            &config.identity.jwks_url,
            limits::identity::KEY_SET_BYTES_MAX,
        )
        .await;
        let verifier =
            fetched.and_then(|bytes| build_verifier(&config, &data, Some(&KeySet::parse(&bytes)?)));
        let wait = match verifier {
            Ok(verifier) => {
                *hub.verifier.write() = Arc::new(verifier);
                Duration::from_secs(limits::identity::KEY_SET_LIFETIME_SECONDS)
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "identity.jwks_url: the keys cannot be had"
                );
                Duration::from_secs(5)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Raises the limit of open files as far as the system lets, and says what it is.
fn raise_descriptors() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    limit.current.map_or(1 << 20, |limit| limit as usize)
}
