//! Key sets (RFC 7517) from bytes. Fetching them is the shell's work.

use crate::{
    error::KeyError,
    key::{BASE64URL, PublicKey},
};
use base64::Engine as _;
use jsonwebtoken::{Algorithm, DecodingKey};
use limits::identity::{KEY_SET_BYTES_MAX, KEYS_MAX, RSA_MODULUS_BITS_MAX, RSA_MODULUS_BITS_MIN};
use serde::Deserialize;
use std::fmt;

/// One key that may verify tokens: the algorithm is the key's, never the token's.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) id: Option<Box<str>>,
    pub(crate) key: DecodingKey,
}

/// The usable keys of a key set document.
#[derive(Clone, Default)]
pub struct KeySet {
    pub(crate) keys: Vec<VerifyingKey>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("keys", &self.keys.len())
            .finish()
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds, other uses, and symmetric keys are left out, as RFC 7517 asks of readers.
    ///
    /// # Errors
    /// [`KeyError::SetTooLarge`], [`KeyError::SetSyntax`], [`KeyError::TooMany`], and [`KeyError::SetEmpty`] when no key is usable.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(KeyError::SetTooLarge {
                max: KEY_SET_BYTES_MAX,
            });
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|_| KeyError::SetSyntax)?;
        if document.keys.len() > KEYS_MAX {
            return Err(KeyError::TooMany { max: KEYS_MAX });
        }
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(|entry| serde_json::from_value(entry).ok())
            .filter_map(usable)
            .collect();
        if keys.is_empty() {
            Err(KeyError::SetEmpty)
        } else {
            Ok(Self { keys })
        }
    }
}

fn usable(entry: Entry) -> Option<VerifyingKey> {
    if entry.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let (algorithm, name, key) = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => {
            let key = PublicKey::parse(entry.x.as_deref()?).ok()?;
            (
                Algorithm::EdDSA,
                "EdDSA",
                DecodingKey::from_ed_der(key.as_bytes()),
            )
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (decoded(entry.x.as_deref()?)?, decoded(entry.y.as_deref()?)?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
            (Algorithm::ES256, "ES256", DecodingKey::from_ec_der(&point))
        }
        ("RSA", _) => {
            let (modulus, exponent) =
                (decoded(entry.n.as_deref()?)?, decoded(entry.e.as_deref()?)?);
            if !(RSA_MODULUS_BITS_MIN..=RSA_MODULUS_BITS_MAX).contains(&(modulus.len() * 8))
                || exponent.len() > 4
            {
                return None;
            }
            (
                Algorithm::RS256,
                "RS256",
                DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            )
        }
        _ => return None,
    };
    if entry.alg.as_deref().is_some_and(|named| named != name) {
        return None;
    }
    Some(VerifyingKey {
        algorithm,
        id: entry.kid.map(Into::into),
        key,
    })
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}
