//! Answers: a status, headers and a body that is whole, so that its length is known. A chunked answer would be written
//! in pieces and wait for the peer between them.

use crate::etag;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// An answer in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// `200` with JSON.
    #[must_use]
    pub fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// Any status with JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// Any status with a JSON text, whose members keep their order.
    #[must_use]
    pub fn text(status: StatusCode, body: String) -> Self {
        Self::bytes(status, "application/json", Bytes::from(body))
    }

    /// Any status with any content.
    #[must_use]
    pub fn bytes(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut answer = Self::empty(status);
        answer.body = body;
        answer.header(header::CONTENT_TYPE, content_type)
    }

    /// A status without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// `{"ok":true,"revision":n}`: the answer to a deletion.
    #[must_use]
    pub fn done(revision: u64) -> Self {
        Self::ok(&json!({"ok": true, "revision": revision})).etag(revision)
    }

    /// Adds a header. A value that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// Adds the entity tag of a revision.
    #[must_use]
    pub fn etag(self, revision: u64) -> Self {
        self.header(header::ETAG, &etag::of_revision(revision))
    }

    /// Adds headers that are decided beside the answer itself; values of a name that is there already stay.
    #[must_use]
    pub fn headers(mut self, other: &HeaderMap) -> Self {
        for (name, value) in other {
            self.headers.append(name, value.clone());
        }
        self
    }

    /// The HTTP form, with a length where there may be a body. Caches ask again each time unless the answer says
    /// otherwise.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let length = self.body.len();
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        *headers = self.headers;
        if !matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
        }
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache"));
        response
    }
}

/// One page as `{"<name>":[…],"next":key|null}`: `next` is the key with which the following page is asked for. There is
/// none when the page is not full.
#[must_use]
pub fn page(name: &str, items: Vec<(String, Value)>, limit: u64) -> Value {
    let next = items
        .last()
        .filter(|_| items.len() as u64 == limit)
        .map(|(key, _)| key.clone());
    let mut page = json!({"next": next});
    page[name] = items.into_iter().map(|(_, item)| item).collect();
    page
}

#[cfg(test)]
mod tests {
    use super::{Answer, page};
    use http::{HeaderMap, HeaderValue, StatusCode, header};
    use serde_json::json;

    #[test]
    fn bodies_have_a_length_and_caches_ask_again() {
        let response = Answer::ok(&json!({"a": 1})).etag(7).into_response();
        assert_eq!(response.body(), "{\"a\":1}");
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_LENGTH], "7");
        assert_eq!(headers[header::ETAG], "\"7\"");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        let vary = |value: &'static str| {
            HeaderMap::from_iter([(header::VARY, HeaderValue::from_static(value))])
        };
        let response = Answer::ok(&json!({}))
            .headers(&vary("accept-encoding"))
            .headers(&vary("origin"))
            .into_response();
        assert_eq!(response.headers().get_all(header::VARY).iter().count(), 2);
        let response = Answer::empty(StatusCode::NOT_MODIFIED)
            .header(header::CACHE_CONTROL, "no-store")
            .into_response();
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_full_page_names_the_next_one() {
        let items = || vec![("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))];
        assert_eq!(page("n", items(), 2), json!({"n": [1, 2], "next": "b"}));
        assert_eq!(page("n", items(), 3), json!({"n": [1, 2], "next": null}));
    }
}
