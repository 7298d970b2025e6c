//! Violations of a manifest: code, place, message, and a hint how to correct it.
//!
//! A released code keeps its meaning, since programs compare it; messages may change.

use crate::{node::Span, text::short};
use limits::manifest::VIOLATIONS_MAX;
use serde::{Serialize, Serializer};
use std::fmt::{self, Write as _};

/// How bad a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest is refused.
    Error,
    /// The manifest is taken as it is.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $severity:ident $doc:literal;)+) => {
        /// The kind of a violation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable text of the code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// What it means, for the reference.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }

            /// Its severity unless a rule or a strict reading says otherwise.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }
        }
    };
}

codes! {
    TooLarge "TOO_LARGE" Error "The file is larger than a manifest may be.";
    BadJson "BAD_JSON" Error "The file is not JSON: wrong syntax, not UTF-8, a byte order mark, a lone surrogate, a number out of range.";
    BadToml "BAD_TOML" Error "The file is not TOML.";
    TooDeep "TOO_DEEP" Error "Values are nested too deeply.";
    DuplicateKey "DUPLICATE_KEY" Error "An object names a key twice; readers would disagree about which one counts.";
    BadType "BAD_TYPE" Error "The value is of another JSON type than the field takes.";
    MissingField "MISSING_FIELD" Error "A required field is absent.";
    UnknownKey "UNKNOWN_KEY" Warning "The field is not known; it is kept. Keys that start with `x-` are free for own use. An error when checking strictly, and in an entry of `capabilities`.";
    SchemaVersion "SCHEMA_VERSION" Error "`schemaVersion` is not the number 1.";
    BadId "BAD_ID" Error "The text is not a plugin id.";
    OddId "ODD_ID" Warning "The plugin id is legal but invites confusion.";
    ReservedId "RESERVED_ID" Error "The plugin id is a fixed segment of the REST paths.";
    BadEventName "BAD_EVENT_NAME" Error "The text is not an event name.";
    BadVersion "BAD_VERSION" Error "The text is not a semantic version of three numbers.";
    BadRange "BAD_RANGE" Error "The text is not a version range as npm understands it.";
    UnknownValue "UNKNOWN_VALUE" Error "The text is none of those the field admits.";
    UnknownCapability "UNKNOWN_CAPABILITY" Error "The capability is not in the vocabulary; there are no wildcards.";
    BadScope "BAD_SCOPE" Error "The scope does not fit the capability.";
    BadHost "BAD_HOST" Error "The text is not a host pattern and could never match.";
    UndeclaredCapability "UNDECLARED_CAPABILITY" Warning "The manifest uses something for which it declares no capability; only declared capabilities can be granted.";
    UnknownHook "UNKNOWN_HOOK" Warning "The host fires no hook of this name.";
    PathEscapes "PATH_ESCAPES" Error "The path could lead out of the plugin's folder.";
    BadPath "BAD_PATH" Error "The path is not usable on every system.";
    BadUrl "BAD_URL" Error "The text is not a URL of a scheme that the field admits.";
    InsecureUrl "INSECURE_URL" Warning "The URL is plain http on this machine: good for development only.";
    OddLink "ODD_LINK" Warning "The text is not a URL; it is shown as text.";
    BadRoute "BAD_ROUTE" Error "The route is not `/` and one plain segment.";
    BadDigest "BAD_DIGEST" Error "The text is not a SHA-256 digest of 64 lower-case hexadecimal digits.";
    BadName "BAD_NAME" Error "The text is not a name of the form that the field takes.";
    BadSchema "BAD_SCHEMA" Error "A schema given as text is not JSON, or neither an object nor a boolean; or that of a tool's parameters is none that the host compiles.";
    BadNumber "BAD_NUMBER" Error "The number has no place in JSON.";
    OutOfRange "OUT_OF_RANGE" Error "The number is outside its range.";
    Empty "EMPTY" Error "The text or list must not be empty.";
    TooLong "TOO_LONG" Error "The text is longer than the field takes.";
    TooMany "TOO_MANY" Error "The list or object has more entries than it may.";
    DuplicateEntry "DUPLICATE_ENTRY" Error "Two entries of a list name the same thing.";
    Ambiguous "AMBIGUOUS" Error "Two spellings of one field are given and differ.";
    Contradiction "CONTRADICTION" Error "Two fields cannot both be meant.";
    SelfRelation "SELF_RELATION" Error "The plugin relates to itself.";
    BadSetting "BAD_SETTING" Error "The setting's bounds, default or values do not fit its type.";
    OddSetting "ODD_SETTING" Warning "The setting cannot be shown in a form.";
    SecretDefault "SECRET_DEFAULT" Warning "A secret has a default, which everyone can read in the manifest.";
    HiddenText "HIDDEN_TEXT" Warning "The text holds control, zero-width or direction-changing characters.";
    NothingToLoad "NOTHING_TO_LOAD" Warning "The plugin has neither an entrypoint nor a bundle.";
    FileMissing "FILE_MISSING" Warning "A file that the manifest names is not in the folder.";
    FileEscapes "FILE_ESCAPES" Error "A file that the manifest names leads out of the folder through a link.";
    MissingSection "MISSING_SECTION" Error "The package describes no plugin.";
    NotCarriedOver "NOT_CARRIED_OVER" Warning "The foreign form says something that has no place in the manifest; it is left out.";
    MoreViolations "MORE_VIOLATIONS" Error "There are more violations than are listed.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The kind.
    pub code: Code,
    /// Whether it refuses the manifest.
    pub severity: Severity,
    /// JSON pointer (RFC 6901) to the value in the document that was read; for a missing field, to where it belongs.
    pub pointer: String,
    /// What is wrong, in lower case.
    pub message: String,
    /// How to put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The bytes of the source that are at fault; empty where something is missing.
    #[serde(skip)]
    pub span: std::ops::Range<usize>,
    /// How many bytes of the message name the field.
    #[serde(skip)]
    subject_bytes: usize,
}

impl Violation {
    /// A violation of its code's severity, for checks beyond the text: those of files.
    #[must_use]
    pub fn new(
        code: Code,
        pointer: &str,
        span: std::ops::Range<usize>,
        message: String,
        help: Option<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            pointer: pointer.to_owned(),
            message,
            help,
            span,
            subject_bytes: 0,
        }
    }

    /// Moves the finding to another field: the message names that one from now on.
    pub(crate) fn move_to(&mut self, pointer: String) {
        if self.subject_bytes > 0 {
            let subject = place(&pointer);
            self.message.replace_range(..self.subject_bytes, &subject);
            self.subject_bytes = subject.len();
        }
        self.pointer = pointer;
    }

    /// Line and column of the span's start in `source`, both from 1; a column counts characters.
    #[must_use]
    pub fn position(&self, source: &[u8]) -> (usize, usize) {
        let before = source
            .get(..self.span.start.min(source.len()))
            .unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        (
            line,
            String::from_utf8_lossy(&before[start..]).chars().count() + 1,
        )
    }
}

/// A pointer as people write it: `events[0].eventName`.
fn place(pointer: &str) -> String {
    let mut place = String::new();
    for token in pointer.split('/').skip(1) {
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            let _ = write!(place, "[{token}]");
        } else {
            place.push_str(if place.is_empty() { "" } else { "." });
            place.extend(short(&token.replace("~1", "/").replace("~0", "~")).escape_debug());
        }
    }
    if place.is_empty() {
        "the manifest".to_owned()
    } else {
        place
    }
}

/// Collects violations up to [`VIOLATIONS_MAX`] and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct Report {
    violations: Vec<Violation>,
    unlisted: usize,
    unlisted_errors: usize,
}

impl Report {
    pub(crate) fn push(
        &mut self,
        code: Code,
        pointer: &str,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.add(Violation::new(code, pointer, span, message.into(), help));
    }

    /// Reports about a field: its name, then `rule`.
    pub(crate) fn push_rule(
        &mut self,
        code: Code,
        severity: Severity,
        pointer: &str,
        span: Span,
        rule: &str,
        help: Option<String>,
    ) {
        let subject = place(pointer);
        let violation = Violation::new(code, pointer, span, format!("{subject} {rule}"), help);
        self.add(Violation {
            severity,
            subject_bytes: subject.len(),
            ..violation
        });
    }

    fn add(&mut self, violation: Violation) {
        if self.is_full() {
            self.unlisted += 1;
            self.unlisted_errors += usize::from(violation.severity == Severity::Error);
            return;
        }
        self.violations.push(violation);
    }

    pub(crate) fn error(&mut self, code: Code, pointer: &str, span: Span, message: &str) {
        self.push(code, pointer, span, message, None);
    }

    /// Whether further violations are only counted: their help need not be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.violations.len() >= VIOLATIONS_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.unlisted_errors > 0
            || self
                .violations
                .iter()
                .any(|violation| violation.severity == Severity::Error)
    }

    /// All violations by their place, and a last one that counts what is not listed.
    pub(crate) fn finish(mut self) -> Vec<Violation> {
        self.violations.sort_by(|a, b| {
            (a.span.start, &a.pointer, a.code).cmp(&(b.span.start, &b.pointer, b.code))
        });
        if self.unlisted > 0 {
            let severity = if self.unlisted_errors > 0 {
                Severity::Error
            } else {
                Severity::Warning
            };
            let message = format!("{} more violations are not listed", self.unlisted);
            self.violations.push(Violation {
                severity,
                ..Violation::new(Code::MoreViolations, "", 0..0, message, None)
            });
        }
        self.violations
    }
}
