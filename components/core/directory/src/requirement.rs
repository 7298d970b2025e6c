//! Plugin requirements: what a server asks of its clients' plugins.

use crate::{
    body::Body,
    refusal::{Code, Refusal, not_found},
    transaction::{Check, Edit, Kind, State, Transaction},
};
use identifiers::{PluginId, ServerId, UserId};
use limits::{directory::PLUGIN_BYTES_PER_SERVER_MAX, plugin_event::REQUIREMENTS_PER_SERVER_MAX};
use plugin_manifest::VersionRange;
use rest::Violation;
use serde_json::{json, value::RawValue};
use server_state::{Requirement, Status};

/// Reads the body of a requirement. A manifest with violations is taken; they are the warnings.
///
/// # Errors
/// All violations: an unknown status, an unparsable range, a URL that is none, a manifest that is no object, is too
/// large, or has another id.
pub fn parse(
    mut body: Body,
    server: &ServerId,
    plugin: &PluginId,
    by: &UserId,
    now_ms: u64,
) -> Result<(Requirement, Vec<Violation>), Refusal> {
    let status = body.text("status", 64);
    match &status {
        None if body.given("status").is_none() => body.violation(
            Code::InvalidStatus,
            "status",
            format!("is required: one of {}", Status::NAMES.join(", ")),
        ),
        Some(status) if !Status::NAMES.contains(&status.as_str()) => {
            body.violation(
                Code::InvalidStatus,
                "status",
                format!("must be one of {}", Status::NAMES.join(", ")),
            );
        }
        _ => {}
    }
    let install_url = body.url("installUrl");
    let source_url = body.url("sourceUrl");
    let version_range = body.text("versionRange", limits::manifest::RANGE_BYTES_MAX);
    if let Some(Err(error)) = version_range.as_deref().map(VersionRange::new) {
        body.violation(
            Code::InvalidRange,
            "versionRange",
            format!("is no version range: {error}"),
        );
    }
    let manifest = body.given("manifest").map(ToOwned::to_owned);
    let read = manifest
        .as_deref()
        .map(|manifest| inspect(&mut body, manifest, plugin));
    body.finish()?;
    let (warnings, publishes, plugin_user_id) = match read {
        Some(read) => (read.warnings, Some(read.publishes), read.plugin_user_id),
        None => (Vec::new(), None, None),
    };
    let requirement = Requirement {
        plugin_id: plugin.clone(),
        server_id: server.clone(),
        status: status
            .as_deref()
            .and_then(Status::parse)
            .ok_or(Code::InvalidStatus)?,
        install_url,
        source_url,
        manifest,
        version_range,
        updated_at: now_ms,
        updated_by: by.as_str().to_owned(),
        publishes,
        plugin_user_id,
    };
    Ok((requirement, warnings))
}

struct Read {
    warnings: Vec<Violation>,
    publishes: bool,
    plugin_user_id: Option<String>,
}

/// What gateways need to know is read leniently: a manifest with violations still says what it declares.
fn inspect(body: &mut Body, manifest: &RawValue, plugin: &PluginId) -> Read {
    let mut read = Read {
        warnings: Vec::new(),
        publishes: false,
        plugin_user_id: None,
    };
    if manifest.get().len() > limits::manifest::BYTES_MAX {
        body.violation(
            Code::InvalidBody,
            "manifest",
            format!("must have at most {} bytes", limits::manifest::BYTES_MAX),
        );
        return read;
    }
    let Ok(serde_json::Value::Object(said)) = serde_json::from_str(manifest.get()) else {
        body.violation(Code::InvalidBody, "manifest", "must be an object");
        return read;
    };
    if let Some(id) = said.get("id")
        && id.as_str() != Some(plugin.as_str())
    {
        body.violation(
            Code::ManifestIdMismatch,
            "manifest/id",
            format!("must be {plugin}, as the path says"),
        );
    }
    let declares = |entry: &serde_json::Value| {
        let id = entry.as_str().or_else(|| entry.get("id")?.as_str());
        id == Some("events.server.publish")
    };
    read.publishes = said
        .get("capabilities")
        .and_then(serde_json::Value::as_array)
        .is_some_and(|list| list.iter().any(declares));
    let id = said
        .get("pluginUser")
        .and_then(|user| user.get("id"))
        .and_then(serde_json::Value::as_str);
    read.plugin_user_id = id
        .filter(|id| UserId::new(*id).is_ok())
        .map(ToOwned::to_owned);
    read.warnings = plugin_manifest::parse(manifest.get().as_bytes())
        .violations
        .into_iter()
        .map(|violation| Violation {
            pointer: format!("/manifest{}", violation.pointer),
            code: violation.code.as_str().to_owned(),
            message: violation.message,
        })
        .collect();
    read
}

/// Stores a requirement.
#[must_use]
pub fn put(transaction: Transaction, state: &State, requirement: &Requirement) -> Transaction {
    let transaction = transaction
        .edit(Edit::put(
            Kind::Requirement,
            requirement.plugin_id.as_str(),
            requirement,
        ))
        .detail(json!({"status": requirement.status, "versionRange": requirement.version_range}));
    match state.entry(Kind::Requirement, requirement.plugin_id.as_str()) {
        Some(_) => transaction,
        None => transaction.check(Check::MaxCount {
            kind: Kind::Requirement,
            max: REQUIREMENTS_PER_SERVER_MAX as u64,
        }),
    }
}

/// Removes a requirement; with `cascade` its event definitions too, which the state must then hold.
///
/// # Errors
/// [`Code::NotFound`].
pub fn delete(
    transaction: Transaction,
    state: &State,
    plugin: &PluginId,
    cascade: bool,
) -> Result<Transaction, Refusal> {
    if state.entry(Kind::Requirement, plugin.as_str()).is_none() {
        return Err(not_found("requirement"));
    }
    let mut transaction = transaction
        .check(state.unchanged(Kind::Requirement, plugin.as_str()))
        .edit(Edit::delete(Kind::Requirement, plugin.as_str()))
        .detail(json!({"cascade": cascade}));
    if cascade {
        let prefix = format!("{plugin}/");
        let events: Vec<_> = state
            .entries(Kind::Event)
            .filter(|entry| entry.key.starts_with(&prefix))
            .map(|entry| Edit::delete(Kind::Event, entry.key.clone()))
            .collect();
        let revision = state.head.as_ref().map_or(0, |head| head.revision);
        transaction = transaction
            .edits(events)
            .check(Check::Revision { revision });
    }
    Ok(transaction)
}

/// Bytes that all requirements and event definitions of a server may have together, so that its snapshot stays
/// sendable.
#[must_use]
pub const fn bytes_max() -> u64 {
    PLUGIN_BYTES_PER_SERVER_MAX as u64
}
