//! Kill switches, layer 0 of every decision, and the environment variables that set them.
//!
//! The shells pass the variables in; each name begins with `JACKFIELD_` or, for imported setups, with `JCODE_`. A
//! switch only restricts: what one source turns on, no other source turns off.

use crate::{CapabilityId, Grant, Mode, Scope};
use limits::capability::ENVIRONMENT_WORDS_MAX;
use std::{collections::BTreeSet, fmt};

/// What is switched off, each with the variable or user that did it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillSwitches {
    /// No plugin is loaded, every capability is denied.
    pub disable: Option<Box<str>>,
    /// Plugins run, but hooks are not called.
    pub skip_hooks: Option<Box<str>>,
    /// Every permission and every tool call is denied.
    pub team_worker: Option<Box<str>>,
    /// Plugins switched off by name, in the form of [`switch_name`].
    plugins: BTreeSet<Box<str>>,
}

/// The switch that stops a capability, with the variable or user that turned it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill<'a> {
    /// All plugins are off.
    Disabled(&'a str),
    /// Hooks are skipped.
    SkipHooks(&'a str),
    /// This process is a team worker, which has no permissions of its own.
    TeamWorker(&'a str),
}

/// The text in the refusal.
impl fmt::Display for Kill<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled(by) => write!(f, "Plugins are disabled via {by}"),
            Self::SkipHooks(by) => write!(f, "hooks are skipped via {by}"),
            Self::TeamWorker(by) => write!(f, "denied via {by}"),
        }
    }
}

impl KillSwitches {
    /// The switch that stops a capability; the widest first.
    #[must_use]
    pub fn stops(&self, id: CapabilityId) -> Option<Kill<'_>> {
        if let Some(by) = &self.disable {
            return Some(Kill::Disabled(by));
        }
        if let Some(by) = self
            .skip_hooks
            .as_ref()
            .filter(|_| id == CapabilityId::HooksSubscribe)
        {
            return Some(Kill::SkipHooks(by));
        }
        self.team_worker.as_deref().map(Kill::TeamWorker)
    }

    /// Whether a plugin is switched off by name.
    #[must_use]
    pub fn kills(&self, plugin_id: &str) -> bool {
        !self.plugins.is_empty() && self.names(&switch_name(plugin_id))
    }

    /// [`KillSwitches::kills`] by the plugin's [`switch_name`].
    pub(crate) fn names(&self, switch_name: &str) -> bool {
        self.plugins.contains(switch_name)
    }

    /// Switches one plugin off.
    ///
    /// # Errors
    /// When [`ENVIRONMENT_WORDS_MAX`] plugins are switched off already.
    pub fn kill(&mut self, plugin_id: &str) -> Result<(), TooManyKilled> {
        let name = switch_name(plugin_id);
        if self.plugins.len() >= ENVIRONMENT_WORDS_MAX && !self.plugins.contains(&*name) {
            return Err(TooManyKilled);
        }
        self.plugins.insert(name.into());
        Ok(())
    }

    /// Removes the switch of one plugin.
    pub fn revive(&mut self, plugin_id: &str) {
        self.plugins.remove(&*switch_name(plugin_id));
    }
}

/// Too many plugins are switched off by name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("more than {ENVIRONMENT_WORDS_MAX} plugins killed by name; use the switch for all")]
pub struct TooManyKilled;

impl TooManyKilled {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "too-many-killed"
    }
}

/// A plugin's name in a variable: upper case, with `_` for everything but letters and digits. Two ids may have the same
/// name; the switch then stops both.
#[must_use]
pub fn switch_name(plugin_id: &str) -> String {
    plugin_id
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// The settings of plugins that come from environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Switches that are on.
    pub kill: KillSwitches,
    /// `PLUGIN_MODE`; the strictest when named twice.
    pub mode: Option<Mode>,
    /// `PLUGIN_DENY`: capabilities denied to all plugins, and programs and tools by name.
    pub deny: Vec<Grant>,
    /// `PLUGIN_DIR`: the plugins directory.
    pub directory: Option<String>,
}

/// Why a variable is refused. A restriction that cannot be parsed must not be ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {rule}")]
pub struct BadVariable {
    /// The variable.
    pub variable: String,
    /// What is wrong with it.
    pub rule: String,
}

impl BadVariable {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "bad-variable"
    }
}

impl Environment {
    /// Reads the variables about plugins out of all variables. A switch is off when its variable is empty, `0` or
    /// `false`, and on otherwise.
    ///
    /// # Errors
    /// A mode that does not exist, a list that is too long.
    pub fn read<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadVariable> {
        let mut out = Self::default();
        for (variable, value) in variables {
            let name = variable
                .strip_prefix("JACKFIELD_")
                .or_else(|| variable.strip_prefix("JCODE_"));
            if let Some(name) = name {
                out.take(variable, name, value)
                    .map_err(|rule| BadVariable {
                        variable: variable.to_owned(),
                        rule,
                    })?;
            }
        }
        Ok(out)
    }

    fn take(&mut self, variable: &str, name: &str, value: &str) -> Result<(), String> {
        let on = is_on(value).then(|| Box::from(variable));
        match name {
            "DISABLE_PLUGINS" => set_switch(&mut self.kill.disable, on),
            "SKIP_PLUGINS" => set_switch(&mut self.kill.skip_hooks, on),
            "TEAM_WORKER" => set_switch(&mut self.kill.team_worker, on),
            "PLUGIN_MODE" if !value.trim().is_empty() => {
                let mode: Mode = value
                    .parse()
                    .map_err(|error: crate::UnknownMode| error.to_string())?;
                self.mode = self.mode.max(Some(mode));
            }
            "PLUGIN_DENY" => self.deny_words(value)?,
            // `JACKFIELD_PLUGIN_DIR` wins over `JCODE_PLUGIN_DIR` in whatever order they come.
            "PLUGIN_DIR"
                if !value.is_empty()
                    && (self.directory.is_none() || variable.starts_with("JACKFIELD_")) =>
            {
                self.directory = Some(value.to_owned());
            }
            _ => {
                let plugin = name
                    .strip_prefix("PLUGIN_KILL_")
                    .or_else(|| name.strip_prefix("KILL_"))
                    .filter(|plugin| !plugin.is_empty());
                if let Some(plugin) = plugin.filter(|_| on.is_some()) {
                    self.kill.kill(plugin).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(())
    }

    /// An entry that is a capability, in any case, or another system's name of one denies it; any other entry denies the
    /// program and the tool of that name. One that looks like a capability and is none is refused.
    fn deny_words(&mut self, value: &str) -> Result<(), String> {
        for word in value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            if self.deny.len() >= ENVIRONMENT_WORDS_MAX {
                return Err(format!("more than {ENVIRONMENT_WORDS_MAX} entries"));
            }
            let lower = word.to_ascii_lowercase();
            let known = CapabilityId::all().find(|id| id.as_str().eq_ignore_ascii_case(word));
            if let Some(id) = known.or_else(|| CapabilityId::from_foreign(&lower)) {
                self.deny.push(Grant::whole(id));
                continue;
            }
            let group = lower.split_once('.').map(|(group, _)| format!("{group}."));
            if group
                .is_some_and(|group| CapabilityId::all().any(|id| id.as_str().starts_with(&group)))
            {
                return Err(format!("{word:?} is not a capability"));
            }
            let scope = Scope {
                names: Some(vec![word.to_owned()]),
                ..Scope::default()
            };
            for capability in [CapabilityId::ShellExec, CapabilityId::ToolsCall] {
                self.deny.push(Grant {
                    capability,
                    scope: scope.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Turns a switch on; if both are set, the `JACKFIELD_` variable is the one reported.
fn set_switch(switch: &mut Option<Box<str>>, by: Option<Box<str>>) {
    if let Some(by) = by
        && (switch.is_none() || by.starts_with("JACKFIELD_"))
    {
        *switch = Some(by);
    }
}

fn is_on(value: &str) -> bool {
    let value = value.trim();
    !(value.is_empty() || value == "0" || value.eq_ignore_ascii_case("false"))
}
