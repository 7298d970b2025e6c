//! Why a document is not accepted as the schema of an event.

use limits::plugin_event::{
    SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_ENUM_MAX, SCHEMA_NODES_MAX,
    SCHEMA_PATTERN_CHARS_MAX, SCHEMA_PATTERNS_COMPILED_BYTES_MAX, SCHEMA_PATTERNS_MAX,
    SCHEMA_REF_FANOUT_MAX,
};

/// A refusal at registration. `Display` names the rule and its limit; [`SchemaError::code`] is for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Too many bytes.
    #[error("schema has {bytes} bytes, the limit is {SCHEMA_BYTES_MAX}")]
    TooLarge {
        /// Size of the document.
        bytes: usize,
    },
    /// No JSON, or JSON that is no schema document.
    #[error("schema is not JSON: {reason}")]
    Json {
        /// What the parser says.
        reason: String,
    },
    /// Nested too deeply.
    #[error("schema is nested deeper than {SCHEMA_DEPTH_MAX} levels")]
    TooDeep,
    /// Too many objects.
    #[error("schema has more than {SCHEMA_NODES_MAX} objects")]
    TooManyNodes,
    /// Following all references costs too much.
    #[error(
        "schema expands to more than {SCHEMA_REF_FANOUT_MAX} subschemas when its references are followed"
    )]
    RefFanout,
    /// A pattern is too long.
    #[error("pattern at {pointer} has more than {SCHEMA_PATTERN_CHARS_MAX} characters")]
    PatternTooLong {
        /// Where it stands.
        pointer: String,
    },
    /// Too many patterns.
    #[error("schema has more than {SCHEMA_PATTERNS_MAX} patterns")]
    TooManyPatterns,
    /// A pattern needs backtracking, compiles to too much, or is no regular expression.
    #[error(
        "pattern at {pointer} is not supported: only regular expressions without look-around and back references are, \
         and all patterns of a schema together compile to at most {SCHEMA_PATTERNS_COMPILED_BYTES_MAX} bytes, of which \
         each gets an equal share"
    )]
    PatternUnsupported {
        /// Where it stands.
        pointer: String,
    },
    /// Too many entries in one `enum`.
    #[error("enum at {pointer} has more than {SCHEMA_ENUM_MAX} entries")]
    EnumTooLarge {
        /// Where it stands.
        pointer: String,
    },
    /// A reference leaves the document, or would change what references mean.
    #[error(
        "{keyword} at {pointer} leaves the document: only references that begin with '#' are followed"
    )]
    ExternalReference {
        /// `$ref`, `$dynamicRef` or `$id`.
        keyword: &'static str,
        /// Where it stands.
        pointer: String,
    },
    /// A reference points nowhere.
    #[error("reference at {pointer} points to nothing in the document")]
    DanglingReference {
        /// Where it stands.
        pointer: String,
    },
    /// Another dialect than 2020-12 and draft-07.
    #[error(
        "dialect is not supported: $schema must name JSON Schema 2020-12 or draft-07, or be left out"
    )]
    UnsupportedDialect,
    /// The document breaks its dialect.
    #[error("schema is invalid at {pointer}: {reason}")]
    Invalid {
        /// Where.
        pointer: String,
        /// What the meta-schema says.
        reason: String,
    },
}

impl SchemaError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "SCHEMA_TOO_LARGE",
            Self::Json { .. } => "SCHEMA_NOT_JSON",
            Self::TooDeep => "SCHEMA_TOO_DEEP",
            Self::TooManyNodes => "SCHEMA_TOO_MANY_NODES",
            Self::RefFanout => "SCHEMA_REF_FANOUT",
            Self::PatternTooLong { .. } => "SCHEMA_PATTERN_TOO_LONG",
            Self::TooManyPatterns => "SCHEMA_TOO_MANY_PATTERNS",
            Self::PatternUnsupported { .. } => "SCHEMA_PATTERN_UNSUPPORTED",
            Self::EnumTooLarge { .. } => "SCHEMA_ENUM_TOO_LARGE",
            Self::ExternalReference { .. } => "SCHEMA_EXTERNAL_REF",
            Self::DanglingReference { .. } => "SCHEMA_DANGLING_REF",
            Self::UnsupportedDialect => "UNSUPPORTED_DIALECT",
            Self::Invalid { .. } => "SCHEMA_INVALID",
        }
    }

    /// JSON pointer to the offending place, where there is one.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::PatternTooLong { pointer }
            | Self::PatternUnsupported { pointer }
            | Self::EnumTooLarge { pointer }
            | Self::ExternalReference { pointer, .. }
            | Self::DanglingReference { pointer }
            | Self::Invalid { pointer, .. } => Some(pointer),
            _ => None,
        }
    }
}
