//! The closed lists of values in a manifest: for each an enum with its texts, and the choice in the tables.

use capability::Outcome;
use serde::{Deserialize, Serialize};

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal $meaning:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $meaning] #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The texts, in order.
            pub const NAMES: &[&str] = &[$($text),+];

            /// Its text in a manifest.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// What a plugin is made of.
    Kind {
        Component "component" "A WebAssembly component that runs on the server.",
        Client "client" "An ES module that clients load.",
        Library "library" "Code that others use; it is never activated on its own.",
        Script "script" "JavaScript or TypeScript that runs on the server.",
        Process "process" "A program of its own beside the server.",
        Theme "theme" "Colours alone.",
    }
}

choice! {
    /// Where a plugin lives.
    PluginScope {
        Client "client" "With each client.",
        Server "server" "With each server.",
    }
}

choice! {
    /// What a plugin does for the application; not a permission.
    Role {
        Service "service" "Answers requests below its route.",
        FileLoader "file-loader" "Reads a kind of file.",
        FileViewer "file-viewer" "Shows a kind of file.",
        DataSource "data-source" "Connects to a source of data.",
        Exporter "exporter" "Writes records to a format.",
        SearchProvider "search-provider" "Answers searches.",
        NewUiComponent "new-ui-component" "Draws an interactive panel.",
        DataProducer "data-producer" "Publishes datasets.",
        Renderer "renderer" "Draws records.",
        Cli "cli" "Offers commands.",
        Theme "theme" "Provides colours.",
        Tools "tools" "Offers tools.",
        Hooks "hooks" "Takes part in hooks.",
        Events "events" "Handles plugin events.",
    }
}

choice! {
    /// The direction of a plugin event.
    Direction {
        ClientToServer "clientToServer" "From a client to the server.",
        ServerRelay "serverRelay" "Relayed by the server.",
        P2pHint "p2pHint" "Between clients; the server refuses it.",
    }
}

choice! {
    /// The scope of a plugin event or a value.
    DataScope {
        Server "server" "The whole server.",
        Channel "channel" "One channel.",
        User "user" "One user.",
        Plugin "plugin" "The plugin itself.",
    }
}

choice! {
    /// Where a value is kept.
    DataStorage {
        Local "local" "On the user's device.",
        ServerData "serverData" "With the server.",
    }
}

choice! {
    /// The class in which a plugin is activated.
    Priority {
        Bootstrap "bootstrap" "Before all others.",
        High "high" "Early.",
        Default "default" "In the middle.",
        Low "low" "Last.",
    }
}

choice! {
    /// The most harmful thing that a tool does.
    Tier {
        Read "read" "It only looks.",
        Write "write" "It changes data.",
        Exec "exec" "It runs programs.",
    }
}

choice! {
    /// How much of what tools do a session lets pass without asking a user.
    ToolMode {
        Plan "plan" "Each call is asked about.",
        AcceptEdits "acceptEdits" "Reading and writing is allowed, the rest is asked about.",
        Default "default" "Reading is allowed, the rest is asked about.",
        DontAsk "dontAsk" "Reading is allowed, the rest is denied.",
        Bypass "bypass" "Each call is allowed.",
        Auto "auto" "Each call is asked about, by a program that answers for the user.",
    }
}

impl Default for ToolMode {
    /// The mode of a session that says nothing: reading alone is harmless.
    fn default() -> Self {
        Self::Default
    }
}

impl ToolMode {
    /// What becomes of a call of a tool that does at most `tier`.
    #[must_use]
    pub const fn outcome(self, tier: Tier) -> Outcome {
        match (self, tier) {
            (Self::Bypass, _)
            | (Self::AcceptEdits | Self::Default | Self::DontAsk, Tier::Read)
            | (Self::AcceptEdits, Tier::Write) => Outcome::Allow,
            (Self::DontAsk, _) => Outcome::Deny,
            (Self::Plan | Self::Auto | Self::AcceptEdits | Self::Default, _) => Outcome::Ask,
        }
    }
}

impl std::str::FromStr for ToolMode {
    type Err = UnknownToolMode;

    fn from_str(text: &str) -> Result<Self, UnknownToolMode> {
        let all = [
            Self::Plan,
            Self::AcceptEdits,
            Self::Default,
            Self::DontAsk,
            Self::Bypass,
            Self::Auto,
        ];
        let found = all.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or(UnknownToolMode)
    }
}

/// A text that names no [`ToolMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", ToolMode::NAMES.join(", "))]
pub struct UnknownToolMode;

choice! {
    /// What becomes of something that a plugin decides about when the plugin fails.
    OnFailure {
        Refuse "refuse" "It is refused.",
        Pass "pass" "It goes on without the plugin.",
    }
}

impl Default for OnFailure {
    /// Otherwise what makes a plugin fail would pass unseen, and take the way for others.
    fn default() -> Self {
        Self::Refuse
    }
}

choice! {
    /// The type of a setting.
    SettingType {
        String "string" "A text.",
        Number "number" "A number.",
        Integer "integer" "A whole number.",
        Boolean "boolean" "Yes or no.",
        Enum "enum" "One of `values`.",
        Array "array" "A list of `items`.",
        Object "object" "Named `properties`.",
    }
}

choice! {
    /// The form in which a description of a plugin is written.
    Form {
        Jackfield "jackfield" "`jackfield.json`, the canonical form.",
        Toju "toju" "`toju-plugin.json` or `plugin.json`.",
        Toru "toru" "The metadata that a process plugin prints for `--metadata`.",
        Jcode "jcode" "The section `jackfield`, `jcode` or `pi` of a `package.json`.",
        Thoth "thoth" "`plugin.toml`.",
    }
}

/// Hooks of the host; other names cause a warning.
pub const HOOKS: &[&str] = &[
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "ToolExecutionStart",
    "ToolExecutionEnd",
    "SessionStart",
    "SessionEnd",
    "SessionSwitch",
    "SessionCompact",
    "SessionBeforeCompact",
    "SessionShutdown",
    "PermissionRequest",
    "PermissionDenied",
    "AgentStart",
    "AgentEnd",
    "TurnStart",
    "TurnEnd",
    "MessageStart",
    "MessageEnd",
    "PreCompact",
    "PostCompact",
    "TaskCreated",
    "TaskCompleted",
    "AutoCompactionStart",
    "UserPromptSubmit",
    "Stop",
    "Notification",
];

/// A set of [`HOOKS`], one bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookSet(u32);

const _: () = assert!(HOOKS.len() <= u32::BITS as usize);

impl HookSet {
    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// One bit for each hook.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the hook is in it; one that the host does not have never is.
    #[must_use]
    pub fn contains(self, hook: &str) -> bool {
        self.0 & bit(hook) != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl<T: AsRef<str>> FromIterator<T> for HookSet {
    /// Names that are none of [`HOOKS`] are left out.
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let bits = names.into_iter().map(|name| bit(name.as_ref()));
        Self(bits.fold(0, |all, one| all | one))
    }
}

fn bit(hook: &str) -> u32 {
    let at = HOOKS.iter().position(|name| *name == hook);
    at.map_or(0, |at| 1 << at)
}
