//! States, events and the table between them.
//!
//! What it is not: supervision; the table says what may follow, not when. Invariant: for a state and an event there is at most one row.

use serde::Serialize;
use std::fmt;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal $says:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $(#[doc = $says] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its public name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// What it means, as the reference has it.
            pub(crate) const fn says(self) -> &'static str {
                match self { $(Self::$variant => $says),+ }
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
    /// Where a plugin is in its life; the ten public names of T34.
    State {
        Discovered "discovered" "Its files were seen; nothing in them is believed yet.",
        Validated "validated" "Its manifest and its requirements are in order.",
        Blocked "blocked" "It must not run; the reason says why. It is looked at again when something changes.",
        Loading "loading" "Its component is compiled and instantiated.",
        Ready "ready" "It is instantiated and waits for its turn.",
        Loaded "loaded" "It is active and works.",
        Failed "failed" "It crashed, and is started again at `retryAt`.",
        Unloading "unloading" "It was told to stop.",
        Unloaded "unloaded" "It has stopped, and may be loaded again.",
        Disabled "disabled" "Somebody disabled it, or it crashed too often; the reason says which.",
    }
}

named! {
    /// What happens to a plugin.
    Event {
        Accept "accept" "The manifest was read and nothing stands against the plugin.",
        Block "block" "Something stands against it: manifest, dependency, conflict, signature, policy, kill switch, an undeclared import.",
        Load "load" "Loading begins.",
        Prepare "prepare" "The component is instantiated.",
        Activate "activate" "`activate` has returned.",
        Crash "crash" "It trapped, missed a deadline, or its start failed.",
        Retry "retry" "The wait after a crash is over.",
        GiveUp "give-up" "It crashed too often in a row.",
        Unload "unload" "It is to stop.",
        Gone "gone" "It has stopped.",
        Change "change" "Its files, or what it depends on, have changed.",
        Disable "disable" "Somebody disables it.",
        Enable "enable" "Somebody enables it.",
    }
}

/// Every transition there is: from, what happens, to.
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
        // What dies while it stops has stopped; that is no crash to recover from.
        (Unloading, Gone, Unloaded),
        (Unloading, Crash, Unloaded),
        (Unloaded, Load, Loading),
        (Unloaded, Block, Blocked),
        (Unloaded, Change, Discovered),
        (Unloaded, Disable, Disabled),
        // Much may have changed meanwhile, so everything is looked at again.
        (Disabled, Enable, Discovered),
    ]
};

/// Where `event` leads from `state`; none when it must not happen there.
#[must_use]
pub fn next(state: State, event: Event) -> Option<State> {
    TRANSITIONS
        .iter()
        .find(|(from, happens, _)| *from == state && *happens == event)
        .map(|(_, _, to)| *to)
}
