//! Forms of texts in a manifest: how each is checked, and how it is described in the JSON Schema and the reference.

use crate::{link, path::RelativePath, text::short, version, violation::Code};
use capability::{CapabilityId, HostPattern};
use identifiers::{EventName, PluginId};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

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
        match self {
            Self::PluginId => ok(PluginId::new(text), |error| {
                (Code::BadId, error.rule.to_owned(), id_help(text))
            }),
            Self::EventName => ok(EventName::new(text), |error| {
                (Code::BadEventName, error.rule.to_owned(), None)
            }),
            Self::Version => ok(version::parse_version(text), |error| {
                let rule = format!("must be a semantic version such as 1.0.0: {error}");
                (Code::BadVersion, rule, version_help(text))
            }),
            Self::ApiVersion => ok(version::VersionRange::from_api_version(text), |error| {
                let rule = format!("must be a version or a version range: {error}");
                (Code::BadRange, rule, None)
            }),
            Self::Range => ok(version::VersionRange::new(text), |error| {
                let rule = format!("must be a version range: {error}");
                (Code::BadRange, rule, None)
            }),
            Self::Path => ok(RelativePath::new(text), |error| {
                (error.code(), error.rule, None)
            }),
            Self::FetchUrl => link::fetch(text),
            Self::FetchUrlOrPath => link::fetch_or_path(text),
            Self::Link => link::link(text),
            Self::LinkOrPath => link::link_or_path(text),
            Self::Digest => {
                let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                let rule = "must be 64 lower-case hexadecimal digits";
                holds(all(text, 64..=64, is_digit), Code::BadDigest, rule)
            }
            Self::Route => route(text),
            Self::Capability => ok(text.parse::<CapabilityId>(), |error| {
                let rule = format!("is {:?}, which is no capability", short(&error.text));
                (Code::UnknownCapability, rule, capability_help(&error))
            }),
            Self::Host => ok(HostPattern::parse(text), |error| {
                (Code::BadHost, error.rule.to_owned(), None)
            }),
            Self::Method => {
                let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
                let rule = "must be an HTTP method in upper case, such as GET";
                let is_method = text == "*" || all(text, 1..=16, is_letter);
                holds(is_method, Code::BadName, rule)
            }
            Self::ToolName => {
                let rule = "must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'";
                holds(all(text, 1..=64, is_name), Code::BadName, rule)
            }
            Self::Extension => {
                let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let rule = "must be a file extension in lower case, without a dot";
                holds(all(text, 1..=16, is_letter), Code::BadName, rule)
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

fn ok<T, E>(result: Result<T, E>, fault: impl FnOnce(E) -> Fault) -> Result<(), Fault> {
    result.map(drop).map_err(fault)
}

fn holds(sound: bool, code: Code, rule: &str) -> Result<(), Fault> {
    if sound {
        Ok(())
    } else {
        Err((code, rule.to_owned(), None))
    }
}

/// Whether a text has so many bytes, all of them legal.
fn all(text: &str, length: RangeInclusive<usize>, is_legal: impl Fn(u8) -> bool) -> bool {
    length.contains(&text.len()) && text.bytes().all(is_legal)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn route(text: &str) -> Result<(), Fault> {
    let segment = text.strip_prefix('/').unwrap_or_default();
    let sound = text.len() <= 128
        && segment.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && segment.bytes().all(is_name);
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
