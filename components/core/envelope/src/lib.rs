//! The envelope contract: the table of types ([`catalogue`]), the gateway's scan ([`scan`]), the strict reader
//! ([`decode`]), the types of verdicts ([`verdict`]), and the envelopes that the server itself writes ([`reply`]).
//!
//! The decision about an envelope is made in the crate `validation`. An envelope is changed by byte patches only, so
//! unknown members and the order of members reach the receivers unchanged. See `docs/concepts/envelopes.md`.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod decode;
pub mod json;
pub mod reply;
pub mod scan;
pub mod tape;
pub mod verdict;

pub use catalogue::{CATALOGUE, EnvelopeType, find};
pub use decode::{DecodeError, Envelope};
pub use scan::Scan;
pub use verdict::{Context, Validator, Verdict};
