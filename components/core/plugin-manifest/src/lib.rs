//! Plugin manifests: parsing, checking, import of other formats, compatibility with a host, and load order.
//!
//! All functions are pure. A manifest that [`parse`] returns satisfies every table and rule of this crate, and prints
//! as it was read.
//!
//! ```
//! let outcome = plugin_manifest::parse(br#"{"schemaVersion": 1, "id": "AB"}"#);
//! assert!(outcome.manifest.is_none());
//! assert!(outcome.violations.iter().any(|violation| violation.pointer == "/id" && violation.code.as_str() == "BAD_ID"));
//! ```
#![forbid(unsafe_code)]

mod choices;
mod compatibility;
mod format;
pub mod import;
mod json;
mod link;
mod node;
pub mod order;
mod path;
mod reference;
mod rules;
mod schema;
mod shape;
mod tables;
mod text;
mod types;
mod validate;
mod version;
mod violation;

pub use choices::{
    DataScope, DataStorage, Direction, Form, HOOKS, HookSet, Kind, OnFailure, PluginScope,
    Priority, Role, SettingType, Tier, ToolMode, UnknownToolMode,
};
pub use compatibility::{Incompatibility, Verdict, compatibility};
pub use path::{BadPath, RelativePath};
pub use reference::reference_markdown;
pub use schema::json_schema;
pub use text::is_hidden;
pub use types::{
    Author, Bundle, Compatibility, DataDeclaration, DataSource, Entry, EventDeclaration, Exporter,
    Feature, FileLoader, Load, Manifest, Network, Origin, PluginUser, Publisher, Relation,
    Relationships, ResourceLimits, Theme, Tool,
};
pub use version::{BadVersion, VersionRange, parse_version};
pub use violation::{Code, Severity, Violation};

use limits::manifest::BYTES_MAX;
use node::Node;
use violation::Report;

/// How strictly a manifest is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Unknown keys are errors instead of warnings.
    pub strict: bool,
}

/// What came of reading a manifest.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The manifest; `None` exactly when a violation is an error.
    pub manifest: Option<Manifest>,
    /// Everything that is wrong, by place; at most [`limits::manifest::VIOLATIONS_MAX`] and one that counts the rest.
    pub violations: Vec<Violation>,
}

impl Outcome {
    /// Whether there is no error.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.manifest.is_some()
    }
}

/// Reads and checks a manifest in the canonical form or the client's own (`toju-plugin.json`); both spellings are
/// understood.
#[must_use]
pub fn parse(bytes: &[u8]) -> Outcome {
    parse_with(bytes, Options::default())
}

/// As [`parse`], with options.
#[must_use]
pub fn parse_with(bytes: &[u8], options: Options) -> Outcome {
    let mut report = Report::default();
    match read(bytes, &mut report) {
        Some(node) => {
            validate::manifest(&node, options.strict, &mut report);
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            finish(&node, text.into(), report)
        }
        None => Outcome {
            manifest: None,
            violations: report.finish(),
        },
    }
}

/// Reads JSON within the bounds of a manifest.
fn read(bytes: &[u8], report: &mut Report) -> Option<Node> {
    if bytes.len() > BYTES_MAX {
        report.error(
            Code::TooLarge,
            "",
            0..0,
            &format!("the manifest is larger than {BYTES_MAX} bytes"),
        );
        return None;
    }
    json::read(bytes, report)
}

/// Turns a checked tree into types.
fn finish(node: &Node, text: Box<str>, mut report: Report) -> Outcome {
    if report.has_errors() {
        return Outcome {
            manifest: None,
            violations: report.finish(),
        };
    }
    let manifest = match serde_json::from_value::<Manifest>(node.to_value()) {
        Ok(manifest) => Some(Manifest { text, ..manifest }),
        Err(error) => {
            report.error(
                Code::BadType,
                "",
                node.span.clone(),
                &format!("the manifest cannot be read: {error}"),
            );
            None
        }
    };
    Outcome {
        manifest,
        violations: report.finish(),
    }
}
