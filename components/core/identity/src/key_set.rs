//! Key sets (RFC 7517) from bytes; the caller fetches them.

use crate::{
    error::KeyError,
    key::{BASE64URL, PublicKey},
    signature::{Algorithm, RsaKey, VerifyingKey},
};
use base64::Engine as _;
use limits::identity::{KEY_SET_BYTES_MAX, KEYS_MAX};
use serde::Deserialize;
use std::fmt;

/// A key that verifies tokens, with the id by which a token's header may name it.
#[derive(Clone)]
pub(crate) struct NamedKey {
    pub(crate) id: Option<Box<str>>,
    pub(crate) key: VerifyingKey,
    pub(crate) source: Source,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is the host's own: its tokens are for this host.
    Own,
    /// It is shared with another issuer.
    Shared,
    /// It is in the key set of another issuer.
    KeySet,
}

/// The usable keys of a key set document.
#[derive(Clone, Default)]
pub struct KeySet {
    pub(crate) keys: Vec<NamedKey>,
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
    /// [`KeyError::SetTooLarge`], [`KeyError::SetSyntax`], [`KeyError::TooMany`], and [`KeyError::SetEmpty`] when no
    /// key is usable.
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

fn usable(entry: Entry) -> Option<NamedKey> {
    if entry.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    let key = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => {
            VerifyingKey::EdDsa(PublicKey::parse(entry.x.as_deref()?).ok()?)
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (decoded(entry.x.as_deref()?)?, decoded(entry.y.as_deref()?)?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
            VerifyingKey::Es256(p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?)
        }
        ("RSA", _) => VerifyingKey::Rs256(RsaKey::new(
            &decoded(entry.n.as_deref()?)?,
            &decoded(entry.e.as_deref()?)?,
        )?),
        _ => return None,
    };
    let algorithm = Some(key.algorithm());
    if entry
        .alg
        .is_some_and(|named| Algorithm::parse(&named) != algorithm)
    {
        return None;
    }
    Some(NamedKey {
        id: entry.kid.map(Into::into),
        key,
        source: Source::KeySet,
    })
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}
