//! What the plugin host costs: an instance, an event into a plugin and back, and the question whether any plugin
//! listens.
//!
//! Everything goes the way it goes in the host: the dispatch, the mailbox, the instance's task, the reply. All of it
//! runs on one thread, and the processor time of the whole process counts, which is more than the call alone.

use crate::process_cpu_ns;
use anyhow::{Context as _, Result, ensure};
use capability::{PolicySettings, Profile};
use egress::{Guard, GuardSettings};
use plugin_bus::{
    Actor, ChatHost, DecisionRequest, NotHere, Offer, OfferKind, OpenServer, Outcome,
    OutgoingMessage, PluginHost, RosterPage, Sending, ServerPlugins, Ticket, Topic,
};
use plugin_host::{Compiler, HostLimits, OperatorOptions, Plugins, Reach, Setup, State};
use sandbox::CodeCache;
use serde_json::{Value, json};
use std::{fs, hint::black_box, path::Path, sync::Arc};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// What the component of the test plugin calls itself; other plugins are made by writing other digits.
const ID: &str = "bench.plugin-0000";
const ROUTE: &str = "/bench-0000";

/// A gateway without connections: what is measured ends where the plugin host ends.
struct NoGateway(UnboundedSender<Outcome>);

impl ChatHost for NoGateway {
    fn send(&self, message: OutgoingMessage) -> Sending<'_> {
        black_box(message);
        Box::pin(std::future::ready(Ok(())))
    }
    fn decided(&self, _: Ticket, outcome: Outcome) {
        let _ = self.0.send(outcome);
    }
    fn roster(&self, _: Actor<'_>, _: &str, _: usize, _: usize) -> Result<RosterPage, NotHere> {
        Err(NotHere::NotOpen)
    }
    fn open_servers(&self, _: Actor<'_>) -> Vec<OpenServer> {
        Vec::new()
    }
    fn recent_channels(&self, _: Actor<'_>, _: &str) -> Result<Vec<Box<str>>, NotHere> {
        Err(NotHere::NotOpen)
    }
}

/// Measures with `count` plugins loaded; their compiled code is kept in `cache`.
pub(crate) fn run(
    folder: &Path,
    cache: &Path,
    count: usize,
    wanted: Option<&str>,
) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fixture = tempfile::tempdir()?;
    install(folder, &fixture.path().join("plugins"), count, None)?;
    runtime.block_on(async {
        let (decided, mut decisions) = mpsc::unbounded_channel();
        let plugins = open(fixture.path(), cache, NoGateway(decided))?;
        plugins.scan().await?;
        let loaded = plugins
            .list()
            .iter()
            .filter(|plugin| plugin.status.state == State::Loaded)
            .count();
        ensure!(
            loaded == count,
            "{loaded} of {count} plugins are loaded: {:?}",
            plugins.list().first()
        );
        let report = measure(&plugins, &mut decisions, wanted).await;
        plugins.stop().await;
        report
    })
}

/// Makes many plugins of one component, with one more capability than its manifest declares where one is named.
pub(crate) fn install(
    folder: &Path,
    directory: &Path,
    count: usize,
    capability: Option<&str>,
) -> Result<()> {
    let component = folder.join("plugin_bench.wasm");
    let bytes = fs::read(&component).with_context(|| component.display().to_string())?;
    let mut manifest: Value = serde_json::from_str(include_str!(
        "../../../../tests/test-components/plugin-bench/jackfield.json"
    ))?;
    if let (Some(capability), Some(capabilities)) =
        (capability, manifest["capabilities"].as_array_mut())
    {
        capabilities.push(capability.into());
    }
    let manifest = manifest.to_string();
    for at in 0..count {
        let (id, route) = (format!("bench.plugin-{at:04}"), format!("/bench-{at:04}"));
        let folder = directory.join(&id);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plugin_bench.wasm"), renamed(&bytes, &id))?;
        fs::write(
            folder.join("jackfield.json"),
            manifest.replace(ID, &id).replace(ROUTE, &route),
        )?;
    }
    Ok(())
}

fn renamed(component: &[u8], id: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for at in 0..bytes.len().saturating_sub(ID.len()) {
        if bytes[at..].starts_with(ID.as_bytes()) {
            bytes[at..at + ID.len()].copy_from_slice(id.as_bytes());
        }
    }
    bytes
}

fn open(fixture: &Path, cache: &Path, gateway: NoGateway) -> Result<Plugins> {
    Plugins::new(Setup {
        directory: fixture.join("plugins"),
        compiler: Compiler::new(std::env::current_exe()?, CodeCache::open(cache)?),
        policy: PolicySettings {
            profile: Profile::Permissive,
            ..PolicySettings::default()
        }
        .compile()?,
        store: plugin_store::PluginStore::open(&fixture.join(plugin_store::PLUGINS_FILE))?,
        chat_host: Arc::new(gateway),
        client: outbound::Client::new(
            outbound::Config::default(),
            Arc::new(Guard::new(&GuardSettings::default())?),
            Arc::new(outbound::SystemResolver::default()),
        )?,
        limits: HostLimits {
            host_calls_per_second: u32::MAX,
            ..HostLimits::default()
        },
        restart_ms: 1_000,
        options: OperatorOptions {
            servers: Reach::All,
            ..OperatorOptions::default()
        },
    })
}

async fn measure(
    plugins: &Plugins,
    decisions: &mut UnboundedReceiver<Outcome>,
    wanted: Option<&str>,
) -> Result<Value> {
    let mut report = json!({"events": {}, "unheard": {}});
    let wants = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let dispatch = plugins.dispatch();
    for word in ["none", "kv", "settings", "publish", "three", "log"] {
        if wants(word) {
            let mut batches = Vec::new();
            for _ in 0..31 {
                let started = process_cpu_ns();
                for _ in 0..2_000 {
                    ask(plugins, decisions, word).await?;
                }
                batches.push((process_cpu_ns() - started) as f64 / 2_000.0);
            }
            report["events"][word] = keep(&format!("event, {word}"), batches);
        }
    }
    if wants("unheard") {
        report["unheard"]["topic"] = keep(
            "a topic without listeners",
            repeated(|| dispatch.listens(Topic::Chat)),
        );
        let server = ServerPlugins::none();
        report["unheard"]["plugin"] = keep(
            "an event of a plugin that is not here",
            repeated(|| dispatch.subscribes(&server, "acme.elsewhere", "ask")),
        );
    }
    if wants("fresh") {
        let mut batches = Vec::new();
        for _ in 0..31 {
            let started = process_cpu_ns();
            for _ in 0..100 {
                plugins.try_instance(ID).await?;
            }
            batches.push((process_cpu_ns() - started) as f64 / 100.0);
        }
        report["freshInstance"] = keep("fresh instance", batches);
    }
    Ok(report)
}

/// An event to a plugin that decides about it.
async fn ask(
    plugins: &Plugins,
    decisions: &mut UnboundedReceiver<Outcome>,
    word: &str,
) -> Result<()> {
    let envelope = format!(
        r#"{{"type":"plugin_event","serverId":"plaza","pluginId":"{ID}","eventName":"ask","payload":"{word}","sourceUserId":"alice","emittedAt":1777470000000}}"#
    );
    let taken = plugins.offer(Offer {
        server_id: "plaza".into(),
        plugins: Arc::new(ServerPlugins::none()),
        kind: OfferKind::PluginEvent {
            plugin_id: ID.into(),
            event_name: "ask".into(),
            client_to_server: true,
        },
        envelope: envelope.into(),
        sender_id: "alice".into(),
        sender_name: "Alice".into(),
        author: None,
        decision: Some(DecisionRequest {
            ticket: Ticket(0),
            limit_ms: u32::MAX,
        }),
        hops: 0,
    });
    ensure!(
        taken && decisions.recv().await == Some(Outcome::Relay),
        "the plugin did not let the event pass"
    );
    Ok(())
}

/// Nanoseconds of something that takes next to none.
fn repeated(question: impl Fn() -> bool) -> Vec<f64> {
    let batch = |_| {
        let started = process_cpu_ns();
        for _ in 0..1_000_000 {
            black_box(question());
        }
        (process_cpu_ns() - started) as f64 / 1e6
    };
    (0..31).map(batch).collect()
}

/// The median of batches, shown and for the report.
fn keep(what: &str, mut batches: Vec<f64>) -> Value {
    batches.sort_unstable_by(f64::total_cmp);
    let median = batches[batches.len() / 2];
    println!("{what}: {median:.1} ns");
    median.into()
}
