//! The host's hooks, called on running plugins.
//!
//! Informational hooks run side by side. The others run in load order, each with the output that the plugins before it
//! left; `block` or `deny` ends the round.

use crate::{
    AdminError, Plugins,
    bindings::{
        exports::jackfield::plugin::hook_handler::{Action, HookResult},
        jackfield::plugin::types::PluginError,
    },
    dispatch::{table::Listener, tools::ask},
    instances::{group::Work, jobs::Job},
};
use capability::{CapabilityId, Target};
use limits::plugin as bounds;
use plugin_manifest::HOOKS;
use serde_json::{Value, json};

/// Informational hooks: their answers change nothing.
const INFORMATIONAL: [&str; 4] = [
    "SessionEnd",
    "TurnEnd",
    "PostCompact",
    "AutoCompactionStart",
];
/// Hooks that may ask a user for permission.
const PERMISSION: [&str; 2] = ["PermissionRequest", "PermissionDenied"];

/// What one plugin answered to a hook.
#[derive(Debug, Clone)]
pub struct HookAnswer {
    /// The plugin.
    pub plugin_id: String,
    /// `continue`, `block`, `allow`, `deny` or `error`.
    pub action: &'static str,
    /// The plugin's reason, if it gave one.
    pub reason: Option<String>,
}

/// The result of a hook.
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

impl Plugins {
    /// Runs a hook: every running plugin whose manifest names it is called. No plugin is called while a kill switch
    /// skips hooks.
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
        let policy = self.host.policy.load_full();
        if policy.kill.skip_hooks.is_some() || policy.kill.disable.is_some() {
            return Ok(HookOutcome {
                answers: Vec::new(),
                output,
            });
        }
        let call = HookCall {
            hook,
            input: input.to_string(),
        };
        let table = self.host.dispatch.table();
        Ok(if INFORMATIONAL.contains(&hook) {
            call.inform(table.all(), output).await
        } else {
            call.ask_in_order(table.all(), output).await
        })
    }
}

/// One run of a hook.
struct HookCall<'a> {
    hook: &'a str,
    /// JSON.
    input: String,
}

impl HookCall<'_> {
    /// Whether the plugin names the hook in its manifest and is granted to subscribe to it.
    fn is_for(&self, listener: &Listener) -> bool {
        let hooks = &listener.pool.shared.manifest.hooks;
        hooks.iter().any(|name| name == self.hook)
            && listener.may(CapabilityId::HooksSubscribe, Target::name(self.hook))
    }

    /// Calls one plugin.
    async fn call(
        &self,
        listener: &Listener,
        output: Option<&Value>,
    ) -> (HookAnswer, Option<Value>) {
        let limit_ms = deadline_ms(self.hook);
        let work = match PERMISSION.contains(&self.hook) {
            true => Work::PermissionHooks,
            false => Work::Hooks,
        };
        let answer = ask(listener, &work, limit_ms, |question| Job::Hook {
            name: self.hook.to_owned(),
            input: self.input.clone(),
            output: output.map(Value::to_string),
            question,
        });
        answered(listener.id.to_string(), answer.await)
    }

    /// Calls all plugins side by side; none sees or changes the output.
    async fn inform(&self, listeners: &[Listener], output: Option<Value>) -> HookOutcome {
        let listeners = listeners.iter().filter(|listener| self.is_for(listener));
        let calls = listeners.map(|listener| self.call(listener, None));
        let answers = futures::future::join_all(calls).await;
        HookOutcome {
            answers: answers.into_iter().map(|(answer, _)| answer).collect(),
            output,
        }
    }

    /// Calls one plugin after the other, until one blocks or denies.
    async fn ask_in_order(&self, listeners: &[Listener], output: Option<Value>) -> HookOutcome {
        let mut outcome = HookOutcome {
            answers: Vec::new(),
            output,
        };
        for listener in listeners {
            // Checked when it is the plugin's turn: a grant may have been revoked meanwhile.
            if !self.is_for(listener) {
                continue;
            }
            let (answer, output) = self.call(listener, outcome.output.as_ref()).await;
            outcome.output = output.or(outcome.output);
            let ends = matches!(answer.action, "block" | "deny");
            outcome.answers.push(answer);
            if ends {
                break;
            }
        }
        outcome
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
