//! Redirects: where one leads, and what becomes of method and body (case 83, RFC 9110 section 15.4).
//!
//! What it is not: a permission to go there; a destination that comes out of here is judged like the first. Invariant: a chain is at most
//! [`REDIRECTS_MAX`] long and never leaves https.

use crate::{Destination, Refused, Rule, Scheme};
use limits::egress::REDIRECTS_MAX;

/// What becomes of the request at a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// The same method and body.
    Same,
    /// `GET` without a body.
    Get,
}

/// What becomes of a request with `method` after `status`; none when the status is no redirect that is followed.
#[must_use]
pub fn onward(status: u16, method: &str) -> Option<Onward> {
    match status {
        301 | 302 if method == "POST" => Some(Onward::Get),
        303 if method != "HEAD" => Some(Onward::Get),
        301 | 302 | 303 | 307 | 308 => Some(Onward::Same),
        _ => None,
    }
}

impl Destination {
    /// Where a `location` leads from here; `hop` counts the redirects of this request, from 1.
    ///
    /// # Errors
    /// [`Rule::TooManyRedirects`], [`Rule::RedirectDowngrade`], and those of [`Destination::parse`].
    pub fn redirected(&self, location: &[u8], hop: usize) -> Result<Self, Refused> {
        if hop > REDIRECTS_MAX {
            return Err(Refused::new(Rule::TooManyRedirects, self.host()));
        }
        let bad = || Refused::new(Rule::BadUrl, "the redirect's location");
        let location = std::str::from_utf8(location).map_err(|_| bad())?;
        if location.contains(|letter: char| {
            letter.is_whitespace() || letter.is_control() || letter == '\\'
        }) {
            return Err(bad());
        }
        let joined = self.url().join(location).map_err(|_| bad())?;
        let to = match joined.scheme() {
            "http" | "https" => Self::parse(joined.as_str())?,
            other => return Err(Refused::new(Rule::Scheme, other)),
        };
        if self.scheme() == Scheme::Https && to.scheme() == Scheme::Http {
            return Err(Refused::new(Rule::RedirectDowngrade, to.host()));
        }
        Ok(to)
    }
}
