//! Rewrites ranges that npm accepts and `js-semver` does not into equal ranges that it accepts.
//!
//! The differences, from the recorded results in `tests/cases/semver`: behind `^` and `~` and at the ends of a hyphen
//! range npm ignores everything after a wildcard, and it accepts the space in `~ > 1`. A text that npm refuses stays
//! refused.

/// The range in the common grammar.
pub(super) fn common(range: &str) -> String {
    range.split("||").map(set).collect::<Vec<_>>().join("||")
}

fn set(text: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    for token in text.split_ascii_whitespace() {
        match tokens
            .last_mut()
            .filter(|last| ["~", "~>"].contains(&last.as_str()))
        {
            Some(last) if token.starts_with('>') => *last = format!("~{token}"),
            _ => tokens.push(token.to_owned()),
        }
    }
    for at in 0..tokens.len() {
        let bound =
            (at > 0 && tokens[at - 1] == "-") || tokens.get(at + 1).is_some_and(|next| next == "-");
        let behind = at > 0 && ["^", "~", "~>"].contains(&tokens[at - 1].as_str());
        let operator_end = tokens[at]
            .find(|letter: char| !['^', '~', '>', '=', 'v'].contains(&letter))
            .unwrap_or(tokens[at].len());
        let (operator, partial) = tokens[at].split_at(operator_end);
        if (bound || behind || operator.starts_with(['^', '~']))
            && let Some(plain) = without_rest(partial)
        {
            tokens[at] = format!("{operator}{plain}");
        }
    }
    match tokens.as_slice() {
        // Open at both ends: as in "*", no pre-release lies within.
        [low, dash, high] if low == "x" && dash == "-" && high == "x" => "*".to_owned(),
        _ => tokens.join(" "),
    }
}

/// The partial version up to its first wildcard; `None` when it has none or is not well formed.
fn without_rest(partial: &str) -> Option<String> {
    fn is_wild(part: &&str) -> bool {
        ["x", "X", "*"].contains(part)
    }
    let (numbers, tail) = partial
        .find(['-', '+'])
        .map_or((partial, ""), |at| partial.split_at(at));
    let parts: Vec<&str> = numbers.split('.').collect();
    let wild = parts.iter().position(is_wild)?;
    // What is cut off has to be well formed: with zeros for wildcards it is a version.
    let filled: Vec<&str> = parts
        .iter()
        .map(|part| if is_wild(part) { "0" } else { part })
        .collect();
    let version = match filled.as_slice() {
        [major] if tail.is_empty() => format!("{major}.0.0"),
        [major, minor] if tail.is_empty() => format!("{major}.{minor}.0"),
        [_, _, _] => filled.join(".") + tail,
        _ => return None,
    };
    super::parse_version(&version).ok()?;
    Some(
        parts[..wild]
            .iter()
            .copied()
            .chain(["x"])
            .collect::<Vec<_>>()
            .join("."),
    )
}
