//! The handlers of the routes.

pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod check;
pub(crate) mod consents;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod kv;
pub(crate) mod logs;
pub(crate) mod plugins;
pub(crate) mod settings;
pub(crate) mod token;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
