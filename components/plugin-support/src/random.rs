//! Randomness, from the platform's secure source.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// `length` random bytes.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    // The source may give fewer at a time.
    while bytes.len() < length {
        let missing = u64::try_from(length - bytes.len()).unwrap_or(u64::MAX);
        bytes.extend(spin_sdk::wasip3::random::random::get_random_bytes(missing));
    }
    bytes.truncate(length);
    bytes
}

/// A word that cannot be guessed: base64url of [`limits::directory::CODE_BYTES`] random bytes, legal within a server
/// id.
pub(crate) fn word() -> String {
    URL_SAFE_NO_PAD.encode(bytes(limits::directory::CODE_BYTES))
}
