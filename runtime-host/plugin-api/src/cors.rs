//! Which pages may read answers. No cookies are ever used (D12), so none are allowed.

use crate::answer::{Body, full};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// How long browsers keep the answer to a preflight, seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Lets a page of a configured origin read the answer; `*` admits every one.
pub(crate) fn admit(
    response: &mut Response<Body>,
    origins: &[String],
    origin: Option<&HeaderValue>,
) {
    let any = origins.iter().any(|known| known == "*");
    let admitted = match origin {
        _ if any => Some(HeaderValue::from_static("*")),
        Some(origin) => origins
            .iter()
            .any(|known| known.as_bytes() == origin.as_bytes())
            .then(|| origin.clone()),
        None => None,
    };
    let headers: &mut HeaderMap = response.headers_mut();
    if !any {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = admitted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("allow, etag, retry-after"),
        );
    }
}

/// The answer to `OPTIONS`: the methods of the path.
pub(crate) fn options(methods: &str) -> Response<Body> {
    let mut response = Response::new(full(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(header::ALLOW, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_SECONDS),
    );
    response
}
