//! JSON Web Tokens (RFC 7519): EdDSA and HS256 by configured keys; EdDSA, ES256 and RS256 by a key set.
//!
//! The algorithm belongs to the key: a token is checked only with keys of the algorithm that its header names, so
//! `none`, and a public key misused as a shared secret, verify nothing.

use crate::{
    claims::{Claims, Role},
    error::TokenError,
    key::{PublicKey, SharedSecret, SigningKey},
    key_set::{KeySet, NamedKey, Source},
    signature::{Algorithm, VerifyingKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use identifiers::{ClientId, UserId};
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

/// Claims that the token of another issuer must carry; an empty field demands nothing. A token by a key of the host itself
/// is for this host.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// `aud` must contain this.
    pub audience: Option<String>,
    /// `iss` must be this.
    pub issuer: Option<String>,
    /// The role of a token that a key of a key set has signed counts; otherwise its bearer is a client: another issuer
    /// gives roles for services of its own.
    pub key_set_roles: bool,
}

/// Verifies tokens with the keys it was given.
#[derive(Clone, Default)]
pub struct Verifier {
    keys: Vec<NamedKey>,
    expectations: Expectations,
    /// Tokens that these keys have signed. Clones share it; it is emptied when a key is added.
    verified: VerifiedTokens,
}

/// The claims of tokens whose signature was verified, by the token's digest. Times, audience and issuer are compared on
/// every use.
#[derive(Clone)]
struct VerifiedTokens(Arc<Mutex<LruCache<[u8; 32], Arc<RawClaims>>>>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(
            NonZeroUsize::new(TOKENS_REMEMBERED_MAX).unwrap_or(NonZeroUsize::MIN),
        ))))
    }
}

impl VerifiedTokens {
    fn get(&self, digest: &[u8; 32]) -> Option<Arc<RawClaims>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)
            .cloned()
    }

    fn put(&self, digest: [u8; 32], claims: Arc<RawClaims>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(digest, claims);
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

    /// Adds an Ed25519 key of the host itself (EdDSA).
    #[must_use]
    pub fn with_public_key(self, key: &PublicKey) -> Self {
        self.with_key(VerifyingKey::EdDsa(key.clone()), Source::Own)
    }

    /// Adds a shared secret (HS256).
    #[must_use]
    pub fn with_secret(self, secret: &SharedSecret) -> Self {
        self.with_key(VerifyingKey::Hs256(secret.clone()), Source::Shared)
    }

    fn with_key(mut self, key: VerifyingKey, source: Source) -> Self {
        self.keys.push(NamedKey {
            id: None,
            key,
            source,
        });
        self.verified = VerifiedTokens::default();
        self
    }

    /// Adds the keys of a key set.
    #[must_use]
    pub fn with_key_set(mut self, set: &KeySet) -> Self {
        self.keys.extend(set.keys.iter().cloned());
        self.verified = VerifiedTokens::default();
        self
    }

    /// Whether there is no key, so that no token can verify.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies a token at `now_s`, seconds since 1970; clocks may differ by [`TOKEN_LEEWAY_SECONDS`].
    ///
    /// # Errors
    /// The first thing wrong with it, in the order size, form, algorithm, key, signature, times, audience, issuer,
    /// subject.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge {
                max: TOKEN_BYTES_MAX,
            });
        }
        if self.keys.is_empty() {
            return Err(TokenError::NoKeys);
        }
        let claims = self.remembered(token)?;
        self.check(&claims, now_s)
    }

    /// The claims of a token whose signature is right; the signature is verified only where the token was not seen
    /// lately.
    fn remembered(&self, token: &str) -> Result<Arc<RawClaims>, TokenError> {
        if token.len() > TOKEN_REMEMBERED_BYTES_MAX {
            return self.signed(token).map(Arc::new);
        }
        let digest = Sha256::digest(token).into();
        if let Some(claims) = self.verified.get(&digest) {
            return Ok(claims);
        }
        let claims = Arc::new(self.signed(token)?);
        self.verified.put(digest, claims.clone());
        Ok(claims)
    }

    fn signed(&self, token: &str) -> Result<RawClaims, TokenError> {
        let parts = Parts::split(token)?;
        let head = parts.head()?;
        let algorithm = head.algorithm()?;
        let mut of_algorithm = self
            .keys
            .iter()
            .filter(|named| named.key.algorithm() == algorithm)
            .peekable();
        if of_algorithm.peek().is_none() {
            return Err(TokenError::Algorithm);
        }
        let candidate = |named: &&NamedKey| match (&named.id, &head.kid) {
            (Some(id), Some(wanted)) => **id == **wanted,
            _ => true,
        };
        let mut candidates = of_algorithm.filter(candidate).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::UnknownKey);
        }
        let signature = decoded(parts.signature)?;
        let message = parts.message.as_bytes();
        let signer = candidates.find(|named| named.key.verifies(message, &signature));
        // A key of the configuration has no id. If it did not sign, the named key is another one.
        let is_known = |wanted: &str| {
            let mut ids = self.keys.iter().filter_map(|named| named.id.as_deref());
            ids.any(|id| id == wanted)
        };
        let signer = signer.ok_or(match &head.kid {
            Some(wanted) if !is_known(wanted) => TokenError::UnknownKey,
            _ => TokenError::Signature,
        })?;
        let claims = decoded(parts.claims)?;
        // A list would be read as the members in their order.
        if !claims.trim_ascii_start().starts_with(b"{") {
            return Err(TokenError::Malformed);
        }
        let mut claims: RawClaims =
            serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
        claims.is_own = signer.source == Source::Own;
        if signer.source == Source::KeySet && !self.expectations.key_set_roles {
            claims.role = serde_json::Value::Null;
        }
        Ok(claims)
    }

    fn check(&self, claims: &RawClaims, now_s: u64) -> Result<Claims, TokenError> {
        let expires_at_s = seconds(&claims.exp).ok_or(TokenError::Claim { claim: "exp" })?;
        if now_s > expires_at_s.saturating_add(TOKEN_LEEWAY_SECONDS) {
            return Err(TokenError::Expired);
        }
        if !claims.nbf.is_null() {
            let from = seconds(&claims.nbf).ok_or(TokenError::Claim { claim: "nbf" })?;
            if from > now_s.saturating_add(TOKEN_LEEWAY_SECONDS) {
                return Err(TokenError::NotYet);
            }
        }
        let expected = (!claims.is_own).then_some(&self.expectations);
        let audience = expected.and_then(|expected| expected.audience.as_ref());
        if audience.is_some_and(|audience| !names(&claims.aud, audience)) {
            return Err(TokenError::Audience);
        }
        let issuer = expected.and_then(|expected| expected.issuer.as_ref());
        if issuer.is_some_and(|issuer| claims.iss.as_str() != Some(issuer)) {
            return Err(TokenError::Issuer);
        }
        let sub = claims
            .sub
            .as_str()
            .ok_or(TokenError::Claim { claim: "sub" })?;
        let user_id =
            ClientId::new(sub).map_err(|error| TokenError::Subject { rule: error.rule })?;
        let role = if claims.role.as_str() == Some("admin") {
            Role::Admin
        } else {
            Role::Client
        };
        Ok(Claims {
            user_id: user_id.into(),
            role,
            expires_at_s,
        })
    }
}

/// The claims of a new token.
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
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"EdDSA"}"#);
    let body = serde_json::to_vec(&body).map_err(|_| TokenError::Signing)?;
    let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(body));
    let signature = key.signing().sign(message.as_bytes());
    Ok(format!(
        "{message}.{}",
        URL_SAFE_NO_PAD.encode(signature.to_bytes())
    ))
}

/// The claims as they stand in the token. Duplicate members are an error of the parser.
#[derive(Deserialize)]
struct RawClaims {
    /// A key of the host itself has signed them.
    #[serde(skip)]
    is_own: bool,
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
    kid: Option<Box<str>>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl Head {
    fn algorithm(&self) -> Result<Algorithm, TokenError> {
        if self.crit.is_some() {
            return Err(TokenError::Extension);
        }
        Algorithm::parse(&self.alg).ok_or(TokenError::Algorithm)
    }
}

/// The three parts of a token in its compact form (RFC 7515, section 3.1).
struct Parts<'a> {
    /// What is signed: the first two parts with the dot between them.
    message: &'a str,
    head: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (head, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            message,
            head,
            claims,
            signature,
        })
    }

    fn head(&self) -> Result<Head, TokenError> {
        serde_json::from_slice(&decoded(self.head)?).map_err(|_| TokenError::Malformed)
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}
