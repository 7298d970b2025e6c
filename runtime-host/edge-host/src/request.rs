//! From the client's request to the one that a component sees: Spin's headers added, hop-by-hop headers removed, the
//! body bounded. The body is whole: a component's instance never waits for a client.
//!
//! Every `spin-*` header that a component sees was set here: those of the client are removed.

use crate::routes::Match;
use bytes::Bytes;
use http::{
    HeaderMap, Request, Uri,
    header::{HOST, HeaderName, HeaderValue, InvalidHeaderValue},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Full};
use limits::edge_host::REQUEST_BYTES_MAX;
use std::net::SocketAddr;
use wasmtime_wasi_http::WasiBody;

/// Number of headers that are set on every request.
const SPIN_HEADERS: usize = 7;

/// The client's address; put it into the request's extensions. Without it the client is `127.0.0.1:0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// Why a request does not reach its component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The body is too long.
    TooLarge,
    /// No usable authority.
    BadHost(&'static str),
}

/// Makes the component's request.
///
/// # Errors
/// [`Refused`].
pub(crate) fn prepare(
    request: Request<Bytes>,
    found: &Match<'_>,
) -> Result<Request<WasiBody>, Refused> {
    let (mut head, body) = request.into_parts();
    if body.len() > REQUEST_BYTES_MAX {
        return Err(Refused::TooLarge);
    }
    head.uri = absolute(head.uri, &head.headers)?;
    outbound::strip_hop_by_hop(&mut head.headers);
    let forged: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in forged {
        head.headers.remove(name);
    }
    let client = head
        .extensions
        .get::<ClientAddress>()
        .map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |client| client.0);
    add_spin_headers(&mut head.headers, &head.uri, found, client);
    let body = Full::new(body).map_err(|never| match never {});
    Ok(Request::from_parts(head, body.boxed_unsync()))
}

/// Scheme and authority belong into the URI; the `Host` header and the URI must not contradict each other.
fn absolute(uri: Uri, headers: &HeaderMap) -> Result<Uri, Refused> {
    let mut parts = uri.into_parts();
    let host = match headers.get(HOST) {
        Some(host) => Some(
            Authority::try_from(host.as_bytes())
                .map_err(|_| Refused::BadHost("the header `host` is malformed"))?,
        ),
        None => None,
    };
    let authority = match (host, parts.authority.take()) {
        (Some(host), Some(own)) if host != own => {
            return Err(Refused::BadHost(
                "the header `host` contradicts the request line",
            ));
        }
        (Some(host), _) => host,
        (None, Some(own)) => own,
        (None, None) => Authority::from_static("localhost"),
    };
    parts.authority = Some(authority);
    parts.scheme = Some(parts.scheme.unwrap_or(Scheme::HTTP));
    parts.path_and_query = Some(
        parts
            .path_and_query
            .unwrap_or(PathAndQuery::from_static("/")),
    );
    Uri::from_parts(parts).map_err(|_| Refused::BadHost("the request line is malformed"))
}

fn add_spin_headers(headers: &mut HeaderMap, uri: &Uri, found: &Match<'_>, client: SocketAddr) {
    headers.reserve(SPIN_HEADERS + found.named.len());
    let mut set = |name: HeaderName, value: Result<HeaderValue, InvalidHeaderValue>| {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    };
    let route = HeaderValue::from_str(found.route);
    set(
        HeaderName::from_static("spin-path-info"),
        HeaderValue::from_str(&found.path_info),
    );
    set(
        HeaderName::from_static("spin-full-url"),
        HeaderValue::from_maybe_shared(Bytes::from(full_url(uri))),
    );
    set(
        HeaderName::from_static("spin-base-path"),
        Ok(HeaderValue::from_static("/")),
    );
    set(
        HeaderName::from_static("spin-component-route"),
        HeaderValue::from_str(found.prefix),
    );
    set(
        HeaderName::from_static("spin-client-addr"),
        HeaderValue::from_maybe_shared(Bytes::from(client.to_string())),
    );
    if let Ok(route) = route {
        set(
            HeaderName::from_static("spin-matched-route"),
            Ok(route.clone()),
        );
        set(
            HeaderName::from_static("spin-raw-component-route"),
            Ok(route),
        );
    }
    for (name, value) in &found.named {
        if let Ok(name) =
            HeaderName::try_from(format!("spin-path-match-{}", name.to_ascii_lowercase()))
        {
            set(name, HeaderValue::from_str(value));
        }
    }
}

/// What `Display` writes, without its formatting.
fn full_url(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    [
        uri.scheme_str().unwrap_or("http"),
        "://",
        uri.authority().map_or("", Authority::as_str),
        path,
    ]
    .concat()
}
