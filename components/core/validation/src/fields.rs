//! Typed access to the members of an envelope, with one text for each error: missing, `null`, malformed, too long.

use crate::{Stop, time};
use envelope::{Envelope, decode::shorten, reply::code};
use identifiers::{ServerId, UserId};
use std::borrow::Cow;

/// Members of one envelope.
pub(crate) struct Fields<'e, 'b>(pub(crate) &'e Envelope<'b>);

pub(crate) fn invalid(message: String) -> Stop {
    Stop::refuse(code::INVALID_FIELD, message)
}

impl<'e, 'b> Fields<'e, 'b> {
    /// The JSON of a member; `None` when it is absent or `null`.
    pub(crate) fn raw(&self, key: &str) -> Option<&'b str> {
        self.0
            .member(key)
            .map(|member| member.raw)
            .filter(|raw| *raw != "null")
    }

    /// A text; `None` when it is absent or `null`.
    pub(crate) fn text(&self, key: &str) -> Result<Option<Cow<'b, str>>, Stop> {
        if self.raw(key).is_none() {
            return Ok(None);
        }
        self.0
            .text(key)
            .map(Some)
            .ok_or_else(|| invalid(format!("{key} must be a text")))
    }

    /// A text with at most so many characters.
    pub(crate) fn text_max(
        &self,
        key: &str,
        chars_max: usize,
    ) -> Result<Option<Cow<'b, str>>, Stop> {
        let text = self.text(key)?;
        if text.as_deref().is_some_and(|text| longer(text, chars_max)) {
            return Err(invalid(format!(
                "{key} has more than {chars_max} characters"
            )));
        }
        Ok(text)
    }

    /// A text with at most so many bytes.
    pub(crate) fn bytes_max(&self, key: &str, bytes_max: usize) -> Result<Option<String>, Stop> {
        let text = self.text(key)?;
        if text.as_deref().is_some_and(|text| text.len() > bytes_max) {
            return Err(invalid(format!("{key} has more than {bytes_max} bytes")));
        }
        Ok(text.filter(|text| !text.is_empty()).map(Cow::into_owned))
    }

    /// True or false; `None` when it is absent or `null`.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Stop> {
        match self.raw(key) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(format!("{key} must be true or false"))),
        }
    }

    /// A whole number from 0; `None` when it is absent or `null`.
    pub(crate) fn count(&self, key: &str) -> Result<Option<u32>, Stop> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        raw.parse().map(Some).map_err(|_| {
            invalid(format!(
                "{key} must be a whole number from 0 to {}",
                u32::MAX
            ))
        })
    }

    /// A time that is relayed unchanged: the JSON of a number or of a text.
    pub(crate) fn time(&self, key: &str) -> Result<Option<&'b str>, Stop> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        if !time::is_time(raw) {
            return Err(invalid(format!(
                "{key} must be a number of milliseconds or an ISO 8601 text"
            )));
        }
        Ok(Some(raw))
    }

    /// A time as milliseconds since 1970; `None` when it is absent or `null`.
    pub(crate) fn millis(&self, key: &str) -> Result<Option<u64>, Stop> {
        let Some(raw) = self.raw(key) else {
            return Ok(None);
        };
        time::millis(raw).map(Some).ok_or_else(|| {
            invalid(format!("{key} must be milliseconds since 1970 or an ISO 8601 time with a time zone, both from 1970 on"))
        })
    }

    /// An identity; `None` when it is absent or `null`.
    pub(crate) fn user_id(&self, key: &str) -> Result<Option<Cow<'b, str>>, Stop> {
        let text = self.text(key)?;
        if let Some(text) = &text {
            UserId::new(text.as_ref()).map_err(|error| invalid(format!("{key} {}", error.rule)))?;
        }
        Ok(text)
    }

    /// `serverId`; `None` when it is absent or `null`.
    pub(crate) fn server_id(&self) -> Result<Option<Cow<'b, str>>, Stop> {
        let text = self.text("serverId")?;
        if let Some(text) = &text {
            ServerId::new(text.as_ref()).map_err(|error| invalid(error.to_string()))?;
        }
        Ok(text)
    }
}

/// Whether a text has more than `chars_max` characters.
pub(crate) fn longer(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().nth(chars_max).is_some()
}

/// A client's text, quoted for a message.
pub(crate) fn word(text: &str) -> String {
    format!("'{}'", shorten(text).escape_debug())
}
