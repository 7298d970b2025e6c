//! A poll by itself: its rules and its count. Compiles everywhere, so that it is tested without a host.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Answers of one poll.
const CHOICES_MAX: usize = 20;
/// Characters of a question or an answer.
const TEXT_CHARS_MAX: usize = 200;
/// Voters of one poll: more do not fit into one stored value.
const VOTERS_MAX: usize = 5_000;

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The chat server on which it is asked.
    pub server: String,
    /// The question.
    pub question: String,
    /// The answers.
    pub choices: Vec<String>,
    /// The choice of each voter; the last vote counts.
    pub votes: BTreeMap<String, usize>,
}

impl Poll {
    /// A poll without votes.
    ///
    /// # Errors
    /// The rule that is broken, with its limit.
    pub fn new(server: String, question: String, choices: Vec<String>) -> Result<Self, String> {
        let sound = |text: &str| (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
        if !sound(&question) {
            return Err(format!(
                "question must have 1 to {TEXT_CHARS_MAX} characters"
            ));
        }
        if !(2..=CHOICES_MAX).contains(&choices.len()) {
            return Err(format!("choices must be 2 to {CHOICES_MAX}"));
        }
        match choices.iter().position(|choice| !sound(choice)) {
            Some(at) => Err(format!(
                "choices[{at}] must have 1 to {TEXT_CHARS_MAX} characters"
            )),
            None => Ok(Self {
                server,
                question,
                choices,
                votes: BTreeMap::new(),
            }),
        }
    }

    /// Counts a vote; a second one of the same voter replaces the first.
    ///
    /// # Errors
    /// There is no such answer, or the poll is full.
    pub fn vote(&mut self, voter: &str, choice: usize) -> Result<(), String> {
        if choice >= self.choices.len() {
            return Err(format!("choice must be 0 to {}", self.choices.len() - 1));
        }
        if !self.votes.contains_key(voter) && self.votes.len() >= VOTERS_MAX {
            return Err(format!("{VOTERS_MAX} people have voted, the most that can"));
        }
        self.votes.insert(voter.to_owned(), choice);
        Ok(())
    }

    /// The count, without the voters.
    #[must_use]
    pub fn results(&self, id: &str) -> Value {
        let mut counts = vec![0; self.choices.len()];
        self.votes.values().for_each(|choice| counts[*choice] += 1);
        let choices: Vec<Value> = self
            .choices
            .iter()
            .zip(counts)
            .map(|(text, votes)| json!({"text": text, "votes": votes}))
            .collect();
        json!({"poll": id, "question": self.question, "choices": choices, "votes": self.votes.len()})
    }
}

#[cfg(test)]
mod tests {
    use super::Poll;

    fn poll() -> Poll {
        Poll::new("s".into(), "tea?".into(), vec!["yes".into(), "no".into()]).unwrap()
    }

    #[test]
    fn the_last_vote_of_a_voter_counts() {
        let mut poll = poll();
        poll.vote("ann", 0).unwrap();
        poll.vote("ben", 0).unwrap();
        poll.vote("ann", 1).unwrap();
        let results = poll.results("1");
        assert_eq!(
            (
                results["choices"][0]["votes"].as_u64(),
                results["choices"][1]["votes"].as_u64()
            ),
            (Some(1), Some(1))
        );
        assert_eq!(results["votes"], 2);
    }

    #[test]
    fn bad_polls_and_votes_name_the_limit() {
        assert!(poll().vote("ann", 2).unwrap_err().contains("0 to 1"));
        assert!(
            Poll::new("s".into(), String::new(), vec!["a".into(), "b".into()])
                .unwrap_err()
                .contains("question")
        );
        assert!(
            Poll::new("s".into(), "q".into(), vec!["a".into()])
                .unwrap_err()
                .contains("2 to 20")
        );
        assert!(
            Poll::new("s".into(), "q".into(), vec!["a".into(), String::new()])
                .unwrap_err()
                .contains("choices[1]")
        );
    }
}
