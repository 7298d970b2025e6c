//! The rules by themselves, with what they remember. Compiles everywhere, so that it is tested without a host.

use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// Senders whose last message is remembered.
const SENDERS_MAX: usize = 1_000;
/// A message with fewer letters never counts as shouting.
const LETTERS_MIN: usize = 10;

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on unchanged.
    Pass,
    /// It goes on with this text.
    Rewrite(String),
    /// It goes on, and is marked for a moderator.
    Flag(String),
    /// It goes no further.
    Refuse(String),
}

/// The rules of one server.
#[derive(Debug, Default)]
pub struct Rules {
    masked: Vec<String>,
    capitals_percent: usize,
    repeats: usize,
    last: HashMap<String, (String, usize)>,
    order: VecDeque<String>,
}

impl Rules {
    /// Rules from the settings `masked`, `capitalsPercent` and `repeats`.
    ///
    /// # Errors
    /// The setting that breaks a rule.
    pub fn new(settings: &Value) -> Result<Self, String> {
        let words = settings["masked"].as_str().unwrap_or_default().split(',');
        let masked = words
            .map(|word| word.trim().to_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        let number = |key: &str, default: u64| match &settings[key] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .ok_or_else(|| format!("{key} must be a whole number that is not negative")),
        };
        let capitals_percent = number("capitalsPercent", 80)?.min(100) as usize;
        let repeats = number("repeats", 3)?.clamp(1, 100) as usize;
        Ok(Self {
            masked,
            capitals_percent,
            repeats,
            ..Self::default()
        })
    }

    /// Decides about one message.
    pub fn moderate(&mut self, sender: &str, text: &str) -> Outcome {
        if self.is_shouted(text) {
            return Outcome::Refuse(format!("more than {} % capitals", self.capitals_percent));
        }
        if self.count(sender, text) > self.repeats {
            return Outcome::Refuse(format!(
                "the same message more than {} times in a row",
                self.repeats
            ));
        }
        let masked = self.mask(text);
        if masked != text {
            return Outcome::Rewrite(masked);
        }
        match text.contains("http://") || text.contains("https://") {
            true => Outcome::Flag("holds a link".to_owned()),
            false => Outcome::Pass,
        }
    }

    fn is_shouted(&self, text: &str) -> bool {
        let letters = text.chars().filter(|letter| letter.is_alphabetic()).count();
        let capitals = text.chars().filter(|letter| letter.is_uppercase()).count();
        letters >= LETTERS_MIN && capitals * 100 > letters * self.capitals_percent
    }

    /// How often a sender has said this in a row.
    fn count(&mut self, sender: &str, text: &str) -> usize {
        if !self.last.contains_key(sender) {
            if self.order.len() == SENDERS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.last.remove(&oldest);
            }
            self.order.push_back(sender.to_owned());
        }
        let (last, count) = self.last.entry(sender.to_owned()).or_default();
        if last == text {
            *count += 1;
        } else {
            (*last, *count) = (text.to_owned(), 1);
        }
        *count
    }

    /// The text with masked words as stars; words are runs of letters and digits, whatever their case.
    fn mask(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest
                .find(|letter: char| !letter.is_alphanumeric())
                .unwrap_or(rest.len());
            let (found, after) = rest.split_at(word);
            match self.masked.contains(&found.to_lowercase()) {
                true => out.extend(found.chars().map(|_| '*')),
                false => out.push_str(found),
            }
            let gap = after.find(char::is_alphanumeric).unwrap_or(after.len());
            out.push_str(&after[..gap]);
            rest = &after[gap..];
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Rules};
    use serde_json::json;

    #[test]
    fn words_are_masked_whole_and_in_any_case() {
        let mut rules = Rules::new(&json!({"masked": "darn, heck"})).unwrap();
        assert_eq!(
            rules.moderate("ann", "Oh DARN, what the heck! darned"),
            Outcome::Rewrite("Oh ****, what the ****! darned".into())
        );
        assert_eq!(rules.moderate("ann", "fine"), Outcome::Pass);
    }

    #[test]
    fn shouting_and_repetition_are_refused_and_links_flagged() {
        let mut rules = Rules::new(&json!({"repeats": 2})).unwrap();
        assert!(matches!(
            rules.moderate("ann", "LISTEN TO ME NOW"),
            Outcome::Refuse(_)
        ));
        assert_eq!(rules.moderate("ben", "hi"), Outcome::Pass);
        assert_eq!(rules.moderate("ben", "hi"), Outcome::Pass);
        assert!(matches!(rules.moderate("ben", "hi"), Outcome::Refuse(_)));
        assert!(matches!(
            rules.moderate("ben", "see https://example.org"),
            Outcome::Flag(_)
        ));
        assert!(
            Rules::new(&json!({"repeats": -1}))
                .unwrap_err()
                .contains("repeats")
        );
    }
}
