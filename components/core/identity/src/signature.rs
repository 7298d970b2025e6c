//! Signatures of JSON Web Tokens: EdDSA, HS256, ES256 and RS256 (RFC 7518, RFC 8037).
//!
//! A key knows its one algorithm, so a token can never choose how it is verified.

use crate::key::{PublicKey, SharedSecret};
use crypto_bigint::{
    Encoding, U2048, U4096, U8192, Uint,
    modular::runtime_mod::{DynResidue, DynResidueParams},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use limits::identity::{RSA_EXPONENT_BYTES_MAX, RSA_MODULUS_BITS_MAX, RSA_MODULUS_BITS_MIN};
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256};

/// The algorithms that are accepted, named as in a token's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    EdDsa,
    Hs256,
    Es256,
    Rs256,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::EdDsa, Self::Hs256, Self::Es256, Self::Rs256];

    /// The value of `alg`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Reads what [`Algorithm::as_str`] writes, and the name of EdDSA with the curve (RFC 9864 section 2.2).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "Ed25519" => Some(Self::EdDsa),
            _ => Self::ALL.into_iter().find(|known| known.as_str() == text),
        }
    }
}

/// A key that verifies signatures of one algorithm.
#[derive(Clone)]
pub(crate) enum VerifyingKey {
    EdDsa(PublicKey),
    Hs256(SharedSecret),
    Es256(p256::ecdsa::VerifyingKey),
    Rs256(RsaKey),
}

impl VerifyingKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Hs256(_) => Algorithm::Hs256,
            Self::Es256(_) => Algorithm::Es256,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verifying().verify_strict(message, &signature).is_ok()),
            Self::Hs256(secret) => Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rs256(key) => key.verifies(message, signature),
        }
    }
}

const _: () = assert!(
    RSA_MODULUS_BITS_MAX <= U8192::BITS,
    "the largest number has room for every modulus"
);

/// `DigestInfo` of SHA-256 without the digest (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// An RSA public key, for RSASSA-PKCS1-v1_5 with SHA-256. Only public values are computed with, so timing does not
/// matter.
#[derive(Clone)]
pub(crate) struct RsaKey {
    /// Big endian, without leading zeros.
    modulus: Box<[u8]>,
    exponent: u32,
}

impl RsaKey {
    /// A key of big-endian numbers; nothing where they cannot be a key, or one of a size that is not accepted.
    pub(crate) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let bits = modulus.len() * 8;
        if !(RSA_MODULUS_BITS_MIN..=RSA_MODULUS_BITS_MAX).contains(&bits)
            || exponent.len() > RSA_EXPONENT_BYTES_MAX
        {
            return None;
        }
        let exponent = exponent
            .iter()
            .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        let odd = |last: u8| last % 2 == 1;
        (odd(*modulus.last()?) && exponent > 2 && exponent % 2 == 1).then(|| Self {
            modulus: modulus.into(),
            exponent,
        })
    }

    /// RFC 8017, section 8.2.2: the padded digest is built and compared whole, so nothing in it is parsed.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let length = self.modulus.len();
        if signature.len() != length {
            return false;
        }
        let opened = if length <= U2048::BYTES {
            self.open::<{ U2048::LIMBS }, { U2048::BYTES }>(signature)
        } else if length <= U4096::BYTES {
            self.open::<{ U4096::LIMBS }, { U4096::BYTES }>(signature)
        } else {
            self.open::<{ U8192::LIMBS }, { U8192::BYTES }>(signature)
        };
        let digest = Sha256::digest(message);
        let Some(padding) = length.checked_sub(3 + SHA256_PREFIX.len() + digest.len()) else {
            return false;
        };
        let mut wanted = vec![0x00, 0x01];
        wanted.resize(2 + padding, 0xff);
        wanted.push(0x00);
        wanted.extend_from_slice(&SHA256_PREFIX);
        wanted.extend_from_slice(&digest);
        opened.is_some_and(|opened| opened == wanted)
    }

    /// The signature to the power of the exponent, as many bytes as the modulus has; nothing for a number that is not
    /// below the modulus.
    fn open<const LIMBS: usize, const BYTES: usize>(&self, signature: &[u8]) -> Option<Vec<u8>>
    where
        Uint<LIMBS>: Encoding<Repr = [u8; BYTES]>,
    {
        let number = |bytes: &[u8]| {
            let mut padded = [0; BYTES];
            padded[BYTES - bytes.len()..].copy_from_slice(bytes);
            Uint::<LIMBS>::from_be_bytes(padded)
        };
        let (modulus, signature) = (number(&self.modulus), number(signature));
        if signature >= modulus {
            return None;
        }
        let power = DynResidue::new(&signature, DynResidueParams::new(&modulus))
            .pow_bounded_exp(&Uint::<1>::from(self.exponent), 32)
            .retrieve();
        Some(power.to_be_bytes()[BYTES - self.modulus.len()..].to_vec())
    }
}

/// A big-endian number without leading zeros.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
