//! Envelopes: sizes by type, and sizes of their members.

use crate::KIB;

/// Small envelopes: keepalive, presence, typing, voice, membership.
pub const SIGNAL_BYTES_MAX: usize = 4 * KIB;
/// `identify` carries a profile and the list of declared plugins.
pub const IDENTIFY_BYTES_MAX: usize = 64 * KIB;
/// One chat message.
pub const CHAT_BYTES_MAX: usize = 64 * KIB;
/// Session descriptions and candidates.
pub const SIGNALLING_BYTES_MAX: usize = 256 * KIB;
/// Direct messages, their syncs included.
pub const DIRECT_BYTES_MAX: usize = 512 * KIB;
/// Icons are sent base64-encoded in one envelope.
pub const ICON_BYTES_MAX: usize = crate::socket::MESSAGE_BYTES_MAX;
/// Bytes of a plugin event besides its payload.
pub const PLUGIN_EVENT_WRAPPER_BYTES_MAX: usize = 4 * KIB;
/// Nesting of JSON from clients; all parsers share it.
pub const JSON_DEPTH_MAX: usize = 128;
/// Top-level members of one envelope.
pub const MEMBERS_MAX: usize = 256;
/// One entry of a roster: `user_joined`, which has its members beside the id of a server, fits [`SIGNAL_BYTES_MAX`]. A
/// profile whose entry would be longer is shown with a cut description.
pub const ROSTER_ENTRY_BYTES_MAX: usize = SIGNAL_BYTES_MAX - 256;
/// Plugins a client may declare in `identify`.
pub const DECLARED_PLUGINS_MAX: usize = 256;
/// Characters of a display name.
pub const DISPLAY_NAME_CHARS_MAX: usize = 100;
/// Characters of a profile description.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// Characters of a connection scope (usually the signalling URL).
pub const CONNECTION_SCOPE_CHARS_MAX: usize = 512;
/// Characters of a `requestId`, which is repeated in refusals.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// Characters of a channel's id.
pub const CHANNEL_ID_CHARS_MAX: usize = 128;
/// Characters of a time written as text; ISO 8601 needs about 30.
pub const TIME_CHARS_MAX: usize = 64;
/// Features a client may announce in `identify`.
pub const FEATURES_MAX: usize = 64;
/// Characters of a feature's name and of a declared plugin's version.
pub const WORD_CHARS_MAX: usize = 64;
/// Bytes of a key, a proof or an invite in base64url.
pub const KEY_BYTES_MAX: usize = 256;
/// Members of an object up to which a lookup walks; larger ones are sorted.
pub const LINEAR_MEMBERS_MAX: usize = 8;
/// Slots of the reader that are kept for the next envelope; what grew beyond is given back.
pub const SLOTS_KEPT_MAX: usize = 16_384;
/// Characters of a client's text that a message quotes.
pub const QUOTED_CHARS_MAX: usize = 64;

const _: () = assert!(
    ROSTER_ENTRY_BYTES_MAX + crate::identity::SERVER_ID_CHARS_MAX + 64 <= SIGNAL_BYTES_MAX,
    "a roster entry with the id of the server and the type fits an envelope"
);
const _: () = assert!(
    // A character has up to four bytes, and what is escaped in a name has one.
    (crate::identity::USER_ID_CHARS_MAX + DISPLAY_NAME_CHARS_MAX) * 4 + TIME_CHARS_MAX + 256
        <= ROSTER_ENTRY_BYTES_MAX,
    "a roster entry without its description always fits"
);
