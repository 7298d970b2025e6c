//! Stored values as JSON.

use crate::{Result, kv};
use serde::{Serialize, de::DeserializeOwned};

/// The value of a key.
///
/// # Errors
/// The host refuses, or the value is not what is expected.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    Ok(kv::get(key)?
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()?)
}

/// Sets a key.
///
/// # Errors
/// The host refuses, or the value cannot be written as JSON.
pub fn set(key: &str, value: &impl Serialize) -> Result<()> {
    kv::set(key, &serde_json::to_vec(value)?)
}

/// Changes a value; tries again when another instance has changed it in between. Returns what `change` returned last.
///
/// # Errors
/// The host refuses, or `change` does.
pub fn update<T: DeserializeOwned + Default + Serialize, R>(
    key: &str,
    mut change: impl FnMut(&mut T) -> Result<R>,
) -> Result<R> {
    // A plugin has few instances, so a call that loses more often than this is a fault of the plugin.
    for _ in 0..64 {
        let before = kv::get(key)?;
        let mut value: T = before
            .as_deref()
            .map(serde_json::from_slice)
            .transpose()?
            .unwrap_or_default();
        let answer = change(&mut value)?;
        if kv::compare_and_set(key, before.as_deref(), Some(&serde_json::to_vec(&value)?))? {
            return Ok(answer);
        }
    }
    Err(crate::Error::new(
        crate::ErrorCode::Conflict,
        format!("{key:?} is changed by others all the time"),
    ))
}
