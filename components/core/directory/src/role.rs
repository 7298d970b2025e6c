//! Roles, their permissions, and who holds them.

use crate::{
    body::Body,
    refusal::{Code, Refusal, not_found},
    transaction::{Edit, Kind, State, Transaction},
};
use identifiers::UserId;
use limits::directory::{
    GRANTS_PER_SERVER_MAX, NAME_CHARS_MAX, ROLE_ID_CHARS_MAX, ROLES_PER_SERVER_MAX,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the holders of a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// Change the server, its plugins and its roles. Includes [`Permission::ManageMembers`].
    ManageServer,
    /// Remove and ban members, make invites, decide requests.
    ManageMembers,
}

impl Permission {
    /// The names on the wire.
    pub const NAMES: &[&str] = &["manageServer", "manageMembers"];

    fn parse(text: &str) -> Option<Self> {
        match text {
            "manageServer" => Some(Self::ManageServer),
            "manageMembers" => Some(Self::ManageMembers),
            _ => None,
        }
    }
}

/// A role as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Shown to people.
    pub name: String,
    /// What it lets do.
    pub permissions: Vec<Permission>,
}

/// The roles of one identity as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Role ids, sorted.
    pub roles: Vec<String>,
}

/// A role id: 1 to [`ROLE_ID_CHARS_MAX`] characters of `a-z 0-9 . _ -`.
///
/// # Errors
/// [`Code::InvalidRoleId`].
pub fn id(text: &str) -> Result<String, Refusal> {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > ROLE_ID_CHARS_MAX || !text.bytes().all(legal) {
        return Err(Refusal::new(
            Code::InvalidRoleId,
            format!(
                "roleId must be 1 to {ROLE_ID_CHARS_MAX} characters of a-z, 0-9, '.', '_' and '-'"
            ),
        ));
    }
    Ok(text.to_owned())
}

/// Reads a role's body.
///
/// # Errors
/// All violations.
pub fn parse(mut body: Body) -> Result<Role, Refusal> {
    let name = body.required_title("name", NAME_CHARS_MAX);
    let listed = body.texts("permissions", Permission::NAMES.len());
    let mut permissions = Vec::new();
    for text in listed.unwrap_or_default() {
        match Permission::parse(&text) {
            Some(permission) if !permissions.contains(&permission) => permissions.push(permission),
            Some(_) => {}
            None => body.violation(
                Code::InvalidBody,
                "permissions",
                format!("may name {}", Permission::NAMES.join(", ")),
            ),
        }
    }
    body.finish()?;
    Ok(Role {
        name: name.unwrap_or_default(),
        permissions,
    })
}

/// The role on the wire.
#[must_use]
pub fn to_json(id: &str, role: &Role) -> serde_json::Value {
    json!({"id": id, "name": role.name, "permissions": role.permissions})
}

/// Stores a role.
#[must_use]
pub fn put(transaction: Transaction, state: &State, id: &str, role: &Role) -> Transaction {
    let new = state.entry(Kind::Role, id).is_none();
    let transaction = transaction
        .edit(Edit::put(Kind::Role, id, role))
        .detail(json!({"permissions": role.permissions}));
    if new {
        transaction.check(crate::Check::MaxCount {
            kind: Kind::Role,
            max: ROLES_PER_SERVER_MAX as u64,
        })
    } else {
        transaction
    }
}

/// Removes a role, also from all its holders. The state must hold all grants; it must still be the newest at the
/// commit, so that no grant of this role slips in between.
///
/// # Errors
/// [`Code::NotFound`].
pub fn delete(
    mut transaction: Transaction,
    state: &State,
    id: &str,
) -> Result<Transaction, Refusal> {
    if state.entry(Kind::Role, id).is_none() {
        return Err(not_found("role"));
    }
    for entry in state.entries(Kind::Grant) {
        let Some(mut grant) = entry
            .read::<Grant>()
            .filter(|grant| grant.roles.iter().any(|role| role == id))
        else {
            continue;
        };
        grant.roles.retain(|role| role != id);
        transaction = with_grant(transaction, &entry.key, &grant);
    }
    let revision = state.head.as_ref().map_or(0, |head| head.revision);
    Ok(transaction
        .edit(Edit::delete(Kind::Role, id))
        .check(crate::Check::Revision { revision }))
}

/// Gives or takes a role.
///
/// # Errors
/// [`Code::NotFound`] for an unknown role or an identity that is no member.
pub fn grant(
    transaction: Transaction,
    state: &State,
    user: &UserId,
    role: &str,
    give: bool,
) -> Result<(Transaction, Grant), Refusal> {
    if state.entry(Kind::Role, role).is_none() {
        return Err(not_found("role"));
    }
    if state.entry(Kind::Member, user.as_str()).is_none() {
        return Err(not_found("member"));
    }
    let held = state
        .entry(Kind::Grant, user.as_str())
        .and_then(|entry| entry.read::<Grant>());
    let mut grant = held.clone().unwrap_or_default();
    grant.roles.retain(|held| held != role);
    if give {
        grant.roles.push(role.to_owned());
        grant.roles.sort();
    }
    let mut transaction = with_grant(transaction, user.as_str(), &grant)
        .check(state.unchanged(Kind::Grant, user.as_str()))
        .check(state.unchanged(Kind::Member, user.as_str()))
        .check(state.unchanged(Kind::Role, role));
    if held.is_none() {
        transaction = transaction.check(crate::Check::MaxCount {
            kind: Kind::Grant,
            max: GRANTS_PER_SERVER_MAX as u64,
        });
    }
    Ok((transaction, grant))
}

fn with_grant(transaction: Transaction, user: &str, grant: &Grant) -> Transaction {
    let edit = if grant.roles.is_empty() {
        Edit::delete(Kind::Grant, user)
    } else {
        Edit::put(Kind::Grant, user, grant)
    };
    let transaction = transaction.edit(edit);
    match UserId::new(user) {
        Ok(user) => transaction.user(user),
        Err(_) => transaction,
    }
}
