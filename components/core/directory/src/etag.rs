//! Entity tags: a server's revision in quotes. `If-None-Match` saves an answer, `If-Match` is optional and guards a change.

use crate::refusal::{Code, Refusal};

/// The entity tag of a revision.
#[must_use]
pub fn of(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether a header's list of tags names this revision. `*` names every one; a weak tag counts as its strong one, as `If-None-Match` has it.
fn names(header: &str, revision: u64) -> bool {
    let wanted = of(revision);
    header
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == wanted)
}

/// Whether the answer may be `304`.
#[must_use]
pub fn unchanged(if_none_match: Option<&str>, revision: u64) -> bool {
    if_none_match.is_some_and(|header| names(header, revision))
}

/// The revision that the commit has to find: some when `If-Match` was sent and fits.
///
/// # Errors
/// [`Code::Stale`] when it was sent and does not fit; weak tags never fit.
pub fn guard(if_match: Option<&str>, revision: u64) -> Result<Option<u64>, Refusal> {
    let Some(header) = if_match else {
        return Ok(None);
    };
    if header.trim() == "*" {
        return Ok(None);
    }
    if header
        .split(',')
        .map(str::trim)
        .any(|tag| tag == of(revision))
    {
        return Ok(Some(revision));
    }
    Err(Refusal::from(Code::Stale).with("revision", revision))
}

#[cfg(test)]
mod tests {
    use super::{guard, unchanged};

    #[test]
    fn tags_compare_as_http_has_it() {
        assert!(
            unchanged(Some("\"7\""), 7)
                && unchanged(Some("W/\"7\", \"8\""), 7)
                && unchanged(Some("*"), 7)
        );
        assert!(!unchanged(None, 7) && !unchanged(Some("7"), 7) && !unchanged(Some("\"6\""), 7));
        assert_eq!(guard(None, 7), Ok(None));
        assert_eq!(guard(Some("*"), 7), Ok(None));
        assert_eq!(guard(Some("\"6\", \"7\""), 7), Ok(Some(7)));
        assert!(
            guard(Some("W/\"7\""), 7).is_err()
                && guard(Some("\"8\""), 7).is_err()
                && guard(Some(""), 7).is_err()
        );
    }
}
