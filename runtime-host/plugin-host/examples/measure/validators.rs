//! What a call into a validator costs, and what its instance costs. A name measures that case alone, which is of use
//! under a profiler. The JSON also holds the schema and the events themselves, so that others can be measured with
//! them.

use crate::cpu_ns;
use envelope::{
    Context, Verdict,
    verdict::{Definition, EventDirection, EventScope, Membership, Snapshot, Validator},
};
use identifiers::{EventName, PluginId};
use sandbox::CodeCache;
use serde_json::{Value, json};
use std::path::Path;
use validation::NativeValidator;
use validator_chain::{ChainConfig, ChainEngine, ChainFactory};

const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["poll","votes"],"properties":{"poll":{"type":"string","pattern":"^[a-z0-9-]{1,64}$"},"closed":{"type":"boolean"},"votes":{"type":"array","maxItems":2000,"items":{"type":"object","required":["user","choice","weight"],"properties":{"user":{"type":"string","minLength":1,"maxLength":64},"choice":{"enum":["yes","no","abstain"]},"weight":{"type":"number","minimum":0,"maximum":10},"comment":{"type":"string","maxLength":200},"tags":{"type":"array","items":{"type":"string"},"maxItems":8}},"additionalProperties":false}}},"additionalProperties":false}"#;

const CONTEXT: Context<'static> = Context {
    now_ms: 1_777_470_000_000,
    connection_id: "6f0f8dc4-7d59-4d5a-9f0c-0a4a8f0b3a11",
    user_id: Some("alice"),
    display_name: "Alice",
    server_id: Some("s1"),
    server_implied: false,
    server_revision: 1,
    membership: Membership::Joined,
};

fn event(payload_bytes: usize) -> Vec<u8> {
    let mut votes = String::new();
    let mut at = 0;
    while votes.len() + 160 < payload_bytes {
        let comma = if at == 0 { "" } else { "," };
        votes.push_str(&format!(
            r#"{comma}{{"user":"user-{at:04}","choice":"abstain","weight":{}.25,"comment":"some words about it","tags":["a","late"]}}"#,
            at % 10
        ));
        at += 1;
    }
    format!(
        r#"{{"type":"plugin_event","serverId":"s1","pluginId":"example.polls","eventName":"poll:votes","payload":{{"poll":"lunch-{}","closed":false,"votes":[{votes}]}}}}"#,
        "x".repeat(20)
    )
    .into_bytes()
}

/// Measures the components of `folder`.
pub(crate) fn run(folder: &Path, wanted: Option<&str>) -> anyhow::Result<Value> {
    let mut report = json!({"schema": SCHEMA, "events": []});
    let engine = ChainEngine::new(CodeCache::open(
        &std::env::temp_dir().join("jackfield-measure-cache"),
    )?)?;
    let load = |component: &str| {
        ChainFactory::load(
            &engine,
            &ChainConfig {
                filters: Vec::new(),
                validator: folder.join(component).into(),
                call_deadline: ChainConfig::CALL_DEADLINE,
            },
        )
    };
    let factory = load("envelope_validator.wasm")?;
    let mut component = factory.instance()?;
    let mut native = NativeValidator::new();
    component.update_definitions(&snapshot(1, SCHEMA)?)?;
    native.update_definitions(&snapshot(1, SCHEMA)?)?;
    let chat = br#"{"type":"chat_message","serverId":"s1","message":"a message of usual length, about as long as this one","senderId":"alice","senderName":"Alice","timestamp":1777470000000}"#;
    for (name, bytes) in [
        ("keepalive", br#"{"type":"keepalive"}"#.to_vec()),
        ("chat", chat.to_vec()),
        ("plugin_event 1 KiB", event(1_024)),
        ("plugin_event 64 KiB", event(65_536)),
    ] {
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let (inside, outside) = (
            median(&mut component, &CONTEXT, &bytes)?,
            median(&mut native, &CONTEXT, &bytes)?,
        );
        report["events"].as_array_mut().expect("made above").push(json!({
            "name": name, "text": String::from_utf8_lossy(&bytes), "componentNs": inside as u64, "nativeNs": outside as u64,
        }));
        println!(
            "{name:20} {:>6} bytes: component {inside:>8} ns, native {outside:>8} ns, ratio {:.2}",
            bytes.len(),
            inside as f64 / outside as f64
        );
    }
    if wanted.is_none_or(|wanted| wanted == "boundary") && folder.join("filter_probe.wasm").exists()
    {
        // A guest that decides without reading the envelope: what is left is the call itself.
        let mut probe = load("filter_probe.wasm")?.instance()?;
        let envelope = [br#"{"type":"probe:patch at the end","#, &event(1_024)[1..]].concat();
        let boundary = median(&mut probe, &CONTEXT, &envelope)?;
        report["boundaryNs"] = (boundary as u64).into();
        println!("boundary, 1 KiB: {boundary} ns");
    }
    if wanted.is_none_or(|wanted| wanted == "registration") {
        let (inside, outside) = (registration(&mut component)?, registration(&mut native)?);
        report["registrationNs"] = (inside as u64).into();
        println!("registration: component {inside} ns, native {outside} ns");
    }
    if wanted.is_none() {
        let started = cpu_ns();
        for _ in 0..100 {
            factory.instance()?;
        }
        let fresh = (cpu_ns() - started) / 100;
        report["freshInstanceNs"] = (fresh as u64).into();
        println!("fresh instance: {fresh} ns");
    }
    Ok(report)
}

fn snapshot(revision: u64, schema: &str) -> anyhow::Result<Snapshot> {
    Ok(Snapshot {
        server_id: "s1".to_owned(),
        revision,
        requirements: Vec::new(),
        definitions: vec![Definition {
            plugin_id: PluginId::new("example.polls")?,
            event_name: EventName::new("poll:votes")?,
            direction: EventDirection::ServerRelay,
            scope: EventScope::Server,
            schema: Some(schema.to_owned()),
            payload_bytes_max: 262_144,
        }],
    })
}

/// Learning a schema that is new, and the first event that is checked against it, which is when it is compiled.
fn registration(validator: &mut dyn Validator) -> anyhow::Result<u128> {
    let bytes = event(200);
    let mut times = Vec::new();
    for revision in 2..300 {
        let schema = SCHEMA.replacen('{', &format!(r#"{{"$comment":"{revision}","#), 1);
        let snapshot = snapshot(revision, &schema)?;
        let started = cpu_ns();
        validator.update_definitions(&snapshot)?;
        let verdict = validator.validate(&CONTEXT, &bytes)?;
        times.push(cpu_ns() - started);
        anyhow::ensure!(matches!(verdict, Verdict::Route(_)), "{verdict:?}");
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn median(
    validator: &mut dyn Validator,
    context: &Context<'_>,
    bytes: &[u8],
) -> anyhow::Result<u128> {
    let rounds = (4_000_000 / (bytes.len() + 400)).clamp(20, 4_000) as u128;
    let mut batches = Vec::new();
    for _ in 0..31 {
        let started = cpu_ns();
        for _ in 0..rounds {
            let verdict = validator.validate(context, bytes)?;
            anyhow::ensure!(matches!(verdict, Verdict::Route(_)), "{verdict:?}");
        }
        batches.push((cpu_ns() - started) / rounds);
    }
    batches.sort_unstable();
    Ok(batches[batches.len() / 2])
}
