//! From a file in the plugins directory to a plugin that runs: finding, checking, compiling, starting, supervising and
//! stopping.
//!
//! A [`Plugin`] is one entry of the host's table; it takes each transition as one step of
//! [`plugin_lifecycle::Machine`], and no two transitions of one plugin overlap. Reconciling compares the directory with
//! what runs and takes the steps that are missing.

pub(crate) mod catalog;
pub(crate) mod compile;
pub(crate) mod files;
pub(crate) mod integrity;
pub(crate) mod load;
pub(crate) mod plugin;
mod preflight;
mod reconcile;
pub(crate) mod registry;
pub(crate) mod routes;
mod start;
mod supervision;
pub(crate) mod tools;
mod update;
