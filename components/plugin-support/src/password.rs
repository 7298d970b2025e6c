//! Passwords of servers: argon2id with parameters that fit a component. Attempts are counted before a hash is computed.

use crate::call::Call;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use directory::{Code, Refusal, attempt::Attempt};
use limits::directory::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, ATTEMPT_WINDOW_MS, PASSWORDS_SET_PER_MINUTE,
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

/// Counts an attempt in each of its counters.
///
/// # Errors
/// [`Code::RateLimited`].
pub(crate) async fn admit_attempt(call: &Call, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    for counter in attempt.counters() {
        count(call, &counter.name, counter.max).await?;
    }
    Ok(())
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
