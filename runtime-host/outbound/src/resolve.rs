//! Names to addresses. A lookup counts until it ends, even if its request is gone, so that a resolver that hangs cannot
//! take all threads.

use limits::egress::LOOKUPS_IN_FLIGHT_MAX;
use std::{
    io,
    net::{IpAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::Arc,
};
use tokio::sync::Semaphore;

/// A lookup on its way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Resolves names. A hop resolves once, and connects to no address that is not in the answer.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, in the order in which they are to be tried.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The system's resolver.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKUPS_IN_FLIGHT_MAX)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let place = Arc::clone(&self.places)
                .acquire_owned()
                .await
                .map_err(io::Error::other)?;
            let name = host.to_owned();
            let lookup = tokio::task::spawn_blocking(move || {
                let found: io::Result<Vec<IpAddr>> = (&*name, 0)
                    .to_socket_addrs()
                    .map(|all| all.map(|found| found.ip()).collect());
                drop(place);
                found
            });
            let mut found = lookup.await.map_err(io::Error::other)??;
            // The system names an address once for each kind of socket.
            let mut seen = Vec::with_capacity(found.len());
            found.retain(|address| {
                !seen.contains(address) && {
                    seen.push(*address);
                    true
                }
            });
            Ok(found)
        })
    }
}
