//! Who somebody is: tokens (`Authorization: Bearer`, `identify.token`) and key proofs (`identify.key`, `identify.proof`).
//!
//! What it is: verification and signing, pure. What it is not: a clock, a source of randomness, or a client that fetches key sets; the
//! caller passes the time, the seed and the bytes in. Invariant: nothing here is printed that lets its reader act as somebody else; keys
//! and secrets have no `Debug` of their content and no `Display`.
#![forbid(unsafe_code)]

mod claims;
mod error;
mod key;
mod key_set;
pub mod proof;
mod token;

pub use claims::{Claims, Mode, Role};
pub use error::{KeyError, ProofError, TokenError};
pub use key::{PublicKey, ServiceCredential, SharedSecret, SigningKey};
pub use key_set::KeySet;
pub use token::{Expectations, NewToken, Verifier, sign};
