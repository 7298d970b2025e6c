//! One request, read: path segments decoded once, query, headers of interest, and a body that was counted while it came in.

use crate::{config::Config, store::Store};
use directory::{Code, Refusal, body::Body, permission::Actor};
use futures::StreamExt as _;
use identifiers::{EventName, PluginId, ServerId, UserId};
use limits::rest::{BODY_BYTES_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use spin_sdk::http::{HeaderMap, Request, body::IncomingBodyExt as _};
use std::{cell::OnceCell, rc::Rc};

/// What handlers get.
pub(crate) struct Call {
    pub(crate) config: Rc<Config>,
    pub(crate) store: Store,
    pub(crate) actor: Actor,
    pub(crate) now_ms: u64,
    /// The placeholders of the route's pattern, in their order, decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) body_required: bool,
    /// Outcomes of hashing: when a handler decides anew, nothing is hashed or counted twice.
    pub(crate) hashed: OnceCell<Option<String>>,
    pub(crate) compared: OnceCell<bool>,
}

impl Call {
    /// The body as a JSON object.
    pub(crate) fn body(&self) -> Result<Body, Refusal> {
        if self.body.is_empty() && self.body_required {
            return Err(Refusal::new(
                Code::InvalidBody,
                "a JSON object is required as body",
            ));
        }
        Body::parse(&self.body)
    }

    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter that is `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::new(
                Code::InvalidQuery,
                format!("{name} must be true or false"),
            )),
        }
    }

    /// A query parameter that is a number within a range.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, Refusal> {
        let Some(text) = self.query(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| *number <= max && !text.starts_with('+'));
        number.ok_or_else(|| {
            Refusal::new(
                Code::InvalidQuery,
                format!("{name} must be a whole number from 0 to {max}"),
            )
        })
    }

    /// `limit`: items of one page.
    pub(crate) fn limit(&self) -> Result<u64, Refusal> {
        self.limit_of(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX)
    }

    /// `limit` with a default and a maximum of its own.
    pub(crate) fn limit_of(&self, default: usize, max: usize) -> Result<u64, Refusal> {
        match self.number("limit", default as u64, max as u64)? {
            0 => Err(Refusal::new(
                Code::InvalidQuery,
                format!("limit must be a whole number from 1 to {max}"),
            )),
            limit => Ok(limit),
        }
    }

    /// `after`: the last key of the page before. No key holds control characters.
    pub(crate) fn after(&self) -> Result<&str, Refusal> {
        let after = self.query("after").unwrap_or_default();
        if after.chars().any(char::is_control) {
            return Err(Refusal::new(
                Code::InvalidQuery,
                "after must be what `next` of the page before said",
            ));
        }
        Ok(after)
    }

    fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    /// The first placeholder, a server id.
    pub(crate) fn server_id(&self) -> Result<ServerId, Refusal> {
        ServerId::new(self.segment(0))
            .map_err(|error| Refusal::new(Code::InvalidServerId, error.to_string()))
    }

    /// A placeholder, a plugin id.
    pub(crate) fn plugin_id(&self) -> Result<PluginId, Refusal> {
        PluginId::new(self.segment(1))
            .map_err(|error| Refusal::new(Code::InvalidPluginId, error.to_string()))
    }

    /// A placeholder, an event name.
    pub(crate) fn event_name(&self) -> Result<EventName, Refusal> {
        EventName::new(self.segment(2))
            .map_err(|error| Refusal::new(Code::InvalidEventName, error.to_string()))
    }

    /// A placeholder, an identity.
    pub(crate) fn user_id(&self, index: usize) -> Result<UserId, Refusal> {
        UserId::new(self.segment(index))
            .map_err(|error| Refusal::new(Code::InvalidUserId, format!("userId {}", error.rule)))
    }

    /// A placeholder, a role id.
    pub(crate) fn role_id(&self, index: usize) -> Result<String, Refusal> {
        directory::role::id(self.segment(index))
    }

    /// A placeholder as it stands.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.segment(index)
    }
}

/// Decodes a path's segments, once; what they hold is checked where it is used and never decoded again (R45).
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    path.split('/')
        .skip(1)
        .map(|segment| decoded(segment, false).ok_or_else(|| Code::InvalidPath.into()))
        .collect()
}

/// Decodes a query. Later values of a name that comes twice are ignored.
pub(crate) fn query(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let bad = || Refusal::new(Code::InvalidQuery, "the query is not percent-encoded UTF-8");
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((
                decoded(name, true).ok_or_else(bad)?,
                decoded(value, true).ok_or_else(bad)?,
            ))
        })
        .collect()
}

fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (pair, tail) = rest.split_at_checked(2)?;
                let hex = |digit: u8| char::from(digit).to_digit(16);
                bytes.push(u8::try_from(hex(pair[0])? * 16 + hex(pair[1])?).ok()?);
                rest = tail;
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a body. Announced or counted, more than [`BODY_BYTES_MAX`] is refused without reading on.
///
/// # Errors
/// [`Code::BodyTooLarge`], [`Code::UnsupportedMediaType`], and [`Code::BadJson`] for a body that breaks off.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        Refusal::new(
            Code::BodyTooLarge,
            format!("the body is larger than {BODY_BYTES_MAX} bytes"),
        )
        .with("max", BODY_BYTES_MAX)
    };
    let announced =
        header(request.headers(), "content-length").and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let json = is_json(request.headers());
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    let mut stream = request.into_body().stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(Code::BadJson, "the body broke off"))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    if !bytes.is_empty() && !json {
        return Err(Code::UnsupportedMediaType.into());
    }
    Ok(bytes)
}

/// Whether the body is said to be plain JSON: `application/json`, in UTF-8 where a charset is named, and not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let plain = header(headers, "content-encoding")
        .is_none_or(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    let Some(kind) = header(headers, "content-type") else {
        return false;
    };
    let mut parts = kind.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    plain
        && json
        && charset.is_none_or(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}
