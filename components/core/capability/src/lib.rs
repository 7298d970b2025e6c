//! Capabilities: the vocabulary of 65 ids with their scopes, rules over them, kill switches, and the one function that
//! decides.
//!
//! Grants and consents are stored elsewhere; the shells compile them into [`PluginRules`]. A missing grant is a denial.
//! See `docs/concepts/capabilities.md`.
#![forbid(unsafe_code)]

mod decide;
mod host;
mod kill;
mod nearest;
mod policy;
mod reference;
mod ruleset;
mod scope;
mod sets;
mod target;
mod vocabulary;

pub use decide::{Decision, Outcome, Reason, Refusal, decide};
pub use host::{BadHostPattern, HostPattern};
pub use kill::{BadVariable, Environment, Kill, KillSwitches, TooManyKilled, switch_name};
pub use nearest::nearest;
pub use policy::{DefaultOutcome, Mode, PluginRules, Policy, PolicySettings, Profile, UnknownMode};
pub use reference::decisions_markdown;
pub use ruleset::{BadRule, Grant, Rules};
pub use scope::{BadScope, Request, Scope, ScopeKey};
pub use target::{CapabilityUse, Target};
pub use vocabulary::{Capability, CapabilityId, Source, UnknownCapability, VOCABULARY};
