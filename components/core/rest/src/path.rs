//! Paths: split into segments and percent-decoded once. A decoded segment is never decoded again, so `%252e` stays
//! text.

/// A path, or a query, is not percent-encoded UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPath;

/// The decoded segments of a path, without the empty one before the first slash.
///
/// # Errors
/// [`InvalidPath`].
pub fn segments(path: &str) -> Result<Vec<String>, InvalidPath> {
    path.split('/')
        .skip(1)
        .map(|segment| decoded(segment, false).ok_or(InvalidPath))
        .collect()
}

pub(crate) fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (pair, tail) = rest.split_at_checked(2)?;
                let hex = |digit: u8| char::from(digit).to_digit(16);
                bytes.push(u8::try_from(hex(pair[0])? * 16 + hex(pair[1])?).ok()?);
                rest = tail;
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{InvalidPath, segments};

    #[test]
    fn segments_are_decoded_once() {
        assert_eq!(
            segments("/a/b%2Fc/%252e/+/").unwrap(),
            ["a", "b/c", "%2e", "+", ""]
        );
        for bad in ["/%", "/%g0", "/%ff", "/%e"] {
            assert_eq!(segments(bad), Err(InvalidPath), "{bad}");
        }
    }
}
