//! Envelopes offered to plugins, and events and messages that plugins send.

use crate::rate::Rate;

/// Time plugins have to decide about an envelope. Its sender's connection is paused for as long, so it equals a
/// handler's deadline.
pub const DECISION_MAX_MS: u64 = crate::plugin::ACTION_DEADLINE_MS;
/// Longest configurable [`DECISION_MAX_MS`]: a paused connection is not read, and must not count as silent because of
/// it.
pub const DECISION_LIMIT_MS: u64 = 30_000;
/// Time before the end of [`DECISION_MAX_MS`] at which the plugin host stops waiting for plugins. Its failure policy
/// then applies, and the gateway's own refusal is needed only if the plugin host does not answer.
pub const DECISION_MARGIN_MS: u64 = 100;
/// Advised wait (`retryAfterMs`) after plugins did not answer in time or their queues were full.
pub const RETRY_AFTER_MS: u64 = 2_000;
/// Hops from one plugin's message to the next: a longer chain counts as a loop and is cut.
pub const HOPS_MAX: u8 = 8;
/// Events and messages of plugins queued for the shards; more are refused as overload.
pub const PUBLICATIONS_WAITING_MAX: usize = 4_096;
/// Events of one plugin on one server: every event reaches all members, so a plugin that answers each of them would
/// flood the room.
pub const EVENTS: Rate = Rate {
    per_second: 50,
    burst: 200,
};
/// Chat messages of one plugin on one server: twice a user's rate.
pub const MESSAGES: Rate = Rate {
    per_second: 10,
    burst: 40,
};
/// Plugins whose rates one server tracks at once; beyond it all its buckets are reset.
pub const PLUGINS_PER_SERVER_MAX: usize = 1_000;
/// Channel ids that one server remembers from passing messages, for `channels.active` of plugins.
pub const CHANNELS_REMEMBERED_MAX: usize = 100;
/// Users in one roster page given to a plugin.
pub const USERS_PER_PAGE_MAX: usize = 500;
/// Open servers in one answer to the plugin host.
pub const SERVERS_PER_PAGE_MAX: usize = 1_000;
/// Characters of a plugin's reason for a refusal; the rest is cut.
pub const REASON_CHARS_MAX: usize = 256;
/// Log lines about plugins that do not keep up: any client can cause them by sending envelopes.
pub const ALARMS: Rate = Rate {
    per_second: 1,
    burst: 10,
};

const _: () = assert!(
    crate::plugin::EPOCH_TICK_MS < DECISION_MARGIN_MS && DECISION_MARGIN_MS < DECISION_MAX_MS / 2,
    "plugins have most of the time, and a call that computes ends within the margin"
);
const _: () = assert!(
    DECISION_MAX_MS <= DECISION_LIMIT_MS && DECISION_LIMIT_MS < crate::socket::SILENCE_MAX_MS
);
