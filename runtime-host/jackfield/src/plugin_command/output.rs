//! What the commands print: tables and lines.

use super::{
    What,
    table::{self, cell, line, print},
};
use anyhow::Result;
use serde_json::Value;

/// Prints the answer to a command.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn answer(what: &What, answer: &Value) -> Result<()> {
    match what {
        What::List => list(answer),
        What::Info(_) => details(answer),
        What::Events(_) => print(&["time", "event", "details"], &answer["events"], |event| {
            vec![
                cell(&event["timestamp"]),
                cell(&event["event_type"]),
                cell(&event["details"]),
            ]
        }),
        What::Grants { .. } => grants(answer),
        What::Consents { .. } => print(
            &["id", "plugin", "capability", "target", "state", "asked"],
            &answer["consents"],
            |one| {
                ["id", "plugin", "capability", "target", "state", "askedAt"]
                    .map(|name| cell(&one[name]))
                    .into()
            },
        ),
        What::Audit { .. } => print(
            &[
                "time",
                "plugin",
                "capability",
                "target",
                "action",
                "by",
                "decision",
                "layer",
                "reason",
            ],
            &answer["entries"],
            |entry| {
                [
                    "timestamp",
                    "plugin_id",
                    "capability",
                    "resource",
                    "action",
                    "by",
                    "decision",
                    "layer",
                    "reason",
                ]
                .map(|name| cell(&entry[name]))
                .into()
            },
        ),
        _ => {
            let plugin = &answer["plugin"];
            let reason = plugin["lastError"]
                .as_str()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            line(&format!(
                "{}: {}{}",
                cell(&plugin["id"]),
                cell(&plugin["state"]),
                table::safe(&reason)
            ))
        }
    }
}

/// Prints one entry of a log.
///
/// # Errors
/// As [`answer`].
pub(super) fn log_entry(entry: &Value) -> Result<()> {
    let fields = entry
        .get("fields")
        .map(|fields| format!(" {}", cell(fields)))
        .unwrap_or_default();
    line(&format!(
        "{} {:5} {}{fields}",
        cell(&entry["timestamp"]),
        cell(&entry["level"]),
        cell(&entry["message"])
    ))
}

fn list(plugins: &Value) -> Result<()> {
    print(
        &[
            "id", "version", "state", "health", "enabled", "route", "why",
        ],
        plugins,
        |plugin| {
            [
                "id",
                "version",
                "state",
                "health",
                "enabled",
                "route",
                "lastError",
            ]
            .map(|name| cell(&plugin[name]))
            .into()
        },
    )
}

fn details(plugin: &Value) -> Result<()> {
    let names = [
        "id",
        "name",
        "version",
        "author",
        "description",
        "kind",
        "state",
        "health",
        "enabled",
        "lastError",
        "lastCrash",
        "retryAt",
        "restarts",
    ];
    for name in names.into_iter().chain([
        "route",
        "runsHere",
        "servers",
        "onFailure",
        "storedBytes",
        "capabilities",
    ]) {
        if !plugin[name].is_null() {
            line(&format!("{name:13} {}", cell(&plugin[name])))?;
        }
    }
    Ok(())
}

fn grants(answer: &Value) -> Result<()> {
    print(
        &["declared", "scope", "why"],
        &answer["declared"],
        |request| {
            let mut scope = request.as_object().cloned().unwrap_or_default();
            scope.retain(|name, _| !matches!(name.as_str(), "id" | "optional" | "reason"));
            vec![
                cell(&request["id"]),
                cell(&scope.into()),
                cell(&request["reason"]),
            ]
        },
    )?;
    line("")?;
    print(
        &["granted", "scope", "", "by", "until"],
        &answer["grants"],
        |grant| {
            let word = if grant["deny"] == true {
                "denied"
            } else {
                "allowed"
            };
            vec![
                cell(&grant["capability"]),
                cell(&grant["scope"]),
                word.to_owned(),
                cell(&grant["by"]),
                cell(&grant["expiresAt"]),
            ]
        },
    )
}
