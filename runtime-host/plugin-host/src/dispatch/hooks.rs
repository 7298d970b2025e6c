//! The host's hooks, called on running plugins, and what follows from their answers.
//!
//! Informational hooks run side by side and change nothing. The others run in load order, each with the input and output
//! that the plugins before it left. `block` or `deny` ends the run and is its verdict, whatever another plugin allowed.
//! If a plugin fails, or should run and does not, its policy [`OnFailure`] decides.

use crate::{
    AdminError, Plugins,
    bindings::exports::jackfield::plugin::hook_handler::{Action, HookResult},
    dispatch::{
        table::{Listener, Table},
        tools::ask,
    },
    instances::{group::Work, jobs::Job},
};
use capability::{CapabilityId, CapabilityUse, Target};
use limits::plugin as bounds;
use plugin_manifest::{HOOKS, OnFailure};
use plugin_store::{AuditDecision, AuditEntry};
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
    /// The plugin's reason, if it gave one, or what failed.
    pub reason: Option<String>,
}

/// What follows from all answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verdict {
    /// No plugin objects, and none allows it in particular.
    #[default]
    Continue,
    /// At least one plugin allows it, and none objects.
    Allow,
    /// A plugin blocks or denies it, or failed and may not be passed over.
    Deny {
        /// The plugin.
        plugin_id: String,
        /// Why.
        reason: String,
    },
}

/// The result of a hook.
#[derive(Debug, Clone, Default)]
pub struct HookOutcome {
    /// What follows.
    pub verdict: Verdict,
    /// Answers, in the order in which the plugins were asked.
    pub answers: Vec<HookAnswer>,
    /// The input, as the last plugin left it.
    pub input: Value,
    /// The output, as the last plugin left it.
    pub output: Option<Value>,
}

/// One run of a hook.
pub(super) struct HookRun<'a> {
    /// The name, one of [`HOOKS`].
    pub(super) hook: &'a str,
    /// What it is about, for the audit.
    pub(super) about: &'a str,
    /// Checks an input that a plugin leaves.
    pub(super) accepts: &'a (dyn Fn(&Value, &Value) -> Result<(), String> + Sync),
}

/// An answer that was understood: the action, its reason, and what replaces input and output.
struct Answer {
    action: Action,
    input: Option<Value>,
    output: Option<Value>,
}

/// Milliseconds for the handler of a hook; `action_ms` for one that decides.
fn deadline_ms(hook: &str, action_ms: u64) -> u64 {
    match hook {
        hook if INFORMATIONAL.contains(&hook) => bounds::EVENT_DEADLINE_MS.min(action_ms),
        hook if PERMISSION.contains(&hook) => bounds::PERMISSION_DEADLINE_MS,
        _ => action_ms,
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
        input: Value,
        output: Option<Value>,
    ) -> Result<HookOutcome, AdminError> {
        if !HOOKS.contains(&hook) {
            return Err(AdminError::NotFound);
        }
        let run = HookRun {
            hook,
            about: hook,
            accepts: &|_, _| Ok(()),
        };
        Ok(self.run(&run, input, output).await)
    }

    /// As [`Plugins::run_hook`], for a hook that exists. A hook that no plugin takes part in costs one atomic load.
    pub(super) async fn run(
        &self,
        run: &HookRun<'_>,
        input: Value,
        output: Option<Value>,
    ) -> HookOutcome {
        let mut outcome = HookOutcome {
            input,
            output,
            ..HookOutcome::default()
        };
        if !self.host.dispatch.has_hook(run.hook) {
            return outcome;
        }
        let policy = self.host.policy.load_full();
        if policy.kill.skip_hooks.is_some() || policy.kill.disable.is_some() {
            return outcome;
        }
        let table = self.host.dispatch.table();
        if INFORMATIONAL.contains(&run.hook) {
            run.inform(table.all(), &mut outcome).await;
            return outcome;
        }
        self.miss(run, &table, &mut outcome).await;
        run.ask_in_order(table.all(), &mut outcome).await;
        if let Verdict::Deny { plugin_id, reason } = &outcome.verdict {
            self.store().audit(AuditEntry {
                at_ms: crate::now_ms(),
                plugin: plugin_id.clone(),
                capability: CapabilityId::HooksSubscribe.as_str().to_owned(),
                target: Some(run.about.to_owned()),
                action: run.hook.to_owned(),
                decision: AuditDecision::Denied,
                layer: 0,
                reason: reason.clone(),
                duration_us: None,
                by: None,
            });
        }
        outcome
    }

    /// Adds the failures of plugins that would be asked if they ran, as they should.
    async fn miss(&self, run: &HookRun<'_>, table: &Table, outcome: &mut HookOutcome) {
        for plugin in table.missed() {
            let manifest = plugin.package.load().manifest.clone();
            if !manifest.hook_set().contains(run.hook) || !plugin.is_wanted() {
                continue;
            }
            let asked = CapabilityUse::new(CapabilityId::HooksSubscribe, Target::name(run.hook));
            // What cannot be evaluated could have been allowed.
            let may = self.evaluate(&plugin.id, &asked).await;
            if may.is_ok_and(|decision| !decision.is_allowed()) {
                continue;
            }
            let why = "it does not run: it is being started or started again".to_owned();
            outcome.fail(&plugin.id, why, self.host.options.on_failure(&manifest));
        }
    }
}

impl HookRun<'_> {
    /// Whether the plugin names the hook in its manifest and is granted to subscribe to it.
    fn is_for(&self, listener: &Listener) -> bool {
        listener.hooks.contains(self.hook)
            && listener.may(CapabilityId::HooksSubscribe, Target::name(self.hook))
    }

    /// Calls one plugin. The error says what failed, and is in the plugin's log.
    async fn call(&self, listener: &Listener, outcome: &HookOutcome) -> Result<Answer, String> {
        let work = match PERMISSION.contains(&self.hook) {
            true => Work::PermissionHooks,
            false => Work::Hooks,
        };
        let limit_ms = deadline_ms(self.hook, listener.pool.shared.quota.action_ms);
        let answer = ask(listener, &work, limit_ms, |question| Job::Hook {
            name: self.hook.to_owned(),
            input: outcome.input.to_string(),
            output: outcome.output.as_ref().map(Value::to_string),
            question,
        });
        let answer = match answer.await {
            Ok(answer) => self.understood(answer, &outcome.input),
            Err(failed) => Err(failed.message),
        };
        answer.inspect_err(|why| listener.log_failure(&format!("hook {}: {why}", self.hook)))
    }

    /// Reads what replaces input and output.
    fn understood(&self, answer: HookResult, before: &Value) -> Result<Answer, String> {
        let HookResult {
            action,
            input,
            output,
        } = answer;
        if matches!(action, Action::Block(_) | Action::Deny) {
            // What it would have changed does not happen, and must not make the objection a failure.
            return Ok(Answer {
                action,
                input: None,
                output: None,
            });
        }
        let input = json_of("input", input.as_deref())?;
        if let Some(input) = &input {
            (self.accepts)(before, input)?;
        }
        Ok(Answer {
            action,
            input,
            output: json_of("output", output.as_deref())?,
        })
    }

    /// Calls all plugins side by side; none changes anything.
    async fn inform(&self, listeners: &[Listener], outcome: &mut HookOutcome) {
        let listeners = listeners.iter().filter(|listener| self.is_for(listener));
        let calls = listeners.map(async |listener| (listener, self.call(listener, outcome).await));
        let answers = futures::future::join_all(calls).await;
        for (listener, answer) in answers {
            match answer {
                Ok(answer) => outcome.note(&listener.id, &answer.action),
                Err(why) => outcome.fail(&listener.id, why, OnFailure::Pass),
            }
        }
    }

    /// Calls one plugin after the other, until one objects.
    async fn ask_in_order(&self, listeners: &[Listener], outcome: &mut HookOutcome) {
        for listener in listeners {
            if outcome.is_denied() {
                return;
            }
            // Checked when it is the plugin's turn: a grant may have been revoked meanwhile.
            if !self.is_for(listener) {
                continue;
            }
            match self.call(listener, outcome).await {
                Ok(answer) => outcome.take(&listener.id, answer),
                Err(why) => outcome.fail(&listener.id, why, listener.pool.shared.on_failure),
            }
        }
    }
}

/// JSON that a plugin answers.
pub(super) fn json_of(name: &str, text: Option<&str>) -> Result<Option<Value>, String> {
    let Some(text) = text else { return Ok(None) };
    if text.len() > bounds::PAYLOAD_BYTES_MAX {
        return Err(format!(
            "its {name} has {} bytes, the limit is {}",
            text.len(),
            bounds::PAYLOAD_BYTES_MAX
        ));
    }
    // `null` is a value: it replaces what was there.
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(format!("its {name} is not JSON: {error}")),
    }
}

impl HookOutcome {
    fn is_denied(&self) -> bool {
        matches!(self.verdict, Verdict::Deny { .. })
    }

    /// Adds an answer that changes nothing.
    fn note(&mut self, plugin_id: &str, action: &Action) {
        let (action, reason) = match action {
            Action::Proceed => ("continue", None),
            Action::Block(reason) => ("block", Some(reason.clone())),
            Action::Allow => ("allow", None),
            Action::Deny => ("deny", None),
        };
        self.answers.push(HookAnswer {
            plugin_id: plugin_id.to_owned(),
            action,
            reason,
        });
    }

    /// Adds an answer that counts.
    fn take(&mut self, plugin_id: &str, answer: Answer) {
        self.note(plugin_id, &answer.action);
        let deny = |reason| Verdict::Deny {
            plugin_id: plugin_id.to_owned(),
            reason,
        };
        match answer.action {
            Action::Proceed => {}
            Action::Allow => self.verdict = Verdict::Allow,
            Action::Block(reason) => self.verdict = deny(reason),
            Action::Deny => self.verdict = deny("denied".to_owned()),
        }
        if let Some(input) = answer.input {
            self.input = input;
        }
        self.output = answer.output.or(self.output.take());
    }

    /// Adds a failure.
    fn fail(&mut self, plugin_id: &str, why: String, on_failure: OnFailure) {
        if on_failure == OnFailure::Refuse && !self.is_denied() {
            self.verdict = Verdict::Deny {
                plugin_id: plugin_id.to_owned(),
                reason: format!("the plugin failed: {why}"),
            };
        }
        self.answers.push(HookAnswer {
            plugin_id: plugin_id.to_owned(),
            action: "error",
            reason: Some(why),
        });
    }

    /// As REST shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let answers: Vec<Value> = self
            .answers
            .iter()
            .map(|answer| json!({"pluginId": answer.plugin_id, "action": answer.action, "reason": answer.reason}))
            .collect();
        let (verdict, plugin_id, reason) = match &self.verdict {
            Verdict::Continue => ("continue", None, None),
            Verdict::Allow => ("allow", None, None),
            Verdict::Deny { plugin_id, reason } => ("deny", Some(plugin_id), Some(reason)),
        };
        json!({
            "verdict": verdict, "pluginId": plugin_id, "reason": reason,
            "answers": answers, "input": self.input, "output": self.output,
        })
    }
}
