//! Requests, answers, and the ways in which a request can fail.
//!
//! A request that passed [`Request::check`] has no field that belongs to the host, and is within all limits.

use bytes::Bytes;
use capability::{Decision, Refusal};
use egress::{Destination, Refused, Rule, is_forbidden_header};
use http::{HeaderMap, Method, StatusCode};
use limits::egress::{REQUEST_BYTES_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX};
use std::time::Duration;

/// A request as a plugin makes it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Method,
    /// An absolute URL.
    pub url: String,
    /// Header fields; those of the connection are the host's.
    pub headers: HeaderMap,
    /// The body, at most [`REQUEST_BYTES_MAX`].
    pub body: Bytes,
    /// Whether plain http is refused to this plugin, on every hop.
    pub https_only: bool,
}

impl Request {
    /// A `GET` without header fields.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            method: Method::GET,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            https_only: false,
        }
    }

    /// Judges what does not depend on where it goes.
    pub(crate) fn check(&self) -> Result<(), Failed> {
        const METHODS: [Method; 6] = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        if !METHODS.contains(&self.method) {
            return Err(Failed::Method);
        }
        if let Some(name) = self
            .headers
            .keys()
            .find(|name| is_forbidden_header(name.as_str()))
        {
            return Err(Refused::new(Rule::Header, name.as_str()).into());
        }
        let bytes: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if self.headers.len() > REQUEST_HEADERS_MAX {
            return Err(Failed::TooLarge {
                what: "request headers",
                limit: REQUEST_HEADERS_MAX,
                unit: "fields",
            });
        }
        if bytes > REQUEST_HEADER_BYTES_MAX {
            return Err(Failed::TooLarge {
                what: "request headers",
                limit: REQUEST_HEADER_BYTES_MAX,
                unit: "bytes",
            });
        }
        if self.body.len() > REQUEST_BYTES_MAX {
            return Err(Failed::TooLarge {
                what: "request body",
                limit: REQUEST_BYTES_MAX,
                unit: "bytes",
            });
        }
        Ok(())
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Header fields, without those of the connection.
    pub headers: HeaderMap,
    /// The body as it came; nothing is unpacked.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: String,
    /// Redirects that were followed.
    pub redirects: usize,
    /// How long it took.
    pub duration: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// A network rule forbids it, on the first hop or a later one.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The capability was denied, or needs consent first.
    #[error("http.fetch of {to}: {}", decision.reason.text())]
    Capability {
        /// What was decided.
        decision: Decision,
        /// The hop that it was decided about: the one to ask a person about.
        to: Box<Destination>,
    },
    /// The method is none of those that are spoken.
    #[error("method must be GET, HEAD, POST, PUT, PATCH or DELETE")]
    Method,
    /// Too many requests within a minute.
    #[error("more than {per_minute} requests a minute; the next is free in {wait_ms} ms")]
    RateLimited {
        /// The limit.
        per_minute: u32,
        /// Milliseconds until there is a token again.
        wait_ms: u64,
    },
    /// Too many requests at once.
    #[error(
        "more than {} requests at once",
        limits::egress::IN_FLIGHT_PER_PLUGIN_MAX
    )]
    TooManyInFlight,
    /// Something is longer than its limit.
    #[error("{what} beyond {limit} {unit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What the limit counts.
        unit: &'static str,
    },
    /// The time was over before the answer was complete.
    #[error("no complete answer within {limit_ms} ms")]
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// The name could not be resolved, no connection could be made, or the connection ended early.
    #[error("{host} cannot be reached: {what}")]
    Unavailable {
        /// The host.
        host: String,
        /// What went wrong.
        what: String,
    },
}

impl Failed {
    /// The name that a plugin sees: one of the error codes of its interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(Refused {
                rule: Rule::BadUrl | Rule::UrlTooLong | Rule::Header,
                ..
            })
            | Self::Method => "invalid-argument",
            Self::Refused(Refused {
                rule: Rule::NoAddress,
                ..
            }) => "unavailable",
            Self::Refused(_) => "denied",
            Self::Capability { decision, .. } => match decision.refusal() {
                Some(refusal) => refusal.code(),
                None => Refusal::Denied.code(),
            },
            Self::RateLimited { .. } | Self::TooManyInFlight => "rate-limited",
            Self::TooLarge { .. } => "too-large",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub(crate) fn unavailable(host: &str, what: impl ToString) -> Self {
        Self::Unavailable {
            host: host.to_owned(),
            what: what.to_string(),
        }
    }
}
