//! The size of a payload, as the limits count it.
//!
//! It is the length of the payload as compact UTF-8 JSON: without white space between tokens and with the fewest
//! escapes, so that `"\u00e4"` and `"ä"` count the same whichever library the sender used. Numbers count as they are
//! written.

/// Bytes of `json` in compact form. `json` has to be legal JSON; for anything else the result has no meaning.
#[must_use]
pub fn compact_bytes(json: &str) -> usize {
    let bytes = json.as_bytes();
    let (mut at, mut total) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let (end, length) = text(bytes, at + 1);
                at = end;
                total += length + 2;
            }
            _ => {
                at += 1;
                total += 1;
            }
        }
    }
    total
}

/// Whether the compact form of `json` has more than `bytes_max` bytes. Compact is never longer than written, so most
/// calls are free.
#[must_use]
pub fn exceeds(json: &str, bytes_max: usize) -> bool {
    json.len() > bytes_max && compact_bytes(json) > bytes_max
}

/// Measures a text from behind its opening quote: the position behind the closing one, and the compact length between
/// them.
fn text(bytes: &[u8], start: usize) -> (usize, usize) {
    let (mut at, mut length) = (start, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return (at + 1, length),
            b'\\' => {
                let (taken, written) = escape(bytes, at + 1);
                at += 1 + taken;
                length += written;
            }
            _ => {
                at += 1;
                length += 1;
            }
        }
    }
    (at, length)
}

/// Bytes taken behind the backslash, and bytes of the same character in compact form.
fn escape(bytes: &[u8], at: usize) -> (usize, usize) {
    match bytes.get(at) {
        Some(b'u') => unicode(bytes, at + 1),
        Some(b'/') => (1, 1),
        _ => (1, 2),
    }
}

fn unicode(bytes: &[u8], at: usize) -> (usize, usize) {
    match hex(bytes, at) {
        0x08 | 0x09 | 0x0a | 0x0c | 0x0d | 0x22 | 0x5c => (5, 2),
        0..=0x1f => (5, 6),
        0x20..=0x7f => (5, 1),
        0x80..=0x7ff => (5, 2),
        0xd800..=0xdbff if bytes.get(at + 4..at + 6) == Some(b"\\u") => (11, 4),
        _ => (5, 3),
    }
}

fn hex(bytes: &[u8], at: usize) -> u32 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
    bytes.get(at..at + 4).map_or(0, |digits| {
        digits
            .iter()
            .fold(0, |value, byte| value << 4 | digit(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::{compact_bytes, exceeds};
    use serde_json::Value;

    #[test]
    fn the_measure_equals_what_serde_json_writes() {
        for text in [
            r#" { "a" : [ 1 , 2.50 , -3e4 ] , "b" : "x y" , "c" : null } "#,
            r#""\u00e4\u4e2d\ud83d\ude00\/\"\\\b\f\n\r\t\u0000\u001f\u007f\u0041""#,
            r#""ä中😀/""#,
            "[]",
            "\"\"",
            "[\n\ttrue,\r\nfalse]",
        ] {
            let value: Value = serde_json::from_str(text).expect("legal JSON");
            let written = serde_json::to_string(&value).expect("serializes");
            let numbers_differ = text.contains("-3e4");
            let expected = if numbers_differ {
                r#"{"a":[1,2.50,-3e4],"b":"x y","c":null}"#.len()
            } else {
                written.len()
            };
            assert_eq!(compact_bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn both_sides_of_a_limit() {
        let text = format!("\"{}\"", "ä".repeat(10));
        assert!(!exceeds(&text, 22) && exceeds(&text, 21));
        let escaped = format!("\"{}\"", "\\u00e4".repeat(10));
        assert!(!exceeds(&escaped, 22) && exceeds(&escaped, 21));
    }
}
