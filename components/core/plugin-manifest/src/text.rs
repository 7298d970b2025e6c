//! Hidden characters in texts, and quoting of texts in messages.

use limits::manifest::QUOTED_CHARS_MAX;

/// `text`, cut to what fits a message.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first character that cannot be seen or that turns the reading direction. Line feed and tab are let through, and
/// so is the joiner inside emoji sequences.
pub(crate) fn hidden(text: &str) -> Option<char> {
    let mut before = None;
    for letter in text.chars() {
        let joins_emoji = letter == '\u{200d}'
            && before.is_some_and(|before: char| !before.is_alphanumeric() && !before.is_ascii());
        if is_hidden(letter) && !joins_emoji {
            return Some(letter);
        }
        before = Some(letter);
    }
    None
}

/// Whether a character cannot be seen or turns the reading direction, so that a text that holds it may look like
/// another one. Line feed and tab are no such characters.
#[must_use]
pub fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{00ad}'
        | '\u{034f}'
        | '\u{061c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180e}'
        | '\u{3164}'
        | '\u{ffa0}' => true,
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}
