//! Identities and tokens.

/// Characters of an `oderId`.
pub const USER_ID_CHARS_MAX: usize = 128;
/// Characters of a server id.
pub const SERVER_ID_CHARS_MAX: usize = 128;
/// Shortest plugin id and event name, characters.
pub const NAME_CHARS_MIN: usize = 3;
/// Longest plugin id and event name, characters.
pub const NAME_CHARS_MAX: usize = 128;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 8 * crate::KIB;
/// Tokens whose verified signatures are cached, so that a reconnect costs no verification.
pub const TOKENS_REMEMBERED_MAX: usize = 1_024;
/// Bytes of a cached token; longer ones are verified each time.
pub const TOKEN_REMEMBERED_BYTES_MAX: usize = crate::KIB;
/// Clock difference tolerated when a token's times are checked.
pub const TOKEN_LEEWAY_SECONDS: u64 = 60;
/// Lifetime of a token made by `jackfield token`.
pub const TOKEN_LIFETIME_SECONDS: u64 = 30 * 24 * 3_600;
/// Bytes of a key set document.
pub const KEY_SET_BYTES_MAX: usize = 64 * crate::KIB;
/// Keys of one key set.
pub const KEYS_MAX: usize = 32;
/// Age at which a fetched key set is fetched again.
pub const KEY_SET_LIFETIME_SECONDS: u64 = 300;
/// Wait after a failed fetch of a key set: an outage must not cost every request a timeout.
pub const KEY_SET_RETRY_SECONDS: u64 = 10;
/// Time to fetch a key set.
pub const KEY_SET_TIMEOUT_MS: u64 = 3_000;
/// Shortest shared secret and service credential, bytes: as long as the digest they key.
pub const SECRET_BYTES_MIN: usize = 32;
/// Smallest accepted RSA modulus, bits.
pub const RSA_MODULUS_BITS_MIN: usize = 2_048;
/// Largest accepted RSA modulus, bits: the cost of verifying grows with its square.
pub const RSA_MODULUS_BITS_MAX: usize = 8_192;
/// Keys bound to one identity, one for each device.
pub const KEYS_PER_USER_MAX: usize = 16;
/// Identities that one identity may block.
pub const BLOCKS_MAX: usize = 1_000;
/// Bytes of an accepted RSA exponent; issuers use 65537, which has three.
pub const RSA_EXPONENT_BYTES_MAX: usize = 4;

const _: () = assert!(NAME_CHARS_MIN <= NAME_CHARS_MAX);
const _: () = assert!(TOKEN_REMEMBERED_BYTES_MAX <= TOKEN_BYTES_MAX);
const _: () = assert!(TOKEN_BYTES_MAX < crate::envelope::IDENTIFY_BYTES_MAX);
const _: () = assert!(RSA_MODULUS_BITS_MIN <= RSA_MODULUS_BITS_MAX);
