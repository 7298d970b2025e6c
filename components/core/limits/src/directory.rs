//! The server directory.

use crate::{KIB, socket::MESSAGE_BYTES_MAX};

/// Characters of a server's name.
pub const NAME_CHARS_MAX: usize = 100;
/// Characters of a server's description.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Characters of a URL stored with a server or requirement.
pub const URL_CHARS_MAX: usize = 2_048;
/// Bytes of a server's password: hashing cost grows with it.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Servers one identity may own, unless the operator sets another number.
pub const SERVERS_PER_OWNER_MAX: u32 = 20;
/// Servers an operator may own.
pub const SERVERS_PER_ADMIN_MAX: u64 = 1_000_000;
/// Bans of one server; its snapshot carries them to the gateways.
pub const BANS_PER_SERVER_MAX: usize = 10_000;
/// Open invites of one server.
pub const INVITES_PER_SERVER_MAX: usize = 200;
/// Roles of one server.
pub const ROLES_PER_SERVER_MAX: usize = 50;
/// Members with a stored membership in one server.
pub const MEMBERS_PER_SERVER_MAX: usize = 100_000;
/// Identities in one question of a gateway about memberships: such a question fits a request's body whatever the
/// identities are.
pub const MEMBERS_ASKED_MAX: usize = 100;
/// Open join requests of one server.
pub const JOIN_REQUESTS_PER_SERVER_MAX: usize = 1_000;
/// Lifetime of an invite when its creator names none: ten days.
pub const INVITE_LIFETIME_MS: u64 = 10 * 24 * 3_600 * 1_000;
/// Longest lifetime of an invite: a year.
pub const INVITE_LIFETIME_MAX_MS: u64 = 365 * 24 * 3_600 * 1_000;
/// Password attempts of one identity on one server per minute; counted before the hash is computed.
pub const PASSWORD_ATTEMPTS_PER_MINUTE: u32 = 5;
/// Password attempts of one address on one server per minute, of proven identities and of all others: many names of one
/// address neither use up the attempts of a server nor guess without end.
pub const PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE: u32 = 20;
/// Password attempts on one server per minute of all identities that are not proven. Proven ones have their own attempts
/// and those of their address: guesses of one lock none of the others out.
pub const PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE: u32 = 60;
/// Rows kept in the changes feed; a gateway that is further behind loads everything anew.
pub const CHANGES_KEPT_MAX: u64 = 100_000;
/// Rows in one answer of the changes feed.
pub const CHANGES_PAGE_MAX: usize = 1_000;
/// Time a mutation may spend on notifying the gateways after its commit.
pub const PUSH_TIMEOUT_MS: u64 = 250;
/// Gateways notified by a push.
pub const GATEWAYS_MAX: usize = 64;
/// Interval at which a gateway polls the changes feed.
pub const POLL_INTERVAL_MS: u64 = 1_000;
/// The same where the directory is in the gateway's process and announces each change: the poll then only finds what
/// another process wrote into the database.
pub const POLL_INTERVAL_ANNOUNCED_MS: u64 = 10_000;
/// Servers whose state a gateway caches, and as many users. A full cache of servers drops those without connections
/// first; one of users is emptied.
pub const SNAPSHOTS_CACHED_MAX: usize = 65_536;
/// Bytes of the answers from which the cached servers were made; above it room is made in the same way.
pub const SNAPSHOTS_CACHED_BYTES_MAX: usize = 256 * crate::MIB;
/// Bytes of the answers from which the cached users were made; above it their cache is emptied and filled again.
pub const USERS_CACHED_BYTES_MAX: usize = 64 * crate::MIB;
/// Identities in one page of known users: owners, role holders, and users with data of their own such as bound keys or
/// blocks.
pub const KNOWN_USERS_PAGE_MAX: usize = 10_000;
/// Known users that a gateway remembers, eight bytes each; beyond it every identity is looked up.
pub const KNOWN_USERS_MAX: usize = 1_000_000;
/// Time a gateway waits for the directory's answer.
pub const QUESTION_TIMEOUT_MS: u64 = 5_000;
/// Time a connection is paused for an answer of the directory: its question may wait behind others that are not answered.
pub const ANSWER_MAX_MS: u64 = 3 * QUESTION_TIMEOUT_MS;
/// Advised wait (`retryAfterMs`) after the directory did not answer a connection's question.
pub const QUESTION_RETRY_AFTER_MS: u64 = 2_000;
/// Advice to a client's request (`retryAfterMs`) when a directory elsewhere does not answer.
pub const REQUEST_RETRY_AFTER_MS: u64 = 1_000;
/// Requests of one gateway to the directory at once; further questions wait in their queue.
pub const QUESTIONS_AT_ONCE_MAX: usize = 64;
/// Questions about one user whose state changes while it is asked for; then the question counts as not answered.
pub const USER_QUESTIONS_MAX: usize = 8;
/// Changed servers that are fetched at one time: they leave most of [`QUESTIONS_AT_ONCE_MAX`] to connections that wait.
pub const REFRESHES_MAX: usize = 8;
/// Changed users that are fetched at one time, beside the servers: users change their own block lists, and a ban must
/// not wait for these.
pub const USER_REFRESHES_MAX: usize = 4;
/// Questions at one time about the memberships of one changed user: a user is in many servers, and its questions must
/// not follow each other.
pub const MEMBERSHIP_QUESTIONS_MAX: usize = 4;
/// First pause before a changed server or user that could not be fetched is fetched again; it doubles with each failure.
pub const REFRESH_RETRY_MS: u64 = 1_000;
/// Longest pause of this kind.
pub const REFRESH_RETRY_MAX_MS: u64 = 60_000;
/// A gateway that has not applied a change for this long says that it is degraded.
pub const LAG_DEGRADED_MS: u64 = 10_000;
/// Role grants of one server.
pub const GRANTS_PER_SERVER_MAX: usize = 1_000;
/// Characters of a role id.
pub const ROLE_ID_CHARS_MAX: usize = 64;
/// Characters of a ban's reason and of a request's message.
pub const REASON_CHARS_MAX: usize = 500;
/// Largest number of uses an invite may name.
pub const INVITE_USES_MAX: u64 = 100_000;
/// Random bytes of an invite code and of a generated server id: they must not be guessable.
pub const CODE_BYTES: usize = 16;
/// Bytes of all requirements and event definitions of one server: `plugin_requirements`, which says them twice, fits its
/// bound, which is that of a message.
pub const PLUGIN_BYTES_PER_SERVER_MAX: usize = MESSAGE_BYTES_MAX / 2 - 4 * KIB;
/// Memory of one password hash, kibibytes: OWASP's minimum for two passes.
pub const ARGON2_MEMORY_KIB: u32 = 19 * 1_024;
/// Passes of one password hash.
pub const ARGON2_PASSES: u32 = 2;
/// Parallelism of one password hash; a component has one thread.
pub const ARGON2_LANES: u32 = 1;
/// Characters of a client's address as gateways tell it: the longest form of an IPv6 address.
pub const ADDRESS_CHARS_MAX: usize = 45;
/// Passwords one identity may set per minute; each costs a hash.
pub const PASSWORDS_SET_PER_MINUTE: u32 = 10;
/// Changes of one server in a minute, unless the operator sets another number: each is fetched by every gateway with
/// connections there. A minute of a raid fits: several bans a second.
pub const CHANGES_PER_MINUTE: u32 = 600;
/// Time over which [`CHANGES_PER_MINUTE`] are counted.
pub const CHANGES_WINDOW_MS: u64 = 60_000;
/// Part of these, as its divisor, up to which users may change what concerns themselves (join, leave, ask, keys, blocks):
/// a crowd that comes and goes leaves the rest to those who manage the server.
pub const CHANGES_OWN_SHARE: u32 = 2;
/// Window in which password attempts are counted; it begins with the first one.
pub const ATTEMPT_WINDOW_MS: u64 = 60_000;
/// Times a transaction is retried when a concurrent one changed what it read; then the answer is `CONFLICT`.
pub const COMMIT_ATTEMPTS_MAX: usize = 8;
/// Rows kept in the audit: over eleven days at one mutation a second.
pub const AUDIT_KEPT_MAX: u64 = 1_000_000;
/// Audit rows in one page.
pub const AUDIT_PAGE_MAX: usize = 200;

const _: () = assert!(
    REFRESHES_MAX + USER_REFRESHES_MAX * MEMBERSHIP_QUESTIONS_MAX < QUESTIONS_AT_ONCE_MAX,
    "connections that wait must get more answers than the feed of changes"
);
const _: () = assert!(INVITE_LIFETIME_MS <= INVITE_LIFETIME_MAX_MS);
const _: () = assert!(0 < CHANGES_OWN_SHARE && CHANGES_OWN_SHARE < CHANGES_PER_MINUTE);
const _: () = assert!(
    (CHANGES_PER_MINUTE as u64) < AUDIT_KEPT_MAX,
    "changes are counted in the audit"
);
const _: () = assert!(
    PASSWORD_ATTEMPTS_PER_MINUTE < PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE
        && PASSWORD_ATTEMPTS_PER_ADDRESS_PER_MINUTE < PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE,
    "neither one identity nor one address must use up the attempts of a whole server"
);
const _: () = assert!(
    // A character has up to four bytes; escaped as JSON it has up to six for one byte.
    MEMBERS_ASKED_MAX * (crate::identity::USER_ID_CHARS_MAX * 6 + 3) < crate::rest::BODY_BYTES_MAX
);
const _: () = assert!(CHANGES_PAGE_MAX as u64 <= CHANGES_KEPT_MAX);
const _: () = assert!(
    ANSWER_MAX_MS > QUESTION_TIMEOUT_MS && ANSWER_MAX_MS < crate::socket::SILENCE_MAX_MS,
    "a paused connection must not look silent"
);
const _: () = assert!(
    // A comma behind each, and the head with the id of the server.
    (PLUGIN_BYTES_PER_SERVER_MAX
        + crate::plugin_event::REQUIREMENTS_PER_SERVER_MAX
        + crate::plugin_event::DEFINITIONS_PER_SERVER_MAX
        + crate::identity::SERVER_ID_CHARS_MAX
        + 256)
        * 2
        <= MESSAGE_BYTES_MAX,
    "what clients are sent of a server's plugins fits its envelope"
);
