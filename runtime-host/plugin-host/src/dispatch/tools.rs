//! Tools of running plugins, and the call that waits for a plugin's answer.
//!
//! The arguments are checked before a plugin sees them. Whether a user has to allow the call first depends on what the
//! tool may do and on the mode of the caller's session. `PreToolUse` runs before each call and may block it or change
//! its arguments, `PostToolUse` after it and may withhold or change its result; after a failure `PostToolUseFailure` runs.

use crate::{
    OperatorOptions, Plugins,
    bindings::jackfield::plugin::types::{ErrorCode, PluginError},
    dispatch::{
        hooks::{HookRun, Verdict, json_of},
        route::denial_code,
        table::{Listener, Table},
    },
    imports::error,
    instances::{
        call::{CallError, Question},
        group::Work,
        jobs::Job,
    },
};
use capability::{CapabilityId, CapabilityUse, Outcome, Target};
use plugin_event::Violation;
use plugin_manifest::ToolMode;
use serde_json::{Value, json};

/// A tool that a running plugin offers.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The plugin.
    pub plugin_id: String,
    /// `plugin:<plugin id>:<tool>`, which is no other tool's name.
    pub name: String,
    /// The name that the plugin gives it.
    pub tool: String,
    /// What it does.
    pub description: String,
    /// Schema of its arguments.
    pub parameters: Option<Value>,
    /// What it may do: `read`, `write` or `exec`.
    pub tier: &'static str,
}

/// Why a tool has no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No running plugin has it.
    #[error("no running plugin has a tool of this name")]
    Unknown,
    /// Its plugin may not offer it, or this call is denied or waits for a user.
    #[error("{plugin_id}: {message}")]
    NotAllowed {
        /// The plugin.
        plugin_id: String,
        /// `NOT_DECLARED`, `NOT_GRANTED`, `CONSENT_PENDING` or `DENIED`.
        code: &'static str,
        /// What is missing.
        message: String,
        /// More, such as the consent that is waited for.
        details: Value,
    },
    /// Several plugins offer a tool of this name.
    #[error("several plugins offer a tool of this name: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// The arguments do not conform to the tool's parameters.
    #[error("the arguments do not conform to the tool's parameters")]
    Invalid(Vec<Violation>),
    /// A plugin blocked the call, or withholds the result.
    #[error("[Tool blocked by plugin: {reason}]")]
    Blocked {
        /// The plugin that blocks it.
        plugin_id: String,
        /// Why.
        reason: String,
        /// Whether the tool was called before.
        was_called: bool,
    },
    /// The plugin failed, or says that it could not do it.
    #[error("{0}")]
    Failed(String),
}

/// Enqueues a job for a plugin's instances for some work and waits for its answer: at most `limit_ms` until it begins,
/// then as long as the call may take.
pub(super) async fn ask<T>(
    listener: &Listener,
    work: &Work,
    limit_ms: u64,
    job: impl FnOnce(Question<T>) -> Job,
) -> Result<T, PluginError> {
    let (question, answer) = Question::new(limit_ms);
    let answer = match listener.pool.enqueue(work, job(question)) {
        Ok(()) => answer.within(limit_ms).await,
        Err(busy) => Err(busy.into()),
    };
    answer.map_err(CallError::into_plugin_error)
}

/// A tool and the plugin that has it.
struct Offer<'a> {
    listener: &'a Listener,
    tool: &'a plugin_manifest::Tool,
}

impl Offer<'_> {
    /// All tools of running plugins, in load order.
    fn all(table: &Table) -> impl Iterator<Item = Offer<'_>> {
        let tools = table.all().iter().map(|listener| {
            let tools = listener.pool.shared.manifest.tools.iter();
            tools.map(move |tool| Offer { listener, tool })
        });
        tools.flatten()
    }

    fn canonical_name(&self) -> String {
        format!("plugin:{}:{}", self.listener.id, self.tool.name)
    }

    /// Whether its plugin may offer it now; nothing is recorded.
    fn is_allowed(&self) -> bool {
        let asked = CapabilityUse::new(CapabilityId::ToolsRegister, Target::name(&self.tool.name));
        let authority = &self.listener.pool.shared.authority;
        authority.decide(&asked).is_allowed()
    }

    /// Whether its plugin may offer it now; the decision is recorded.
    async fn authorize(&self) -> Result<(), ToolError> {
        let (shared, target) = (&self.listener.pool.shared, Target::name(&self.tool.name));
        let authorized = shared
            .authority
            .authorize_incoming(CapabilityId::ToolsRegister, target);
        authorized.await.map_err(|refused| match shared.is_ended() {
            // It is denied everything, which says nothing about the plugin's grants.
            true => ToolError::Failed("the plugin is being stopped".to_owned()),
            false => self.refused(refused),
        })
    }

    fn refused(&self, refused: PluginError) -> ToolError {
        let details = refused.details.as_deref().unwrap_or_default();
        ToolError::NotAllowed {
            plugin_id: self.listener.id.to_string(),
            code: denial_code(refused.code),
            message: refused.message,
            details: serde_json::from_str(details).unwrap_or_default(),
        }
    }

    /// Whether a user, the operator or the mode of the session allows the call: the first that says something decides.
    async fn approve(&self, options: &OperatorOptions, mode: ToolMode) -> Result<(), ToolError> {
        let shared = &self.listener.pool.shared;
        let (name, tier) = (self.canonical_name(), self.tool.tier);
        let (outcome, by) =
            if let Some(said) = options.of_tool(&shared.manifest.id, &self.tool.name) {
                (said, "the configuration".to_owned())
            } else if let Some(said) = shared.authority.said_of_tool(&name) {
                (said, "a user".to_owned())
            } else {
                (mode.outcome(tier), format!("mode {mode}, tier {tier}"))
            };
        match outcome {
            Outcome::Allow => Ok(()),
            Outcome::Deny => {
                shared.authority.note_tool(&name, outcome, by.clone());
                let text = format!("the call of {name} is denied ({by})");
                Err(self.refused(error(ErrorCode::Denied, text)))
            }
            Outcome::Ask => {
                shared.authority.note_tool(&name, outcome, by.clone());
                let reason = Some(format!("a call of the tool ({by})"));
                let id = CapabilityId::ToolsRegister;
                let asked = shared.authority.request_consent(id, name, reason);
                Err(self.refused(asked.await))
            }
        }
    }

    fn check(&self, arguments: &Value) -> Result<(), Vec<Violation>> {
        let schemas = self.listener.pool.tool_schemas();
        schemas.check(&self.tool.name, arguments)
    }

    /// Whether `PreToolUse` may leave `after` of what it got: arguments that conform, and nothing else that differs.
    fn accepts(&self, before: &Value, after: &Value) -> Result<(), String> {
        let Some(arguments) = after.get("tool_input") else {
            return Err("its input has no tool_input".to_owned());
        };
        let mut expected = before.clone();
        expected["tool_input"] = arguments.clone();
        if expected != *after {
            return Err("its input differs in more than tool_input".to_owned());
        }
        self.check(arguments).map_err(|violations| {
            let first = violations.into_iter().next();
            let (at, why) = first
                .map(|first| (first.pointer, first.message))
                .unwrap_or_default();
            format!("its tool_input does not conform to the tool's parameters: {at:?}: {why}")
        })
    }

    /// Calls the plugin.
    async fn call(&self, arguments: &Value) -> Result<Value, PluginError> {
        let limit_ms = self.listener.pool.shared.quota.tool_ms;
        let answer = ask(self.listener, &Work::Tools, limit_ms, |question| {
            Job::Tool {
                name: self.tool.name.clone(),
                arguments: arguments.to_string(),
                question,
            }
        });
        let answer = answer.await?;
        let answer = json_of("answer", Some(&answer));
        let answer = answer.map_err(|why| error(ErrorCode::Internal, why))?;
        Ok(answer.unwrap_or_default())
    }
}

/// The tool that a name means: `plugin:<plugin id>:<tool>`, `plugin_<plugin id>_<tool>`, or the tool's own name if one
/// plugin alone may offer it. One that no plugin may offer is found too, so that the refusal says what is missing.
fn find<'a>(table: &'a Table, name: &str) -> Result<Offer<'a>, ToolError> {
    // A plugin's id has neither of these characters, so that the first one ends it.
    for (prefix, mark) in [("plugin:", ':'), ("plugin_", '_')] {
        if let Some((plugin_id, tool)) = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once(mark))
        {
            // No other plugin can take such a name, whether its plugin runs or not.
            return Offer::all(table)
                .find(|offer| &*offer.listener.id == plugin_id && offer.tool.name == tool)
                .ok_or(ToolError::Unknown);
        }
    }
    let (mut allowed, mut others): (Vec<_>, Vec<_>) = Offer::all(table)
        .filter(|offer| offer.tool.name == name)
        .partition(Offer::is_allowed);
    match (allowed.len(), others.is_empty()) {
        (1, _) => Ok(allowed.remove(0)),
        (0, false) => Ok(others.remove(0)),
        (0, true) => Err(ToolError::Unknown),
        _ => {
            let names = allowed.iter().map(Offer::canonical_name);
            Err(ToolError::Ambiguous(names.collect()))
        }
    }
}

impl Plugins {
    /// The tools that running plugins may offer, in load order.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let table = self.host.dispatch.table();
        let offers = Offer::all(&table).filter(Offer::is_allowed);
        let tools = offers.map(|offer| Tool {
            plugin_id: offer.listener.id.to_string(),
            name: offer.canonical_name(),
            tool: offer.tool.name.clone(),
            description: offer.tool.description.clone(),
            parameters: offer.tool.parameters.clone(),
            tier: offer.tool.tier.as_str(),
        });
        tools.collect()
    }

    /// Calls a tool with JSON arguments for the user `user_id`, in a session of the mode `mode` or of that which the
    /// operator names.
    ///
    /// # Errors
    /// [`ToolError`].
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: Value,
        user_id: &str,
        mode: Option<ToolMode>,
    ) -> Result<Value, ToolError> {
        let table = self.host.dispatch.table();
        let offer = find(&table, name)?;
        offer.authorize().await?;
        offer.check(&arguments).map_err(ToolError::Invalid)?;
        let options = &self.host.options;
        let mode = mode.unwrap_or(options.tool_mode);
        offer.approve(options, mode).await?;
        let name = offer.canonical_name();
        let about = json!({
            "tool_name": name, "plugin_id": *offer.listener.id, "tier": offer.tool.tier,
            "user_id": user_id, "tool_input": arguments,
        });
        let before = HookRun {
            hook: "PreToolUse",
            about: &name,
            accepts: &|before, after| offer.accepts(before, after),
        };
        let before = self.run(&before, about, None).await;
        refusal(before.verdict, false)?;
        let mut about = before.input;
        let after = |hook| HookRun {
            hook,
            about: &name,
            accepts: &|before, after| match before == after {
                true => Ok(()),
                false => Err("its input tells of the call and cannot be replaced".to_owned()),
            },
        };
        // Plugins may have taken long, and a grant may have been revoked meanwhile.
        offer.authorize().await?;
        match offer.call(&about["tool_input"]).await {
            Ok(result) => {
                let after = self.run(&after("PostToolUse"), about, Some(result)).await;
                refusal(after.verdict, true)?;
                Ok(after.output.unwrap_or_default())
            }
            Err(failed) => {
                about["error"] = failed.message.as_str().into();
                // Nothing is left to refuse or to replace.
                self.run(&after("PostToolUseFailure"), about, None).await;
                Err(ToolError::Failed(failed.message))
            }
        }
    }
}

fn refusal(verdict: Verdict, was_called: bool) -> Result<(), ToolError> {
    match verdict {
        Verdict::Continue | Verdict::Allow => Ok(()),
        Verdict::Deny { plugin_id, reason } => Err(ToolError::Blocked {
            plugin_id,
            reason,
            was_called,
        }),
    }
}
