//! Keys and secrets as types that check themselves once and cannot print themselves.

use crate::error::KeyError;
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes, spki::der::pem::LineEnding,
};
use limits::identity::{KEYS_MAX, SECRET_BYTES_MIN};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// base64url, written without padding, read with or without.
pub(crate) const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Ed25519 public key. It is public, so it prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads base64url of the 32 raw bytes.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], [`KeyError::Length`], or [`KeyError::Weak`] for bytes that are no point of the curve or
    /// one of small order, under which one signature fits many messages.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = BASE64URL
            .decode(text.trim())
            .map_err(|_| KeyError::Encoding)?;
        Self::from_bytes(&bytes)
    }

    /// Takes the 32 raw bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] and [`KeyError::Weak`], as [`PublicKey::parse`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; 32] = bytes
            .try_into()
            .map_err(|_| KeyError::Length { bytes: bytes.len() })?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Weak)?;
        if key.is_weak() {
            Err(KeyError::Weak)
        } else {
            Ok(Self(key))
        }
    }

    /// Reads a comma separated list, so that a key can be replaced while tokens of the old one are still about. Empty
    /// text: no key.
    ///
    /// # Errors
    /// The first unusable key; [`KeyError::TooMany`] above [`KEYS_MAX`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, KeyError> {
        let keys = text
            .split(',')
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(Self::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if keys.len() > KEYS_MAX {
            Err(KeyError::TooMany { max: KEYS_MAX })
        } else {
            Ok(keys)
        }
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn verifying(&self) -> &ed25519_dalek::VerifyingKey {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An Ed25519 private key. It cannot print itself; it is wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Makes the key of a seed. The caller takes the seed from the system's random source.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM document, as `jackfield token` and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// [`KeyError::Document`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(text)
            .map(Self)
            .map_err(|_| KeyError::Document)
    }

    /// Writes the PKCS#8 PEM document, without the public key (version 1 of RFC 5958): OpenSSL 3, Node and Python do not
    /// read version 2. The text is the secret: it belongs into a file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError::Document`]; not known to happen.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let key = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        key.to_pkcs8_pem(LineEnding::LF)
            .map(|text| text.as_str().to_owned())
            .map_err(|_| KeyError::Document)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn signing(&self) -> &ed25519_dalek::SigningKey {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// A secret that host and token issuer share (HS256). It cannot print itself.
#[derive(Clone)]
pub struct SharedSecret(Box<[u8]>);

impl SharedSecret {
    /// Takes the secret's text.
    ///
    /// # Errors
    /// [`KeyError::Short`] below [`SECRET_BYTES_MIN`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(KeyError::Short {
                min: SECRET_BYTES_MIN,
            });
        }
        Ok(Self(text.as_bytes().into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret([redacted])")
    }
}

/// What gateways present to the internal API. It cannot print itself, and it is compared in constant time.
#[derive(Clone)]
pub struct ServiceCredential(Box<str>);

impl ServiceCredential {
    /// Takes the credential.
    ///
    /// # Errors
    /// [`KeyError::Short`] below [`SECRET_BYTES_MIN`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(KeyError::Short {
                min: SECRET_BYTES_MIN,
            });
        }
        Ok(Self(text.into()))
    }

    /// Whether `presented` is this credential; the time it takes tells nothing about where they differ.
    #[must_use]
    pub fn admits(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The value of an `Authorization` header that presents this credential. The text is the secret.
    #[must_use]
    pub fn to_bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for ServiceCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceCredential([redacted])")
    }
}
