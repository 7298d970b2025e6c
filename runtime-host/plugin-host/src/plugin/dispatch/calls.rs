//! Tools and the host's hooks, called on running plugins.
//!
//! Informational hooks run side by side. The others run in load order, each with the output that the plugins before it left; `block` or `deny`
//! ends the round.

use crate::plugin::{
    AdminError, Plugins,
    bindings::{
        exports::jackfield::plugin::hook_handler::{Action, HookResult},
        jackfield::plugin::types::PluginError,
    },
    dispatch::table::Listener,
    instances::{
        jobs::{Job, Reply},
        state::Scope,
    },
};
use capability::{CapabilityId, Target};
use limits::plugin as bounds;
use plugin_manifest::HOOKS;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{sync::oneshot, time::timeout};

/// Informational hooks: their answers change nothing.
const INFORMATIONAL: [&str; 4] = [
    "SessionEnd",
    "TurnEnd",
    "PostCompact",
    "AutoCompactionStart",
];
/// Hooks that may ask a user for permission.
const PERMISSION: [&str; 2] = ["PermissionRequest", "PermissionDenied"];

/// A tool that a running plugin offers.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The plugin.
    pub plugin_id: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Schema of its arguments.
    pub parameters: Option<Value>,
    /// What it may do: `read`, `write` or `exec`.
    pub tier: &'static str,
}

/// What one plugin answered to a hook.
#[derive(Debug, Clone)]
pub struct HookAnswer {
    /// The plugin.
    pub plugin_id: String,
    /// `continue`, `block`, `allow`, `deny` or `error`.
    pub action: &'static str,
    /// Why, where it says so.
    pub reason: Option<String>,
}

/// What came of a hook.
#[derive(Debug, Clone, Default)]
pub struct HookOutcome {
    /// Answers, in load order.
    pub answers: Vec<HookAnswer>,
    /// The output, as the last plugin left it.
    pub output: Option<Value>,
}

fn deadline_ms(hook: &str) -> u64 {
    match hook {
        hook if INFORMATIONAL.contains(&hook) => bounds::EVENT_DEADLINE_MS,
        hook if PERMISSION.contains(&hook) => bounds::PERMISSION_DEADLINE_MS,
        _ => bounds::ACTION_DEADLINE_MS,
    }
}

/// Enqueues a job for a plugin's instance for requests and waits for its answer.
async fn ask<T>(
    listener: &Listener,
    limit_ms: u64,
    job: impl FnOnce(Reply<T>) -> Job,
) -> Result<T, PluginError> {
    use crate::plugin::{bindings::jackfield::plugin::types::ErrorCode, imports::error};
    let (reply, answer) = oneshot::channel();
    let busy = |busy| {
        error(
            ErrorCode::Unavailable,
            format!("the plugin cannot be called: {busy}"),
        )
    };
    listener
        .pool
        .enqueue(&Scope::Host, job(reply))
        .map_err(busy)?;
    match timeout(Duration::from_millis(limit_ms), answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(error(ErrorCode::Internal, "the plugin ended in the middle")),
        Err(_) => Err(error(
            ErrorCode::Timeout,
            format!("the plugin did not answer within {limit_ms} ms"),
        )),
    }
}

impl Plugins {
    /// The tools of all running plugins, in load order.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let table = self.host.dispatch.table();
        let tools = table.all.iter().flat_map(|listener| {
            let tools = listener.pool.shared.manifest.tools.clone();
            tools.into_iter().map(|tool| Tool {
                plugin_id: listener.id.to_string(),
                name: tool.name,
                description: tool.description,
                parameters: tool.parameters,
                tier: tool.tier.as_str(),
            })
        });
        tools.collect()
    }

    /// Calls a tool with JSON arguments; of two plugins with the same tool the first in load order is asked.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a tool that no running plugin offers, [`AdminError::Conflict`] with what the plugin says.
    pub async fn call_tool(&self, name: &str, arguments: &Value) -> Result<Value, AdminError> {
        let table = self.host.dispatch.table();
        let offers = |listener: &&Listener| {
            let named = listener
                .pool
                .shared
                .manifest
                .tools
                .iter()
                .any(|tool| tool.name == name);
            named && listener.may(CapabilityId::ToolsRegister, Target::name(name))
        };
        let listener = table.all.iter().find(offers).ok_or(AdminError::NotFound)?;
        let limit_ms = listener.pool.shared.quota.tool_ms;
        let (name, arguments) = (name.to_owned(), arguments.to_string());
        let answer = ask(listener, limit_ms, |reply| Job::Tool {
            name,
            arguments,
            deadline_ms: limit_ms,
            reply,
        });
        let answer = answer
            .await
            .map_err(|failed| AdminError::Conflict(failed.message))?;
        serde_json::from_str(&answer)
            .map_err(|_| AdminError::Conflict("the plugin's answer is not JSON".to_owned()))
    }

    /// Runs a hook: every running plugin whose manifest names it is called. No plugin is called while a kill switch skips hooks.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a hook that does not exist.
    pub async fn run_hook(
        &self,
        hook: &str,
        input: &Value,
        output: Option<Value>,
    ) -> Result<HookOutcome, AdminError> {
        if !HOOKS.contains(&hook) {
            return Err(AdminError::NotFound);
        }
        let mut round = HookOutcome {
            answers: Vec::new(),
            output,
        };
        let policy = self.host.policy.load_full();
        if policy.kill.skip_hooks.is_some() || policy.kill.disable.is_some() {
            return Ok(round);
        }
        let table = self.host.dispatch.table();
        let takes_part = |listener: &&Listener| {
            let named = listener
                .pool
                .shared
                .manifest
                .hooks
                .iter()
                .any(|name| name == hook);
            named && listener.may(CapabilityId::HooksSubscribe, Target::name(hook))
        };
        let listeners = table.all.iter().filter(takes_part);
        let limit_ms = deadline_ms(hook);
        let input = input.to_string();
        let put = |listener: &Listener, output: Option<&Value>| {
            let (name, input, output) =
                (hook.to_owned(), input.clone(), output.map(Value::to_string));
            let listener = listener.clone();
            async move {
                ask(&listener, limit_ms, |reply| Job::Hook {
                    name,
                    input,
                    output,
                    deadline_ms: limit_ms,
                    reply,
                })
                .await
            }
        };
        if INFORMATIONAL.contains(&hook) {
            let asked: Vec<_> = listeners
                .map(|listener| (listener.id.to_string(), put(listener, None)))
                .collect();
            let (ids, calls): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            let answers = futures::future::join_all(calls).await;
            round.answers = ids
                .into_iter()
                .zip(answers)
                .map(|(id, answer)| answered(id, answer).0)
                .collect();
            return Ok(round);
        }
        for listener in listeners {
            let answer = put(listener, round.output.as_ref()).await;
            let (answered, output) = answered(listener.id.to_string(), answer);
            round.output = output.or(round.output);
            let ends = matches!(answered.action, "block" | "deny");
            round.answers.push(answered);
            if ends {
                break;
            }
        }
        Ok(round)
    }
}

/// One plugin's answer, and the output that it leaves.
fn answered(
    plugin_id: String,
    answer: Result<HookResult, PluginError>,
) -> (HookAnswer, Option<Value>) {
    let with = |action, reason| HookAnswer {
        plugin_id,
        action,
        reason,
    };
    match answer {
        Ok(HookResult { action, output }) => {
            let output = output
                .as_deref()
                .and_then(|output| serde_json::from_str(output).ok());
            let answered = match action {
                Action::Proceed => with("continue", None),
                Action::Block(reason) => with("block", Some(reason)),
                Action::Allow => with("allow", None),
                Action::Deny => with("deny", None),
            };
            (answered, output)
        }
        Err(failed) => (with("error", Some(failed.message)), None),
    }
}

impl HookOutcome {
    /// As REST shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let answers: Vec<Value> = self
            .answers
            .iter()
            .map(|answer| json!({"pluginId": answer.plugin_id, "action": answer.action, "reason": answer.reason}))
            .collect();
        json!({"answers": answers, "output": self.output})
    }
}
