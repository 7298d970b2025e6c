//! The validator chain: an operator's filters first, the validator last. They decide what an envelope means and where
//! it goes.
//!
//! [`ChainEngine`] compiles, [`ChainFactory`] holds what was compiled, and each gateway shard owns one [`Chain`], which
//! implements [`envelope::Validator`]. Calls are synchronous, on the thread of the shard. A component can end only its
//! own instance.

mod bindings;
mod chain;
mod contract;
mod engine;
mod load;
mod slot;
mod stats;
mod translate;

pub use chain::{Chain, ChainFactory};
pub use engine::ChainEngine;
pub use stats::ComponentStats;

use sandbox::ComponentSource;
use std::{path::PathBuf, time::Duration};

/// The components of a chain.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Asked in this order; at most [`limits::validator::CHAIN_LENGTH_MAX`] components with the validator.
    pub filters: Vec<FilterConfig>,
    /// The component that exports the world `validator`.
    pub validator: ComponentSource,
    /// Processor time of one call; beyond it the call ends and its instance is replaced. From 1 ms to
    /// [`limits::validator::CALL_WALL_MAX_MS`].
    pub call_deadline: Duration,
}

impl ChainConfig {
    /// [`Self::call_deadline`] unless the operator sets another one.
    pub const CALL_DEADLINE: Duration = Duration::from_millis(limits::validator::CALL_DEADLINE_MS);
}

/// An operator's component.
#[derive(Debug, Clone)]
pub struct FilterConfig {
    /// Names it in errors, logs and counters.
    pub name: String,
    /// File of a component that exports the world `filter`.
    pub source: PathBuf,
    /// What its failure does to the envelope.
    pub on_failure: OnFailure,
    /// Types of envelopes it is asked about; empty: all.
    pub types: Vec<String>,
}

/// What the failure of a filter does to the envelope: a trap, a missed deadline, or an answer that breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The envelope goes no further, and the sender gets `INTERNAL`.
    #[default]
    Refuse,
    /// The envelope goes on as if the filter had passed it.
    Skip,
}
