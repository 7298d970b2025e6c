//! Paths for operators: they are asked at a rate of the operator's choice, and measurements are not for every client.

use super::unverified;
use gateway::{
    Hub,
    address::{Client, Network, Source},
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use identity::{Role, ServiceCredential};
use rest::{HostError, bearer};

/// No rate and no place of an address counts these.
const PATHS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/internal/wake"];

/// Headers by which a proxy tells that a request is another client's.
static FORWARDED: [HeaderName; 3] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
];

/// Whether a path is for operators.
pub(super) fn includes(path: &str) -> bool {
    PATHS.contains(&path)
}

/// Checks that a client may read the measurements: it presents the service credential or a token with the role admin, or
/// its address is in `networks` (`rest.metrics_from`). An address counts only if it is sure that no proxy stands between.
///
/// # Errors
/// 401 for a token that does not verify; 403.
pub(super) fn may_read_metrics(
    hub: &Hub,
    credential: &ServiceCredential,
    networks: &[Network],
    client: &Client,
    headers: &HeaderMap,
) -> Result<(), HostError> {
    let is_told = headers.contains_key("x-forwarded-for");
    let is_sure = match client.source {
        Source::Peer | Source::Proxy => {
            is_told || !FORWARDED.iter().any(|name| headers.contains_key(name))
        }
        Source::UntrustedProxy => false,
    };
    if is_sure
        && networks
            .iter()
            .any(|network| network.contains(client.address))
    {
        return Ok(());
    }
    if let Some(presented) = bearer(headers) {
        if credential.admits(presented) {
            return Ok(());
        }
        let claims = hub.verify(presented);
        let claims = claims.map_err(unverified)?;
        if claims.role == Role::Admin {
            return Ok(());
        }
    }
    let message = "measurements are for the addresses of rest.metrics_from, and for a token with the role admin or the service credential";
    let status = StatusCode::FORBIDDEN;
    Err(HostError::of_host(status, "FORBIDDEN", message))
}
