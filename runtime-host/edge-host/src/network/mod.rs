//! What components may reach over the network, and how.
//!
//! Invariant: every outbound connection passes [`allowed::AllowedHosts`] of the component that asked.

pub mod allowed;
pub mod outbound;
