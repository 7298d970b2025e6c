//! `If-Match` on a server's revision: optional, and a guard of the change.

use crate::refusal::{Code, Refusal};
use rest::etag::{Match, if_match};

/// The revision that the commit has to find: some when `If-Match` was sent and fits.
///
/// # Errors
/// [`Code::Stale`] when it was sent and does not fit.
pub fn guard(header: Option<&str>, revision: u64) -> Result<Option<u64>, Refusal> {
    match if_match(header, revision) {
        Match::Any => Ok(None),
        Match::Current => Ok(Some(revision)),
        Match::Stale => Err(Refusal::from(Code::Stale).with("revision", revision)),
        Match::Weak => {
            let message = format!(
                "`If-Match` names a weak tag (`W/…`), which never matches: a proxy that compresses answers weakens their \
                 tags; send the tag without `W/`, here `\"{revision}\"`"
            );
            Err(Refusal::new(Code::Stale, message).with("revision", revision))
        }
    }
}

/// Whether the answer may be `304`.
#[must_use]
pub fn unchanged(if_none_match: Option<&str>, revision: u64) -> bool {
    rest::etag::matches_none(if_none_match, &rest::etag::of_revision(revision))
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn a_stale_revision_is_refused_and_named() {
        assert_eq!(guard(None, 7), Ok(None));
        assert_eq!(guard(Some("\"7\""), 7), Ok(Some(7)));
        let refusal = guard(Some("\"6\""), 7).unwrap_err();
        assert_eq!(refusal.details["revision"], 7);
        let refusal = guard(Some("W/\"7\""), 7).unwrap_err();
        assert!(refusal.message.contains("proxy"), "{}", refusal.message);
    }
}
