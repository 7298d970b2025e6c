//! Servers: their body, their document, their making, changing and ending.

use crate::{
    body::Body,
    person::{JoinMethod, Member},
    refusal::{Code, Refusal, not_found},
    transaction::{Check, Edit, HeadEdit, Kind, Scope, State, Transaction},
};
use identifiers::{ServerId, UserId};
use limits::directory::{
    DESCRIPTION_CHARS_MAX, MEMBERS_PER_SERVER_MAX, NAME_CHARS_MAX, PASSWORD_BYTES_MAX,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The document of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Shown to people.
    pub name: String,
    /// Shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Not listed; joining needs a membership, an invite, the password or an approved request.
    #[serde(default)]
    pub private: bool,
    /// argon2id in PHC form. Never leaves the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Begins with the time at which the server was made, in milliseconds since 1970, and counts the changes of `private`
    /// and of the password.
    #[serde(default)]
    pub access: u64,
    /// Where clients find the icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// Members that are admitted; the system's own limit where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_members: Option<u64>,
}

/// A server as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Its owner.
    pub owner: UserId,
    /// Grows with every change.
    pub revision: u64,
    /// Revision at which its plugins changed last.
    pub plugins_revision: u64,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// Milliseconds since 1970.
    pub updated_at: u64,
    /// Its document.
    pub stored: Stored,
}

impl Server {
    /// The server of a state.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::DatabaseCorrupt`] when the document cannot be read.
    pub fn from_state(id: &ServerId, state: &State) -> Result<Self, Refusal> {
        let head = state.head.as_ref().ok_or_else(|| not_found("server"))?;
        Self::from_head(id, head).ok_or_else(|| Code::DatabaseCorrupt.into())
    }

    /// The server of a head.
    #[must_use]
    pub fn from_head(id: &ServerId, head: &crate::Head) -> Option<Self> {
        Some(Self {
            id: id.clone(),
            owner: UserId::new(head.owner.clone()?).ok()?,
            revision: head.revision,
            plugins_revision: head.plugins_revision,
            created_at: head.created_at,
            updated_at: head.updated_at,
            stored: serde_json::from_str(&head.doc).ok()?,
        })
    }

    /// Members that are admitted.
    #[must_use]
    pub fn members_max(&self) -> u64 {
        self.stored
            .max_members
            .unwrap_or(MEMBERS_PER_SERVER_MAX as u64)
    }

    /// The server on the wire.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "id": self.id,
            "name": self.stored.name,
            "description": self.stored.description,
            "private": self.stored.private,
            "hasPassword": self.stored.password_hash.is_some(),
            "iconUrl": self.stored.icon_url,
            "maxMembers": self.stored.max_members,
            "ownerId": self.owner,
            "revision": self.revision,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        })
    }
}

/// Which members a body must have, and what absent ones mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A new server: `name` is required.
    Create,
    /// The whole server: `name` is required, absent members fall back; the password stays, because it cannot be read
    /// back.
    Replace,
    /// Some members: absent ones stay.
    Patch,
}

/// What a body says. The outer option is presence, the inner one `null`.
#[derive(Clone, Default)]
pub struct ServerPatch {
    /// The id of a new server.
    pub id: Option<ServerId>,
    /// `name`.
    pub name: Option<String>,
    /// `description`.
    pub description: Option<Option<String>>,
    /// `private`.
    pub private: Option<bool>,
    /// `password`, in the clear until the shell hashed it; an empty text counts as `null`.
    pub password: Option<Option<String>>,
    /// `iconUrl`.
    pub icon_url: Option<Option<String>>,
    /// `maxMembers`.
    pub max_members: Option<Option<u64>>,
    /// `ownerId`: hand the server over.
    pub owner: Option<UserId>,
}

impl std::fmt::Debug for ServerPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerPatch")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads a server's body.
///
/// # Errors
/// All violations.
pub fn parse(mut body: Body, form: Form) -> Result<ServerPatch, Refusal> {
    let mut patch = ServerPatch::default();
    if form == Form::Create
        && let Some(text) = body.text("id", limits::identity::SERVER_ID_CHARS_MAX)
    {
        match ServerId::new(text) {
            Ok(id) => patch.id = Some(id),
            Err(error) => body.violation(Code::InvalidServerId, "id", error.rule),
        }
    }
    patch.name = if form == Form::Patch {
        body.title("name", NAME_CHARS_MAX)
    } else {
        body.required_title("name", NAME_CHARS_MAX)
    };
    patch.description = body.nullable("description", |body| {
        body.text("description", DESCRIPTION_CHARS_MAX)
    });
    patch.private = body.flag("private");
    patch.icon_url = body.nullable("iconUrl", |body| body.url("iconUrl"));
    patch.max_members = body.nullable("maxMembers", |body| {
        body.number("maxMembers", 1..=MEMBERS_PER_SERVER_MAX as u64)
    });
    patch.password = body
        .nullable("password", |body| body.text("password", PASSWORD_BYTES_MAX))
        .map(|password| password.filter(|text| !text.is_empty()));
    if patch
        .password
        .as_ref()
        .and_then(Option::as_ref)
        .is_some_and(|password| password.len() > PASSWORD_BYTES_MAX)
    {
        body.violation(
            Code::InvalidBody,
            "password",
            format!("must have at most {PASSWORD_BYTES_MAX} bytes"),
        );
    }
    if form != Form::Create
        && let Some(text) = body.text("ownerId", limits::identity::USER_ID_CHARS_MAX)
    {
        match UserId::new(text) {
            Ok(user) => patch.owner = Some(user),
            Err(error) => body.violation(Code::InvalidUserId, "ownerId", error.rule),
        }
    }
    body.finish()?;
    if form == Form::Replace {
        patch.description.get_or_insert(None);
        patch.private.get_or_insert(false);
        patch.icon_url.get_or_insert(None);
        patch.max_members.get_or_insert(None);
    }
    Ok(patch)
}

/// Makes a server, with its owner as first member.
///
/// # Errors
/// [`Code::Exists`].
pub fn create(
    state: &State,
    id: &ServerId,
    owner: &UserId,
    patch: ServerPatch,
    password_hash: Option<String>,
    owned_max: u64,
    now_ms: u64,
) -> Result<Transaction, Refusal> {
    if state.head.is_some() {
        return Err(Refusal::new(
            Code::Exists,
            "there is a server of this id already",
        ));
    }
    let stored = Stored {
        name: patch.name.unwrap_or_default(),
        description: patch.description.flatten(),
        private: patch.private.unwrap_or(false),
        password_hash,
        // A server that is made again under the id of a deleted one has another number.
        access: now_ms,
        icon_url: patch.icon_url.flatten(),
        max_members: patch.max_members.flatten(),
    };
    let member = Member {
        joined_at: now_ms,
        way: JoinMethod::Created,
    };
    Ok(Transaction::new(
        Scope::Server(id.clone()),
        owner.as_str(),
        "server.create",
        id.as_str(),
    )
    .check(Check::Head { version: 0 })
    .check(Check::Owned {
        owner: owner.as_str().to_owned(),
        max: owned_max,
    })
    .edit(Edit::put(Kind::Member, owner.as_str(), &member))
    .user(owner.clone())
    .with_head(&stored, owner))
}

/// Changes a server. `password_hash` is the hash of the patch's password, when it names one.
///
/// # Errors
/// [`Code::NotFound`] when the new owner is no member.
pub fn update(
    transaction: Transaction,
    state: &State,
    server: &Server,
    patch: ServerPatch,
    password_hash: Option<String>,
    owned_max: u64,
) -> Result<Transaction, Refusal> {
    let mut stored = server.stored.clone();
    if let Some(name) = patch.name {
        stored.name = name;
    }
    if let Some(description) = patch.description {
        stored.description = description;
    }
    if let Some(private) = patch.private {
        stored.private = private;
    }
    if let Some(icon_url) = patch.icon_url {
        stored.icon_url = icon_url;
    }
    if let Some(max_members) = patch.max_members {
        stored.max_members = max_members;
    }
    if patch.password.is_some() {
        stored.password_hash = password_hash;
    }
    if (stored.private, &stored.password_hash)
        != (server.stored.private, &server.stored.password_hash)
    {
        stored.access += 1;
    }
    let transaction = transaction
        .check(state.head_unchanged())
        .detail(json!({"private": stored.private, "password": stored.password_hash.is_some()}));
    let Some(owner) = patch.owner.filter(|owner| *owner != server.owner) else {
        return Ok(transaction.with_head(&stored, &server.owner));
    };
    if state.entry(Kind::Member, owner.as_str()).is_none() {
        return Err(Refusal::new(
            Code::NotFound,
            "the new owner is no member of the server",
        ));
    }
    Ok(transaction
        .check(state.unchanged(Kind::Member, owner.as_str()))
        .check(Check::Owned {
            owner: owner.as_str().to_owned(),
            max: owned_max,
        })
        .detail(json!({"from": server.owner, "to": owner}))
        .user(server.owner.clone())
        .user(owner.clone())
        .with_head(&stored, &owner))
}

/// Ends a server, with all that belongs to it.
#[must_use]
pub fn delete(transaction: Transaction, state: &State, server: &Server) -> Transaction {
    let holders: Vec<UserId> = state
        .entries(Kind::Grant)
        .filter_map(|entry| UserId::new(entry.key.clone()).ok())
        .collect();
    let mut transaction = transaction.user(server.owner.clone());
    transaction.users.extend(holders);
    transaction.head = HeadEdit::Delete;
    transaction.detail(json!({"name": server.stored.name}))
}

impl Transaction {
    fn with_head(mut self, stored: &Stored, owner: &UserId) -> Self {
        self.head = HeadEdit::Put {
            doc: serde_json::to_string(stored).unwrap_or_default(),
            owner: Some(owner.as_str().to_owned()),
            listed: !stored.private,
        };
        self
    }
}
