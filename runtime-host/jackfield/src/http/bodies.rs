//! Bodies of requests, collected before a request takes any place that requests share: when a body arrives is the
//! client's affair alone. Their bytes are bounded for one body, for one address and altogether.

use super::held::{Full, HeldBytes, Share};
use bytes::{Bytes, BytesMut};
use gateway::address::AddressKey;
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt as _;
use limits::rest::{BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX, BODY_TIMEOUT_MS};
use rest::HostError;
use std::{pin::pin, time::Duration};

/// A whole body; its bytes count until it is dropped.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) bytes: Bytes,
    _share: Share,
}

/// Collects a body of at most `bytes_max` bytes from the client at `address`.
///
/// # Errors
/// 413 (`PAYLOAD_TOO_LARGE`), announced or counted; 408 (`REQUEST_TIMEOUT`); 400 (`BAD_REQUEST`) for a body that breaks
/// off; 503 (`OVERLOADED`) when too many bytes are held already.
pub(super) async fn collect<B>(
    body: B,
    address: AddressKey,
    bytes_max: usize,
    held: &HeldBytes,
) -> Result<Collected, HostError>
where
    B: Body<Data = Bytes>,
{
    let reading = async {
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(too_large(bytes_max));
        }
        let mut share = held.share(address);
        let (mut body, mut bytes) = (pin!(body), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                let message = "the request body broke off";
                HostError::of_host(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            share.grow(data.len()).map_err(overloaded)?;
            bytes.extend_from_slice(&data);
        }
        Ok(Collected {
            bytes: bytes.freeze(),
            _share: share,
        })
    };
    let time = Duration::from_millis(BODY_TIMEOUT_MS);
    tokio::time::timeout(time, reading)
        .await
        .unwrap_or_else(|_| {
            let message = format!("the request body did not arrive within {BODY_TIMEOUT_MS} ms");
            let status = StatusCode::REQUEST_TIMEOUT;
            Err(HostError::of_host(status, "REQUEST_TIMEOUT", message))
        })
}

fn overloaded(full: Full) -> HostError {
    let message = match full {
        Full::Address => format!(
            "the bodies that are held for this address exceed {BODIES_PER_ADDRESS_BYTES_MAX} bytes"
        ),
        Full::Host => format!("the bodies that are held at once exceed {BODIES_BYTES_MAX} bytes"),
    };
    HostError::of_host(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message)
}

fn too_large(bytes_max: usize) -> HostError {
    let message = format!("the request body exceeds the limit of {bytes_max} bytes");
    HostError::of_host(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
}

#[cfg(test)]
mod tests {
    use super::{BODIES_PER_ADDRESS_BYTES_MAX, HeldBytes, HostError, collect};
    use bytes::Bytes;
    use gateway::address::AddressKey;
    use http_body_util::Full;
    use rest::ErrorCode as _;
    use std::net::IpAddr;

    const MAX: usize = BODIES_PER_ADDRESS_BYTES_MAX;

    #[tokio::test]
    async fn a_body_counts_until_it_is_dropped() {
        let held = HeldBytes::default();
        let address = AddressKey::new(IpAddr::from([127, 0, 0, 1]), 64);
        let body = |bytes: usize| Full::new(Bytes::from(vec![b'x'; bytes]));
        let collect = |bytes: usize| collect(body(bytes), address, MAX, &held);
        let status = |outcome: Result<_, HostError>| outcome.map(drop).unwrap_err().code.status();
        let first = collect(MAX).await.expect("fits");
        assert_eq!(first.bytes.len(), MAX);
        assert_eq!(status(collect(1).await), 503);
        assert_eq!(status(collect(MAX + 1).await), 413);
        drop(first);
        let _ = collect(MAX).await.expect("it was given back");
    }
}
