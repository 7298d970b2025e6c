//! Request bodies: bounded while they come in, and said to be JSON.

use http::{HeaderMap, HeaderName, header};

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It has, or announces, more bytes than the limit.
    TooLarge {
        /// The limit, bytes.
        max: usize,
    },
    /// It is not plain `application/json`.
    MediaType,
}

/// Collects a body as it comes in.
#[derive(Debug)]
pub struct BodyReader {
    bytes: Vec<u8>,
    max: usize,
    is_json: bool,
}

impl BodyReader {
    /// A reader of a body of at most `max` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when the announced length is above `max`: nothing has to be read then.
    pub fn new(headers: &HeaderMap, max: usize) -> Result<Self, BodyError> {
        let announced = text(headers, &header::CONTENT_LENGTH)
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or_default();
        if announced > max {
            return Err(BodyError::TooLarge { max });
        }
        Ok(Self {
            bytes: Vec::with_capacity(announced),
            max,
            is_json: is_json(headers),
        })
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if self.bytes.len() + chunk.len() > self.max {
            return Err(BodyError::TooLarge { max: self.max });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The whole body. An empty one needs no media type.
    ///
    /// # Errors
    /// [`BodyError::MediaType`].
    pub fn finish(self) -> Result<Vec<u8>, BodyError> {
        if self.bytes.is_empty() || self.is_json {
            Ok(self.bytes)
        } else {
            Err(BodyError::MediaType)
        }
    }
}

/// Whether headers announce plain JSON: `application/json`, in UTF-8 where a charset is named, and not compressed.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let plain = text(headers, &header::CONTENT_ENCODING)
        .is_none_or(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    let Some(kind) = text(headers, &header::CONTENT_TYPE) else {
        return false;
    };
    let mut parts = kind.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    plain
        && json
        && charset.is_none_or(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::{BodyError, BodyReader, is_json};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn json_is_what_says_so_plainly() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(&headers(&[("content-type", good)])), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=latin1", ""] {
            assert!(!is_json(&headers(&[("content-type", bad)])), "{bad}");
        }
        let encoded = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        assert!(!is_json(&headers(&encoded)) && !is_json(&HeaderMap::new()));
    }

    #[test]
    fn bodies_are_bounded_announced_or_not() {
        let announced = headers(&[("content-length", "11")]);
        assert_eq!(
            BodyReader::new(&announced, 10).err(),
            Some(BodyError::TooLarge { max: 10 })
        );
        let mut reader =
            BodyReader::new(&headers(&[("content-type", "application/json")]), 10).unwrap();
        assert_eq!(reader.push(b"[1,2,3,4]"), Ok(()));
        assert_eq!(reader.push(b"  "), Err(BodyError::TooLarge { max: 10 }));
        assert_eq!(reader.finish().as_deref(), Ok(&b"[1,2,3,4]"[..]));
        let mut reader = BodyReader::new(&HeaderMap::new(), 10).unwrap();
        reader.push(b"{}").unwrap();
        assert_eq!(reader.finish(), Err(BodyError::MediaType));
        assert_eq!(
            BodyReader::new(&HeaderMap::new(), 10).unwrap().finish(),
            Ok(Vec::new()),
            "no body, no type"
        );
    }
}
