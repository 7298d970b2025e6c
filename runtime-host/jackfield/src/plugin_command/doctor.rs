//! `jackfield plugin doctor`: checks the host, the access to it, the policy and each plugin, and says what to do. It changes nothing.

use super::{client::Client, table};
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warning,
    Error,
}

impl Grade {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The findings, in the order of the checks.
#[derive(Default)]
struct Findings(Vec<(Grade, String)>);

impl Findings {
    fn say(&mut self, grade: Grade, text: impl Into<String>) {
        self.0.push((grade, text.into()));
    }
}

/// Runs the checks; the exit code is 1 if a finding is an error.
///
/// # Errors
/// The findings cannot be printed.
pub(super) async fn run(client: &Client, as_json: bool) -> Result<ExitCode> {
    let mut findings = Findings::default();
    if host(client, &mut findings).await {
        plugins(client, &mut findings).await;
    }
    let failed = findings.0.iter().any(|(grade, _)| *grade == Grade::Error);
    if as_json {
        let all: Vec<Value> = findings
            .0
            .iter()
            .map(|(grade, text)| json!({"grade": grade.as_str(), "text": text}))
            .collect();
        table::line(&json!({"ok": !failed, "findings": all}).to_string())?;
    } else {
        for (grade, text) in &findings.0 {
            table::line(&format!("{:8} {}", grade.as_str(), table::safe(text)))?;
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Whether the host answers and accepts the token.
async fn host(client: &Client, findings: &mut Findings) -> bool {
    match client.get("/healthz").await {
        Ok(health) => {
            let (theirs, ours) = (
                health["version"].as_str().unwrap_or_default(),
                env!("CARGO_PKG_VERSION"),
            );
            findings.say(
                Grade::Ok,
                format!("a host answers at {}, version {theirs}", client.url()),
            );
            if theirs != ours {
                findings.say(Grade::Warning, format!("this command has version {ours}"));
            }
        }
        Err(error) => {
            findings.say(Grade::Error, format!("{error:#}"));
            return false;
        }
    }
    match client.get("/api/plugins/check").await {
        Ok(answer) => {
            findings.say(
                Grade::Ok,
                format!(
                    "the token is accepted; plugins are in {}",
                    table::cell(&answer["directory"])
                ),
            );
            for (name, error) in answer["errors"].as_object().into_iter().flatten() {
                findings.say(Grade::Error, format!("{name}: {}", table::cell(error)));
            }
            for plugin in answer["unknown"].as_array().into_iter().flatten() {
                let text = format!(
                    "the configuration names {}, which no usable package in {} has: what it says has no effect",
                    table::cell(plugin),
                    table::cell(&answer["directory"])
                );
                findings.say(Grade::Warning, text);
            }
            for plugin in answer["missing"].as_array().into_iter().flatten() {
                let text = format!(
                    "{} is enabled and has grants, but no usable files in {}: restore them, backups do not contain them",
                    table::cell(plugin),
                    table::cell(&answer["directory"])
                );
                findings.say(Grade::Warning, text);
            }
            true
        }
        Err(error) => {
            findings.say(Grade::Error, format!("{error:#}"));
            false
        }
    }
}

async fn plugins(client: &Client, findings: &mut Findings) {
    match client.get("/api/plugins").await {
        Ok(list) => list
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|plugin| one(plugin, findings)),
        Err(error) => findings.say(Grade::Error, format!("{error:#}")),
    }
    match client.get("/api/capabilities").await {
        Ok(policy) => report_policy(&policy, findings),
        Err(error) => findings.say(Grade::Error, format!("{error:#}")),
    }
    match client.get("/api/plugins/kill-switch").await {
        Ok(switches) => {
            for (name, words) in [
                ("all", "all plugins are switched off"),
                ("hooks", "hooks are skipped"),
                ("teamWorker", "everything is denied"),
            ] {
                if let Some(by) = switches[name].as_str() {
                    findings.say(Grade::Warning, format!("{words}: {by}"));
                }
            }
        }
        Err(error) => findings.say(Grade::Error, format!("{error:#}")),
    }
    match client.get("/api/consents?state=pending").await {
        Ok(waiting) => match waiting["consents"].as_array().map_or(0, Vec::len) {
            0 => {}
            count => findings.say(
                Grade::Warning,
                format!(
                    "{count} consents wait for an answer: `jackfield plugin consents` shows them"
                ),
            ),
        },
        Err(error) => findings.say(Grade::Error, format!("{error:#}")),
    }
}

/// Decisions about declared capabilities without a grant.
fn report_policy(policy: &Value, findings: &mut Findings) {
    let names = |list: &Value| {
        list.as_array()
            .into_iter()
            .flatten()
            .map(table::cell)
            .collect::<Vec<_>>()
    };
    let decisions = policy["decisions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let most = decisions
        .iter()
        .map(|decision| names(&decision["capabilities"]).len())
        .max();
    for decision in decisions {
        let (capabilities, reason) = (
            names(&decision["capabilities"]),
            table::cell(&decision["reason"]),
        );
        let which = if Some(capabilities.len()) == most {
            "a capability without a grant".to_owned()
        } else {
            capabilities.join(", ")
        };
        let outcome = match decision["outcome"].as_str() {
            Some("allow") => "allowed",
            Some("ask") => "subject to consent",
            _ => "denied",
        };
        findings.say(
            Grade::Ok,
            format!("policy: {which} is {outcome} ({reason})"),
        );
    }
    let partly = names(&policy["partly"]);
    if !partly.is_empty() {
        findings.say(
            Grade::Ok,
            format!("policy: {} has rules for some targets", partly.join(", ")),
        );
    }
}

fn one(plugin: &Value, findings: &mut Findings) {
    let (id, state, why) = (
        table::cell(&plugin["id"]),
        table::cell(&plugin["state"]),
        table::cell(&plugin["lastError"]),
    );
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    match state.as_str() {
        "loaded" => findings.say(Grade::Ok, format!("{id} is loaded")),
        "failed" => findings.say(
            Grade::Error,
            format!(
                "{id} has crashed and will be restarted{why}; `jackfield plugin logs {id}` says more"
            ),
        ),
        "blocked" => findings.say(Grade::Error, format!("{id} is blocked{why}")),
        "disabled" if why.is_empty() => findings.say(Grade::Ok, format!("{id} is disabled")),
        "disabled" => findings.say(
            Grade::Warning,
            format!("{id} is disabled{why}; `jackfield plugin enable {id}` tries again"),
        ),
        _ => findings.say(Grade::Ok, format!("{id} is {state}{why}")),
    }
}
