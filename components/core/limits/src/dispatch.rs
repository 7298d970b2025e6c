//! Envelopes on their way to plugins, and what plugins send to chat servers.

use crate::rate::Rate;

/// Time that plugins have to decide about an envelope which waits for them, and with it its sender: the class of actionable handlers (J37).
pub const DECISION_MAX_MS: u64 = 5_000;
/// Longest such time that may be configured: a paused connection is not read, and must not look silent because of it.
pub const DECISION_LIMIT_MS: u64 = 30_000;
/// When to try again after plugins did not answer, or had no room for the question.
pub const RETRY_AFTER_MS: u64 = 2_000;
/// Steps from one plugin's act to the next until a chain of them counts as a loop and is cut (T25, case 26).
pub const HOPS_MAX: u8 = 8;
/// Events and messages of plugins that wait for the threads which send them; more are refused as overload.
pub const PUBLICATIONS_WAITING_MAX: usize = 4_096;
/// Events of one plugin on one server: one answer to each of a hundred people a second would be a flood to all of them.
pub const EVENTS: Rate = Rate {
    per_second: 50,
    burst: 200,
};
/// Chat messages of one plugin on one server: twice what a person may write.
pub const MESSAGES: Rate = Rate {
    per_second: 10,
    burst: 40,
};
/// Plugins whose rates one server counts at once; when there are more, all counts are forgotten.
pub const SPEAKERS_PER_SERVER_MAX: usize = 1_000;
/// Channels that one server remembers from what passes through, for plugins that ask.
pub const CHANNELS_REMEMBERED_MAX: usize = 100;
/// People in one answer to a plugin that asks who is there.
pub const PEOPLE_PER_PAGE_MAX: usize = 500;
/// Servers in one answer to a plugin that asks where somebody is.
pub const SERVERS_PER_PAGE_MAX: usize = 1_000;
/// Characters of a plugin's reason for refusing an envelope; the rest is cut.
pub const REASON_CHARS_MAX: usize = 256;
/// Lines in the log about plugins that do not keep up: whoever sends envelopes causes them.
pub const ALARMS: Rate = Rate {
    per_second: 1,
    burst: 10,
};

const _: () = assert!(
    DECISION_MAX_MS <= DECISION_LIMIT_MS && DECISION_LIMIT_MS < crate::socket::SILENCE_MAX_MS
);
