//! Cross-origin rules: which origins may read answers, and the answer to a preflight. No cookies are ever used (D12), so none are allowed.

use crate::{answer::Answer, config::Origins};

const ALLOWED_HEADERS: &str =
    "authorization, content-type, if-match, if-none-match, x-actor-user-id";
const EXPOSED_HEADERS: &str = "allow, etag, location, retry-after";
/// How long browsers keep the answer to a preflight, seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Adds the headers that let a page of this origin read the answer.
pub(crate) fn admit(answer: Answer, origins: &Origins, origin: Option<&str>) -> Answer {
    let admitted = match (origins, origin) {
        (Origins::Any, _) => Some("*"),
        (Origins::Listed(listed), Some(origin)) => listed
            .iter()
            .map(String::as_str)
            .find(|listed| *listed == origin),
        (Origins::Listed(_), None) => None,
    };
    let answer = if matches!(origins, Origins::Listed(_)) {
        answer.header("vary", "origin")
    } else {
        answer
    };
    match admitted {
        Some(origin) => answer
            .header("access-control-allow-origin", origin)
            .header("access-control-expose-headers", EXPOSED_HEADERS),
        None => answer,
    }
}

/// The answer to `OPTIONS`: the methods of the path, for browsers and for people.
pub(crate) fn options(methods: &str) -> Answer {
    Answer::empty(204)
        .header("allow", methods)
        .header("access-control-allow-methods", methods)
        .header("access-control-allow-headers", ALLOWED_HEADERS)
        .header("access-control-max-age", PREFLIGHT_SECONDS)
}
