//! Certificates are verified for the name in the URL, whatever address is connected to (cases 82, 83).

use crate::support::{PUBLIC, Reply, ScriptedResolver, Server, client, client_with, rule, send};
use outbound::{Client, Config, Request};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

const AUTHORITY: &str = include_str!("../../../../tests/cases/outbound/authority.pem");
const CERTIFICATE: &str = include_str!("../../../../tests/cases/outbound/server.pem");
const KEY: &str = include_str!("../../../../tests/cases/outbound/server.key.pem");

async fn server(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Server::with(
        (PUBLIC, 0).into(),
        Some(TlsAcceptor::from(Arc::new(config))),
        script,
    )
    .await
}

fn trusting(resolver: &Arc<ScriptedResolver>) -> Client {
    client_with(
        Config {
            extra_root: Some(AUTHORITY.to_owned()),
            ..Config::default()
        },
        resolver,
    )
}

fn names() -> Arc<ScriptedResolver> {
    ScriptedResolver::new(&[
        ("good.example", &[&[PUBLIC]]),
        ("other.example", &[&[PUBLIC]]),
    ])
}

#[tokio::test]
async fn a_certificate_has_to_be_signed_and_for_this_name() {
    let server = server(|_| Reply::ok("private")).await;
    let url = |host: &str| Request::get(&format!("https://{host}:{}/", server.port()));
    let trusting = trusting(&names());
    assert_eq!(
        &*send(&trusting, url("good.example")).await.unwrap().body,
        b"private"
    );
    assert_eq!(
        &*send(&trusting, url("GOOD.example.")).await.unwrap().body,
        b"private",
        "a trailing dot is no other name"
    );
    for (client, host) in [
        (&trusting, "other.example"),
        (&trusting, "127.0.0.2"),
        (&client(&names()), "good.example"),
    ] {
        let failed = send(client, url(host)).await.unwrap_err();
        assert!(
            failed.code() == "unavailable" && failed.to_string().contains("certificate"),
            "{host}: {failed}"
        );
    }
    assert_eq!(
        server.seen().len(),
        2,
        "nothing is said to who cannot prove the name"
    );
}

#[tokio::test]
async fn a_redirect_never_leaves_https() {
    let plain = Server::start(PUBLIC, |_| Reply::ok("")).await;
    let port = plain.port();
    let server =
        server(move |_| Reply::redirect(302, &format!("http://good.example:{port}/"))).await;
    assert_eq!(
        rule(
            &trusting(&names()),
            &format!("https://good.example:{}/", server.port())
        )
        .await,
        "redirect-downgrade"
    );
    assert_eq!((server.accepted(), plain.accepted()), (1, 0));
}

#[tokio::test]
async fn an_authority_that_is_none_is_refused() {
    let config = Config {
        extra_root: Some("no certificate".into()),
        ..Config::default()
    };
    let made = Client::new(
        config,
        Arc::new(egress::Guard::default()),
        Arc::new(outbound::SystemResolver::default()),
    );
    assert_eq!(
        made.err().map(|error| error.to_string()).as_deref(),
        Some("extra_root is no certificate in PEM")
    );
}

#[tokio::test]
async fn the_systems_resolver_finds_this_machine() {
    use outbound::Resolve as _;
    let found = outbound::SystemResolver::default()
        .resolve("localhost")
        .await
        .unwrap();
    assert!(
        !found.is_empty() && found.iter().all(std::net::IpAddr::is_loopback),
        "{found:?}"
    );
    assert!(
        outbound::SystemResolver::default()
            .resolve("no such name")
            .await
            .is_err()
    );
}
