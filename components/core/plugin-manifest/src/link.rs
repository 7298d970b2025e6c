//! URLs in manifests, checked as text: an accepted scheme, a host, and no user, white space, backslash or control
//! character.
//!
//! A fetch parses the URL again and applies the network policy.

use crate::violation::Code;
use limits::directory::URL_CHARS_MAX;

/// A fault of a URL: code, rule and help.
pub(crate) type Fault = (Code, String, Option<String>);

/// A URL from which code is fetched: https; plain http from this machine alone, with a warning.
pub(crate) fn fetch(text: &str) -> Result<(), Fault> {
    let (scheme, rest) = scheme(text).unwrap_or_default();
    match scheme.as_str() {
        "https" => return authority(rest).map(|_| ()),
        "http" => {}
        _ => return refuse("must be an https URL"),
    }
    let host = authority(rest)?;
    if is_loopback(host) {
        return Err((
            Code::InsecureUrl,
            "is plain http on this machine".to_owned(),
            Some("publish with an https URL".to_owned()),
        ));
    }
    refuse("must be an https URL; plain http is for this machine alone")
}

/// A URL that people follow: http, https, or a mail address. Empty means none; other text is shown as it is.
pub(crate) fn link(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Ok(());
    }
    let Some((scheme, rest)) = scheme(text) else {
        return Err((
            Code::OddLink,
            "is not a URL and is shown as text".to_owned(),
            Some("start it with \"https://\"".to_owned()),
        ));
    };
    match scheme.as_str() {
        "http" | "https" => authority(rest).map(|_| ()),
        "mailto" if rest.contains('@') => common(rest),
        other => refuse(&format!(
            "must be an http or https URL, not {:?}",
            format!("{}:", crate::text::short(other.trim()))
        )),
    }
}

/// A URL that people follow or that is fetched as a picture, or a path below the plugin's folder.
pub(crate) fn link_or_path(text: &str) -> Result<(), Fault> {
    match scheme(text) {
        Some(_) => link(text),
        None if text.is_empty() => Ok(()),
        None => crate::path::RelativePath::new(text)
            .map(|_| ())
            .map_err(|error| (error.code(), error.rule, None)),
    }
}

/// A URL from which code is fetched, or a path below `bundle.url`.
pub(crate) fn fetch_or_path(text: &str) -> Result<(), Fault> {
    if scheme(text).is_some() {
        fetch(text)
    } else {
        crate::path::RelativePath::new(text)
            .map(|_| ())
            .map_err(|error| (error.code(), error.rule, None))
    }
}

/// The scheme in lower case, when the text has one, and what follows the colon. White space and control characters are
/// left out as browsers do, so that `" java\nscript:"` does not pass for text; then the scheme is none of those that
/// are admitted.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (before, rest) = text.split_once(':')?;
    let lead: String = before
        .chars()
        .filter(|letter| !letter.is_control() && !letter.is_whitespace())
        .collect();
    let word = lead.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && lead
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
    let disguise = if lead.len() == before.len() { "" } else { " " };
    word.then(|| (format!("{disguise}{}", lead.to_ascii_lowercase()), rest))
}

fn authority(rest: &str) -> Result<&str, Fault> {
    common(rest)?;
    let Some(rest) = rest.strip_prefix("//") else {
        return refuse("must have \"//\" after its scheme");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse("must not carry a user or password");
    }
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        refuse("must name a host")
    } else {
        Ok(host)
    }
}

fn common(rest: &str) -> Result<(), Fault> {
    if rest.chars().count() > URL_CHARS_MAX {
        return refuse(&format!("must have at most {URL_CHARS_MAX} characters"));
    }
    if rest
        .chars()
        .any(|letter| letter.is_whitespace() || letter.is_control() || letter == '\\')
    {
        return refuse("must not hold white space, control characters or '\\'");
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn refuse<T>(rule: &str) -> Result<T, Fault> {
    Err((Code::BadUrl, rule.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::{Code, fetch, link, link_or_path};

    #[test]
    fn code_comes_over_https_or_from_this_machine() {
        assert!(fetch("https://cdn.example/p.js").is_ok() && fetch("HTTPS://cdn.example").is_ok());
        for local in [
            "http://localhost:3000/x",
            "http://127.0.0.1/x",
            "http://[::1]:1/x",
        ] {
            assert_eq!(fetch(local).unwrap_err().0, Code::InsecureUrl, "{local}");
        }
        for bad in [
            "http://cdn.example",
            "http://127.0.0.1@evil.example/",
            "http://localhost.evil.example",
            "ftp://a",
            "https:/a",
            "https://",
            "https://u:p@h/x",
            "https://a b",
            "https://a\\b",
            "javascript:alert(1)",
            "//a/b",
            "a.js",
            "",
            " https://a",
            "https:///x",
            "file:///etc/passwd",
        ] {
            assert_eq!(fetch(bad).unwrap_err().0, Code::BadUrl, "{bad}");
        }
    }

    #[test]
    fn links_never_run_code() {
        assert!(link("").is_ok() && link("http://a.b").is_ok() && link("mailto:a@b.c").is_ok());
        assert_eq!(link("github.com/a/b").unwrap_err().0, Code::OddLink);
        for bad in [
            "javascript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "JAVASCRIPT:x",
            "data:text/html,x",
            "vbscript:x",
            "mailto:x",
        ] {
            assert_eq!(link(bad).unwrap_err().0, Code::BadUrl, "{bad}");
        }
        assert!(link_or_path("icon.png").is_ok() && link_or_path("🦀").is_ok());
        assert_eq!(
            link_or_path("../icon.png").unwrap_err().0,
            Code::PathEscapes
        );
    }
}
