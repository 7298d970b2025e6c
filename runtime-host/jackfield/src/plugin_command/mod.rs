//! `jackfield plugin …`: speaks to a running host over REST, prints tables for people and JSON for scripts.
//!
//! What it is not: a way around the host; everything goes through its API, with a token like anybody's. Invariant: text of strangers never
//! steers the terminal.

mod client;
mod doctor;
mod table;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use client::{Client, Place};
use identifiers::PluginId;
use limits::plugin_api::{AUDIT_RECENT_DEFAULT, FOLLOW_LINES_DEFAULT};
use serde_json::{Value, json};
use std::process::ExitCode;
use table::{cell, line, print};

/// Manages the plugins of a running host.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Print what the host answers as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists all plugins with their state.
    List,
    /// Shows one plugin.
    Info(One),
    /// Enables a plugin and approves what it asks for.
    Enable(One),
    /// Disables a plugin.
    Disable(One),
    /// Loads a plugin anew; the old one serves until the new one is ready.
    Reload(One),
    /// Shows a plugin's log, oldest line first.
    Logs {
        #[command(flatten)]
        one: One,
        /// Go on with what comes.
        #[arg(short, long)]
        follow: bool,
        /// Lines of the past.
        #[arg(short = 'n', long, default_value_t = FOLLOW_LINES_DEFAULT)]
        lines: usize,
        /// At or above this level.
        #[arg(long, value_enum, default_value_t = LevelName::Trace)]
        level: LevelName,
    },
    /// Shows what happened in a plugin's life.
    Events(One),
    /// Shows what a plugin declares and was granted, or changes it.
    Grants {
        #[command(flatten)]
        one: One,
        #[command(subcommand)]
        change: Option<GrantChange>,
    },
    /// Shows the questions that plugins put to people, or answers one.
    Consents {
        /// Also those that are answered.
        #[arg(long)]
        all: bool,
        #[command(subcommand)]
        answer: Option<ConsentAnswer>,
    },
    /// Shows decisions about plugins, newest first.
    Audit {
        /// How many.
        #[arg(long, default_value_t = AUDIT_RECENT_DEFAULT)]
        recent: usize,
        /// About this plugin alone.
        #[arg(long, value_parser = plugin_id)]
        plugin: Option<PluginId>,
    },
    /// Checks a plugin's manifest; needs no host.
    Check(crate::check::CheckArgs),
    /// Looks for what is wrong with the host, its plugins and this command's access to them.
    Doctor,
}

#[derive(clap::Args)]
struct One {
    /// The plugin's id.
    #[arg(value_parser = plugin_id)]
    id: PluginId,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelName {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Subcommand)]
enum GrantChange {
    /// Grants capabilities, as far as the manifest declares them or narrower.
    Give(Rule),
    /// Denies capabilities.
    Deny(Rule),
    /// Takes back what was granted or denied of a capability.
    Revoke {
        /// The capabilities.
        #[arg(required = true)]
        capabilities: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Rule {
    /// The capabilities; none: every one that the manifest declares.
    capabilities: Vec<String>,
    /// Only for these hosts.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// Only for these names.
    #[arg(long = "name")]
    names: Vec<String>,
    /// Only for this many seconds.
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Subcommand)]
enum ConsentAnswer {
    /// Allows what was asked for.
    Allow(Answer),
    /// Denies it.
    Deny(Answer),
}

#[derive(clap::Args)]
struct Answer {
    /// The question's id.
    id: String,
    /// Let the answer hold until it is taken back.
    #[arg(long)]
    remember: bool,
}

fn plugin_id(text: &str) -> Result<PluginId, String> {
    PluginId::new(text).map_err(|error| error.to_string())
}

/// Runs the command.
///
/// # Errors
/// There is no host, it refuses, or the command's own token cannot be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let What::Check(check) = &args.what {
        return Ok(crate::check::run(check, args.json));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::new(
            &args.place,
            matches!(args.what, What::Logs { follow: true, .. }),
        )?;
        match &args.what {
            What::Doctor => return doctor::run(&client, args.json).await,
            What::Logs {
                one,
                follow,
                lines,
                level,
            } => logs(&client, args.json, &one.id, (*follow, *lines, *level)).await?,
            other => show(&client, args.json, other).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks the host and prints its answer: everything but logs and the doctor.
async fn show(client: &Client, as_json: bool, what: &What) -> Result<()> {
    let answer = ask(client, what).await?;
    if as_json {
        return line(&serde_json::to_string_pretty(&answer)?);
    }
    match what {
        What::List => list(&answer),
        What::Info(_) => details(&answer),
        What::Events(_) => print(&["time", "event", "details"], &answer["events"], |event| {
            vec![
                cell(&event["timestamp"]),
                cell(&event["event_type"]),
                cell(&event["details"]),
            ]
        }),
        What::Grants { .. } => grants(&answer),
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

async fn ask(client: &Client, what: &What) -> Result<Value> {
    let below = |one: &One, rest: &str| format!("/api/plugins/{}{rest}", one.id);
    match what {
        What::List => client.get("/api/plugins").await,
        What::Info(one) => client.get(&below(one, "")).await,
        What::Enable(one) => client.send("POST", &below(one, "/enable"), None).await,
        What::Disable(one) => client.send("POST", &below(one, "/disable"), None).await,
        What::Reload(one) => client.send("POST", &below(one, "/reload"), None).await,
        What::Events(one) => client.get(&below(one, "/events")).await,
        What::Grants { one, change } => {
            let path = below(one, "/grants");
            match change {
                Some(GrantChange::Give(rule)) => put_grants(client, &path, rule, false).await?,
                Some(GrantChange::Deny(rule)) => put_grants(client, &path, rule, true).await?,
                Some(GrantChange::Revoke { capabilities }) => {
                    for capability in capabilities {
                        client
                            .send(
                                "DELETE",
                                &format!("{path}?capability={}", client::query(capability)),
                                None,
                            )
                            .await?;
                    }
                }
                None => {}
            }
            client.get(&path).await
        }
        What::Consents {
            answer: Some(answer),
            ..
        } => {
            let (decision, Answer { id, remember }) = match answer {
                ConsentAnswer::Allow(answer) => ("allow", answer),
                ConsentAnswer::Deny(answer) => ("deny", answer),
            };
            let body = json!({"decision": decision, "remember": remember});
            let decided = client
                .send(
                    "POST",
                    &format!("/api/consents/{}", client::query(id)),
                    Some(&body),
                )
                .await?;
            Ok(json!({"consents": [decided]}))
        }
        What::Consents { all, answer: None } => {
            client
                .get(if *all {
                    "/api/consents"
                } else {
                    "/api/consents?state=pending"
                })
                .await
        }
        What::Audit { recent, plugin } => {
            let plugin = plugin
                .as_ref()
                .map(|plugin| format!("&plugin={plugin}"))
                .unwrap_or_default();
            client
                .get(&format!("/api/audit?recent={recent}{plugin}"))
                .await
        }
        What::Logs { .. } | What::Check(_) | What::Doctor => Ok(Value::Null),
    }
}

async fn put_grants(client: &Client, path: &str, rule: &Rule, deny: bool) -> Result<()> {
    let mut body = json!({"deny": deny, "expiresInMs": rule.seconds.map(|seconds| seconds.saturating_mul(1_000))});
    for (key, list) in [("hosts", &rule.hosts), ("names", &rule.names)] {
        if !list.is_empty() {
            body["scope"][key] = json!(list);
        }
    }
    if rule.capabilities.is_empty() {
        body["all"] = true.into();
        client.send("PUT", path, Some(&body)).await?;
    }
    for capability in &rule.capabilities {
        body["capability"] = capability.as_str().into();
        client.send("PUT", path, Some(&body)).await?;
    }
    Ok(())
}

async fn logs(
    client: &Client,
    as_json: bool,
    id: &PluginId,
    (follow, lines, level): (bool, usize, LevelName),
) -> Result<()> {
    let level = level
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default();
    let show = |entry: &Value| {
        if as_json {
            return line(&entry.to_string());
        }
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
    };
    let path = format!("/api/plugins/{id}/logs?level={level}");
    if follow {
        return client
            .follow(&format!("{path}&follow=true&lines={lines}"), show)
            .await;
    }
    let page = client
        .get(&format!("{path}&page_size={}", lines.max(1)))
        .await?;
    page["logs"]
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .try_for_each(show)
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
        "retryAt",
        "restarts",
    ];
    for name in names
        .into_iter()
        .chain(["route", "runsHere", "storedBytes", "capabilities"])
    {
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
