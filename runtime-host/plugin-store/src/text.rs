//! Untrusted text on its way into the store: characters that could control a terminal or a page become visible, and
//! long texts are cut.
//!
//! Stored text holds no control character, and no character that changes the order of the text around it.

use crate::StoreError;
use limits::plugin_store as bounds;
use std::fmt::Write as _;

/// Whether a character acts instead of being shown: controls, line separators, and what changes the direction of text.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

/// `text` with such characters written as Rust writes them (`\n`, `\u{1b}`), at most [`bounds::LOG_LINE_BYTES_MAX`]
/// bytes; what is cut is counted. Looks at no more of `text` than it keeps.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(bounds::LOG_LINE_BYTES_MAX));
    for (at, character) in text.char_indices() {
        let before = line.len();
        if acts(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > bounds::LOG_LINE_BYTES_MAX {
            line.truncate(before);
            let _ = write!(line, " … {} bytes cut", text.len() - at);
            break;
        }
    }
    line
}

/// Fields of a log line: a JSON object in compact form, in which such characters are escaped as JSON does. Anything
/// else, and what is too long, becomes an object that says so.
pub(crate) fn fields(text: &str) -> String {
    if text.len() > bounds::LOG_LINE_BYTES_MAX {
        return format!("{{\"cut\":\"{} bytes of fields\"}}", text.len());
    }
    let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
    else {
        return "{\"cut\":\"fields that are no JSON object\"}".to_owned();
    };
    let compact = serde_json::Value::from(object).to_string();
    if !compact.contains(acts) {
        return compact;
    }
    // Outside of strings compact JSON is printable ASCII, so what acts stands in a string, where this spelling means
    // the same.
    let mut escaped = String::with_capacity(compact.len() + 16);
    for character in compact.chars() {
        if acts(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// A short text, shown to people: escaped, and refused when it is too long.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub(crate) fn short(field: &'static str, text: &str) -> Result<String, StoreError> {
    at_most(field, text.len(), bounds::TEXT_BYTES_MAX)?;
    Ok(line(text))
}

/// Whether something is no longer than `max` bytes.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub(crate) fn at_most(field: &'static str, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes <= max {
        Ok(())
    } else {
        Err(StoreError::TooLarge { field, max })
    }
}

/// A plugin's id as a namespace. Its form is checked with the manifest, its length and characters here.
///
/// # Errors
/// [`StoreError::InvalidKey`].
pub(crate) fn plugin(plugin: &str) -> Result<(), StoreError> {
    word(
        "plugin",
        plugin,
        bounds::PLUGIN_BYTES_MAX,
        "must be 1 to 128 bytes without control characters",
    )
}

/// A key of a value or the name of a secret. It is never a path; two spellings of one character are two keys.
///
/// # Errors
/// [`StoreError::InvalidKey`].
pub(crate) fn key(field: &'static str, key: &str) -> Result<(), StoreError> {
    word(
        field,
        key,
        bounds::KEY_BYTES_MAX,
        "must be 1 to 512 bytes without control characters",
    )
}

fn word(field: &'static str, word: &str, max: usize, rule: &'static str) -> Result<(), StoreError> {
    let sound = (1..=max).contains(&word.len()) && !word.chars().any(char::is_control);
    if sound {
        Ok(())
    } else {
        Err(StoreError::InvalidKey { field, rule })
    }
}

/// A number for SQLite, which has no unsigned ones; nothing here reaches the end of the range.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number out of SQLite; a negative one, which is never written, counts as none.
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The wall clock, milliseconds since 1970; 0 for a clock before that.
#[must_use]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::{acts, fields, line};
    use limits::plugin_store::LOG_LINE_BYTES_MAX;
    use proptest::prelude::*;

    #[test]
    fn what_steers_a_terminal_becomes_visible() {
        assert_eq!(
            line("a\u{1b}[31mred\nFAKE\r\u{9b}\u{202e}\0é"),
            "a\\u{1b}[31mred\\nFAKE\\r\\u{9b}\\u{202e}\\u{0}é"
        );
        assert_eq!(
            fields(" { \"a\" : \"\\u001b\u{202e}\" } "),
            r#"{"a":"\u001b\u202e"}"#
        );
        assert_eq!(
            fields("[1]"),
            "{\"cut\":\"fields that are no JSON object\"}"
        );
    }

    #[test]
    fn long_lines_are_cut_and_say_so() {
        let cut = line(&"ä".repeat(LOG_LINE_BYTES_MAX));
        assert!(
            cut.len() < LOG_LINE_BYTES_MAX + 40
                && cut.ends_with(&format!(" … {LOG_LINE_BYTES_MAX} bytes cut")),
            "{}",
            &cut[8000..]
        );
        assert!(
            fields(&format!("{{\"a\":\"{}\"}}", "x".repeat(LOG_LINE_BYTES_MAX)))
                .contains("bytes of fields")
        );
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_stored(text in any::<String>()) {
            prop_assert!(!line(&text).contains(acts));
            let object = serde_json::json!({ text.clone(): text }).to_string();
            let stored = fields(&object);
            prop_assert!(!stored.contains(acts));
            let same: serde_json::Value = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(same.to_string(), object);
        }
    }
}
