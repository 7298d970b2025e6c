//! JSON Web Tokens: EdDSA and HS256 by configured keys, EdDSA, ES256 and RS256 by a key set.
//!
//! Invariant: the algorithm belongs to the key. A token is checked only with keys of the algorithm that its header names, so `none`, and a
//! public key misused as a shared secret, verify nothing. The library's own clock is never asked: times are compared here.

use crate::{
    claims::{Claims, Role},
    error::TokenError,
    key::{PublicKey, SharedSecret, SigningKey},
    key_set::{KeySet, VerifyingKey},
};
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use identifiers::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use limits::identity::{
    TOKEN_BYTES_MAX, TOKEN_LEEWAY_SECONDS, TOKEN_REMEMBERED_BYTES_MAX, TOKENS_REMEMBERED_MAX,
};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

/// What a token must say besides being signed; empty fields demand nothing.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// `aud` must contain this.
    pub audience: Option<String>,
    /// `iss` must be this.
    pub issuer: Option<String>,
}

/// Verifies tokens with the keys it was given.
#[derive(Clone, Default)]
pub struct Verifier {
    keys: Vec<VerifyingKey>,
    expectations: Expectations,
    /// What these keys have signed; clones share it, and other keys know nothing of it.
    good: Good,
}

/// Tokens whose signature was found good, by their digest. Times, audience and issuer are compared each time all the same.
#[derive(Clone)]
struct Good(Arc<Mutex<LruCache<[u8; 32], Arc<Said>>>>);

impl Default for Good {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(
            NonZeroUsize::new(TOKENS_REMEMBERED_MAX).unwrap_or(NonZeroUsize::MIN),
        ))))
    }
}

impl Good {
    fn get(&self, digest: &[u8; 32]) -> Option<Arc<Said>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)
            .cloned()
    }

    fn put(&self, digest: [u8; 32], said: Arc<Said>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(digest, said);
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .field("expectations", &self.expectations)
            .finish()
    }
}

impl Verifier {
    /// A verifier without keys: it refuses every token with [`TokenError::NoKeys`].
    #[must_use]
    pub fn new(expectations: Expectations) -> Self {
        Self {
            expectations,
            ..Self::default()
        }
    }

    /// Adds an Ed25519 key (EdDSA).
    #[must_use]
    pub fn with_public_key(mut self, key: &PublicKey) -> Self {
        self.keys.push(VerifyingKey {
            algorithm: Algorithm::EdDSA,
            id: None,
            key: DecodingKey::from_ed_der(key.as_bytes()),
        });
        self.good = Good::default();
        self
    }

    /// Adds a shared secret (HS256).
    #[must_use]
    pub fn with_secret(mut self, secret: &SharedSecret) -> Self {
        self.keys.push(VerifyingKey {
            algorithm: Algorithm::HS256,
            id: None,
            key: DecodingKey::from_secret(secret.as_bytes()),
        });
        self.good = Good::default();
        self
    }

    /// Adds the keys of a key set.
    #[must_use]
    pub fn with_key_set(mut self, set: &KeySet) -> Self {
        self.keys.extend(set.keys.iter().cloned());
        self.good = Good::default();
        self
    }

    /// Whether there is no key at all, so that nobody can prove anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies a token at `now_s`, seconds since 1970; clocks may differ by [`TOKEN_LEEWAY_SECONDS`].
    ///
    /// # Errors
    /// The first thing wrong with it, in the order size, form, algorithm, key, signature, times, audience, issuer, subject.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge {
                max: TOKEN_BYTES_MAX,
            });
        }
        if self.keys.is_empty() {
            return Err(TokenError::NoKeys);
        }
        let said = self.remembered(token)?;
        self.check(&said, now_s)
    }

    /// As [`Verifier::signed`], which costs a signature, for tokens that were not seen lately.
    fn remembered(&self, token: &str) -> Result<Arc<Said>, TokenError> {
        if token.len() > TOKEN_REMEMBERED_BYTES_MAX {
            return self.signed(token).map(Arc::new);
        }
        let digest = Sha256::digest(token).into();
        if let Some(said) = self.good.get(&digest) {
            return Ok(said);
        }
        let said = Arc::new(self.signed(token)?);
        self.good.put(digest, said.clone());
        Ok(said)
    }

    fn signed(&self, token: &str) -> Result<Said, TokenError> {
        let head = head(token)?;
        let algorithm = head.algorithm()?;
        let mut of_algorithm = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm)
            .peekable();
        if of_algorithm.peek().is_none() {
            return Err(TokenError::Algorithm);
        }
        let named = |key: &&VerifyingKey| match (&key.id, &head.kid) {
            (Some(id), Some(wanted)) => **id == **wanted,
            _ => true,
        };
        let mut verdict = TokenError::UnknownKey;
        for key in of_algorithm.filter(named) {
            match jsonwebtoken::decode::<Said>(token, &key.key, &signature_only(algorithm)) {
                Ok(data) => return Ok(data.claims),
                Err(error) => verdict = reason(&error),
            }
            if verdict != TokenError::Signature {
                break;
            }
        }
        Err(verdict)
    }

    fn check(&self, said: &Said, now_s: u64) -> Result<Claims, TokenError> {
        let expires_at_s = seconds(&said.exp).ok_or(TokenError::Claim { claim: "exp" })?;
        if now_s > expires_at_s.saturating_add(TOKEN_LEEWAY_SECONDS) {
            return Err(TokenError::Expired);
        }
        if !said.nbf.is_null() {
            let from = seconds(&said.nbf).ok_or(TokenError::Claim { claim: "nbf" })?;
            if from > now_s.saturating_add(TOKEN_LEEWAY_SECONDS) {
                return Err(TokenError::NotYet);
            }
        }
        if self
            .expectations
            .audience
            .as_ref()
            .is_some_and(|audience| !names(&said.aud, audience))
        {
            return Err(TokenError::Audience);
        }
        if self
            .expectations
            .issuer
            .as_ref()
            .is_some_and(|issuer| said.iss.as_str() != Some(issuer))
        {
            return Err(TokenError::Issuer);
        }
        let sub = said
            .sub
            .as_str()
            .ok_or(TokenError::Claim { claim: "sub" })?;
        let user_id = UserId::new(sub).map_err(|error| TokenError::Subject { rule: error.rule })?;
        let role = if said.role.as_str() == Some("admin") {
            Role::Admin
        } else {
            Role::Client
        };
        Ok(Claims {
            user_id,
            role,
            expires_at_s,
        })
    }
}

/// What a new token shall say.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// `sub`.
    pub user_id: UserId,
    /// `role`.
    pub role: Role,
    /// `iat`, seconds since 1970.
    pub issued_at_s: u64,
    /// Seconds from `iat` to `exp`.
    pub lifetime_s: u64,
    /// `aud`.
    pub audience: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
}

/// Signs a token with EdDSA.
///
/// # Errors
/// [`TokenError::Signing`]; not known to happen with a key made by this crate.
pub fn sign(key: &SigningKey, token: &NewToken) -> Result<String, TokenError> {
    #[derive(Serialize)]
    struct Body<'a> {
        sub: &'a str,
        role: Role,
        iat: u64,
        exp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<&'a str>,
    }
    let body = Body {
        sub: token.user_id.as_str(),
        role: token.role,
        iat: token.issued_at_s,
        exp: token.issued_at_s.saturating_add(token.lifetime_s),
        aud: token.audience.as_deref(),
        iss: token.issuer.as_deref(),
    };
    let document = key
        .signing()
        .to_pkcs8_der()
        .map_err(|_| TokenError::Signing)?;
    jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        &body,
        &EncodingKey::from_ed_der(document.as_bytes()),
    )
    .map_err(|_| TokenError::Signing)
}

/// The claims as they stand in the token. Duplicate members are an error of the parser.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    sub: serde_json::Value,
    #[serde(default)]
    exp: serde_json::Value,
    #[serde(default)]
    nbf: serde_json::Value,
    #[serde(default)]
    aud: serde_json::Value,
    #[serde(default)]
    iss: serde_json::Value,
    #[serde(default)]
    role: serde_json::Value,
}

/// A `NumericDate` of RFC 7519: seconds, a fraction allowed. Nothing when the claim is missing or no such number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn seconds(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|seconds| (0.0..9.0e15).contains(seconds))
            .map(|seconds| seconds as u64)
    })
}

/// Whether `aud`, a text or a list of texts, names the wanted audience.
fn names(aud: &serde_json::Value, wanted: &str) -> bool {
    match aud {
        serde_json::Value::String(name) => name == wanted,
        serde_json::Value::Array(names) => names.iter().any(|name| name.as_str() == Some(wanted)),
        _ => false,
    }
}

/// The header, read before the signature is known to be right: only to choose keys.
#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl Head {
    fn algorithm(&self) -> Result<Algorithm, TokenError> {
        if self.crit.is_some() {
            return Err(TokenError::Extension);
        }
        match self.alg.as_str() {
            "EdDSA" => Ok(Algorithm::EdDSA),
            "HS256" => Ok(Algorithm::HS256),
            "ES256" => Ok(Algorithm::ES256),
            "RS256" => Ok(Algorithm::RS256),
            _ => Err(TokenError::Algorithm),
        }
    }
}

fn head(token: &str) -> Result<Head, TokenError> {
    use base64::Engine as _;
    let mut parts = token.split('.');
    let (Some(head), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let bytes = crate::key::BASE64URL
        .decode(head)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

/// The library checks the signature and nothing else, so it asks no clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn reason(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::Base64(_)
        | ErrorKind::InvalidToken
        | ErrorKind::Json(_)
        | ErrorKind::Utf8(_) => TokenError::Malformed,
        _ => TokenError::Signature,
    }
}
