//! What can be wrong with keys, tokens and proofs. Every error has a stable code; no text quotes a secret.

/// Why a key or a secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no base64url.
    #[error("the key is no base64url text")]
    Encoding,
    /// An Ed25519 key has 32 bytes.
    #[error("an Ed25519 public key has 32 bytes, this one has {bytes}")]
    Length {
        /// Bytes that the text holds.
        bytes: usize,
    },
    /// The bytes are no point of the curve, or one that proves nothing.
    #[error("the bytes are no usable Ed25519 public key")]
    Weak,
    /// The text is no PKCS#8 document with an Ed25519 key.
    #[error("the text is no PKCS#8 document with an Ed25519 key")]
    Document,
    /// A shared secret is too short to resist guessing.
    #[error("a shared secret has at least {min} bytes")]
    Short {
        /// The least number of bytes.
        min: usize,
    },
    /// A key set is larger than the limit.
    #[error("a key set has at most {max} bytes")]
    SetTooLarge {
        /// The limit, bytes.
        max: usize,
    },
    /// A key set is no JSON object with a list `keys`.
    #[error("the key set is no JSON object with a list `keys`")]
    SetSyntax,
    /// A key set holds no key that can verify tokens here.
    #[error("the key set holds no usable key (EdDSA, ES256 or RS256, with use `sig`)")]
    SetEmpty,
    /// More keys than the limit.
    #[error("at most {max} keys are used")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

impl KeyError {
    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encoding => "KEY_ENCODING",
            Self::Length { .. } => "KEY_LENGTH",
            Self::Weak => "KEY_WEAK",
            Self::Document => "KEY_DOCUMENT",
            Self::Short { .. } => "SECRET_TOO_SHORT",
            Self::SetTooLarge { .. } => "KEY_SET_TOO_LARGE",
            Self::SetSyntax => "KEY_SET_SYNTAX",
            Self::SetEmpty => "KEY_SET_EMPTY",
            Self::TooMany { .. } => "TOO_MANY_KEYS",
        }
    }
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No key is configured, so nothing can be verified.
    #[error("this host has no key to verify tokens with")]
    NoKeys,
    /// The token is larger than the limit.
    #[error("a token has at most {max} bytes")]
    TooLarge {
        /// The limit, bytes.
        max: usize,
    },
    /// The text is no signed token of three parts with a readable header and claims.
    #[error("the text is no signed JSON Web Token")]
    Malformed,
    /// The header names an algorithm that no configured key uses; `none` is one of them.
    #[error("the token's algorithm is not accepted here")]
    Algorithm,
    /// The header names a key that is not known.
    #[error("the token names a key that is not known")]
    UnknownKey,
    /// The header names a key that is not known, and the key set that may have it cannot be read at present.
    #[error("the key set that may have the token's key cannot be read at present; try again")]
    KeySetUnavailable,
    /// The header demands extensions (`crit`).
    #[error("the token demands extensions that are not supported")]
    Extension,
    /// The signature is not by the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing or not of its type.
    #[error("the token's claim `{claim}` is missing or not of its type")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is yet to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// `aud` does not name this host.
    #[error("the token is for another audience")]
    Audience,
    /// `iss` is not the issuer that is trusted.
    #[error("the token is by another issuer")]
    Issuer,
    /// `sub` is no identity of a client: see `identifiers::ClientId`.
    #[error("the token's subject {rule}")]
    Subject {
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The claims could not be signed.
    #[error("the token could not be signed")]
    Signing,
}

impl TokenError {
    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKeys => "TOKEN_NO_KEYS",
            Self::TooLarge { .. } => "TOKEN_TOO_LARGE",
            Self::Malformed => "TOKEN_MALFORMED",
            Self::Algorithm => "TOKEN_ALGORITHM",
            Self::UnknownKey => "TOKEN_UNKNOWN_KEY",
            Self::KeySetUnavailable => "TOKEN_KEY_SET_UNAVAILABLE",
            Self::Extension => "TOKEN_EXTENSION",
            Self::Signature => "TOKEN_SIGNATURE",
            Self::Claim { .. } => "TOKEN_CLAIM",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYet => "TOKEN_NOT_YET_VALID",
            Self::Audience => "TOKEN_AUDIENCE",
            Self::Issuer => "TOKEN_ISSUER",
            Self::Subject { .. } => "TOKEN_SUBJECT",
            Self::Signing => "TOKEN_SIGNING",
        }
    }
}

/// Why a key proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The proof is no base64url of 64 bytes.
    #[error("the proof is no base64url text of 64 bytes")]
    Encoding,
    /// The proof is not by this key over this message.
    #[error("the proof does not fit the key and this connection")]
    Signature,
}

impl ProofError {
    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(key) => key.code(),
            Self::Encoding => "PROOF_ENCODING",
            Self::Signature => "PROOF_SIGNATURE",
        }
    }
}
