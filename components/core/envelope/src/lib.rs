//! The envelope contract: what may cross a client's WebSocket, how it is read, and what may be decided about it.
//!
//! What it is: one table ([`catalogue`]) from which the documents are generated, one reader ([`decode`]) that every side shares, the
//! vocabulary of decisions ([`verdict`]), and the texts the server itself says ([`reply`]).
//! What it is not: the decision; that is `validation`, behind the WIT interface `jackfield:envelopes/judge`.
//! Invariant: untouched means untouched; an envelope is changed by byte patches only, so unknown members and their order survive.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod decode;
pub mod hint;
pub mod json;
pub mod reply;
pub mod scan;
pub mod tape;
pub mod verdict;

pub use catalogue::{CATALOGUE, EnvelopeType, find};
pub use decode::{DecodeError, Envelope};
pub use hint::Hint;
pub use scan::Scan;
pub use verdict::{Context, Validator, Verdict};

/// Cap of the server's own long answers; they are not read from a client.
const MESSAGE_BYTES: usize = limits::socket::MESSAGE_BYTES_MAX;
