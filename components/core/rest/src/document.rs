//! Documents that never change while the program runs: made once, with a digest as entity tag and a compressed form.

use crate::{answer::Answer, body::text, etag};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

/// A JSON document in both of its forms. Build scripts write it into a component; a native host makes it at its first
/// use.
#[derive(Debug, Clone)]
pub struct Document {
    plain: Bytes,
    gzip: Bytes,
    /// Digest of the plain form, as hexadecimal text.
    digest: &'static str,
}

impl Document {
    /// A document of parts that belong together.
    #[must_use]
    pub const fn from_static(
        plain: &'static [u8],
        gzip: &'static [u8],
        digest: &'static str,
    ) -> Self {
        Self {
            plain: Bytes::from_static(plain),
            gzip: Bytes::from_static(gzip),
            digest,
        }
    }

    /// Answers a request: `304` where the client has the document already, compressed where it allows that.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap) -> Answer {
        // The forms differ in bytes, so their strong tags differ.
        let (plain_tag, gzip_tag) = (
            format!("\"{}\"", self.digest),
            format!("\"{}-gzip\"", self.digest),
        );
        let gzip = text(request, &header::ACCEPT_ENCODING).is_some_and(accepts_gzip);
        let tag = if gzip { &gzip_tag } else { &plain_tag };
        let known = text(request, &header::IF_NONE_MATCH);
        let answer = if etag::matches_none(known, tag) {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else if gzip {
            Answer::bytes(StatusCode::OK, "application/json", self.gzip.clone())
                .header(header::CONTENT_ENCODING, "gzip")
        } else {
            Answer::bytes(StatusCode::OK, "application/json", self.plain.clone())
        };
        answer
            .header(header::ETAG, tag)
            .header(header::VARY, "accept-encoding")
    }
}

/// Whether `Accept-Encoding` allows gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(header: &str) -> bool {
    let mut any = false;
    for entry in header.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let weight = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or("1", |(_, weight)| weight.trim());
        let allowed = weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        if coding.eq_ignore_ascii_case("gzip") {
            return allowed;
        }
        any |= coding == "*" && allowed;
    }
    any
}

/// The forms of a document, made from its text.
#[cfg(feature = "compress")]
#[derive(Debug)]
pub struct Compressed {
    /// The document without white space between its parts.
    pub plain: Vec<u8>,
    /// The same, compressed.
    pub gzip: Vec<u8>,
    /// Digest of the plain form, as hexadecimal text.
    pub digest: String,
}

#[cfg(feature = "compress")]
impl Compressed {
    /// Makes the forms.
    #[must_use]
    pub fn new(document: &serde_json::Value) -> Self {
        use flate2::{Compression, write::GzEncoder};
        use sha2::{Digest as _, Sha256};
        use std::io::Write as _;
        let plain = document.to_string().into_bytes();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail.
        let gzip = encoder
            .write_all(&plain)
            .and_then(|()| encoder.finish())
            .unwrap_or_default();
        let digest = Sha256::digest(&plain)
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            plain,
            gzip,
            digest,
        }
    }

    /// The document, for the rest of the process: meant for one that is made once.
    #[must_use]
    pub fn leak(self) -> Document {
        Document {
            plain: self.plain.into(),
            gzip: self.gzip.into(),
            digest: self.digest.leak(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, accepts_gzip};
    use http::{HeaderMap, HeaderValue, header};

    const DOCUMENT: Document = Document::from_static(b"{\"a\":1}", b"compressed", "d1");

    fn asked(pairs: &[(header::HeaderName, &'static str)]) -> http::Response<bytes::Bytes> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        DOCUMENT.answer(&headers).into_response()
    }

    #[test]
    fn the_form_is_the_one_that_the_client_allows() {
        let plain = asked(&[]);
        assert_eq!(
            (plain.status().as_u16(), &plain.body()[..]),
            (200, &b"{\"a\":1}"[..])
        );
        assert_eq!(plain.headers()[header::ETAG], "\"d1\"");
        assert_eq!(plain.headers()[header::VARY], "accept-encoding");
        let gzip = asked(&[(header::ACCEPT_ENCODING, "br, gzip;q=0.5")]);
        assert_eq!(&gzip.body()[..], b"compressed");
        assert_eq!(gzip.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(gzip.headers()[header::ETAG], "\"d1-gzip\"");
    }

    #[test]
    fn a_known_document_is_not_sent_again() {
        let same = asked(&[(header::IF_NONE_MATCH, "W/\"d1\"")]);
        assert_eq!((same.status().as_u16(), same.body().len()), (304, 0));
        assert_eq!(same.headers()[header::ETAG], "\"d1\"");
        let other_form = asked(&[
            (header::IF_NONE_MATCH, "\"d1\""),
            (header::ACCEPT_ENCODING, "gzip"),
        ]);
        assert_eq!(other_form.status(), 200);
    }

    #[test]
    fn encodings_are_read_with_their_weights() {
        for yes in ["gzip", "GZIP", "*", "br;q=1.0, *;q=0.1", "gzip; q=0.001"] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "gzip;q=0",
            "*;q=0",
            "gzip;q=0, *",
            "br",
            "gzip;q=x",
        ] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }

    #[cfg(feature = "compress")]
    #[test]
    fn both_forms_hold_the_same() {
        use std::io::Read as _;
        let made = super::Compressed::new(&serde_json::json!({"a": [1, 2]}));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&made.gzip[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.as_bytes(), made.plain);
        assert_eq!(text, "{\"a\":[1,2]}");
        assert_eq!(made.digest.len(), 32);
    }
}
