//! Words that a reader of the repository cannot look up: ids of requirements and decisions, and subjects without a referent.
//!
//! Ids stay in the metadata of the test cases. vocabulary-allowed.txt names the folders that are not yet clean.

use anyhow::{Result, bail};
use std::{collections::BTreeSet, fs};

const ALLOWED: &str = "infra/xtask/vocabulary-allowed.txt";
/// Data whose metadata holds ids, and texts from elsewhere.
const EXEMPT: [&str; 9] = [
    "tests/cases/",
    "tests/guests/cases.json",
    "infra/fuzz/corpus/",
    "infra/xtask/src/vocabulary.rs",
    "wit/deps/",
    "CHANGELOG.md",
    "Cargo.lock",
    "LICENSE",
    "deny.toml",
];
const EXTENSIONS: [&str; 12] = [
    "rs", "wit", "md", "toml", "json", "yaml", "yml", "js", "mjs", "py", "c", "wat",
];
/// Letters that begin the ids of requirements.
const LETTERS: &str = "WTDJHRMS";
/// Words that an id follows when a number comes after them.
const NUMBERED: [&str; 4] = ["decision", "case", "requirement", "requirements"];
const SUBJECTS: [&str; 4] = ["somebody", "whoever", "nobody", "anybody"];

/// Fails with every line that holds an id or, in comments and documents, a subject without a referent.
pub(crate) fn check(files: &[String]) -> Result<()> {
    let allowed = fs::read_to_string(ALLOWED)?;
    let allowed: Vec<&str> = allowed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let (mut found, mut unclean) = (Vec::new(), BTreeSet::new());
    for path in files.iter().filter(|path| is_read(path)) {
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        let lines = text.lines().enumerate().filter_map(|(at, line)| {
            let word = id(line).or_else(|| subject(comment(path, line)))?;
            Some(format!("{path}:{}: {word:?}", at + 1))
        });
        let lines: Vec<String> = lines.collect();
        match allowed.iter().find(|folder| path.starts_with(**folder)) {
            Some(folder) if !lines.is_empty() => {
                unclean.insert(*folder);
            }
            Some(_) => {}
            None => found.extend(lines),
        }
    }
    for folder in allowed.iter().filter(|folder| !unclean.contains(*folder)) {
        eprintln!("    {folder} is clean: take it out of {ALLOWED}");
    }
    if !found.is_empty() {
        bail!("words that a reader cannot look up:\n{}", found.join("\n"));
    }
    Ok(())
}

fn is_read(path: &str) -> bool {
    let extension = path.rsplit('.').next().unwrap_or_default();
    EXTENSIONS.contains(&extension)
        && !path.ends_with("package-lock.json")
        && !EXEMPT.iter().any(|exempt| path.starts_with(exempt))
}

/// The part of a line that people read.
fn comment<'a>(path: &str, line: &'a str) -> &'a str {
    let extension = path.rsplit('.').next().unwrap_or_default();
    let mark = match extension {
        "md" => return line,
        "json" => return "",
        "toml" | "yaml" | "yml" | "py" => "#",
        "wat" => ";;",
        _ => "//",
    };
    line.split_once(mark).map_or("", |(_, comment)| comment)
}

/// The first id in a line.
fn id(line: &str) -> Option<String> {
    let words: Vec<&str> = line
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().unwrap_or_default();
        let rest = letters.as_str();
        LETTERS.contains(first) && !rest.is_empty() && is_number(rest)
    };
    // A test whose name begins with an id, as in `fn w12_...`.
    let is_test_name = |pair: &[&str]| {
        pair[0] == "fn"
            && pair[1]
                .split_once('_')
                .is_some_and(|(head, _)| is_id(&head.to_uppercase()))
    };
    let single = words.iter().find(|word| is_id(word));
    let test_name = words.windows(2).find(|pair| is_test_name(pair));
    single
        .map(|word| (*word).to_owned())
        .or_else(|| test_name.map(|pair| pair.join(" ")))
        .or_else(|| numbered(line))
}

/// A word of [`NUMBERED`] and, after a space, a number.
fn numbered(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let pair = words.windows(2).find(|pair| {
        let word = pair[0].trim_start_matches(|letter: char| !letter.is_alphanumeric());
        NUMBERED.contains(&word.to_lowercase().as_str())
            && pair[1].starts_with(|letter: char| letter.is_ascii_digit())
    });
    pair.map(|pair| pair.join(" "))
}

fn subject(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    words
        .find(|word| SUBJECTS.contains(word))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{comment, id, subject};

    #[test]
    fn ids_are_found() {
        for (line, found) in [
            ("/// Refused (W12).", Some("W12")),
            ("the rules of decision 21 hold", Some("decision 21")),
            (
                "fn s46_what_slips_through() {",
                Some("fn s46_what_slips_through"),
            ),
            ("as (requirements 7.7) says", Some("(requirements 7.7)")),
            ("metric(\"requirements\", 0)", None),
            ("SHA256 of a W3C document, in case of 5", None),
        ] {
            assert_eq!(id(line).as_deref(), found, "{line}");
        }
    }

    #[test]
    fn subjects_are_found_in_comments_alone() {
        assert_eq!(
            subject(comment("a.rs", "wait(); // until somebody comes")).as_deref(),
            Some("somebody")
        );
        assert_eq!(subject(comment("a.rs", "let nobody = 1;")), None);
        assert_eq!(
            subject(comment("a.md", "Nobody waits.")).as_deref(),
            Some("nobody")
        );
    }
}
