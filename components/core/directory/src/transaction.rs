//! The state that is read from a store, and the one form of a change.
//!
//! The directory is a set of scopes, servers and users; each has a head (one document) and entries by kind and key
//! (documents too). A store reads heads and entries at one moment ([`State`]) and commits a [`Transaction`] whole:
//! checks, edits, the scope's new revision, the rows of the changes feed and the audit row.

use crate::{
    invite::Invite,
    join_request::JoinRequest,
    person::{Ban, Member},
    role::{Grant, Role},
    user::BoundKey,
};
use identifiers::{ServerId, UserId};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::json;
use server_state::{EventDefinition, Requirement};

/// A server or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A chat server.
    Server(ServerId),
    /// An identity.
    User(UserId),
}

impl Scope {
    /// `server` or `user`, as the changes feed names them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::User(_) => "user",
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Server(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

macro_rules! kinds {
    ($($variant:ident $text:literal $doc:literal;)+) => {
        /// What an entry is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $doc] $variant,)+
        }

        impl Kind {
            /// The text in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The kind of this text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    Member "member" "A membership; the key is the identity.";
    Grant "grant" "The roles of an identity; the key is the identity. There is none without a role.";
    Role "role" "A role and its permissions; the key is the role id.";
    Ban "ban" "A ban; the key is the identity.";
    Invite "invite" "An invite; the key is its code.";
    Request "request" "An open request to join; the key is the identity.";
    Requirement "requirement" "A plugin requirement; the key is the plugin id.";
    Event "event" "An event definition; the key is plugin id, slash, event name.";
    Key "key" "A public key bound to a user; the key is its base64url.";
    Block "block" "A blocked identity of a user; the key is the identity.";
}

/// The head of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Grows with every transaction of the scope.
    pub revision: u64,
    /// Revision at which the document changed last.
    pub version: u64,
    /// Revision at which requirements or event definitions changed last.
    pub plugins_revision: u64,
    /// The owner of a server; none for users.
    pub owner: Option<String>,
    /// When the scope was made, milliseconds since 1970.
    pub created_at: u64,
    /// When it changed last, milliseconds since 1970.
    pub updated_at: u64,
    /// The document, JSON.
    pub doc: String,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// Revision of the scope at which it was written.
    pub version: u64,
    /// The document, JSON.
    pub doc: String,
}

impl Entry {
    /// Reads the document. Nothing when it is not of this type; the store then holds what this version never wrote.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.doc).ok()
    }

    /// Whether the document is what this kind holds. A store that finds one that is not is damaged, and must say so: a
    /// ban or a requirement that is left out is as bad as one that was never there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match self.kind {
            Kind::Member => self.read::<Member>().is_some(),
            Kind::Grant => self.read::<Grant>().is_some(),
            Kind::Role => self.read::<Role>().is_some(),
            Kind::Ban => self.read::<Ban>().is_some(),
            Kind::Invite => self.read::<Invite>().is_some(),
            Kind::Request => self.read::<JoinRequest>().is_some(),
            Kind::Requirement => self.read::<Requirement>().is_some(),
            Kind::Event => self.read::<EventDefinition>().is_some(),
            Kind::Key => self.read::<BoundKey>().is_some(),
            Kind::Block => self.read::<IgnoredAny>().is_some(),
        }
    }
}

/// What was read of a scope at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The head; none when there is no such scope.
    pub head: Option<Head>,
    /// The entries that were asked for and exist.
    pub entries: Vec<Entry>,
    /// How many members the server has, where it was asked for.
    pub members: u64,
}

impl State {
    /// The entry of this kind and key.
    #[must_use]
    pub fn entry(&self, kind: Kind, key: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.kind == kind && entry.key == key)
    }

    /// All entries of a kind.
    pub fn entries(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// The check that this entry is still as it was read: same version, or still absent.
    #[must_use]
    pub fn unchanged(&self, kind: Kind, key: &str) -> Check {
        Check::Entry {
            kind,
            key: key.to_owned(),
            version: self.entry(kind, key).map_or(0, |entry| entry.version),
        }
    }

    /// The check that the head is still as it was read.
    #[must_use]
    pub fn head_unchanged(&self) -> Check {
        Check::Head {
            version: self.head.as_ref().map_or(0, |head| head.version),
        }
    }
}

/// What has to hold at the moment of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The client's `If-Match`: the scope has this revision. Otherwise the answer is `412`.
    Match {
        /// The revision.
        revision: u64,
    },
    /// Nothing of the scope has changed. Otherwise everything is read and decided again.
    Revision {
        /// The revision.
        revision: u64,
    },
    /// The head has this version, 0 for absent. Otherwise everything is read and decided again.
    Head {
        /// The version.
        version: u64,
    },
    /// The entry has this version, 0 for absent. Otherwise everything is read and decided again.
    Entry {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// The version.
        version: u64,
    },
    /// There are fewer than `max` entries of this kind. Otherwise a limit is reached.
    MaxCount {
        /// What is counted.
        kind: Kind,
        /// The limit.
        max: u64,
    },
    /// The owner has fewer than `max` servers. Otherwise a limit is reached.
    Owned {
        /// The owner.
        owner: String,
        /// The limit.
        max: u64,
    },
}

impl Check {
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Match { revision } => json!({"is": "match", "revision": revision}),
            Self::Revision { revision } => json!({"is": "revision", "revision": revision}),
            Self::Head { version } => json!({"is": "head", "version": version}),
            Self::Entry { kind, key, version } => {
                json!({"is": "entry", "kind": kind.as_str(), "key": key, "version": version})
            }
            Self::MaxCount { kind, max } => {
                json!({"is": "room", "kind": kind.as_str(), "max": max})
            }
            Self::Owned { owner, max } => json!({"is": "owned", "owner": owner, "max": max}),
        }
    }
}

/// One change of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The entry has this document from now on.
    Put {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// The document, JSON.
        doc: String,
    },
    /// The entry is gone.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
}

impl Edit {
    /// The entry has this document from now on.
    #[must_use]
    pub fn put(kind: Kind, key: impl Into<String>, doc: &impl Serialize) -> Self {
        Self::Put {
            kind,
            key: key.into(),
            doc: serde_json::to_string(doc).unwrap_or_default(),
        }
    }

    /// The entry is gone.
    #[must_use]
    pub fn delete(kind: Kind, key: impl Into<String>) -> Self {
        Self::Delete {
            kind,
            key: key.into(),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Put { kind, key, doc } => json!({"kind": kind.as_str(), "key": key, "doc": doc}),
            Self::Delete { kind, key } => json!({"kind": kind.as_str(), "key": key}),
        }
    }
}

/// What becomes of the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadEdit {
    /// It stays.
    Keep,
    /// It is this from now on.
    Put {
        /// The document, JSON.
        doc: String,
        /// The owner of a server.
        owner: Option<String>,
        /// Whether it is listed publicly.
        listed: bool,
    },
    /// The scope ends, with all its entries.
    Delete,
}

/// One change of the directory, committed whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The scope that changes.
    pub scope: Scope,
    /// The identity that does it; `service` for gateways.
    pub actor: String,
    /// What is done, for the audit: `requirement.put`.
    pub action: &'static str,
    /// To what, for the audit.
    pub target: String,
    /// More, for the audit: JSON, small, without secrets.
    pub detail: serde_json::Value,
    /// What becomes of the head.
    pub head: HeadEdit,
    /// What has to hold.
    pub checks: Vec<Check>,
    /// What changes.
    pub edits: Vec<Edit>,
    /// Users whose need of proof may change with it; they get rows in the changes feed.
    pub users: Vec<UserId>,
}

impl Transaction {
    /// A transaction that does nothing yet.
    #[must_use]
    pub fn new(scope: Scope, actor: &str, action: &'static str, target: impl Into<String>) -> Self {
        Self {
            scope,
            actor: actor.to_owned(),
            action,
            target: target.into(),
            detail: json!({}),
            head: HeadEdit::Keep,
            checks: Vec::new(),
            edits: Vec::new(),
            users: Vec::new(),
        }
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds checks.
    #[must_use]
    pub fn checks(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }

    /// Adds an edit.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// Adds edits.
    #[must_use]
    pub fn edits(mut self, edits: impl IntoIterator<Item = Edit>) -> Self {
        self.edits.extend(edits);
        self
    }

    /// Says more for the audit.
    #[must_use]
    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }

    /// Names a user whose need of proof may change.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.users.push(user);
        self
    }

    /// The checks as a JSON array: the form in which stores take them.
    #[must_use]
    pub fn checks_json(&self) -> String {
        serde_json::Value::Array(self.checks.iter().map(Check::to_json).collect()).to_string()
    }

    /// The edits as a JSON array; an edit without `doc` deletes.
    #[must_use]
    pub fn edits_json(&self) -> String {
        serde_json::Value::Array(self.edits.iter().map(Edit::to_json).collect()).to_string()
    }

    /// The users as a JSON array of texts.
    #[must_use]
    pub fn users_json(&self) -> String {
        json!(self.users.iter().map(UserId::as_str).collect::<Vec<_>>()).to_string()
    }

    /// Whether requirements or event definitions change.
    #[must_use]
    pub fn touches_plugins(&self) -> bool {
        self.edits.iter().any(|edit| {
            let (Edit::Put { kind, .. } | Edit::Delete { kind, .. }) = edit;
            matches!(kind, Kind::Requirement | Kind::Event)
        })
    }
}
