//! Redirects (RFC 9110 section 15.4): the next destination, and the method of the next request.
//!
//! A chain has at most [`REDIRECTS_MAX`] redirects and never goes from https to http. The next destination is checked
//! like the first.

use crate::{Destination, Refused, Rule, Scheme};
use limits::egress::REDIRECTS_MAX;

/// The method and body of the request after a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectMethod {
    /// The same method and body.
    Same,
    /// `GET` without a body.
    Get,
}

/// The method after a redirect with `status`; `None` when this status is not followed.
#[must_use]
pub fn redirect_method(status: u16, method: &str) -> Option<RedirectMethod> {
    match status {
        301 | 302 if method == "POST" => Some(RedirectMethod::Get),
        303 if method != "HEAD" => Some(RedirectMethod::Get),
        301 | 302 | 303 | 307 | 308 => Some(RedirectMethod::Same),
        _ => None,
    }
}

impl Destination {
    /// The destination that `location` names, relative to this one; `hop` counts the redirects of this request, from 1.
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
