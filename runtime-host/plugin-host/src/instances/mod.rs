//! The running instances of plugins: the engine, the pool of each plugin, an instance's mailbox and the calls of its
//! exports.
//!
//! Each plugin has one [`pool`] with a [`group`] of instances for each kind of work and one instance for each chat
//! server. An instance does one job at a time, within a deadline, fuel and memory; when one crashes, all instances of its
//! plugin end and the lifecycle starts new ones.

pub(crate) mod bus;
pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod group;
pub(crate) mod instance;
pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod mailbox;
pub(crate) mod metrics;
pub(crate) mod pool;
pub(crate) mod store_data;
mod worker;
