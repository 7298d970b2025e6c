//! Schemas of plugin events, and sizes of their payloads.
//!
//! [`Schema::compile`] accepts only schemas of bounded cost. [`Schema::check`] reads a payload once and copies nothing.
//! The same code runs where events are registered and where they are validated.
//!
//! Dialects: JSON Schema 2020-12, and draft-07 where `$schema` says so. In both, `format` describes and does not
//! refuse, and patterns are regular expressions without look-around and back references, so that matching is linear.
#![forbid(unsafe_code)]

mod cursor;
mod error;
mod fanout;
mod guard;
mod rules;
pub mod size;

pub use error::SchemaError;

use cursor::{Borrowed, Cursor};
use envelope::{
    json::{Fault, space},
    tape::Tape,
};
use guard::Inspected;
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use limits::plugin_event::{VIOLATION_CHARS_MAX, VIOLATIONS_MAX};
use serde::Serialize;
use std::fmt;

/// A compiled schema.
pub struct Schema {
    rules: Validator<Borrowed>,
    /// It refers back to itself in more than one way, so that collecting violations may take exponential time.
    branches: bool,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("draft", &self.rules.draft())
            .finish_non_exhaustive()
    }
}

/// One thing that the schema says against a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON pointer into the payload.
    pub pointer: String,
    /// The keyword that failed; `json` where the payload cannot be read at all, `schema` where the schema is too
    /// entangled to say which.
    pub keyword: String,
    /// A sentence for people. It quotes the schema, never the payload.
    pub message: String,
}

impl Schema {
    /// Compiles a schema document: an object, `true`, `false`, or a JSON text that holds one of them.
    ///
    /// # Errors
    /// The first bound or rule that the document breaks; see [`SchemaError`].
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        let Inspected {
            document,
            draft,
            shape,
            patterns,
        } = guard::inspect(text)?;
        let rules = rules::compile(&document, draft, patterns).map_err(|error| refusal(&error))?;
        Ok(Self {
            rules,
            branches: shape.branches(),
        })
    }

    /// Checks a payload: the JSON text as it was sent.
    ///
    /// # Errors
    /// At most [`VIOLATIONS_MAX`] violations, at least one.
    pub fn check(&self, payload: &str) -> Result<(), Vec<Violation>> {
        let mut tape = Tape::with_room(payload.len());
        match tape
            .read(payload, 0, 0)
            .map(|end| space(payload.as_bytes(), end))
        {
            Ok(end) if end == payload.len() => self.check_tape(payload, &mut tape),
            Ok(end) => Err(unreadable(&format!("is not JSON: {}", Fault::Syntax(end)))),
            Err(fault) => Err(unreadable(&format!("is not JSON: {fault}"))),
        }
    }

    /// Checks a payload that was read already: what is on `tape`, which was read from `text`.
    ///
    /// # Errors
    /// As [`Schema::check`].
    pub fn check_tape(&self, text: &str, tape: &mut Tape) -> Result<(), Vec<Violation>> {
        tape.prove(text)
            .map_err(|flaw| unreadable(&flaw.to_string()))?;
        let view = tape.view(text);
        let root = Cursor::root(&view);
        if self.rules.is_valid(root) {
            return Ok(());
        }
        if self.branches {
            let message = "the payload does not conform; a schema that refers to itself more than once does not say where".to_owned();
            return Err(vec![Violation {
                pointer: String::new(),
                keyword: "schema".to_owned(),
                message,
            }]);
        }
        Err(self
            .rules
            .iter_errors(root)
            .take(VIOLATIONS_MAX)
            .map(|error| violation(&error))
            .collect())
    }
}

/// The one violation of a payload that cannot be read, or that two readers could understand differently.
fn unreadable(reason: &str) -> Vec<Violation> {
    vec![Violation {
        pointer: String::new(),
        keyword: "json".to_owned(),
        message: format!("the payload {reason}"),
    }]
}

fn violation(error: &ValidationError<'_>) -> Violation {
    Violation {
        pointer: cut(error.instance_path().as_str()),
        keyword: error.kind().keyword().to_owned(),
        message: cut(&error.masked().to_string()),
    }
}

fn refusal(error: &ValidationError<'_>) -> SchemaError {
    let pointer = cut(error.instance_path().as_str());
    if is_about_a_pattern(error.kind()) {
        return SchemaError::PatternUnsupported { pointer };
    }
    SchemaError::Invalid {
        pointer,
        reason: cut(&error.masked().to_string()),
    }
}

/// Compiler and meta-schema (of draft-07) say it in the same words.
fn is_about_a_pattern(kind: &ValidationErrorKind) -> bool {
    match kind {
        ValidationErrorKind::Format { format } => format == "regex",
        ValidationErrorKind::PropertyNames { error } => is_about_a_pattern(error.kind()),
        _ => false,
    }
}

/// A text cut to [`VIOLATION_CHARS_MAX`] characters.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(VIOLATION_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
