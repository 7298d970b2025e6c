//! The single deeds: each calls one import or misbehaves in one way.

use plugin_sdk::{
    Action, Error, HookResult, Request, Result, capabilities, channels, http_client, kv, log,
    messages, secrets, server, settings, users,
};
use serde_json::{Value, json};

/// What the instance has heard, oldest first.
#[derive(Default)]
pub(crate) struct Heard(Vec<Value>);

impl Heard {
    pub(crate) fn note(&mut self, what: &str, details: Value) {
        self.0.push(json!({"what": what, "details": details}));
    }

    pub(crate) fn all(&self) -> Value {
        Value::from(self.0.clone())
    }
}

/// Longer than any deadline of the host.
pub(crate) fn sleep() {
    std::thread::sleep(std::time::Duration::from_secs(3_600));
}

/// Computes for ever.
pub(crate) fn spin() -> ! {
    let mut number: u64 = 0;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3).wrapping_add(1));
    }
}

fn text(bytes: Option<Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| String::from_utf8_lossy(&bytes).into())
}

/// An error of the host as JSON: the tests look at codes.
fn outcome(result: Result<Value>) -> Value {
    result.unwrap_or_else(|error| json!({"error": format!("{:?}", error.code), "message": error.message, "details": error.details}))
}

pub(crate) fn run(deed: &str, argument: &str, request: &Request) -> Result<Value> {
    Ok(match deed {
        "kv-get" => outcome(kv::get(argument).map(text)),
        "kv-set" => outcome(request.bytes().and_then(|body| kv::set(argument, &body)).map(|()| Value::Null)),
        "kv-delete" => outcome(kv::delete(argument).map(Value::from)),
        "kv-keys" => outcome(kv::keys(argument, None, 1_000).map(|page| page.keys.into())),
        "kv-add" => outcome(kv::add(argument, 1).map(Value::from)),
        "kv-then-panic" => {
            let change = |key: &str| kv::Change::Set((key.to_owned(), b"half".to_vec()));
            // The second key is no key: the whole is refused, and the instance ends right after.
            let _ = kv::apply(&[change(argument), change("\n")]);
            panic!("told to panic")
        }
        // Both keys at once: a reader that finds only one of them has seen half a transaction.
        "kv-pair" => outcome(pair(argument, &request.bytes()?).map(|()| Value::Null)),
        "kv-pairs-for-ever" => {
            for mark in 0_u64.. {
                pair(argument, mark.to_string().as_bytes())?;
            }
            Value::Null
        }
        "sleep" => {
            sleep();
            Value::Null
        }
        "kv-many" => outcome(kv_many(argument.parse().unwrap_or(0))),
        "secret-get" => outcome(secrets::get(argument).map(text)),
        "secret-set" => outcome(request.bytes().and_then(|body| secrets::set(argument, &body)).map(|()| Value::Null)),
        "setting" => settings::get(argument).map_or(Value::Null, |value| serde_json::from_str(&value).unwrap_or_default()),
        "check" => {
            let (capability, target) = argument.split_once('/').map_or((argument, None), |(capability, target)| (capability, Some(target)));
            outcome(
                capabilities::check(capability, target).map(
                    |decision| json!({"outcome": format!("{:?}", decision.outcome), "layer": decision.layer, "reason": decision.reason}),
                ),
            )
        }
        "say" => outcome(request.bytes().and_then(|body| messages::send(argument, None, &String::from_utf8_lossy(&body))).map(|()| Value::Null)),
        "roster" => outcome(users::roster(argument, 0, 100).map(|page| {
            let ids: Vec<String> = page.users.into_iter().map(|user| user.id).collect();
            json!({"ids": ids, "total": page.total})
        })),
        "servers" => outcome(server::open().map(|open| open.into_iter().map(|server| server.id).collect::<Vec<_>>().into())),
        "channels" => outcome(channels::active(argument).map(Value::from)),
        "fetch" => outcome(
            fetch(argument, request)
                .and_then(|request| http_client::fetch(&request))
                .map(|response| json!({"status": response.status, "body": String::from_utf8_lossy(&response.body)})),
        ),
        "submit" => outcome(fetch(argument, request).and_then(|request| http_client::submit(&request)).map(Value::from)),
        "log" => {
            let lines: usize = argument.parse().unwrap_or(1);
            let line = request.bytes()?;
            (0..lines).for_each(|_| log::write(log::Level::Info, &String::from_utf8_lossy(&line), None));
            Value::Null
        }
        "print" => {
            println!("out: {argument}");
            eprintln!("err: {argument}");
            Value::Null
        }
        "environment" => json!({"variables": std::env::vars().count(), "arguments": std::env::args().count()}),
        "spin" => spin(),
        "spin-calling" => loop {
            std::hint::black_box(settings::get("greeting"));
        },
        "recurse" => json!(recurse(1)),
        "hog" => {
            let mut all = Vec::new();
            for _ in 0..argument.parse().unwrap_or(0) {
                let mut part: Vec<u8> = Vec::new();
                if part.try_reserve_exact(1 << 20).is_err() {
                    return Err(Error::internal(format!("no memory after {} MiB", all.len())));
                }
                part.resize(1 << 20, 1);
                all.push(part);
            }
            json!(all.len())
        }
        "panic" => panic!("told to panic"),
        "fail" => return Err(Error::internal("told to fail")),
        _ => return Err(Error::not_found(format!("there is no deed {deed:?}"))),
    })
}

/// Answers a hook: `fail`, `panic`, `sleep`, or an `action` (`block`, `allow`, `deny`) with a `reason`, an `input`, an
/// `output`, and both as raw text where they are no JSON.
pub(crate) fn hook(told: &Value, output: Option<Value>) -> Result<HookResult> {
    match told["do"].as_str() {
        Some("fail") => return Err(Error::internal("told to fail")),
        Some("panic") => panic!("told to panic"),
        Some("sleep") => sleep(),
        _ => {}
    }
    let action = match told["action"].as_str() {
        Some("block") => Action::Block(told["reason"].as_str().unwrap_or_default().to_owned()),
        Some("allow") => Action::Allow,
        Some("deny") => Action::Deny,
        _ => Action::Proceed,
    };
    let replaced = |name: &str| match (&told[format!("raw_{name}")], &told[name]) {
        (Value::String(raw), _) => Some(raw.clone()),
        (_, Value::Null) => None,
        (_, value) => Some(value.to_string()),
    };
    Ok(HookResult {
        action,
        input: replaced("input"),
        output: replaced("output").or(output.map(|output| json!({"seen": output}).to_string())),
    })
}

fn fetch(argument: &str, request: &Request) -> Result<http_client::Request> {
    let url = String::from_utf8_lossy(&request.bytes()?).into_owned();
    let method = if argument.is_empty() { "GET" } else { argument };
    Ok(http_client::Request {
        method: method.to_owned(),
        url,
        headers: Vec::new(),
        body: None,
    })
}

fn pair(name: &str, mark: &[u8]) -> Result<()> {
    let change = |end: &str| kv::Change::Set((format!("{name}.{end}"), mark.to_vec()));
    kv::apply(&[change("left"), change("right")])
}

fn kv_many(count: usize) -> Result<Value> {
    let value = vec![b'v'; 1 << 20];
    for at in 0..count {
        kv::set(&format!("many/{at}"), &value)
            .map_err(|error| Error::new(error.code, format!("after {at}: {}", error.message)))?;
    }
    Ok(json!(count))
}

#[allow(unconditional_recursion, reason = "what is tested is how it ends")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + depth
}
