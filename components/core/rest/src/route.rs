//! Tables of routes, and finding the route of a request.

/// What a table needs to know of an entry.
pub trait Endpoint {
    /// The method, upper case.
    fn method(&self) -> &'static str;
    /// The path, with placeholders in braces: `/api/servers/{serverId}`.
    fn path(&self) -> &'static str;
}

/// A table of routes. Where a fixed segment and a placeholder both match, the entry that stands earlier wins.
#[derive(Debug)]
pub struct Routes<R: 'static>(pub &'static [R]);

/// What a path and a method lead to.
#[derive(Debug)]
pub enum Found<R: 'static> {
    /// An entry, and the values of its placeholders in their order.
    Route(&'static R, Vec<String>),
    /// The methods of the path, for `OPTIONS`.
    Options(String),
}

/// Why no entry answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// No entry has this path.
    Path,
    /// The path has other methods, listed here for `Allow`.
    Method(String),
}

impl<R: Endpoint> Routes<R> {
    /// Finds the entry of a method and the decoded segments of a path. `HEAD` is answered as `GET`.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn find(&self, method: &str, segments: &[String]) -> Result<Found<R>, NoRoute> {
        let wanted = if method == "HEAD" { "GET" } else { method };
        let pattern = self
            .0
            .iter()
            .map(Endpoint::path)
            .find(|pattern| matches(pattern, segments))
            .ok_or(NoRoute::Path)?;
        let at_path = || self.0.iter().filter(move |route| route.path() == pattern);
        if let Some(route) = at_path().find(|route| route.method() == wanted) {
            return Ok(Found::Route(route, values(pattern, segments)));
        }
        let allow = allow(at_path().map(Endpoint::method));
        if method == "OPTIONS" {
            Ok(Found::Options(allow))
        } else {
            Err(NoRoute::Method(allow))
        }
    }
}

/// The value of `Allow`.
fn allow(methods: impl Iterator<Item = &'static str>) -> String {
    let mut methods: Vec<&str> = methods.collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

fn is_placeholder(part: &str) -> bool {
    part.starts_with('{')
}

fn matches(pattern: &str, segments: &[String]) -> bool {
    let mut parts = pattern.split('/').skip(1);
    segments.iter().all(|segment| {
        parts
            .next()
            .is_some_and(|part| part == segment || (is_placeholder(part) && !segment.is_empty()))
    }) && parts.next().is_none()
}

fn values(pattern: &str, segments: &[String]) -> Vec<String> {
    pattern
        .split('/')
        .skip(1)
        .zip(segments)
        .filter(|(part, _)| is_placeholder(part))
        .map(|(_, segment)| segment.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Found, NoRoute, Routes};

    impl Endpoint for (&'static str, &'static str) {
        fn method(&self) -> &'static str {
            self.0
        }
        fn path(&self) -> &'static str {
            self.1
        }
    }

    const ROUTES: Routes<(&'static str, &'static str)> = Routes(&[
        ("GET", "/a"),
        ("POST", "/a"),
        ("GET", "/a/me"),
        ("GET", "/a/{x}"),
        ("DELETE", "/a/{x}/b/{y}"),
    ]);

    fn find(method: &str, path: &str) -> Result<Found<(&'static str, &'static str)>, NoRoute> {
        ROUTES.find(method, &crate::segments(path).unwrap())
    }

    #[test]
    fn the_first_path_that_fits_answers() {
        for (method, path, pattern, wanted) in [
            ("GET", "/a", "/a", &[][..]),
            ("HEAD", "/a/me", "/a/me", &[]),
            ("GET", "/a/you", "/a/{x}", &["you"]),
            ("DELETE", "/a/1/b/%32", "/a/{x}/b/{y}", &["1", "2"]),
        ] {
            match find(method, path) {
                Ok(Found::Route(route, values)) => {
                    assert_eq!(
                        (route.1, values.as_slice()),
                        (pattern, &to_owned(wanted)[..])
                    );
                }
                other => panic!("{method} {path}: {other:?}"),
            }
        }
        for path in ["/", "/b", "/a/", "/a/1/b", "/a/1/b/2/", "/a//b/2"] {
            assert_eq!(find("GET", path).err(), Some(NoRoute::Path), "{path}");
        }
    }

    fn to_owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn other_methods_are_named() {
        assert!(
            matches!(find("OPTIONS", "/a"), Ok(Found::Options(allow)) if allow == "GET, POST, HEAD, OPTIONS")
        );
        let allow = "GET, HEAD, OPTIONS".to_owned();
        assert_eq!(find("PUT", "/a/1").err(), Some(NoRoute::Method(allow)));
    }
}
