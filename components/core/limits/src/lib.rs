//! Every bound of the system as a constant: its unit in its name, its reason in its comment.
//!
//! Every queue, buffer, body, loop and retry is bounded by a constant of this crate. Bounds that depend on each other
//! are derived from each other or compared by a const assertion. Those that an operator may change are the defaults of
//! the configuration.
#![forbid(unsafe_code)]
#![no_std]

pub mod capability;
pub mod directory;
pub mod dispatch;
pub mod edge_host;
pub mod egress;
pub mod envelope;
pub mod identity;
pub mod lifecycle;
pub mod manifest;
pub mod plugin;
pub mod plugin_api;
pub mod plugin_event;
pub mod plugin_store;
pub mod rate;
pub mod rest;
pub mod sandbox;
pub mod socket;
pub mod validator;

/// Kibibyte, in bytes.
pub const KIB: usize = 1024;
/// Mebibyte, in bytes.
pub const MIB: usize = 1024 * KIB;
