//! Which component answers a path: Spin's route grammar with Spin's precedence.
//!
//! Grammar: segments separated by `/`; `:name` takes one segment; a last segment `...` (or `*`) takes the rest, which
//! may be empty. Precedence: read from the left, a literal segment beats a named one, and a named one beats the
//! wildcard; the order in the manifest has no effect. Methods, hosts and queries are left to the components.

use std::cmp::Ordering;
use thiserror::Error;

/// Why a route of the manifest is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// A `...` or `*` stands before the end.
    #[error("route `{0}`: the wildcard must be the last segment")]
    WildcardInside(String),
    /// A `:` without a name.
    #[error("route `{0}`: a named segment needs a name after the colon")]
    NamelessSegment(String),
    /// Two triggers with routes that match the same paths.
    #[error("routes `{0}` and `{1}` match the same paths")]
    Duplicate(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Named(String),
}

/// One parsed route and the component it leads to.
#[derive(Debug, Clone)]
struct Route {
    /// As the manifest has it.
    raw: String,
    segments: Vec<Segment>,
    wildcard: bool,
    component: usize,
}

/// The routes of an application, most specific first.
#[derive(Debug, Clone, Default)]
pub struct Router {
    routes: Vec<Route>,
}

/// A path that found its route.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Index of the component, as given to [`Router::add`].
    pub component: usize,
    /// The route as the manifest has it.
    pub route: &'a str,
    /// The route without its wildcard.
    pub prefix: &'a str,
    /// What the wildcard took, with its leading slash; empty without a wildcard.
    pub path_info: String,
    /// Named segments and what they took, in order.
    pub named: Vec<(&'a str, &'a str)>,
}

impl Router {
    /// Adds the route of one trigger.
    ///
    /// # Errors
    /// When the route is malformed or matches exactly the paths of another one.
    pub fn add(&mut self, raw: &str, component: usize) -> Result<(), RouteError> {
        let route = Route::parse(raw, component)?;
        if let Some(twin) = self
            .routes
            .iter()
            .find(|other| other.precedence(&route) == Ordering::Equal && other.same_paths(&route))
        {
            return Err(RouteError::Duplicate(twin.raw.clone(), raw.to_owned()));
        }
        let at = self
            .routes
            .partition_point(|other| other.precedence(&route) == Ordering::Less);
        self.routes.insert(at, route);
        Ok(())
    }

    /// Finds the route of a path (without its query).
    pub fn find<'a>(&'a self, path: &'a str) -> Option<Match<'a>> {
        self.routes.iter().find_map(|route| route.matches(path))
    }

    /// The routes as the manifest has them, most specific first.
    pub fn routes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.routes
            .iter()
            .map(|route| (route.raw.as_str(), route.component))
    }
}

impl Route {
    fn parse(raw: &str, component: usize) -> Result<Self, RouteError> {
        let mut wildcard = false;
        let mut segments = Vec::new();
        for part in split(raw) {
            if wildcard {
                return Err(RouteError::WildcardInside(raw.to_owned()));
            }
            match part {
                "..." | "*" => wildcard = true,
                _ => match part.strip_prefix(':') {
                    Some("") => return Err(RouteError::NamelessSegment(raw.to_owned())),
                    Some(name) => segments.push(Segment::Named(name.to_owned())),
                    None => segments.push(Segment::Literal(part.to_owned())),
                },
            }
        }
        Ok(Self {
            raw: raw.to_owned(),
            segments,
            wildcard,
            component,
        })
    }

    /// `Less` is more specific and is asked first.
    fn precedence(&self, other: &Self) -> Ordering {
        for at in 0..self.segments.len().max(other.segments.len()) {
            match self.rank(at).cmp(&other.rank(at)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        self.wildcard.cmp(&other.wildcard)
    }

    fn rank(&self, at: usize) -> u8 {
        match self.segments.get(at) {
            Some(Segment::Literal(_)) => 0,
            Some(Segment::Named(_)) => 1,
            None => 2,
        }
    }

    fn same_paths(&self, other: &Self) -> bool {
        self.wildcard == other.wildcard
            && self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| match pair {
                    (Segment::Literal(a), Segment::Literal(b)) => a == b,
                    (Segment::Named(_), Segment::Named(_)) => true,
                    _ => false,
                })
    }

    fn matches<'a>(&'a self, path: &'a str) -> Option<Match<'a>> {
        let mut rest = split(path);
        let mut named = Vec::new();
        for segment in &self.segments {
            let part = rest.next()?;
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Named(name) if !part.is_empty() => named.push((name.as_str(), part)),
                _ => return None,
            }
        }
        let taken: Vec<&str> = rest.collect();
        if !self.wildcard && !taken.is_empty() {
            return None;
        }
        let prefix = self
            .raw
            .trim_end_matches("...")
            .trim_end_matches('*')
            .trim_end_matches('/');
        Some(Match {
            component: self.component,
            route: &self.raw,
            prefix,
            path_info: self.path_info(path, &taken),
            named,
        })
    }

    /// As Spin has it: `/foo/...` gives "" for `/foo`, "/" for `/foo/`, "/bar" for `/foo/bar` and "/bar/" for
    /// `/foo/bar/`.
    fn path_info(&self, path: &str, taken: &[&str]) -> String {
        if !self.wildcard {
            return String::new();
        }
        let slash = if path.ends_with('/') { "/" } else { "" };
        if taken.is_empty() {
            slash.to_owned()
        } else {
            format!("/{}{slash}", taken.join("/"))
        }
    }
}

/// Segments of a route or path; slashes at both ends do not count.
fn split(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.trim_matches('/');
    inner.split('/').filter(move |_| !inner.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router {
        let mut router = Router::default();
        for (at, route) in routes.iter().enumerate() {
            router.add(route, at).expect(route);
        }
        router
    }

    #[test]
    fn literal_beats_named_beats_wildcard_in_any_order() {
        for routes in [
            ["/a/:x", "/a/...", "/a/b"],
            ["/a/...", "/a/b", "/a/:x"],
            ["/a/b", "/a/:x", "/a/..."],
        ] {
            let router = router(&routes);
            for (path, route) in [
                ("/a/b", "/a/b"),
                ("/a/b/", "/a/b"),
                ("/a/c", "/a/:x"),
                ("/a", "/a/..."),
                ("/a/b/c", "/a/..."),
            ] {
                assert_eq!(router.find(path).expect(path).route, route, "{path}");
            }
            assert_eq!(router.find("/b"), None);
        }
    }

    #[test]
    fn path_info_and_names_are_those_of_spin() {
        let router = router(&["/foo/...", "/u/:id/files/*"]);
        for (path, info) in [
            ("/foo", ""),
            ("/foo/", "/"),
            ("/foo/bar", "/bar"),
            ("/foo/bar/", "/bar/"),
            ("/foo/a//b", "/a//b"),
        ] {
            assert_eq!(router.find(path).expect(path).path_info, info, "{path}");
        }
        let found = router.find("/u/42/files/x").expect("route");
        assert_eq!(
            (found.named, found.prefix, found.path_info.as_str()),
            (vec![("id", "42")], "/u/:id/files", "/x")
        );
    }

    #[test]
    fn malformed_routes_are_named() {
        let mut router = router(&["/a/:x"]);
        assert_eq!(
            router.add("/.../a", 1),
            Err(RouteError::WildcardInside("/.../a".into()))
        );
        assert_eq!(
            router.add("/:", 1),
            Err(RouteError::NamelessSegment("/:".into()))
        );
        assert_eq!(
            router.add("/a/:y", 1),
            Err(RouteError::Duplicate("/a/:x".into(), "/a/:y".into()))
        );
    }
}
