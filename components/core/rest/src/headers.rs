//! Headers of requests that every interface reads alike.

use http::{HeaderMap, header};

/// The credential of `Authorization: Bearer …`; the scheme is read in any case (RFC 9110 section 11.1).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credential.trim())
}

#[cfg(test)]
mod tests {
    use super::bearer;
    use http::{HeaderMap, HeaderValue, header};

    #[test]
    fn the_scheme_is_read_in_any_case() {
        let read = |value: &'static str| {
            let headers =
                HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            bearer(&headers).map(str::to_owned)
        };
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(read(value).as_deref(), Some("a.b.c"), "{value}");
        }
        for value in ["Basic YTpi", "Bearer", "Bearera.b.c"] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
