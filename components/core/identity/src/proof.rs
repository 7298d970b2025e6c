//! Key proofs: a client signs server, identity, connection and time, so that a proof fits one connection of one server
//! only.
//!
//! The message is the domain tag, the server's origin, `oderId`, `connectionId`, each as a 32-bit big-endian length and
//! the UTF-8 bytes, and then `serverTime` as a 64-bit big-endian integer. Lengths make it unambiguous: no two different
//! inputs give one message.

use crate::{
    error::ProofError,
    key::{BASE64URL, PublicKey, SigningKey},
};
use base64::Engine as _;
use ed25519_dalek::{Signature, Signer as _};
use identifiers::UserId;

/// First part of every message: a signature made for anything else never fits.
pub const DOMAIN_TAG: &str = "jackfield-identity-v1";

/// The bytes that a client signs. `server_time_ms` is `connected.serverTime`, `origin` the server's origin as
/// `scheme://host[:port]`.
#[must_use]
pub fn message(
    origin: &str,
    user_id: &UserId,
    connection_id: &str,
    server_time_ms: u64,
) -> Vec<u8> {
    let mut message = Vec::with_capacity(
        DOMAIN_TAG.len() + origin.len() + user_id.as_str().len() + connection_id.len() + 24,
    );
    for part in [DOMAIN_TAG, origin, user_id.as_str(), connection_id] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message.extend_from_slice(&server_time_ms.to_be_bytes());
    message
}

/// Checks a proof by the rules that admit exactly one signature form (no small-order keys, no malleable signatures).
///
/// # Errors
/// [`ProofError::Key`], [`ProofError::Encoding`] or [`ProofError::Signature`].
pub fn verify(key: &str, proof: &str, message: &[u8]) -> Result<PublicKey, ProofError> {
    let key = PublicKey::parse(key)?;
    let bytes = BASE64URL
        .decode(proof.trim())
        .map_err(|_| ProofError::Encoding)?;
    let signature = Signature::from_slice(&bytes).map_err(|_| ProofError::Encoding)?;
    key.verifying()
        .verify_strict(message, &signature)
        .map_err(|_| ProofError::Signature)?;
    Ok(key)
}

/// Signs a message: what a client does.
#[must_use]
pub fn sign(key: &SigningKey, message: &[u8]) -> String {
    BASE64URL.encode(key.signing().sign(message).to_bytes())
}
