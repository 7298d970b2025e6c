//! Bodies of requests, collected before a request takes any place that requests share: when a body arrives is the
//! client's affair alone. Their bytes are bounded for one body, for one address and altogether.

use bytes::{Bytes, BytesMut};
use gateway::address::AddressKey;
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt as _;
use limits::rest::{BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX, BODY_TIMEOUT_MS};
use parking_lot::Mutex;
use rest::HostError;
use std::{collections::HashMap, pin::pin, time::Duration};

/// Bytes of the bodies that the host holds.
#[derive(Debug, Default)]
pub(crate) struct Bodies(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_address: HashMap<AddressKey, usize>,
}

/// A whole body; its bytes count until it is dropped.
#[derive(Debug)]
pub(super) struct Collected<'a> {
    pub(super) bytes: Bytes,
    _share: Share<'a>,
}

/// The bytes of one body in the account of its address.
#[derive(Debug)]
struct Share<'a> {
    bodies: &'a Bodies,
    address: AddressKey,
    bytes: usize,
}

impl Bodies {
    /// Collects a body of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// 413 (`PAYLOAD_TOO_LARGE`), announced or counted; 408 (`REQUEST_TIMEOUT`); 400 (`BAD_REQUEST`) for a body that
    /// breaks off; 503 (`OVERLOADED`) when too many bytes are held already.
    pub(super) async fn collect<B>(
        &self,
        body: B,
        address: AddressKey,
        bytes_max: usize,
    ) -> Result<Collected<'_>, HostError>
    where
        B: Body<Data = Bytes>,
    {
        let reading = async {
            if body.size_hint().lower() > bytes_max as u64 {
                return Err(too_large(bytes_max));
            }
            let mut share = Share {
                bodies: self,
                address,
                bytes: 0,
            };
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
                share.grow(data.len())?;
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
                let message =
                    format!("the request body did not arrive within {BODY_TIMEOUT_MS} ms");
                let status = StatusCode::REQUEST_TIMEOUT;
                Err(HostError::of_host(status, "REQUEST_TIMEOUT", message))
            })
    }
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), HostError> {
        let mut held = self.bodies.0.lock();
        let of_address = held.by_address.get(&self.address).copied().unwrap_or(0) + bytes;
        let message = if of_address > BODIES_PER_ADDRESS_BYTES_MAX {
            format!(
                "the bodies of this address that arrive at once exceed {BODIES_PER_ADDRESS_BYTES_MAX} bytes"
            )
        } else if held.bytes + bytes > BODIES_BYTES_MAX {
            format!("the bodies that arrive at once exceed {BODIES_BYTES_MAX} bytes")
        } else {
            held.bytes += bytes;
            held.by_address.insert(self.address, of_address);
            self.bytes += bytes;
            return Ok(());
        };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Err(HostError::of_host(status, "OVERLOADED", message))
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.bodies.0.lock();
        held.bytes -= self.bytes;
        if let Some(of_address) = held.by_address.get_mut(&self.address) {
            *of_address -= self.bytes;
            if *of_address == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

fn too_large(bytes_max: usize) -> HostError {
    let message = format!("the request body exceeds the limit of {bytes_max} bytes");
    HostError::of_host(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
}

#[cfg(test)]
mod tests {
    use super::{BODIES_PER_ADDRESS_BYTES_MAX, Bodies};
    use bytes::Bytes;
    use gateway::address::AddressKey;
    use http_body_util::Full;
    use rest::ErrorCode as _;
    use std::net::IpAddr;

    const MAX: usize = BODIES_PER_ADDRESS_BYTES_MAX;

    #[tokio::test]
    async fn an_address_has_a_share_and_gets_it_back() {
        let bodies = Bodies::default();
        let [one, other] =
            [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| AddressKey::new(IpAddr::from(ip), 64));
        let body = |bytes: usize| Full::new(Bytes::from(vec![b'x'; bytes]));
        let status =
            |outcome: Result<_, rest::HostError>| outcome.map(drop).unwrap_err().code.status();
        let held = bodies.collect(body(MAX), one, MAX).await.expect("fits");
        assert_eq!(held.bytes.len(), MAX);
        assert_eq!(status(bodies.collect(body(1), one, MAX).await), 503);
        let _ = bodies
            .collect(body(1), other, MAX)
            .await
            .expect("another share");
        assert_eq!(status(bodies.collect(body(MAX + 1), other, MAX).await), 413);
        drop(held);
        let _ = bodies
            .collect(body(MAX), one, MAX)
            .await
            .expect("it was given back");
        assert!(bodies.0.lock().by_address.is_empty());
    }
}
