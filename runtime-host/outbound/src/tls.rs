//! Trust for TLS: Mozilla's roots and the machine's own (`SSL_CERT_FILE` and `SSL_CERT_DIR` count).
//!
//! Certificates are always verified, for the name in the URL.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::Arc;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// An additional authority is no certificate in PEM.
    #[error("extra_root is no certificate in PEM")]
    Root,
    /// The library refuses the configuration.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// Client configuration; `extra_root` is an additional authority, in PEM.
///
/// # Errors
/// [`BadTls`].
pub fn client_config(extra_root: Option<&str>) -> Result<Arc<ClientConfig>, BadTls> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    // A machine without certificates of its own is normal (containers); Mozilla's roots remain.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = extra_root {
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadTls::Root)?;
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(
        config.with_root_certificates(roots).with_no_client_auth(),
    ))
}
