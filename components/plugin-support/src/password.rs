//! Passwords of servers: argon2id with parameters that fit a component. Attempts are counted before a hash is computed.

use crate::call::Call;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use directory::{Code, Refusal};
use limits::directory::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, ATTEMPT_WINDOW_MS,
    PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE, PASSWORD_ATTEMPTS_PER_MINUTE,
    PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE, PASSWORDS_SET_PER_MINUTE,
};

fn argon2() -> Result<Argon2<'static>, Refusal> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .map_err(|_| Code::Internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password that an actor sets.
///
/// # Errors
/// [`Code::RateLimited`].
pub(crate) async fn hash(call: &Call, actor: &str, password: &str) -> Result<String, Refusal> {
    count(call, &format!("set:{actor}"), PASSWORDS_SET_PER_MINUTE).await?;
    let salt = crate::random::bytes(16);
    let hash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|_| Code::Internal)?;
    Ok(hash.to_string())
}

/// An attempt to enter a server by password.
pub(crate) struct Attempt<'a> {
    pub(crate) server: &'a str,
    pub(crate) user: &'a str,
    /// The identity is proven. Names that are not are cheap to make: their attempts use up none of the others.
    pub(crate) proven: bool,
    /// The address of the client, if a gateway tells it.
    pub(crate) address: Option<&'a str>,
}

/// Counts an attempt: for the identity, for the address, and for the server.
///
/// # Errors
/// [`Code::RateLimited`].
pub(crate) async fn admit_attempt(call: &Call, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    let Attempt { server, user, .. } = attempt;
    let of_user = format!("user:{server}/{user}");
    count(call, &of_user, PASSWORD_ATTEMPTS_PER_MINUTE).await?;
    if let Some(address) = attempt.address {
        let of_address = format!("address:{server}/{address}");
        count(call, &of_address, PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE).await?;
    }
    let of_server = match attempt.proven {
        true => format!("proven:{server}"),
        false => format!("unproven:{server}"),
    };
    count(call, &of_server, PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE).await
}

/// Whether a password is the one that was hashed. The parameters are those of the hash.
pub(crate) fn is_right(password: &str, hash: &str) -> bool {
    argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), hash).is_ok())
}

async fn count(call: &Call, bucket: &str, max: u32) -> Result<(), Refusal> {
    let attempts = call
        .store
        .attempt(bucket, call.now_ms)
        .await
        .map_err(|fault| fault.refusal())?;
    if attempts.count <= u64::from(max) {
        return Ok(());
    }
    let passed_ms = call.now_ms.saturating_sub(attempts.began_ms);
    let wait_ms = ATTEMPT_WINDOW_MS.saturating_sub(passed_ms).max(1);
    Err(Refusal::new(
        Code::RateLimited,
        format!("at most {max} attempts a minute"),
    )
    .with("retryAfterMs", wait_ms))
}
