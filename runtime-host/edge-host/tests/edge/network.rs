//! Outbound HTTP: what is allowed, what is denied, what is bounded.

use crate::support::{App, logged, send};
use bytes::Bytes;
use edge_host::EdgeHost;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// A server that answers `/bytes/<n>` with n bytes, `/away` with a redirect and anything else with what it saw.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address
}

async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let mut response = match path.strip_prefix("/bytes/") {
        Some(count) => Response::new(Full::from(vec![b'y'; count.parse().unwrap_or(0)])),
        None => Response::new(Full::from(format!(
            "{} {path} {:?}",
            request.method(),
            request.headers().get("host")
        ))),
    };
    if path == "/away" {
        *response.status_mut() = http::StatusCode::FOUND;
        response.headers_mut().insert(
            "location",
            http::HeaderValue::from_static("http://example.invalid/"),
        );
    }
    Ok(response)
}

async fn fetch(host: &EdgeHost, target: &str) -> Value {
    send(
        host,
        Method::GET,
        "/probe/fetch",
        &[("x-target", target)],
        "",
    )
    .await
    .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_hosts_are_reached_and_redirects_are_not_followed() {
    let server = server().await;
    let app = App::probe("allowed_outbound_hosts = [\"http://127.0.0.1:*\"]").await;
    let answer = fetch(&app.host, &format!("http://{server}/a?b=c")).await;
    assert_eq!(
        (&answer["status"], answer["body"].as_str()),
        (&200.into(), Some(&*format!("GET /a Some(\"{server}\")")))
    );
    assert_eq!(
        fetch(&app.host, &format!("http://{server}/away")).await["status"],
        302
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_denied_and_logged() {
    let server = server().await;
    let closed = App::probe("").await;
    let denied = fetch(&closed.host, &format!("http://{server}/")).await;
    assert!(
        denied["error"]
            .as_str()
            .expect("error")
            .contains("HttpRequestDenied"),
        "{denied}"
    );
    assert!(logged().contains(&format!("allowed_outbound_hosts lacks http://{server}")));

    let other = App::probe(&format!(
        "allowed_outbound_hosts = [\"http://localhost:{}\", \"https://127.0.0.1:*\"]",
        server.port()
    ))
    .await;
    assert!(
        fetch(&other.host, &format!("http://{server}/")).await["error"]
            .as_str()
            .expect("error")
            .contains("HttpRequestDenied")
    );
    assert_eq!(
        fetch(&other.host, &format!("http://localhost:{}/", server.port())).await["status"],
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_named_and_long_answers_are_cut() {
    let server = server().await;
    let app = App::probe("allowed_outbound_hosts = [\"*://*:*\"]").await;
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("listener")
        .local_addr()
        .expect("address");
    let refused = fetch(&app.host, &format!("http://{unused}/")).await;
    assert!(
        refused["error"]
            .as_str()
            .expect("error")
            .contains("ConnectionRefused"),
        "{refused}"
    );
    let limit = limits::edge_host::OUTBOUND_RESPONSE_BYTES_MAX;
    assert_eq!(
        fetch(&app.host, &format!("http://{server}/bytes/{limit}")).await["bytes"],
        limit
    );
    let cut = fetch(&app.host, &format!("http://{server}/bytes/{}", limit + 1)).await;
    assert!(
        cut["error"]
            .as_str()
            .expect("error")
            .contains("HttpResponseBodySize"),
        "{cut}"
    );
    let tls = fetch(&app.host, &format!("https://{server}/")).await;
    assert!(tls["error"].is_string(), "{tls}");
}
