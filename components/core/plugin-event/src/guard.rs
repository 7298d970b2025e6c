//! The checks before a schema is compiled: bounds on everything that costs memory or time, and no reference to another
//! document.
//!
//! A schema that passes compiles in bounded memory, is evaluated in bounded time on a bounded payload, and causes no
//! I/O. The compiler checks it against the meta-schema afterwards.

use crate::{
    error::SchemaError,
    fanout::{self, Shape},
};
use envelope::json::depth_exceeds;
use jsonschema::Draft;
use limits::plugin_event::{
    SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_ENUM_MAX, SCHEMA_NODES_MAX,
    SCHEMA_PATTERN_CHARS_MAX, SCHEMA_PATTERNS_MAX,
};
use serde_json::Value;

/// A document within every bound.
pub(crate) struct Inspected {
    pub(crate) document: Value,
    pub(crate) draft: Draft,
    pub(crate) shape: Shape,
    /// How many patterns it has.
    pub(crate) patterns: usize,
}

/// Reads `text` and checks it against every bound.
pub(crate) fn inspect(text: &str) -> Result<Inspected, SchemaError> {
    let document = read(text)?;
    let draft = dialect(&document)?;
    let mut walk = Walk {
        nodes: 0,
        patterns: 0,
        draft,
        pointer: String::new(),
    };
    walk.value(&document)?;
    Ok(Inspected {
        shape: fanout::check(&document)?,
        patterns: walk.patterns,
        document,
        draft,
    })
}

/// Parses the document; a JSON text that holds the document as a string is unwrapped once.
fn read(text: &str) -> Result<Value, SchemaError> {
    let document = parse(text)?;
    match document {
        Value::String(inner) => match parse(&inner)? {
            inner @ (Value::Object(_) | Value::Bool(_)) => Ok(inner),
            _ => Err(no_schema()),
        },
        Value::Object(_) | Value::Bool(_) => Ok(document),
        _ => Err(no_schema()),
    }
}

fn no_schema() -> SchemaError {
    SchemaError::Json {
        reason: "a schema is an object, true or false".to_owned(),
    }
}

fn parse(text: &str) -> Result<Value, SchemaError> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError::TooLarge { bytes: text.len() });
    }
    if depth_exceeds(text.as_bytes(), SCHEMA_DEPTH_MAX) {
        return Err(SchemaError::TooDeep);
    }
    serde_json::from_str(text).map_err(|error| SchemaError::Json {
        reason: error.to_string(),
    })
}

/// 2020-12 unless `$schema` says draft-07; anything else is refused, not ignored.
fn dialect(document: &Value) -> Result<Draft, SchemaError> {
    document
        .get("$schema")
        .map_or(Ok(Draft::Draft202012), named_dialect)
}

fn named_dialect(name: &Value) -> Result<Draft, SchemaError> {
    let name = name.as_str().unwrap_or_default();
    let bare = name.strip_suffix('#').unwrap_or(name);
    let bare = bare
        .strip_prefix("https://")
        .or_else(|| bare.strip_prefix("http://"));
    match bare {
        Some("json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
        Some("json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
        _ => Err(SchemaError::UnsupportedDialect),
    }
}

/// One pass over the whole document. It does not tell schemas from data such as `const` and `default`: a reference may
/// point into either, so both obey the same bounds.
struct Walk {
    nodes: usize,
    patterns: usize,
    draft: Draft,
    pointer: String,
}

impl Walk {
    fn value(&mut self, value: &Value) -> Result<(), SchemaError> {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.child(&index.to_string(), item)?;
                }
                Ok(())
            }
            Value::Object(members) => {
                self.nodes += 1;
                if self.nodes > SCHEMA_NODES_MAX {
                    return Err(SchemaError::TooManyNodes);
                }
                for (key, child) in members {
                    self.member(key, child)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn child(&mut self, segment: &str, value: &Value) -> Result<(), SchemaError> {
        let length = self.pointer.len();
        self.enter(segment);
        self.value(value)?;
        self.pointer.truncate(length);
        Ok(())
    }

    fn member(&mut self, key: &str, value: &Value) -> Result<(), SchemaError> {
        let length = self.pointer.len();
        let is_root = length == 0;
        self.enter(key);
        match (key, value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target))
                if !target.starts_with('#') =>
            {
                let keyword = if key == "$ref" { "$ref" } else { "$dynamicRef" };
                return Err(self.external(keyword));
            }
            ("$id", Value::String(id)) if !is_root && !id.starts_with('#') => {
                return Err(self.external("$id"));
            }
            ("$schema", Value::String(_)) if !is_root && named_dialect(value)? != self.draft => {
                return Err(SchemaError::UnsupportedDialect);
            }
            ("pattern", Value::String(pattern)) => self.pattern(pattern)?,
            ("patternProperties", Value::Object(patterns)) => {
                for pattern in patterns.keys() {
                    self.pattern(pattern)?;
                }
            }
            ("enum", Value::Array(entries)) if entries.len() > SCHEMA_ENUM_MAX => {
                return Err(SchemaError::EnumTooLarge {
                    pointer: self.pointer.clone(),
                });
            }
            _ => {}
        }
        self.value(value)?;
        self.pointer.truncate(length);
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), SchemaError> {
        self.patterns += 1;
        if self.patterns > SCHEMA_PATTERNS_MAX {
            return Err(SchemaError::TooManyPatterns);
        }
        if pattern.chars().nth(SCHEMA_PATTERN_CHARS_MAX).is_some() {
            return Err(SchemaError::PatternTooLong {
                pointer: self.pointer.clone(),
            });
        }
        Ok(())
    }

    fn external(&self, keyword: &'static str) -> SchemaError {
        SchemaError::ExternalReference {
            keyword,
            pointer: self.pointer.clone(),
        }
    }

    fn enter(&mut self, segment: &str) {
        self.pointer.push('/');
        for character in segment.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                other => self.pointer.push(other),
            }
        }
    }
}
