//! The one vocabulary of capabilities: 65 ids, what each lets a plugin do, and how far a declaration may narrow it.
//!
//! What it is not: a policy. Whether a declared capability is granted is decided elsewhere, from these types.
//! Invariant: a [`CapabilityId`] is in the vocabulary, and a [`Request`] that passed [`Request::check`] carries only scope keys its capability takes.
#![forbid(unsafe_code)]

mod host;
mod nearest;
mod scope;
mod vocabulary;

pub use host::{BadHostPattern, HostPattern};
pub use nearest::nearest;
pub use scope::{BadScope, Request, Scope, ScopeKey};
pub use vocabulary::{Capability, CapabilityId, Source, UnknownCapability, VOCABULARY};
