//! Cross-origin rules: which web pages may read answers. No interface uses cookies, so credentials are never allowed.

use crate::answer::Answer;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use limits::rest::PREFLIGHT_SECONDS;

/// The origins whose pages may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These.
    Listed(Vec<String>),
}

impl Origins {
    /// Reads `*`, or a list with commas; an empty text admits no origin.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::from_list(text.split(',').map(str::to_owned))
    }

    /// Takes a list of origins; `*` among them admits all.
    #[must_use]
    pub fn from_list(origins: impl IntoIterator<Item = String>) -> Self {
        let listed: Vec<String> = origins
            .into_iter()
            .map(|origin| origin.trim().to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        if listed.iter().any(|origin| origin == "*") {
            Self::Any
        } else {
            Self::Listed(listed)
        }
    }

    /// The headers of an answer to a page of `origin`, with the names of the headers that the page may read.
    #[must_use]
    pub fn headers(&self, origin: Option<&HeaderValue>, exposed: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let admitted = match (self, origin) {
            (Self::Any, _) => Some(HeaderValue::from_static("*")),
            (Self::Listed(listed), Some(origin)) => listed
                .iter()
                .any(|known| known.as_bytes() == origin.as_bytes())
                .then(|| origin.clone()),
            (Self::Listed(_), None) => None,
        };
        if matches!(self, Self::Listed(_)) {
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = admitted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(exposed),
            );
        }
        headers
    }
}

/// The answer to `OPTIONS`: the methods of the path, and the request headers that a page may set.
#[must_use]
pub fn preflight(methods: &str, request_headers: &'static str) -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
        .header(header::ALLOW, methods)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, methods)
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, request_headers)
        .header(
            header::ACCESS_CONTROL_MAX_AGE,
            &PREFLIGHT_SECONDS.to_string(),
        )
}

#[cfg(test)]
mod tests {
    use super::Origins;
    use http::HeaderValue;

    #[test]
    fn pages_of_listed_origins_read_answers() {
        let page = HeaderValue::from_static("https://a.example");
        let other = HeaderValue::from_static("https://b.example");
        let origins = Origins::parse(" https://a.example ,https://c.example");
        let headers = origins.headers(Some(&page), "etag");
        assert_eq!(headers["access-control-allow-origin"], page);
        assert_eq!(headers["vary"], "origin");
        for origin in [Some(&other), None] {
            let headers = origins.headers(origin, "etag");
            assert!(!headers.contains_key("access-control-allow-origin"));
            assert_eq!(headers["vary"], "origin");
        }
        let headers = Origins::parse("*").headers(None, "etag");
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(!headers.contains_key("vary"));
        assert_eq!(Origins::parse(""), Origins::Listed(Vec::new()));
    }
}
