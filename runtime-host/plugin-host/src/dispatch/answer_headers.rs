//! Headers of plugins' answers: those that speak about the answer. Others would speak for the host's whole origin, such as
//! cookies or what pages of other origins may do, or to a proxy in front of it.

use http::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

/// Fields that an answer may have, beside those that begin with [`OWN`].
static ALLOWED: [HeaderName; 15] = [
    header::ACCEPT_RANGES,
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
    header::VARY,
];

/// Fields of a plugin's own begin so.
const OWN: &str = "x-plugin-";

/// Reads the headers that a plugin gives. Those of a connection are left out: the connection is the host's.
///
/// # Errors
/// Names the first header that HTTP does not allow or that an answer may not have.
pub(super) fn read(fields: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let known = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("header {name:?} has no valid name"))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| format!("header {name:?} has no valid value"))?;
        headers.append(known, value);
    }
    outbound::strip_hop_by_hop(&mut headers);
    let is_allowed = |name: &&HeaderName| ALLOWED.contains(name) || name.as_str().starts_with(OWN);
    match headers.keys().find(|name| !is_allowed(name)) {
        None => Ok(headers),
        Some(name) => Err(format!(
            "header {name} is not among those that an answer of a plugin may have: {}, and those that begin with {OWN}",
            ALLOWED.each_ref().map(HeaderName::as_str).join(", ")
        )),
    }
}
