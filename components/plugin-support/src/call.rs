//! One request as handlers see it: the caller, the decoded path and query, the headers, and the whole body.

use crate::{config::Config, store::Store};
use directory::{Code, Refusal, body::Body, permission::Actor};
use futures::StreamExt as _;
use identifiers::{EventName, PluginId, ServerId, UserId};
use limits::rest::{BODY_BYTES_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use rest::{
    BodyError, BodyReader,
    query::{InvalidParameter, Query},
};
use spin_sdk::http::{HeaderMap, Request, body::IncomingBodyExt as _};
use std::{cell::OnceCell, rc::Rc};

/// One request with its caller.
pub(crate) struct Call {
    pub(crate) config: Rc<Config>,
    pub(crate) store: Store,
    pub(crate) actor: Actor,
    pub(crate) now_ms: u64,
    /// The placeholders of the route's pattern, in their order, decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
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

    /// `If-Match`.
    pub(crate) fn if_match(&self) -> Option<&str> {
        header(&self.headers, "if-match")
    }

    /// What limits by address count the client by: its address as the host tells it, which no client can set.
    pub(crate) fn client_address(&self) -> Option<String> {
        header(&self.headers, "spin-client-addr").and_then(directory::attempt::address_of)
    }

    /// Whether the client has this revision of a server already.
    pub(crate) fn has_revision(&self, revision: u64) -> bool {
        directory::etag::unchanged(header(&self.headers, "if-none-match"), revision)
    }

    /// A query parameter that is `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.query.flag(name).map_err(invalid)
    }

    /// A query parameter that is a number within a range.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, Refusal> {
        self.query.number(name, default, 0, max).map_err(invalid)
    }

    /// `limit`: items of one page.
    pub(crate) fn limit(&self) -> Result<u64, Refusal> {
        self.limit_of(PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX)
    }

    /// `limit` with a default and a maximum of its own.
    pub(crate) fn limit_of(&self, default: usize, max: usize) -> Result<u64, Refusal> {
        self.query
            .number("limit", default as u64, 1, max as u64)
            .map_err(invalid)
    }

    /// `after`: the last key of the page before.
    pub(crate) fn after(&self) -> Result<&str, Refusal> {
        self.query.key("after").map_err(invalid)
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

fn invalid(InvalidParameter(message): InvalidParameter) -> Refusal {
    Refusal::new(Code::InvalidQuery, message)
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads a body. More than [`BODY_BYTES_MAX`], announced or counted, is refused without reading on.
///
/// # Errors
/// [`Code::BodyTooLarge`], [`Code::UnsupportedMediaType`], and [`Code::BadJson`] for a body that breaks off.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>, Refusal> {
    let mut reader = BodyReader::new(request.headers(), BODY_BYTES_MAX).map_err(refused)?;
    let mut stream = request.into_body().stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(Code::BadJson, "the body broke off"))?;
        reader.push(&chunk).map_err(refused)?;
    }
    reader.finish().map_err(refused)
}

fn refused(error: BodyError) -> Refusal {
    match error {
        BodyError::TooLarge { max } => Refusal::new(
            Code::BodyTooLarge,
            format!("the body is larger than {max} bytes"),
        )
        .with("max", max),
        BodyError::MediaType => Code::UnsupportedMediaType.into(),
    }
}
