//! A connection to one of the addresses that were checked.
//!
//! An address that is not in the list is never connected to. TLS is verified for the name, whatever the address.

use crate::Failed;
use egress::{Destination, Scheme};
use limits::egress::CONNECT_ATTEMPTS_MAX;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Either kind of connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the first address that answers.
pub(crate) async fn connect(
    to: &Destination,
    addresses: &[IpAddr],
    tls: &Arc<ClientConfig>,
    wait: Duration,
) -> Result<Box<dyn Stream>, Failed> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses.iter().take(CONNECT_ATTEMPTS_MAX) {
        match timeout(wait, open(to, SocketAddr::new(*address, to.port()), tls)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failed::unavailable(to.host(), last))
}

async fn open(
    to: &Destination,
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
) -> io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if to.scheme() == Scheme::Http {
        return Ok(Box::new(stream));
    }
    let name = match to.address() {
        Some(address) => ServerName::IpAddress(address.into()),
        None => ServerName::try_from(to.host().to_owned()).map_err(io::Error::other)?,
    };
    Ok(Box::new(
        TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await?,
    ))
}
