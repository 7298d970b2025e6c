//! A guest that does what it is told over HTTP, so that the host's tests can look at every import and at every way to fail.
//!
//! The path after the component's route names the deed; answers are JSON or the bytes asked for. What it is not: an example to copy.

mod databases;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::json;
use spin_sdk::{
    http::{IntoResponse, Request, Response, StatusCode, body::IncomingBodyExt},
    http_service, variables,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Requests that this instance has seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

#[http_service]
async fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let path = header("spin-path-info");
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    let mut words = path.trim_matches('/').splitn(2, '/');
    let (deed, rest) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default().to_owned(),
    );
    let answer = match deed {
        "headers" => {
            let headers = request.headers().iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| {
                    json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
                })
                .collect();
            json!({ "uri": request.uri().to_string(), "headers": headers })
        }
        "seen" => json!(seen),
        "echo" => return Ok(plain(StatusCode::OK, request.into_body().bytes().await?)),
        "variable" => match variables::get(&rest).await {
            Ok(value) => json!({ "value": value }),
            Err(error) => json!({ "error": format!("{error:?}") }),
        },
        "environment" => json!(std::env::vars().collect::<Vec<_>>()),
        "key-value" => databases::key_value(request).await?,
        "sqlite" => databases::sqlite(&request.into_body().bytes().await?).await?,
        "postgres" => databases::postgres(&request.into_body().bytes().await?).await?,
        "fetch" => fetch(&header("x-target")).await,
        "print" => {
            println!("out: {rest}");
            eprintln!("err: {rest}");
            json!(null)
        }
        "status" => return Ok(plain(StatusCode::from_u16(rest.parse()?)?, Bytes::new())),
        "bytes" => return Ok(plain(StatusCode::OK, vec![b'x'; rest.parse()?].into())),
        "sleep" => {
            spin_sdk::time::sleep(Duration::from_millis(rest.parse()?)).await;
            json!(seen)
        }
        "panic" => panic!("told to panic"),
        "fail" => anyhow::bail!("told to fail"),
        "spin" => spin(),
        "hog" => hog(rest.parse()?),
        _ => {
            return Ok(plain(
                StatusCode::NOT_FOUND,
                Bytes::from_static(b"no such deed"),
            ));
        }
    };
    Ok(plain(StatusCode::OK, answer.to_string().into()))
}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

async fn fetch(target: &str) -> serde_json::Value {
    match spin_sdk::http::get(target).await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            match answer.into_body().collect().await {
                Ok(body) => {
                    let body = body.to_bytes();
                    json!({ "status": status, "bytes": body.len(), "body": String::from_utf8_lossy(&body[..body.len().min(1_000)]) })
                }
                Err(error) => json!({ "status": status, "error": format!("{error:?}") }),
            }
        }
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

/// Computes for ever.
fn spin() -> ! {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Takes that many mebibytes and says how many it got.
fn hog(mebibytes: usize) -> serde_json::Value {
    let mut held = Vec::new();
    for taken in 0..mebibytes {
        let mut piece = Vec::<u8>::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return json!({ "refused": taken });
        }
        piece.resize(1 << 20, 1);
        held.push(piece);
    }
    json!({ "taken": held.len() })
}
