//! Reading a request's body, counted while it comes in.

use crate::answer::Answer;
use futures::StreamExt as _;
use limits::rest::BODY_BYTES_MAX;
use spin_sdk::http::{HeaderMap, Request, body::IncomingBodyExt as _};

/// The body of a request that is JSON.
///
/// # Errors
/// `413 BODY_TOO_LARGE`, `415 UNSUPPORTED_MEDIA_TYPE`, `400 BAD_JSON` when it breaks off.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>, Answer> {
    let too_large = || {
        Answer::refusal(
            413,
            "BODY_TOO_LARGE",
            &format!("the body has more than {BODY_BYTES_MAX} bytes"),
        )
    };
    let announced =
        header(request.headers(), "content-length").and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    if !is_json(request.headers()) {
        return Err(Answer::refusal(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "the body must be application/json, not encoded",
        ));
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    let mut stream = request.into_body().stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Answer::refusal(400, "BAD_JSON", "the body broke off"))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_json(headers: &HeaderMap) -> bool {
    let plain = header(headers, "content-encoding")
        .is_none_or(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    let kind = header(headers, "content-type").and_then(|kind| kind.split(';').next());
    plain && kind.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}
