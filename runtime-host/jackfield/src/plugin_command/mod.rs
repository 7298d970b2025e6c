//! `jackfield plugin`: a client of a running host's REST API. Prints tables, or JSON for scripts; text of plugins never controls the terminal.

mod client;
mod doctor;
mod output;
mod requests;
mod table;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use client::{Client, Connection};
use identifiers::PluginId;
use limits::plugin_api::{AUDIT_RECENT_DEFAULT, FOLLOW_LINES_DEFAULT};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `jackfield plugin`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Print the host's answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List all plugins with their state
    List,
    /// Show one plugin
    Info(One),
    /// Enable a plugin and approve the capabilities that it declares
    Enable(One),
    /// Disable a plugin
    Disable(One),
    /// Load a plugin again; the running one serves until the new one is ready
    Reload(One),
    /// Show a plugin's log, oldest line first
    Logs {
        #[command(flatten)]
        one: One,
        /// Continue with new lines as they come
        #[arg(short, long)]
        follow: bool,
        /// Number of past lines
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = FOLLOW_LINES_DEFAULT)]
        lines: usize,
        /// Lowest level to show
        #[arg(long, value_enum, default_value_t = LevelName::Trace)]
        level: LevelName,
    },
    /// Show the lifecycle events of a plugin
    Events(One),
    /// Show the capabilities that a plugin declares and was granted, or change grants
    Grants {
        #[command(flatten)]
        one: One,
        #[command(subcommand)]
        change: Option<GrantChange>,
    },
    /// Show the consents that plugins wait for, or answer one
    Consents {
        /// Include those that were answered
        #[arg(long)]
        all: bool,
        #[command(subcommand)]
        answer: Option<ConsentAnswer>,
    },
    /// Show decisions about plugins' capabilities, newest first
    Audit {
        /// Number of decisions
        #[arg(long, value_name = "COUNT", default_value_t = AUDIT_RECENT_DEFAULT)]
        recent: usize,
        /// Only decisions about this plugin
        #[arg(long, value_name = "ID", value_parser = plugin_id)]
        plugin: Option<PluginId>,
    },
    /// Check a plugin's manifest, without a host
    Check(crate::check::CheckArgs),
    /// Report problems of the host, of its plugins, and of this command's access to them
    Doctor,
}

#[derive(clap::Args)]
struct One {
    /// Id of the plugin
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
    /// Grant capabilities that the manifest declares, with the declared scope or a narrower one
    Give(Rule),
    /// Deny capabilities
    Deny(Rule),
    /// Remove the grants and denials of capabilities
    Revoke {
        /// Capabilities, such as http.fetch
        #[arg(value_name = "CAPABILITY", required = true)]
        capabilities: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Rule {
    /// Capabilities, such as http.fetch; without any, all that the manifest declares
    #[arg(value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// Only for this host; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Only for this name; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Only for this time
    #[arg(long)]
    seconds: Option<u64>,
}

#[derive(Subcommand)]
enum ConsentAnswer {
    /// Allow what the plugin asked for
    Allow(Answer),
    /// Deny what the plugin asked for
    Deny(Answer),
}

#[derive(clap::Args)]
struct Answer {
    /// Id of the consent
    id: String,
    /// Keep the answer until it is revoked; without this flag it holds ten minutes
    #[arg(long)]
    remember: bool,
}

fn plugin_id(text: &str) -> Result<PluginId, String> {
    PluginId::new(text).map_err(|error| error.to_string())
}

/// Runs `jackfield plugin`.
///
/// # Errors
/// The host cannot be reached or refuses, or there is no token and none can be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let What::Check(check) = &args.what {
        return Ok(crate::check::run(check, args.json));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::new(
            &args.connection,
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

/// Every command except the log and the doctor.
async fn show(client: &Client, as_json: bool, what: &What) -> Result<()> {
    let answer = requests::ask(client, what).await?;
    if as_json {
        return table::line(&serde_json::to_string_pretty(&answer)?);
    }
    output::answer(what, &answer)
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
            return table::line(&entry.to_string());
        }
        output::log_entry(entry)
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
