//! The JSON scanner under [`crate::decode`] and [`crate::tape`]: no tree, no recursion, no allocation.
//!
//! It accepts exactly the JSON texts of RFC 8259. Numbers out of range and lone surrogates are grammatical;
//! [`crate::tape::Tape::prove`] refuses them where a value is used.

use limits::envelope::JSON_DEPTH_MAX;

/// Why a text is no JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Unexpected byte at this position.
    #[error("unexpected byte at offset {0}")]
    Syntax(usize),
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
}

/// Receives the events of the scanner. Positions are byte offsets into the text.
pub trait Sink {
    /// A text or a key, between its quotes.
    fn text(&mut self, _start: usize, _end: usize, _escaped: bool) {}
    /// A number; `wide` if it may be out of the range of a 64-bit float.
    fn number(&mut self, _start: usize, _end: usize, _wide: bool) {}
    /// `true`, `false` or `null`, given by its first letter.
    fn word(&mut self, _letter: u8) {}
    /// `{` or `[`.
    fn open(&mut self, _is_object: bool) {}
    /// The innermost container has one more element or member, which follows next.
    fn element(&mut self) {}
    /// The innermost container ends.
    fn close(&mut self) {}
}

/// Ignores all events, for values that are skipped.
#[derive(Debug, Clone, Copy)]
pub struct Skip;

impl Sink for Skip {}

// One bit of a u128 for each container that is open.
const _: () = assert!(JSON_DEPTH_MAX <= 128);

/// Reads one value, which begins at or behind `at` and lies within `depth` containers already. Returns the position
/// behind it.
///
/// # Errors
/// See [`Fault`].
pub fn read<S: Sink>(text: &str, at: usize, depth: usize, sink: &mut S) -> Result<usize, Fault> {
    let bytes = text.as_bytes();
    let (mut at, outside, mut depth) = (at, depth, depth);
    // The lowest bit says whether the innermost container is an object.
    let mut objects = 0u128;
    loop {
        at = space(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                let (end, escaped) = string(bytes, at + 1)?;
                sink.text(at + 1, end, escaped);
                at = end + 1;
            }
            Some(opening @ (b'{' | b'[')) => {
                if depth >= JSON_DEPTH_MAX {
                    return Err(Fault::Depth);
                }
                let is_object = *opening == b'{';
                sink.open(is_object);
                at = space(bytes, at + 1);
                // '}' and ']' stand two behind '{' and '['.
                if bytes.get(at) == Some(&(opening + 2)) {
                    sink.close();
                    at += 1;
                } else {
                    depth += 1;
                    objects = objects << 1 | u128::from(is_object);
                    sink.element();
                    if is_object {
                        at = key(bytes, at, sink)?;
                    }
                    continue;
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let (end, wide) = number(bytes, at)?;
                sink.number(at, end, wide);
                at = end;
            }
            Some(letter @ (b't' | b'f' | b'n')) => {
                at = word(bytes, at)?;
                sink.word(*letter);
            }
            _ => return Err(Fault::Syntax(at)),
        }
        loop {
            if depth == outside {
                return Ok(at);
            }
            at = space(bytes, at);
            match (bytes.get(at), objects & 1) {
                (Some(b','), is_object) => {
                    at += 1;
                    sink.element();
                    if is_object == 1 {
                        at = key(bytes, space(bytes, at), sink)?;
                    }
                    break;
                }
                (Some(b'}'), 1) | (Some(b']'), 0) => {
                    at += 1;
                    depth -= 1;
                    objects >>= 1;
                    sink.close();
                }
                _ => return Err(Fault::Syntax(at)),
            }
        }
    }
}

/// Position of the first byte at or behind `at` that is no white space.
#[must_use]
pub fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

fn key<S: Sink>(bytes: &[u8], at: usize, sink: &mut S) -> Result<usize, Fault> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Fault::Syntax(at));
    }
    let (end, escaped) = string(bytes, at + 1)?;
    sink.text(at + 1, end, escaped);
    let at = space(bytes, end + 1);
    if bytes.get(at) != Some(&b':') {
        return Err(Fault::Syntax(at));
    }
    Ok(at + 1)
}

/// Reads a string from behind its opening quote: the position of the closing one, and whether there are escapes between
/// them.
///
/// # Errors
/// [`Fault::Syntax`] at the first byte that is illegal in a string.
pub fn string(bytes: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let (mut at, mut escaped) = (skip_plain(bytes, start), false);
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = match bytes.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                    Some(b'u')
                        if bytes
                            .get(at + 2..at + 6)
                            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) =>
                    {
                        at + 6
                    }
                    _ => return Err(Fault::Syntax(at)),
                };
                at = skip_plain(bytes, at);
            }
            _ => return Err(Fault::Syntax(at)),
        }
    }
}

/// The position behind a number, and whether it may be out of the range of a 64-bit float.
fn number(bytes: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    /// A number without exponent and with at most this many bytes is finite.
    const SURELY_FINITE_BYTES: usize = 300;
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') {
        at + 1
    } else {
        digits(bytes, at)?
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    let mut wide = at - start > SURELY_FINITE_BYTES;
    if let Some(b'e' | b'E') = bytes.get(at) {
        wide = true;
        at += 1;
        at = digits(
            bytes,
            at + usize::from(matches!(bytes.get(at), Some(b'+' | b'-'))),
        )?;
    }
    Ok((at, wide))
}

/// The position behind one digit or more.
fn digits(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at == start {
        Err(Fault::Syntax(at))
    } else {
        Ok(at)
    }
}

fn word(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let rest = &bytes[at..];
    match rest.first_chunk::<4>() {
        Some(b"true" | b"null") => Ok(at + 4),
        Some(b"fals") if rest.get(4) == Some(&b'e') => Ok(at + 5),
        _ => Err(Fault::Syntax(at)),
    }
}

/// Position of the next quote, backslash or control character at or behind `at`: where the plain part of a JSON text
/// ends. Reads eight bytes at a time.
#[must_use]
pub fn skip_plain(json: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = json.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // The lowest high bit set is the first byte below its bound; higher ones may be false positives.
        let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let control = below(word, 0x20);
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while json
        .get(at)
        .is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
    {
        at += 1;
    }
    at
}

/// Whether brackets nest deeper than `depth_max`, strings skipped. No recursion; most envelopes have fewer brackets
/// than levels are allowed, which is counted eight bytes at a time.
#[must_use]
pub fn depth_exceeds(json: &[u8], depth_max: usize) -> bool {
    openings(json) > depth_max && nests_deeper(json, depth_max)
}

/// How many bytes are `{` or `[`, in strings or not.
fn openings(json: &[u8]) -> usize {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const CASE: u64 = 0x2020_2020_2020_2020;
    const BRACE: u64 = 0x7b7b_7b7b_7b7b_7b7b;
    let (chunks, rest) = json.as_chunks::<8>();
    let whole: u32 = chunks
        .iter()
        .map(|chunk| {
            // `[` and `{` differ in one bit. A byte of `other` is zero for both, and only then is its high bit set in
            // the last step.
            let other = (u64::from_le_bytes(*chunk) | CASE) ^ BRACE;
            (!(((other & LOW) + LOW) | other | LOW)).count_ones()
        })
        .sum();
    whole as usize + rest.iter().filter(|byte| *byte | 0x20 == b'{').count()
}

fn nests_deeper(json: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                at = skip_plain(json, at + 1);
                while json.get(at).is_some_and(|byte| *byte != b'"') {
                    let escaped = json[at] == b'\\';
                    at = skip_plain(json, at + 1 + usize::from(escaped));
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::depth_exceeds;

    #[test]
    fn depth_ignores_brackets_in_strings() {
        assert!(!depth_exceeds(br#"{"a":"[[[[\"[["}"#, 1));
        assert!(depth_exceeds(b"[[]]", 1));
        assert!(!depth_exceeds(
            br#"["[[", "{{{{ long enough for several words \\\" [[ ", {"\"": "]]"}]"#,
            2
        ));
        for depth in 1..40 {
            let text = format!("{}\"[{{\"{}", "[".repeat(depth), "]".repeat(depth));
            assert!(
                !depth_exceeds(text.as_bytes(), depth) && depth_exceeds(text.as_bytes(), depth - 1),
                "{text}"
            );
        }
    }
}
