//! Headers of requests that every interface reads alike.

use http::{HeaderMap, header};

/// What the header `Authorization` presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'h> {
    /// Nothing, or a credential of another scheme, which is not for these interfaces: a proxy in front may ask for
    /// `Basic` itself and pass it on.
    None,
    /// `Bearer` with this token.
    Bearer(&'h str),
    /// `Bearer` without a token, or a value that is no text.
    Malformed,
}

/// The credential of a request; the scheme is read in any case (RFC 9110 section 11.1).
#[must_use]
pub fn credential(headers: &HeaderMap) -> Credential<'_> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Credential::None;
    };
    let Ok(value) = value.to_str() else {
        return Credential::Malformed;
    };
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    match (scheme.eq_ignore_ascii_case("bearer"), token.trim()) {
        (false, _) => Credential::None,
        (true, "") => Credential::Malformed,
        (true, token) => Credential::Bearer(token),
    }
}

/// The token of `Authorization: Bearer …`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    match credential(headers) {
        Credential::Bearer(token) => Some(token),
        Credential::None | Credential::Malformed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Credential, credential};
    use http::{HeaderMap, HeaderValue, header};

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_none() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
        };
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            let headers = headers(value);
            assert_eq!(credential(&headers), Credential::Bearer("a.b.c"), "{value}");
        }
        for value in ["Bearer", "bearer "] {
            assert_eq!(
                credential(&headers(value)),
                Credential::Malformed,
                "{value}"
            );
        }
        for value in ["Basic YTpi", "Bearera.b.c"] {
            assert_eq!(credential(&headers(value)), Credential::None, "{value}");
        }
        assert_eq!(credential(&HeaderMap::new()), Credential::None);
    }
}
