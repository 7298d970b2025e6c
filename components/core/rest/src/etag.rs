//! Entity tags (RFC 9110, section 8.8.3). The tag of a resource is its revision, that of a document the digest of its
//! bytes.

/// The strong tag of a revision.
#[must_use]
pub fn of_revision(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether a header's list of tags names `tag`. `*` names every one.
fn lists(header: &str, tag: &str, weak: bool) -> bool {
    header.split(',').map(str::trim).any(|listed| {
        let opaque = listed.strip_prefix("W/").filter(|_| weak);
        listed == "*" || opaque.unwrap_or(listed) == tag
    })
}

/// Whether `If-None-Match` names the tag, so that the answer may be `304`. A weak tag counts as its strong one.
#[must_use]
pub fn matches_none(if_none_match: Option<&str>, tag: &str) -> bool {
    if_none_match.is_some_and(|header| lists(header, tag, true))
}

/// `If-Match`, compared with the current revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Any revision will do.
    Any,
    /// The client names the current revision, which must still be current at the commit.
    Current,
    /// The client names other revisions.
    Stale,
    /// The client names weak tags, which never match (RFC 9110 section 13.1.1). Proxies that compress an answer weaken
    /// its tag.
    Weak,
}

/// Compares `If-Match` with the current revision.
#[must_use]
pub fn if_match(header: Option<&str>, revision: u64) -> Match {
    match header {
        None => Match::Any,
        Some(header) if header.trim() == "*" => Match::Any,
        Some(header) if lists(header, &of_revision(revision), false) => Match::Current,
        Some(header) if header.split(',').any(|tag| tag.trim().starts_with("W/")) => Match::Weak,
        Some(_) => Match::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::{Match, if_match, matches_none};

    #[test]
    fn tags_compare_as_http_has_it() {
        let seven = "\"7\"";
        for same in ["\"7\"", "W/\"7\", \"8\"", "*"] {
            assert!(matches_none(Some(same), seven), "{same}");
        }
        for other in ["7", "\"6\"", ""] {
            assert!(!matches_none(Some(other), seven), "{other}");
        }
        assert!(!matches_none(None, seven));
        assert_eq!(if_match(None, 7), Match::Any);
        assert_eq!(if_match(Some("*"), 7), Match::Any);
        assert_eq!(if_match(Some("\"6\", \"7\""), 7), Match::Current);
        for stale in ["\"8\"", ""] {
            assert_eq!(if_match(Some(stale), 7), Match::Stale, "{stale}");
        }
        assert_eq!(if_match(Some("W/\"7\""), 7), Match::Weak);
        assert_eq!(if_match(Some("W/\"6\", \"7\""), 7), Match::Current);
    }
}
