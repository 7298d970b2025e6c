//! Keys by which a newer frame replaces an older one that still waits for a slow receiver.

use envelope::catalogue::EnvelopeType;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
};

/// Names what a frame tells: of two waiting frames with the same key the newer one is enough. Only compared within this
/// process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoalesceKey(NonZeroU64);

// States have odd numbers; requirements and counts even ones, of which every second is a count's. So none replaces
// another.
impl CoalesceKey {
    /// The key of a state, such as typing, that a user tells a room through the connection in `slot`.
    pub(crate) fn state(envelope_type: &EnvelopeType, user_id: &str, slot: u32, room: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (envelope_type.name, user_id, slot, room).hash(&mut hasher);
        Self(NonZeroU64::MIN | hasher.finish())
    }

    /// The key of the plugin requirements of a room.
    pub(crate) fn requirements(room: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(room << 2 | 1))
    }

    /// The key of the number of users in a room.
    pub(crate) fn count(room: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(room << 2 | 3))
    }
}
