//! Origins of web pages (RFC 6454): `scheme://host[:port]`, in the form in which browsers send them.

use std::fmt;

/// Why a text is no origin, with the spelling that would be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidOrigin {}

/// The form in which browsers send an origin: lower case, without the default port of its scheme, without a slash at the
/// end.
///
/// # Errors
/// The text has no scheme, has a wildcard, or has more than scheme, host and port.
pub fn normalize(text: &str) -> Result<String, InvalidOrigin> {
    let invalid = |why: &str| Err(InvalidOrigin(format!("`{text}` is no origin: {why}")));
    let trimmed = text.trim().to_ascii_lowercase();
    let Some((scheme, authority)) = trimmed.split_once("://") else {
        return invalid(&format!("it has no scheme; write `https://{trimmed}`"));
    };
    let authority = authority.trim_end_matches('/');
    if authority.contains('*') {
        return invalid("wildcards are not read; list each origin, or `*` alone for all");
    }
    if let Some(at) = authority.find(['/', '?', '#']) {
        let origin = &trimmed[..scheme.len() + 3 + at];
        return invalid(&format!("it has a path; write `{origin}`"));
    }
    let names_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each));
    let names_host = !authority.is_empty()
        && authority
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || "-._:[]".contains(each));
    if !names_scheme || !names_host {
        return invalid("it is not of the form `https://host` or `https://host:port`");
    }
    let default_port = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => "",
    };
    let authority = match authority.strip_suffix(default_port) {
        Some(host) if !default_port.is_empty() => host,
        _ => authority,
    };
    Ok(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn an_origin_gets_the_form_that_browsers_send() {
        for (text, origin) in [
            ("https://chat.example", "https://chat.example"),
            ("https://Chat.Example/", "https://chat.example"),
            ("https://chat.example:443", "https://chat.example"),
            ("http://chat.example:80/", "http://chat.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            assert_eq!(normalize(text).as_deref(), Ok(origin), "{text}");
        }
        for (text, hint) in [
            ("chat.example", "https://chat.example"),
            ("https://*.example", "wildcards"),
            ("https://chat.example/app", "write `https://chat.example`"),
            ("https://", "form"),
            ("https://a b", "form"),
            ("://chat.example", "form"),
            ("", "scheme"),
        ] {
            let error = normalize(text).expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
