//! Which words are masked, which are refused, and where they are looked for.
//!
//! The message of a `chat_message` is a text, or an object with the text `content` or `text`. Only masked letters
//! change; every other byte of the envelope stays as it was written.

use envelope::Envelope;
use std::borrow::Cow;

/// Words that are masked.
const MASKED: &str = include_str!("../words.txt");
/// Words that stop the message.
const REFUSED: &str = include_str!("../refused.txt");

/// What happens to an envelope.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was found.
    Pass,
    /// The envelope with masked words.
    Rewrite(Vec<u8>),
    /// The message goes no further.
    Refuse {
        /// For programs and counters.
        code: &'static str,
        /// The `error` envelope for the sender.
        reply: Vec<u8>,
    },
}

/// Looks at one envelope.
#[must_use]
pub fn filter(bytes: &[u8]) -> Outcome {
    let Ok(envelope) = Envelope::decode(bytes) else {
        return Outcome::Pass;
    };
    if envelope.text("type").as_deref() != Some("chat_message") {
        return Outcome::Pass;
    }
    let Some((text, start, end)) = message(&envelope) else {
        return Outcome::Pass;
    };
    if find(&text, REFUSED).next().is_some() {
        let request_id = envelope.text("requestId");
        let refusal = envelope::reply::refuse(
            "WORD_REFUSED",
            "the message contains a word that is not allowed here",
            Some("chat_message"),
            request_id.as_deref(),
        );
        return Outcome::Refuse {
            code: "WORD_REFUSED",
            reply: refusal.reply,
        };
    }
    let masked = mask(&text);
    if masked == text {
        return Outcome::Pass;
    }
    let quoted = envelope::reply::bytes(&masked);
    Outcome::Rewrite([&bytes[..start], &quoted, &bytes[end..]].concat())
}

/// The text of a message, and where its JSON lies in the envelope.
fn message<'b>(envelope: &Envelope<'b>) -> Option<(Cow<'b, str>, usize, usize)> {
    let member = envelope.member("message")?;
    if let Some(text) = envelope.text("message") {
        return Some((text, member.span.start, member.span.end));
    }
    let inner = Envelope::decode(member.raw.as_bytes()).ok()?;
    let key = ["content", "text"]
        .into_iter()
        .find(|key| inner.text(key).is_some())?;
    let span = inner.member(key)?.span.clone();
    Some((
        inner.text(key)?,
        member.span.start + span.start,
        member.span.start + span.end,
    ))
}

/// `text` with each letter of a masked word replaced by an asterisk.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, end) in find(text, MASKED) {
        out.push_str(&text[copied..start]);
        out.extend(std::iter::repeat_n('*', text[start..end].chars().count()));
        copied = end;
    }
    out.push_str(&text[copied..]);
    out
}

/// Where the words of a list stand in a text, as byte ranges. A word is a run of letters and digits.
fn find<'t>(text: &'t str, list: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
    runs(text).filter(move |(start, end)| {
        let word = text[*start..*end].to_lowercase();
        list.lines()
            .map(str::trim)
            .any(|entry| !entry.starts_with('#') && entry == word)
    })
}

fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        let end = text[start..]
            .find(|character: char| !character.is_alphanumeric())
            .map_or(text.len(), |length| start + length);
        at = end;
        Some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::{Outcome, filter, mask};

    #[test]
    fn whole_words_are_masked_whatever_their_case() {
        assert_eq!(mask("Oh DARN, what the heck!"), "Oh ****, what the ****!");
        assert_eq!(mask("darning checks"), "darning checks");
        assert_eq!(mask("ä-darn-ö"), "ä-****-ö");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn only_the_letters_of_the_message_change() {
        let outcome = filter(br#"{ "type":"chat_message", "x": [1, 2],"message":"what the \u0068eck", "senderName" : "darn"}"#);
        let expected = br#"{ "type":"chat_message", "x": [1, 2],"message":"what the ****", "senderName" : "darn"}"#;
        assert_eq!(outcome, Outcome::Rewrite(expected.to_vec()));
        let nested =
            filter(br#"{"type":"chat_message","message":{"id":7,"content":"darn","text":"darn"}}"#);
        assert_eq!(
            nested,
            Outcome::Rewrite(
                br#"{"type":"chat_message","message":{"id":7,"content":"****","text":"darn"}}"#
                    .to_vec()
            )
        );
    }

    #[test]
    fn refused_words_stop_the_message() {
        let Outcome::Refuse { code, reply } =
            filter(br#"{"type":"chat_message","message":"get FreeCoins now","requestId":"r1"}"#)
        else {
            panic!("must be refused")
        };
        assert_eq!(code, "WORD_REFUSED");
        let reply = String::from_utf8(reply).expect("UTF-8");
        assert!(
            reply.contains(r#""type":"error""#)
                && reply.contains(r#""requestId":"r1""#)
                && !reply.contains("FreeCoins"),
            "{reply}"
        );
    }

    #[test]
    fn everything_else_passes() {
        for bytes in [
            &br#"{"type":"typing","message":"darn"}"#[..],
            br#"{"type":"chat_message","message":"fine"}"#,
            br#"{"type":"chat_message","message":{"content":7}}"#,
            br#"{"type":"chat_message","message":["darn"]}"#,
            br#"{"type":"chat_message"}"#,
            b"darn",
        ] {
            assert_eq!(
                filter(bytes),
                Outcome::Pass,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
