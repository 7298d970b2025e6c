//! The shape of a manifest's values as data, shared by the checker, the JSON Schema and the reference. Rules between fields are in `rules`.

use crate::{link, path::RelativePath, text::short, version, violation::Code};
use capability::{CapabilityId, HostPattern};
use identifiers::{EventName, PluginId};
use serde_json::{Value, json};

/// A value's shape.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Any object.
    Object,
    /// The number 1, as `schemaVersion` wants it.
    One,
    Bool,
    Number,
    Integer {
        min: u64,
        max: u64,
    },
    /// A text, by its length in characters.
    Text {
        min: usize,
        max: usize,
    },
    Format(Format),
    Choice(&'static [&'static str]),
    /// A JSON Schema: an object, a boolean, or either as text.
    Schema,
    List(&'static Shape),
    Map(Option<Format>, &'static Shape),
    Record(&'static Record),
    /// One setting; what no form can show is only warned about.
    Setting,
    /// The settings: a map of them, or a JSON Schema of an object.
    Settings,
    /// A short form as text, or the full one.
    TextOr(&'static Shape, &'static Shape),
}

/// An object with known fields.
#[derive(Debug)]
pub(crate) struct Record {
    /// Name in the reference and in the schema's `$defs`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields of which one is the canonical spelling of the others; first the canonical one.
    pub(crate) spellings: &'static [Spellings],
}

/// Several spellings of one field.
#[derive(Debug)]
pub(crate) struct Spellings {
    pub(crate) names: &'static [&'static str],
    pub(crate) required: bool,
    /// Whether they may differ when more than one is given.
    pub(crate) may_differ: bool,
}

/// A field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
    pub(crate) meaning: &'static str,
}

/// A text of a certain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    PluginId,
    EventName,
    Version,
    ApiVersion,
    Range,
    Path,
    FetchUrl,
    FetchUrlOrPath,
    Link,
    LinkOrPath,
    Digest,
    Route,
    Capability,
    Host,
    Method,
    ToolName,
    Extension,
}

/// A fault of a text: the code, a rule that reads on after the field's name, and help.
pub(crate) type Fault = (Code, String, Option<String>);

impl Format {
    /// Checks a text.
    pub(crate) fn check(self, text: &str) -> Result<(), Fault> {
        let named = |code: Code, sound: bool, rule: &str| {
            if sound {
                Ok(())
            } else {
                Err((code, rule.to_owned(), None))
            }
        };
        match self {
            Self::PluginId => PluginId::new(text)
                .map(|_| ())
                .map_err(|error| (Code::BadId, error.rule.to_owned(), id_help(text))),
            Self::EventName => EventName::new(text)
                .map(|_| ())
                .map_err(|error| (Code::BadEventName, error.rule.to_owned(), None)),
            Self::Version => version::parse_version(text).map(|_| ()).map_err(|error| {
                (
                    Code::BadVersion,
                    format!("must be a semantic version such as 1.0.0: {error}"),
                    version_help(text),
                )
            }),
            Self::ApiVersion => version::VersionRange::from_api_version(text)
                .map(|_| ())
                .map_err(|error| {
                    (
                        Code::BadRange,
                        format!("must be a version or a version range: {error}"),
                        None,
                    )
                }),
            Self::Range => version::VersionRange::new(text)
                .map(|_| ())
                .map_err(|error| {
                    (
                        Code::BadRange,
                        format!("must be a version range: {error}"),
                        None,
                    )
                }),
            Self::Path => RelativePath::new(text)
                .map(|_| ())
                .map_err(|error| (error.code(), error.rule, None)),
            Self::FetchUrl => link::fetch(text),
            Self::FetchUrlOrPath => link::fetch_or_path(text),
            Self::Link => link::link(text),
            Self::LinkOrPath => link::link_or_path(text),
            Self::Digest => {
                let sound = text.len() == 64
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
                named(
                    Code::BadDigest,
                    sound,
                    "must be 64 lower-case hexadecimal digits",
                )
            }
            Self::Route => route(text),
            Self::Capability => text.parse::<CapabilityId>().map(|_| ()).map_err(|error| {
                let quoted = short(&error.text);
                (
                    Code::UnknownCapability,
                    format!("is {quoted:?}, which is no capability"),
                    capability_help(&error),
                )
            }),
            Self::Host => HostPattern::parse(text)
                .map(|_| ())
                .map_err(|error| (Code::BadHost, error.rule.to_owned(), None)),
            Self::Method => {
                let sound = (1..=16).contains(&text.len())
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
                named(
                    Code::BadName,
                    sound || text == "*",
                    "must be an HTTP method in upper case, such as GET",
                )
            }
            Self::ToolName => {
                let sound = (1..=64).contains(&text.len())
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
                named(
                    Code::BadName,
                    sound,
                    "must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'",
                )
            }
            Self::Extension => {
                let sound = (1..=16).contains(&text.len())
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                named(
                    Code::BadName,
                    sound,
                    "must be a file extension in lower case, without a dot",
                )
            }
        }
    }

    /// The form in JSON Schema; it admits at least what [`Format::check`] admits.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::PluginId => {
                json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$"})
            }
            Self::EventName => {
                json!({"type": "string", "pattern": "^[a-z][a-z0-9.:-]{1,126}[a-z0-9]$"})
            }
            Self::Version => {
                json!({"type": "string", "maxLength": limits::manifest::RANGE_BYTES_MAX,
                "pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$"})
            }
            Self::ApiVersion => {
                json!({"type": "string", "minLength": 1, "maxLength": limits::manifest::RANGE_BYTES_MAX})
            }
            Self::Range => {
                json!({"type": "string", "maxLength": limits::manifest::RANGE_BYTES_MAX})
            }
            Self::Path => {
                json!({"type": "string", "minLength": 1, "maxLength": limits::manifest::PATH_CHARS_MAX,
                "pattern": "^(?!/)(?!.*(^|/)\\.\\.(/|$))[^\\\\:\\u0000]+$"})
            }
            Self::FetchUrl => {
                json!({"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\]+$"})
            }
            Self::FetchUrlOrPath | Self::Link | Self::LinkOrPath => json!({"type": "string"}),
            Self::Digest => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            Self::Route => {
                json!({"type": "string", "maxLength": 128, "pattern": "^/[A-Za-z0-9][A-Za-z0-9._-]*$"})
            }
            Self::Capability => {
                json!({"enum": capability::VOCABULARY.iter().map(|entry| entry.name).collect::<Vec<_>>()})
            }
            Self::Host => json!({"type": "string", "minLength": 1}),
            Self::Method => json!({"type": "string", "pattern": "^([A-Z-]{1,16}|\\*)$"}),
            Self::ToolName => json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
            Self::Extension => json!({"type": "string", "pattern": "^[a-z0-9]{1,16}$"}),
        }
    }

    /// The form in words, for the reference.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::PluginId => "plugin id",
            Self::EventName => "event name",
            Self::Version => "version",
            Self::ApiVersion => "version or range",
            Self::Range => "version range",
            Self::Path => "path",
            Self::FetchUrl => "https URL",
            Self::FetchUrlOrPath => "https URL or path",
            Self::Link => "link",
            Self::LinkOrPath => "link or path",
            Self::Digest => "SHA-256, hexadecimal",
            Self::Route => "route",
            Self::Capability => "capability id",
            Self::Host => "host pattern",
            Self::Method => "HTTP method",
            Self::ToolName => "tool name",
            Self::Extension => "file extension",
        }
    }
}

fn route(text: &str) -> Result<(), Fault> {
    let segment = text.strip_prefix('/').unwrap_or_default();
    let sound = text.len() <= 128
        && segment.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !sound {
        let rule = "must be '/' and one segment of A-Z, a-z, 0-9, '.', '_' and '-', at most 128 characters".to_owned();
        let help = (!text.starts_with('/')).then(|| "start it with '/'".to_owned());
        return Err((Code::BadRoute, rule, help));
    }
    if segment.contains("..") {
        return Err((Code::BadRoute, "must not hold '..'".to_owned(), None));
    }
    Ok(())
}

fn id_help(text: &str) -> Option<String> {
    if let Some(letter) = text.chars().find(|letter| !letter.is_ascii()) {
        return Some(format!(
            "{letter:?} (U+{:04X}) is not an ASCII letter, though it may look like one",
            letter as u32
        ));
    }
    let lower = text
        .trim()
        .to_ascii_lowercase()
        .replace(['_', ' ', '/'], "-")
        .replace('@', "");
    PluginId::new(lower.as_str())
        .is_ok()
        .then(|| format!("{lower:?} would do"))
}

fn version_help(text: &str) -> Option<String> {
    let bare = text.trim().trim_start_matches(['v', 'V', '=']);
    let padded = [bare.to_owned(), format!("{bare}.0"), format!("{bare}.0.0")];
    padded
        .into_iter()
        .find(|text| version::parse_version(text).is_ok())
        .map(|version| format!("{version:?} would do"))
}

fn capability_help(error: &capability::UnknownCapability) -> Option<String> {
    let meant = error
        .suggestion
        .map(|id| format!("did you mean {:?}?", id.as_str()));
    let foreign = error.foreign.filter(|letter| !letter.is_ascii());
    let letter = foreign.map(|letter| {
        format!(
            "{letter:?} (U+{:04X}) is not an ASCII letter, though it may look like one",
            letter as u32
        )
    });
    match (letter, meant) {
        (Some(letter), Some(meant)) => Some(format!("{letter}; {meant}")),
        (letter, meant) => letter.or(meant),
    }
}
