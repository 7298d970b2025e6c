//! One request, as handlers see it: its caller, the values of path and query, and the body, which has arrived.

use crate::{act::Act, answer::Refusal, auth::Caller};
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use rest::query::Query;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// One request.
pub(crate) struct Call {
    pub(crate) caller: Caller,
    /// Values of the placeholders in the path, decoded.
    pub(crate) values: Vec<String>,
    query: Query,
    body: Bytes,
    /// What the request changes, if it is one of an administrator that changes something.
    act: Option<Arc<Mutex<Act>>>,
}

impl Call {
    pub(crate) fn new(
        caller: Caller,
        values: Vec<String>,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<Self, Refusal> {
        let query = Query::parse(query.unwrap_or_default())
            .map_err(|_| Refusal::bad("the query is not percent-encoded UTF-8"))?;
        Ok(Self {
            caller,
            values,
            query,
            body,
            act: None,
        })
    }

    /// Begins the record of what the request changes.
    pub(crate) fn begin(&mut self, act: Act) -> Arc<Mutex<Act>> {
        self.act.insert(Arc::new(Mutex::new(act))).clone()
    }

    /// Says for the audit what the request changes.
    pub(crate) fn changes(&self, say: impl FnOnce(&mut Act)) {
        if let Some(act) = &self.act {
            say(&mut act.lock());
        }
    }

    /// The plugin that the path names, or what else its first placeholder holds.
    pub(crate) fn id(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }

    /// A value of the query; the first one of several.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    /// A number of the query.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| Refusal::bad(format!("'{name}' must be a whole number from 0")))
        };
        self.asked(name)
            .filter(|text| !text.is_empty())
            .map(number)
            .transpose()
    }

    /// Page and page size of the query.
    pub(crate) fn page(&self) -> Result<(usize, usize), Refusal> {
        let small = |name| {
            Ok::<_, Refusal>(
                self.number(name)?
                    .map_or(0, |number| usize::try_from(number).unwrap_or(usize::MAX)),
            )
        };
        if self.asked("page_size") == Some("0") {
            return Err(Refusal::bad("'page_size' must be at least 1"));
        }
        Ok((small("page")?, small("page_size")?))
    }

    /// A yes or no of the query.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.asked(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Refusal::bad(format!("'{name}' must be true or false"))),
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// 413.
    pub(crate) fn bytes(&self, bytes_max: usize) -> Result<Bytes, Refusal> {
        if self.body.len() <= bytes_max {
            return Ok(self.body.clone());
        }
        let message = format!("the body exceeds the limit of {bytes_max} bytes");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Err(Refusal::new(status, "BODY_TOO_LARGE", message))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 413; 400 with the place at which it is something else.
    pub(crate) fn json<T: DeserializeOwned>(&self, bytes_max: usize) -> Result<T, Refusal> {
        let bytes = self.bytes(bytes_max)?;
        serde_json::from_slice(&bytes).map_err(|error| Refusal::bad(format!("the body: {error}")))
    }
}

/// The decoded segments of a path.
///
/// # Errors
/// 400 when it is not percent-encoded UTF-8.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    rest::segments(path).map_err(|_| Refusal::bad("the path is not percent-encoded UTF-8"))
}

/// Whether a decoded segment names something: what would be taken for a path is refused.
///
/// # Errors
/// 400.
pub(crate) fn name(segment: &str) -> Result<(), Refusal> {
    let sound = !segment.is_empty()
        && !matches!(segment, "." | "..")
        && !segment.contains(['/', '\\'])
        && !segment.contains(char::is_control);
    if sound {
        Ok(())
    } else {
        Err(Refusal::bad(
            "a name in the path must not be empty, '.' or '..', or hold '/', '\\' or control characters",
        ))
    }
}
