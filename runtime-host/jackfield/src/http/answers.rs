//! Answers of components, held until their clients have read them: how fast a client reads is its affair alone, and the
//! instance that answers waits for no client while there is room.

use super::held::{HeldBytes, Share};
use bytes::Bytes;
use edge_host::Body;
use futures::stream;
use gateway::address::AddressKey;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use limits::edge_host::RESPONSE_BUFFER_BYTES;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// A part of an answer that its client has not read.
struct Part {
    frame: anyhow::Result<Frame<Bytes>>,
    _share: Option<Share>,
    /// The place of a part that was not accounted; back with it, the next one may come.
    _unaccounted: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// Reads `body` as fast as it comes and holds it for the client at `address`. What does not fit the account waits in the
/// component, but for one part.
pub(super) fn hold(body: Body, address: AddressKey, held: &HeldBytes) -> Body {
    let size = body.size_hint().exact();
    if size.is_some_and(|bytes| bytes <= RESPONSE_BUFFER_BYTES as u64) {
        // It is whole already.
        return body;
    }
    // Bounded by the account, and by one part beyond it.
    let (parts, received) = mpsc::unbounded_channel();
    tokio::spawn(pump(body, address, held.clone(), parts));
    let frames = stream::unfold(received, async |mut received| {
        let part: Part = received.recv().await?;
        Some((part.frame, received))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Ends with the body or with its client.
async fn pump(
    mut body: Body,
    address: AddressKey,
    held: HeldBytes,
    parts: mpsc::UnboundedSender<Part>,
) {
    let unaccounted = Arc::new(Semaphore::new(1));
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = parts.closed() => return,
        };
        let Some(frame) = frame else {
            return;
        };
        let bytes = match &frame {
            Ok(frame) => frame.data_ref().map_or(0, Bytes::len),
            Err(_) => 0,
        };
        let mut share = held.share(address);
        let place = match share.grow(bytes) {
            Ok(()) => None,
            Err(_) => tokio::select! {
                place = unaccounted.clone().acquire_owned() => place.ok(),
                () = parts.closed() => return,
            },
        };
        let part = Part {
            frame,
            _share: place.is_none().then_some(share),
            _unaccounted: place,
        };
        if parts.send(part).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HeldBytes, hold};
    use bytes::Bytes;
    use edge_host::Body;
    use futures::stream;
    use gateway::address::AddressKey;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};
    use limits::{MIB, rest::BODIES_PER_ADDRESS_BYTES_MAX};
    use std::{
        net::IpAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    /// A body of parts of 1 MiB, and how many were taken.
    fn body(parts: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        let frames = stream::iter((0..parts).map(move |_| {
            counter.fetch_add(1, Relaxed);
            Ok(Frame::data(Bytes::from(vec![b'x'; MIB])))
        }));
        (StreamBody::new(frames).boxed_unsync(), taken)
    }

    async fn settle() {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_answer_waits_for_its_client_in_memory_up_to_the_bound() {
        let held = HeldBytes::default();
        let address = AddressKey::new(IpAddr::from([127, 0, 0, 1]), 64);
        let fit = BODIES_PER_ADDRESS_BYTES_MAX / MIB;
        let (source, taken) = body(fit);
        let whole = hold(source, address, &held);
        settle().await;
        assert_eq!(taken.load(Relaxed), fit, "its component has finished");
        let (source, taken) = body(fit);
        let beyond = hold(source, address, &held);
        settle().await;
        // One part is held beyond the account, and the next one waits for a place.
        assert_eq!(taken.load(Relaxed), 2);
        drop(whole);
        let read = beyond.collect().await.expect("a body").to_bytes();
        assert_eq!(read.len(), BODIES_PER_ADDRESS_BYTES_MAX);
        assert_eq!(
            held.share(address).grow(BODIES_PER_ADDRESS_BYTES_MAX),
            Ok(())
        );
    }

    #[tokio::test]
    async fn an_answer_whose_client_is_gone_is_read_no_further() {
        let held = HeldBytes::default();
        let address = AddressKey::new(IpAddr::from([127, 0, 0, 1]), 64);
        let (source, taken) = body(1_000);
        drop(hold(source, address, &held));
        settle().await;
        assert!(taken.load(Relaxed) < 1_000, "the rest was not asked for");
        assert_eq!(
            held.share(address).grow(BODIES_PER_ADDRESS_BYTES_MAX),
            Ok(())
        );
    }
}
