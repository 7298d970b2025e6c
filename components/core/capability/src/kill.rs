//! Kill switches (J28 to J32): layer 0 of every decision, and what the environment says about plugins.
//!
//! What it is not: a reader of the environment; the shells pass its variables in. Each name begins with `JACKFIELD_` or, as in an older
//! system, with `JCODE_`. Invariant: a switch only ever restricts; what one source switches on no other switches off.

use crate::{CapabilityId, Grant, Mode, Scope};
use limits::capability::ENVIRONMENT_WORDS_MAX;
use std::{collections::BTreeSet, fmt};

/// What has been switched off, and by which variable or person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillSwitches {
    /// Nothing is loaded, everything is denied (J28).
    pub disable: Option<Box<str>>,
    /// Plugins run, but no hook fires (J29).
    pub skip_hooks: Option<Box<str>>,
    /// Every permission and every tool is denied (J30).
    pub team_worker: Option<Box<str>>,
    /// Plugins that are killed one by one, in the form of [`switch_name`].
    plugins: BTreeSet<Box<str>>,
}

/// The switch that stops something, with who threw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill<'a> {
    /// All plugins are off.
    Disabled(&'a str),
    /// Hooks are skipped.
    SkipHooks(&'a str),
    /// This process only works for others.
    TeamWorker(&'a str),
}

/// What a caller reads, as J28 and J30 have it.
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
    /// The switch that stops a capability, the most important first (J31).
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

    /// Whether a plugin is killed by a switch of its own.
    #[must_use]
    pub fn kills(&self, plugin_id: &str) -> bool {
        !self.plugins.is_empty() && self.plugins.contains(&*switch_name(plugin_id))
    }

    /// Kills one plugin.
    ///
    /// # Errors
    /// When [`ENVIRONMENT_WORDS_MAX`] are killed already.
    pub fn kill(&mut self, plugin_id: &str) -> Result<(), TooManyKilled> {
        let name = switch_name(plugin_id);
        if self.plugins.len() >= ENVIRONMENT_WORDS_MAX && !self.plugins.contains(&*name) {
            return Err(TooManyKilled);
        }
        self.plugins.insert(name.into());
        Ok(())
    }

    /// Lets one plugin live again.
    pub fn spare(&mut self, plugin_id: &str) {
        self.plugins.remove(&*switch_name(plugin_id));
    }
}

/// More plugins killed by name than can be.
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

/// How a plugin is called in a variable's name: upper case, everything else than letters and digits as `_`. Two ids may share a name; then the
/// switch stops both, which is the safe side.
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

/// What the environment says about plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Switches that are on.
    pub kill: KillSwitches,
    /// `PLUGIN_MODE`; the strictest when named twice.
    pub mode: Option<Mode>,
    /// `PLUGIN_DENY`: capabilities that are denied to everyone, and programs and tools by name.
    pub deny: Vec<Grant>,
    /// `PLUGIN_DIR`: where plugins are found.
    pub directory: Option<String>,
}

/// Why a variable is refused. A restriction that cannot be understood must not be passed over.
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
    /// Reads what concerns plugins out of all variables. A switch is off when it is empty, `0` or `false`, and on otherwise (J31).
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
            "DISABLE_PLUGINS" => throw(&mut self.kill.disable, on),
            "SKIP_PLUGINS" => throw(&mut self.kill.skip_hooks, on),
            "TEAM_WORKER" => throw(&mut self.kill.team_worker, on),
            "PLUGIN_MODE" if !value.trim().is_empty() => {
                let mode: Mode = value
                    .parse()
                    .map_err(|error: crate::UnknownMode| error.to_string())?;
                self.mode = self.mode.max(Some(mode));
            }
            "PLUGIN_DENY" => self.deny_words(value)?,
            // The product's own name wins over the older one, in whatever order they come.
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

    /// A word that is a capability denies it; any other denies the program and the tool of that name.
    fn deny_words(&mut self, value: &str) -> Result<(), String> {
        for word in value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            if self.deny.len() >= ENVIRONMENT_WORDS_MAX {
                return Err(format!("more than {ENVIRONMENT_WORDS_MAX} entries"));
            }
            if let Some(id) = CapabilityId::find(word) {
                self.deny.push(Grant::whole(id));
                continue;
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

/// Throws a switch; the product's own variable is named where both are set.
fn throw(switch: &mut Option<Box<str>>, by: Option<Box<str>>) {
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
