//! Tokens of another issuer: its keys change, and it may not answer.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{SigningKey, proof};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};
use tests::{
    client::Client,
    host::{Host, Settings},
    http::Request,
    until,
};

/// An issuer with one key at a time, named by its seed; `None`: it answers 503.
struct Issuer {
    url: String,
    seed: Arc<Mutex<Option<u8>>>,
}

impl Issuer {
    fn start(seed: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let seed = Arc::new(Mutex::new(Some(seed)));
        let current = seed.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let (status, body) = match *current.lock().expect("a seed") {
                    Some(seed) => ("200 OK", key_set(seed).to_string()),
                    None => ("503 Service Unavailable", String::new()),
                };
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, seed }
    }

    fn set(&self, seed: Option<u8>) {
        *self.seed.lock().expect("a seed") = seed;
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn key_set(seed: u8) -> Value {
    let public = key(seed).public_key().to_string();
    json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig", "kid": seed.to_string(), "x": public},
    ]})
}

/// A token of the issuer, which says that its bearer is an operator.
fn token(seed: u8, user: &str) -> String {
    let head = json!({"alg": "EdDSA", "kid": seed.to_string()});
    let claims = json!({"sub": user, "exp": 4_102_444_800_u64, "role": "admin", "aud": "chat", "iss": "https://issuer.example"});
    let message = [head, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = proof::sign(&key(seed), message.as_bytes());
    format!("{message}.{signature}")
}

/// The code with which the socket refuses a token; empty if it takes it.
fn identify(host: &Host, seed: u8, user: &str) -> String {
    let mut client = Client::connect(host, user);
    client.identify(json!({"token": token(seed, user)}));
    let frames = client.settled();
    let refusal = frames.iter().find(|frame| frame["type"] == "error");
    refusal.map_or_else(String::new, |frame| {
        frame["code"].as_str().unwrap_or_default().to_owned()
    })
}

fn ask(host: &Host, path: &str, seed: u8) -> (u16, String) {
    let request = Request::new("GET", path).bearer(&token(seed, "olga"));
    let answer = host.send(&request);
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, code)
}

#[test]
fn a_new_key_is_found_and_an_outage_may_be_waited_out() {
    let issuer = Issuer::start(1);
    let host = Settings::new()
        .config(&format!(
            "[identity]\njwks_url = \"{}\"\ntoken_audience = \"chat\"\ntoken_issuer = \"https://issuer.example\"\n",
            issuer.url
        ))
        .start();
    until("the first key", || {
        identify(&host, 1, "olga").is_empty().then_some(())
    });
    assert_eq!(ask(&host, "/api/servers", 1).0, 200);
    // The commands of this machine are not bound to the issuer; another issuer makes no operators.
    let _ = host
        .admin("GET", "/api/connections", &Value::Null)
        .expect(200);
    assert_eq!(ask(&host, "/api/connections", 1).0, 403);

    issuer.set(Some(2));
    // Long before the age at which a set is fetched again.
    until("the new key", || {
        identify(&host, 2, "olga").is_empty().then_some(())
    });
    until("the new key over REST", || {
        (ask(&host, "/api/servers", 2).0 == 200).then_some(())
    });

    issuer.set(None);
    until("the outage", || {
        (identify(&host, 3, "olga") == "KEY_SET_UNAVAILABLE").then_some(())
    });
    until("the outage over REST", || {
        (ask(&host, "/api/servers", 3) == (503, "KEY_SET_UNAVAILABLE".to_owned())).then_some(())
    });
    until("the outage in the readiness", || {
        (host.get("/readyz").expect(200).json()["status"] == "degraded").then_some(())
    });
    assert_eq!(identify(&host, 2, "olga"), "", "a known key still verifies");
    issuer.set(Some(3));
    until("the end of the outage", || {
        identify(&host, 3, "olga").is_empty().then_some(())
    });
}
