//! Prints what a call costs: nanoseconds of processor time, the median of 31 batches. Run it with `--release`.
//!
//! `cargo run --release -p plugin-host --example measure -- target/wasm32-wasip2/component/envelope_validator.wasm`

use envelope::{
    Context, Verdict,
    verdict::{Definition, EventDirection, EventScope, Judge, Membership, Snapshot},
};
use envelope_judge::NativeJudge;
use identifiers::{EventName, PluginId};
use plugin_host::judge::{ChainConfig, ChainFactory, JudgeEngine};
use rustix::time::{ClockId, clock_gettime};

const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["poll","votes"],"properties":{"poll":{"type":"string","pattern":"^[a-z0-9-]{1,64}$"},"closed":{"type":"boolean"},"votes":{"type":"array","maxItems":2000,"items":{"type":"object","required":["user","choice","weight"],"properties":{"user":{"type":"string","minLength":1,"maxLength":64},"choice":{"enum":["yes","no","abstain"]},"weight":{"type":"number","minimum":0,"maximum":10},"comment":{"type":"string","maxLength":200},"tags":{"type":"array","items":{"type":"string"},"maxItems":8}},"additionalProperties":false}}},"additionalProperties":false}"#;

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

fn main() -> anyhow::Result<()> {
    let validator = std::env::args().nth(1).unwrap_or_else(|| "target/wasm32-wasip2/component/envelope_validator.wasm".to_owned());
    let cache = std::env::temp_dir().join("jackfield-measure-cache");
    let engine = JudgeEngine::new(cache)?;
    let factory = ChainFactory::load(&engine, &ChainConfig { filters: Vec::new(), validator: validator.into() })?;
    let mut component = factory.instance()?;
    let mut native = NativeJudge::new();
    let snapshot = Snapshot {
        server_id: "s1".to_owned(),
        revision: 1,
        requirements: Vec::new(),
        definitions: vec![Definition {
            plugin_id: PluginId::new("example.polls")?,
            event_name: EventName::new("poll:votes")?,
            direction: EventDirection::ServerRelay,
            scope: EventScope::Server,
            schema: Some(SCHEMA.to_owned()),
            payload_bytes_max: 262_144,
        }],
    };
    component.learn(&snapshot)?;
    native.learn(&snapshot)?;
    let chat = br#"{"type":"chat_message","serverId":"s1","message":"a message of usual length, about as long as this one","senderId":"alice","senderName":"Alice","timestamp":1777470000000}"#;
    let keepalive = br#"{"type":"keepalive"}"#;
    for (name, bytes) in [
        ("keepalive", keepalive.to_vec()),
        ("chat", chat.to_vec()),
        ("plugin_event 1 KiB", event(1_024)),
        ("plugin_event 64 KiB", event(65_536)),
    ] {
        let (inside, outside) = (median(&mut component, &bytes)?, median(&mut native, &bytes)?);
        println!(
            "{name:20} {:>6} bytes: component {inside:>8} ns, native {outside:>8} ns, ratio {:.2}",
            bytes.len(),
            inside as f64 / outside as f64
        );
    }
    let started = cpu_ns();
    for _ in 0..100 {
        factory.instance()?;
    }
    println!("fresh instance: {} ns", (cpu_ns() - started) / 100);
    Ok(())
}

/// Processor time of this thread: other work on the machine disturbs it least.
fn cpu_ns() -> u128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() as u128 * 1_000_000_000 + time.tv_nsec.unsigned_abs() as u128
}

fn median(judge: &mut dyn Judge, bytes: &[u8]) -> anyhow::Result<u128> {
    let context = Context {
        now_ms: 1_777_470_000_000,
        connection_id: "6f0f8dc4-7d59-4d5a-9f0c-0a4a8f0b3a11",
        user_id: Some("alice"),
        display_name: "Alice",
        server_id: Some("s1"),
        server_implied: false,
        server_revision: 1,
        membership: Membership::Joined,
    };
    let rounds = (4_000_000 / (bytes.len() + 400)).clamp(20, 4_000) as u128;
    let mut batches = Vec::new();
    for _ in 0..31 {
        let started = cpu_ns();
        for _ in 0..rounds {
            let verdict = judge.judge(&context, bytes)?;
            anyhow::ensure!(matches!(verdict, Verdict::Route(_)), "{verdict:?}");
        }
        batches.push((cpu_ns() - started) / rounds);
    }
    batches.sort_unstable();
    Ok(batches[batches.len() / 2])
}
