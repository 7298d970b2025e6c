//! Identities: tokens (`Authorization: Bearer`, `identify.token`) and key proofs (`identify.key`, `identify.proof`).
//!
//! Verification and signing are pure: the caller passes the time, the seed and the bytes in. Keys and secrets have no
//! `Display`, and their `Debug` shows nothing that could be used.
#![forbid(unsafe_code)]

mod claims;
mod error;
mod key;
mod key_set;
pub mod proof;
mod signature;
mod token;

pub use claims::{Claims, Mode, Role};
pub use error::{KeyError, ProofError, TokenError};
pub use key::{PublicKey, ServiceCredential, SharedSecret, SigningKey};
pub use key_set::KeySet;
pub use token::{Expectations, NewToken, Verifier, sign};
