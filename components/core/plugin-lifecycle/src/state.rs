//! States, events, and the table of transitions. For a state and an event there is at most one row.

use serde::Serialize;
use std::fmt;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal $description:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $(#[doc = $description] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its public name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// One sentence for the reference page.
            pub(crate) const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// The state of a plugin. The names are public.
    State {
        Discovered "discovered" "Its files were found; they are not checked yet.",
        Validated "validated" "Its manifest is valid and its requirements are met.",
        Blocked "blocked" "It may not run; the reason says why. It is checked again when something changes.",
        Loading "loading" "Its component is compiled and instantiated.",
        Ready "ready" "It is instantiated and waits to be activated.",
        Loaded "loaded" "It is active.",
        Failed "failed" "It crashed and is started again at `retryAt`.",
        Unloading "unloading" "It is stopping.",
        Unloaded "unloaded" "It has stopped, and may be loaded again.",
        Disabled "disabled" "An operator or the crash counter disabled it; the reason says which.",
    }
}

named! {
    /// What happens to a plugin.
    Event {
        Accept "accept" "The manifest is valid and nothing blocks the plugin.",
        Block "block" "Something blocks it: manifest, dependency, conflict, signature, policy, kill switch, an undeclared import.",
        Load "load" "Loading starts.",
        Prepare "prepare" "The component is instantiated.",
        Activate "activate" "`activate` has returned.",
        Crash "crash" "It trapped, exceeded a deadline, or failed to start.",
        Retry "retry" "The wait after a crash is over.",
        GiveUp "give-up" "It crashed too often in a row.",
        Unload "unload" "It shall stop.",
        Gone "gone" "It has stopped.",
        Change "change" "Its files, or what it depends on, have changed.",
        Disable "disable" "An operator disables it.",
        Enable "enable" "An operator enables it.",
    }
}

/// All transitions: from, event, to.
pub const TRANSITIONS: &[(State, Event, State)] = {
    use Event::{
        Accept, Activate, Block, Change, Crash, Disable, Enable, GiveUp, Gone, Load, Prepare,
        Retry, Unload,
    };
    use State::{
        Blocked, Disabled, Discovered, Failed, Loaded, Loading, Ready, Unloaded, Unloading,
        Validated,
    };
    &[
        (Discovered, Accept, Validated),
        (Discovered, Block, Blocked),
        (Discovered, Disable, Disabled),
        (Validated, Load, Loading),
        (Validated, Block, Blocked),
        (Validated, Change, Discovered),
        (Validated, Disable, Disabled),
        (Blocked, Change, Discovered),
        (Blocked, Disable, Disabled),
        (Loading, Prepare, Ready),
        (Loading, Block, Blocked),
        (Loading, Crash, Failed),
        (Loading, Unload, Unloading),
        (Ready, Activate, Loaded),
        (Ready, Crash, Failed),
        (Ready, Unload, Unloading),
        (Loaded, Crash, Failed),
        (Loaded, Unload, Unloading),
        (Failed, Retry, Loading),
        (Failed, GiveUp, Disabled),
        (Failed, Unload, Unloaded),
        (Failed, Change, Discovered),
        (Failed, Disable, Disabled),
        // A crash while it is unloading stops it; it is not restarted.
        (Unloading, Gone, Unloaded),
        (Unloading, Crash, Unloaded),
        (Unloaded, Load, Loading),
        (Unloaded, Block, Blocked),
        (Unloaded, Change, Discovered),
        (Unloaded, Disable, Disabled),
        // Everything is checked again, since files and requirements may have changed meanwhile.
        (Disabled, Enable, Discovered),
    ]
};

/// The state after `event` in `state`; `None` when the event is illegal there.
#[must_use]
pub fn next(state: State, event: Event) -> Option<State> {
    TRANSITIONS
        .iter()
        .find(|(from, happens, _)| *from == state && *happens == event)
        .map(|(_, _, to)| *to)
}
