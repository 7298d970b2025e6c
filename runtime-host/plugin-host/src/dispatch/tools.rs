//! Tools of running plugins, and the call that waits for a plugin's answer.

use crate::{
    AdminError, Plugins,
    bindings::jackfield::plugin::types::PluginError,
    dispatch::table::Listener,
    instances::{
        call::{CallError, Question},
        group::Work,
        jobs::Job,
    },
};
use capability::{CapabilityId, Target};
use serde_json::Value;

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

impl Plugins {
    /// The tools of all running plugins, in load order.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let table = self.host.dispatch.table();
        let tools = table.all().iter().flat_map(|listener| {
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
    /// [`AdminError::NotFound`] for a tool that no running plugin offers, [`AdminError::Conflict`] with what the plugin
    /// says.
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
        let listener = table
            .all()
            .iter()
            .find(offers)
            .ok_or(AdminError::NotFound)?;
        let limit_ms = listener.pool.shared.quota.tool_ms;
        let (name, arguments) = (name.to_owned(), arguments.to_string());
        let answer = ask(listener, &Work::Tools, limit_ms, |question| Job::Tool {
            name,
            arguments,
            question,
        });
        let answer = answer
            .await
            .map_err(|failed| AdminError::Conflict(failed.message))?;
        serde_json::from_str(&answer)
            .map_err(|_| AdminError::Conflict("the plugin's answer is not JSON".to_owned()))
    }
}
