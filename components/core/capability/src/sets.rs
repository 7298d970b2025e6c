//! Compiled lists of one scope key, as they are compared with a target.
//!
//! Both sides are brought into one canonical form before they are compared; a text that is canonical already is not
//! copied.

use crate::HostPattern;
use std::{borrow::Cow, net::Ipv6Addr};

/// Whether a sorted list holds `text`.
fn holds(sorted: &[Box<str>], text: &str) -> bool {
    sorted.binary_search_by(|entry| (**entry).cmp(text)).is_ok()
}

fn sorted(mut texts: Vec<Box<str>>) -> Box<[Box<str>]> {
    texts.sort_unstable();
    texts.dedup();
    texts.into()
}

/// Host patterns, sorted, so that a lookup among a thousand consents is a binary search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostSet {
    any: bool,
    exact: Box<[Box<str>]>,
    within: Box<[Box<str>]>,
}

impl HostSet {
    pub(crate) fn new(patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        let (mut any, mut exact, mut within) = (false, Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern {
                HostPattern::Any => any = true,
                HostPattern::Exact(name) => exact.push(name),
                HostPattern::Within(name) => within.push(name),
            }
        }
        Self {
            any,
            exact: sorted(exact),
            within: sorted(within),
        }
    }

    pub(crate) fn covers(&self, host: &str) -> bool {
        if self.any {
            return true;
        }
        let host = canonical_host(host);
        if holds(&self.exact, &host) {
            return true;
        }
        let mut rest = Some(&*host);
        while let Some(name) = rest.filter(|_| !self.within.is_empty()) {
            if holds(&self.within, name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

/// Lower case, without brackets and trailing dot; an IPv6 address in its one shortest form.
fn canonical_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if host.contains(':') {
        return host
            .parse::<Ipv6Addr>()
            .map_or(Cow::Borrowed(host), |address| {
                Cow::Owned(address.to_string())
            });
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Names: exact ones, and prefixes written with a star at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NameSet {
    exact: Box<[Box<str>]>,
    starts: Box<[Box<str>]>,
}

impl NameSet {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut exact, mut starts) = (Vec::new(), Vec::new());
        for name in names {
            match name.strip_suffix('*') {
                Some(start) => starts.push(start.into()),
                None => exact.push(name.into()),
            }
        }
        Self {
            exact: sorted(exact),
            starts: sorted(starts),
        }
    }

    pub(crate) fn covers(&self, name: &str) -> bool {
        holds(&self.exact, name) || self.starts.iter().any(|start| name.starts_with(&**start))
    }
}

/// What kind of path is compared. A URL's path is compared as a server may read it: decoded, and with `\` as a separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    File,
    Url,
}

/// Paths with everything below them, compared by components: `/data` covers `/data/a`, not `/database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathSet {
    kind: PathKind,
    any: bool,
    roots: Box<[Box<str>]>,
}

impl PathSet {
    /// A trailing `/*` or `/**` is optional; a star alone covers every path.
    pub(crate) fn new<'a>(kind: PathKind, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut any, mut roots) = (false, Vec::new());
        for path in paths {
            match Self::root(path) {
                None => any = true,
                Some("") => roots.push("/".into()),
                Some(root) => roots.push(canonical_path(root, kind).into()),
            }
        }
        Self {
            kind,
            any,
            roots: sorted(roots),
        }
    }

    /// The root that a written path stands for; `None` when it stands for every path.
    pub(crate) fn root(path: &str) -> Option<&str> {
        (!matches!(path, "*" | "**")).then(|| {
            path.strip_suffix("/**")
                .or_else(|| path.strip_suffix("/*"))
                .unwrap_or(path)
        })
    }

    pub(crate) fn covers(&self, path: &str) -> bool {
        self.any || {
            let path = canonical_path(path, self.kind);
            self.roots.iter().any(|root| below(root, &path))
        }
    }
}

/// Whether `path` is `root` or lies below it; both canonical.
fn below(root: &str, path: &str) -> bool {
    match root {
        "/" => path.starts_with('/'),
        "" => !path.starts_with('/') && path != ".." && !path.starts_with("../"),
        _ => path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// The path without empty, `.` and `..` components and without a trailing slash. `/` is the root, an empty text the
/// start of a relative path; a path above that start begins with `..`.
fn canonical_path(path: &str, kind: PathKind) -> Cow<'_, str> {
    let path = match kind {
        PathKind::File => Cow::Borrowed(path),
        PathKind::Url => separated(if path.is_empty() { "/" } else { path }),
    };
    let plain = path == "/"
        || path
            .strip_prefix('/')
            .unwrap_or(&path)
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    if plain {
        return path;
    }
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(if absolute {
        format!("/{joined}")
    } else {
        joined
    })
}

/// A URL's path as a server may read it: percent-encoded bytes decoded once, `\` as a separator. What does not decode to
/// UTF-8 becomes replacement characters, which no rule has.
fn separated(path: &str) -> Cow<'_, str> {
    if !path.contains(['%', '\\']) {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |at: usize| Some(char::from(*tail.get(at)?).to_digit(16)? as u8);
        let (byte, taken) = match (first, hex(0).zip(hex(1))) {
            (b'%', Some((high, low))) => (high << 4 | low, 2),
            (byte, _) => (byte, 0),
        };
        out.push(if byte == b'\\' { b'/' } else { byte });
        rest = &tail[taken..];
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{HostSet, NameSet, PathKind, PathSet, canonical_path};
    use crate::HostPattern;

    #[test]
    fn paths_compare_by_components_after_dots_are_gone() {
        for (kind, path, canonical) in [
            (PathKind::File, "/data/a", "/data/a"),
            (PathKind::File, "/data//a/./b/", "/data/a/b"),
            (PathKind::File, "/data/../etc", "/etc"),
            (PathKind::File, "/../..", "/"),
            (PathKind::File, "a/../../b", "../b"),
            (PathKind::File, ".", ""),
            (PathKind::File, "/a%2fb", "/a%2fb"),
            (PathKind::Url, "/a%2f..%2Fb", "/b"),
            (PathKind::Url, "/a/%2e%2E\\b%", "/b%"),
            (PathKind::Url, "/%61dmin/%C3%A4%2561", "/admin/ä%61"),
            (PathKind::Url, "/%ff%5cb", "/\u{fffd}/b"),
            (PathKind::Url, "", "/"),
        ] {
            assert_eq!(canonical_path(path, kind), canonical, "{path}");
        }
    }

    #[test]
    fn a_path_covers_itself_and_what_lies_below() {
        let set = PathSet::new(PathKind::File, ["/data", "plugins/*"]);
        for (path, covered) in [
            ("/data", true),
            ("/data/x", true),
            ("/data/x/../y", true),
            ("/data-evil", false),
            ("/data/../etc", false),
            ("data", false),
            ("plugins", true),
            ("plugins/a", true),
            ("plugins/../b", false),
        ] {
            assert_eq!(set.covers(path), covered, "{path}");
        }
        assert!(PathSet::new(PathKind::File, ["/*"]).covers("/etc"));
        assert!(!PathSet::new(PathKind::File, ["."]).covers("../x"));
        assert!(PathSet::new(PathKind::File, ["*"]).covers("../x"));
    }

    #[test]
    fn hosts_match_whatever_way_an_address_is_written() {
        let set = HostSet::new(
            ["a.org", "*.b.org", "::FFFF:127.0.0.1"].map(|text| HostPattern::parse(text).unwrap()),
        );
        for (host, covered) in [
            ("A.org.", true),
            ("x.a.org", false),
            ("b.org", true),
            ("x.y.b.org", true),
            ("xb.org", false),
            ("[::ffff:7f00:1]", true),
            ("", false),
        ] {
            assert_eq!(set.covers(host), covered, "{host}");
        }
    }

    #[test]
    fn a_star_ends_a_name() {
        let set = NameSet::new(["votes", "cache:*"]);
        assert!(set.covers("votes") && set.covers("cache:") && set.covers("cache:a"));
        assert!(!set.covers("votes2") && !set.covers("Votes") && !set.covers(""));
    }
}
