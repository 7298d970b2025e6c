//! The servers on which a plugin acts: hears, decides, reads and sends.
//!
//! The server's requirements have the first word, the operator the second. [`ServerPlugins::admit`] decides, wherever
//! the question comes from.

use serde::{Deserialize, Serialize};
use server_state::{ServerState, Status};

/// What a server says about plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlugins {
    /// Private, or behind a password.
    is_guarded: bool,
    /// The plugins that the requirements name, ordered, and whether the server wants them.
    named: Box<[(Box<str>, bool)]>,
}

/// The servers on which a plugin acts although their requirements do not name it, as the operator says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// None.
    Named,
    /// Servers that are neither private nor behind a password.
    #[default]
    Public,
    /// All.
    All,
}

/// A plugin that is to act on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor<'a> {
    /// The plugin.
    pub plugin_id: &'a str,
    /// Where the operator lets it act.
    pub reach: Reach,
}

/// Why a plugin does not act on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// The server is unknown or has no connection.
    #[error("no connection is on this server")]
    NotOpen,
    /// The requirements say `blocked` or `incompatible`.
    #[error("the plugin is blocked on this server")]
    Blocked,
    /// Only the requirements, or an operator that lets the plugin act on all servers, could admit it.
    #[error("the server is private or has a password, and its requirements do not name the plugin")]
    Guarded,
    /// The operator leaves it to the servers.
    #[error(
        "the server's requirements do not name the plugin, and the operator lets it act only where they do"
    )]
    NotNamed,
}

impl NotHere {
    /// The code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotOpen => "NOT_OPEN",
            Self::Blocked => envelope::reply::code::PLUGIN_BLOCKED,
            Self::Guarded | Self::NotNamed => "PLUGIN_NOT_NAMED",
        }
    }
}

impl ServerPlugins {
    /// What this state of a server says.
    #[must_use]
    pub fn new(state: &ServerState) -> Self {
        let named = state.requirements.iter().map(|requirement| {
            let is_wanted = match requirement.status {
                Status::Required | Status::Optional | Status::Recommended => true,
                Status::Blocked | Status::Incompatible => false,
            };
            (requirement.plugin_id.as_str().into(), is_wanted)
        });
        let mut named: Box<[(Box<str>, bool)]> = named.collect();
        named.sort();
        Self {
            is_guarded: state.private || state.password,
            named,
        }
    }

    /// A server that wants no plugin, such as one that was deleted.
    #[must_use]
    pub fn none() -> Self {
        Self {
            is_guarded: true,
            named: Box::default(),
        }
    }

    /// Decides whether a plugin acts on the server.
    ///
    /// # Errors
    /// [`NotHere`], but never [`NotHere::NotOpen`].
    pub fn admit(&self, actor: Actor<'_>) -> Result<(), NotHere> {
        let found = self
            .named
            .binary_search_by(|(plugin_id, _)| (**plugin_id).cmp(actor.plugin_id));
        match (found.map(|at| self.named[at].1), actor.reach) {
            (Ok(false), _) => Err(NotHere::Blocked),
            (Ok(true), _) | (Err(_), Reach::All) => Ok(()),
            (Err(_), Reach::Public) if self.is_guarded => Err(NotHere::Guarded),
            (Err(_), Reach::Public) => Ok(()),
            (Err(_), Reach::Named) => Err(NotHere::NotNamed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, NotHere, Reach, ServerPlugins};
    use serde_json::json;

    fn server(guard: &str) -> ServerPlugins {
        let named = [
            ("z.required", "required"),
            ("a.optional", "optional"),
            ("m.recommended", "recommended"),
            ("k.blocked", "blocked"),
            ("b.incompatible", "incompatible"),
        ];
        let requirements = named.map(|(plugin, status)| {
            json!({
                "pluginId": plugin, "serverId": "s", "status": status, "installUrl": null, "sourceUrl": null,
                "manifest": null, "versionRange": null, "updatedAt": 1, "updatedBy": "olga",
            })
        });
        let state = json!({
            "serverId": "s", "name": "S", "revision": 1, "pluginsRevision": 1, "private": guard == "private",
            "password": guard == "password", "maxMembers": null, "ownerId": "olga", "bans": [],
            "requirements": requirements, "eventDefinitions": [],
        });
        ServerPlugins::new(&serde_json::from_value(state).expect("a state"))
    }

    #[test]
    fn the_server_has_the_first_word_and_the_operator_the_second() {
        let reaches = [Reach::Named, Reach::Public, Reach::All];
        for guard in ["", "private", "password"] {
            let server = server(guard);
            let admit = |plugin_id, reach| server.admit(Actor { plugin_id, reach });
            for reach in reaches {
                for wanted in ["z.required", "a.optional", "m.recommended"] {
                    assert_eq!(admit(wanted, reach), Ok(()), "{wanted} {reach:?} {guard}");
                }
                for unwanted in ["k.blocked", "b.incompatible"] {
                    let refused = Err(NotHere::Blocked);
                    assert_eq!(
                        admit(unwanted, reach),
                        refused,
                        "{unwanted} {reach:?} {guard}"
                    );
                }
            }
            let public = if guard.is_empty() {
                Ok(())
            } else {
                Err(NotHere::Guarded)
            };
            let unnamed = reaches.map(|reach| admit("x.unnamed", reach));
            assert_eq!(unnamed, [Err(NotHere::NotNamed), public, Ok(())], "{guard}");
        }
        let gone = ServerPlugins::none();
        let unnamed = reaches.map(|reach| {
            gone.admit(Actor {
                plugin_id: "x.unnamed",
                reach,
            })
        });
        assert_eq!(unnamed[1], Err(NotHere::Guarded));
    }
}
