//! Requests of this component to other hosts, bounded in time and bytes; and the wake-up of gateways, which may fail.

use crate::config::Config;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::{Either, join_all, select},
};
use limits::directory::PUSH_TIMEOUT_MS;
use spin_sdk::http::{FullBody, Response, body::IncomingBodyExt as _};
use std::{future::Future, pin::pin, rc::Rc, time::Duration};

/// The outcome, or nothing when it takes longer.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(spin_sdk::time::sleep(time))).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// A body of at most `bytes_max` bytes.
pub(crate) async fn bounded(response: Response, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut stream = response.into_body().stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| error.to_string())?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(format!("it is larger than {bytes_max} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Wakes all gateways after a commit, beside the answer: the client does not wait for it. Errors are logged and
/// forgotten, because every gateway asks for changes by itself.
pub(crate) fn wake_gateways(config: &Rc<Config>, seq: u64) {
    let Some(credential) = config
        .service
        .clone()
        .filter(|_| !config.gateways.is_empty())
    else {
        return;
    };
    let gateways = config.gateways.clone();
    spin_sdk::wasip3::spawn(async move {
        let wakes = gateways
            .iter()
            .map(|gateway| wake(gateway, &credential, seq));
        if within(Duration::from_millis(PUSH_TIMEOUT_MS), join_all(wakes))
            .await
            .is_none()
        {
            eprintln!("not all gateways were woken within {PUSH_TIMEOUT_MS} ms");
        }
    });
}

async fn wake(gateway: &str, credential: &identity::ServiceCredential, seq: u64) {
    let outcome = match wake_request(gateway, credential, seq) {
        Some(request) => spin_sdk::http::send(request)
            .await
            .map_err(|error| error.to_string())
            .map(|response| response.status()),
        None => Err("the url is none".to_owned()),
    };
    match outcome {
        Ok(status) if status.is_success() => {}
        Ok(status) => eprintln!("gateway {gateway} was not woken: status {status}"),
        Err(error) => eprintln!("gateway {gateway} was not woken: {error}"),
    }
}

fn wake_request(
    gateway: &str,
    credential: &identity::ServiceCredential,
    seq: u64,
) -> Option<http::Request<FullBody<Bytes>>> {
    let body = Bytes::from(format!("{{\"seq\":{seq}}}"));
    http::Request::post(format!("{gateway}/internal/wake"))
        .header("authorization", credential.to_bearer())
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(FullBody::new(body))
        .ok()
}
