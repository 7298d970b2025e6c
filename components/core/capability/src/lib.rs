//! The one vocabulary of capabilities: 65 ids, what each lets a plugin do, and how far a declaration may narrow it; and the one function that
//! decides whether a plugin may use one.
//!
//! What it is not: a store of grants, or a queue of consents; those hand in what they hold as [`PluginRules`].
//! Invariants: a [`CapabilityId`] is in the vocabulary, a [`Request`] that passed [`Request::check`] carries only scope keys its capability
//! takes, and no missing grant is a permission.
#![forbid(unsafe_code)]

mod decide;
mod host;
mod kill;
mod nearest;
mod network;
mod policy;
mod reference;
mod ruleset;
mod scope;
mod sets;
mod target;
mod tools;
mod vocabulary;

pub use decide::{Decision, Ground, Outcome, Refusal, decide, decide_named};
pub use host::{BadHostPattern, HostPattern};
pub use kill::{BadVariable, Environment, Kill, KillSwitches, TooManyKilled, switch_name};
pub use nearest::nearest;
pub use network::{EffectiveHosts, effective_hosts};
pub use policy::{Mode, PluginRules, Policy, PolicySettings, Profile, Terminal, UnknownMode};
pub use reference::decisions_markdown;
pub use ruleset::{BadRule, Grant, Rules};
pub use scope::{BadScope, Request, Scope, ScopeKey};
pub use target::{Asked, Target};
pub use tools::{SessionMode, Tier, approve};
pub use vocabulary::{Capability, CapabilityId, Source, UnknownCapability, VOCABULARY};
