//! Identifiers as types that check their rule on construction.
#![forbid(unsafe_code)]

use limits::identity::{NAME_CHARS_MAX, NAME_CHARS_MIN, SERVER_ID_CHARS_MAX, USER_ID_CHARS_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {rule}")]
pub struct InvalidId {
    /// The member: `pluginId`, `eventName`, `serverId`, `oderId`.
    pub kind: &'static str,
    /// The rule that the text breaks, as a predicate of `kind`.
    pub rule: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// The rule that `text` breaks.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> Result<(), InvalidId> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

identifier! {
    /// A plugin's id: `/^[a-z0-9][a-z0-9.-]{1,126}[a-z0-9]$/`. It is never used as a path.
    PluginId, |text| name("pluginId", text, u8::is_ascii_digit, b".-",
        "must be 3 to 128 characters of a-z, 0-9, '.' and '-', and start and end with a letter or digit")
}

identifier! {
    /// A plugin event's name: `/^[a-z][a-z0-9.:-]{1,126}[a-z0-9]$/`.
    EventName, |text| name("eventName", text, |_| false, b".:-",
        "must be 3 to 128 characters of a-z, 0-9, '.', ':' and '-', start with a letter and end with a letter or digit")
}

identifier! {
    /// A chat server's id: 1 to 128 characters of `A-Z a-z 0-9 . _ : -`, not starting with a dot.
    ServerId, |text| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if text.is_empty() || text.len() > SERVER_ID_CHARS_MAX || text.starts_with('.') || !text.bytes().all(legal) {
            return Err(InvalidId {
                kind: "serverId",
                rule: "must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-', and not start with a dot",
            });
        }
        Ok(())
    }
}

identifier! {
    /// A user's identity, `oderId` on the wire: opaque, 1 to 128 characters, no control characters, no white space at
    /// its ends.
    UserId, |text| {
        if text.is_empty() || text.chars().count() > USER_ID_CHARS_MAX || text.chars().any(char::is_control) || text.trim() != text {
            return Err(InvalidId {
                kind: "oderId",
                rule: "must be 1 to 128 characters without control characters and without white space at its ends",
            });
        }
        Ok(())
    }
}

/// How the identities of plugins begin, which no client may have.
const PLUGIN_PREFIX: &str = "plugin:";

identifier! {
    /// An identity that a client may have: a [`UserId`] that names no plugin, so it does not begin with `plugin:`.
    ClientId, |text| {
        if text.starts_with(PLUGIN_PREFIX) {
            return Err(InvalidId {
                kind: "oderId",
                rule: "must not begin with \"plugin:\", which names plugins",
            });
        }
        UserId::new(text).map(drop)
    }
}

impl From<ClientId> for UserId {
    fn from(id: ClientId) -> Self {
        Self(id.0)
    }
}

fn name(
    kind: &'static str,
    text: &str,
    first_extra: fn(&u8) -> bool,
    inner_extra: &[u8],
    rule: &'static str,
) -> Result<(), InvalidId> {
    let bytes = text.as_bytes();
    let ends = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let sound = (NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&bytes.len())
        && bytes
            .first()
            .is_some_and(|byte| byte.is_ascii_lowercase() || first_extra(byte))
        && bytes.last().is_some_and(ends)
        && bytes
            .iter()
            .all(|byte| ends(byte) || inner_extra.contains(byte));
    if sound {
        Ok(())
    } else {
        Err(InvalidId { kind, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientId, EventName, PluginId, ServerId, UserId};

    #[test]
    fn plugin_ids_follow_their_pattern() {
        for good in [
            "abc",
            "a.b",
            "a..b",
            "con",
            "nul.txt",
            &"a".repeat(128),
            "0-0",
        ] {
            assert!(PluginId::new(good).is_ok(), "{good:?} is legal");
        }
        for bad in [
            "ab",
            "Abc",
            "a_b",
            "abc\n",
            "-ab",
            "ab-",
            "аbc",
            "",
            &"a".repeat(129),
        ] {
            assert!(PluginId::new(bad).is_err(), "{bad:?} is illegal");
        }
    }

    #[test]
    fn event_names_follow_their_pattern() {
        for good in ["a:b", "vote.cast", "abc", "a-1"] {
            assert!(EventName::new(good).is_ok(), "{good:?} is legal");
        }
        for bad in ["1ab", "Vote", "ab", "a:", ":ab", "a b"] {
            assert!(EventName::new(bad).is_err(), "{bad:?} is illegal");
        }
    }

    #[test]
    fn server_and_user_ids_refuse_what_cannot_be_shown_or_routed() {
        assert!(
            ServerId::new("s1").is_ok()
                && ServerId::new("..").is_err()
                && ServerId::new("a/b").is_err()
                && ServerId::new("").is_err()
        );
        assert!(
            UserId::new("__proto__").is_ok()
                && UserId::new(" a").is_err()
                && UserId::new("a\u{0}").is_err()
        );
        assert!(UserId::new("ä".repeat(128)).is_ok() && UserId::new("ä".repeat(129)).is_err());
    }

    #[test]
    fn no_client_has_the_name_of_a_plugin() {
        for bad in ["plugin:example.polls", "plugin:", "", " a"] {
            assert!(ClientId::new(bad).is_err(), "{bad:?} is no client's");
        }
        for good in ["alice", "plugins", "a plugin:x", "Plugin:x"] {
            assert!(ClientId::new(good).is_ok(), "{good:?} is a client's");
        }
    }
}
