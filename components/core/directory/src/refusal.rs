//! The error codes of the directory.

use rest::ErrorCode;
use serde::Serialize;
use std::fmt;

macro_rules! codes {
    ($($variant:ident $text:literal $status:literal $doc:literal;)+) => {
        /// The kind of a refusal. The texts never change once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The text on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The HTTP status it is sent with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// What it means, for the reference.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }
        }
    };
}

codes! {
    BadJson "BAD_JSON" 400 "The body is not JSON in UTF-8, names a member twice, or is nested too deeply.";
    InvalidBody "INVALID_BODY" 400 "A member of the body is missing, of another type, or outside its bounds.";
    InvalidQuery "INVALID_QUERY" 400 "A query parameter is outside its bounds.";
    InvalidPath "INVALID_PATH" 400 "A segment of the path is not percent-encoded UTF-8.";
    InvalidServerId "INVALID_SERVER_ID" 400 "The text is no server id.";
    InvalidPluginId "INVALID_PLUGIN_ID" 400 "The text is no plugin id.";
    InvalidEventName "INVALID_EVENT_NAME" 400 "The text is no event name.";
    InvalidUserId "INVALID_USER_ID" 400 "The text is no identity.";
    InvalidRoleId "INVALID_ROLE_ID" 400 "The text is no role id.";
    InvalidStatus "INVALID_STATUS" 400 "The status is none of required, optional, recommended, blocked, incompatible.";
    InvalidRange "INVALID_RANGE" 400 "The text is no version range as npm reads them.";
    InvalidUrl "INVALID_URL" 400 "The text is no http or https URL.";
    InvalidDirection "INVALID_DIRECTION" 400 "The direction is none of clientToServer, serverRelay, p2pHint.";
    InvalidScope "INVALID_SCOPE" 400 "The scope is none of server, channel, user, plugin.";
    InvalidKey "INVALID_KEY" 400 "The text is no usable Ed25519 public key.";
    ManifestIdMismatch "MANIFEST_ID_MISMATCH" 400 "The manifest's id is not the plugin id of the path.";
    Unauthenticated "UNAUTHENTICATED" 401 "The request needs an identity and names none.";
    InvalidToken "INVALID_TOKEN" 401 "The token does not verify; `reason` says why.";
    Forbidden "FORBIDDEN" 403 "The identity lacks the permission that `needs` names.";
    Banned "BANNED" 403 "The identity is banned from this server.";
    PasswordRequired "PASSWORD_REQUIRED" 403 "The server asks for a password.";
    PasswordInvalid "PASSWORD_INVALID" 403 "The password is wrong.";
    InviteRequired "INVITE_REQUIRED" 403 "The server is private and asks for an invite.";
    InviteInvalid "INVITE_INVALID" 403 "The invite is unknown, used up or expired.";
    RequestPending "REQUEST_PENDING" 403 "The request to join is not decided yet.";
    Full "FULL" 403 "The server has as many members as it admits.";
    ProofRequired "PROOF_REQUIRED" 403 "The action needs a proven identity; a claimed one is not enough.";
    NotFound "NOT_FOUND" 404 "There is no such thing.";
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 "The path does not know this method; `Allow` names those it does.";
    Exists "EXISTS" 409 "There is such a thing already.";
    Conflict "CONFLICT" 409 "Others kept changing the same thing; ask again.";
    LimitReached "LIMIT_REACHED" 409 "A limit of this server or identity is reached; `limit` names it.";
    OwnerCannotLeave "OWNER_CANNOT_LEAVE" 409 "The owner cannot leave, be removed or be banned; hand the server over or delete it.";
    KeyConflict "KEY_CONFLICT" 409 "Another key is bound to this identity.";
    PluginDataDisabled "PLUGIN_DATA_DISABLED" 410 "Plugin data is not stored on this server.";
    Stale "STALE_REVISION" 412 "`If-Match` names another revision than the current one.";
    BodyTooLarge "BODY_TOO_LARGE" 413 "The body is larger than the limit.";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" 415 "The body is not `application/json`, or encoded.";
    SchemaInvalid "SCHEMA_INVALID" 422 "The event's schema cannot be compiled; `reason` says why.";
    RateLimited "RATE_LIMITED" 429 "Too many attempts; `retryAfterMs` says when to ask again.";
    Internal "INTERNAL" 500 "A fault of this host.";
    UnsupportedOnEdge "UNSUPPORTED_ON_EDGE" 501 "Plugins run in the native host; an edge without one, or a host with `plugins.enabled = false`, has none.";
    NoKeys "NO_KEYS" 503 "No key is configured to verify tokens with, so no identity can be proven.";
    ServiceDisabled "SERVICE_DISABLED" 503 "No service credential is configured, so the internal API is off.";
    Misconfigured "MISCONFIGURED" 503 "A variable of this host cannot be used; its log says which.";
    KeySetUnavailable "KEY_SET_UNAVAILABLE" 503 "The key set that verifies tokens cannot be fetched.";
    DatabaseNewer "DATABASE_NEWER" 503 "The database was written by a newer version; nothing is read or written.";
    DatabaseCorrupt "DATABASE_CORRUPT" 503 "The database is damaged; restore it from a backup.";
    DatabaseFull "DATABASE_FULL" 503 "The database has no room left.";
    DatabaseUnavailable "DATABASE_UNAVAILABLE" 503 "The database does not answer.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ErrorCode for Code {
    fn as_str(self) -> &'static str {
        self.as_str()
    }

    fn status(self) -> u16 {
        self.status()
    }

    fn retry_after_seconds(self) -> Option<u64> {
        matches!(self, Self::DatabaseUnavailable | Self::KeySetUnavailable).then_some(1)
    }
}

/// An error of the directory.
pub type Refusal = rest::Error<Code>;

/// There is no such `thing`.
#[must_use]
pub fn not_found(thing: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no such {thing}"))
}

/// The limit named `limit` is reached.
#[must_use]
pub fn limit_reached(limit: &str, max: u64) -> Refusal {
    Refusal::new(Code::LimitReached, format!("at most {max} {limit}"))
        .with("limit", limit)
        .with("max", max)
}

impl From<Code> for Refusal {
    /// An error whose text is the code's meaning.
    fn from(code: Code) -> Self {
        let meaning = code.meaning().trim_end_matches('.');
        let mut letters = meaning.chars();
        let text = letters
            .next()
            .map(|first| first.to_lowercase().collect::<String>() + letters.as_str())
            .unwrap_or_default();
        Self::new(code, text)
    }
}
