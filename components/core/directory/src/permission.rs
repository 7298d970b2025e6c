//! What an actor may do on a server: one function decides, and what it was decided on becomes checks of the transaction.

use crate::{
    refusal::{Code, Refusal},
    role::{Grant, Permission, Role},
    server::Server,
    transaction::{Check, Kind, State},
};
use identifiers::UserId;

/// The actor: the user that sent a request, and how it was authenticated.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// The identity; none for anonymous requests.
    pub user: Option<UserId>,
    /// Operator of the host.
    pub admin: bool,
    /// The identity was proven by a token; otherwise it is claimed, which only the mode `open` admits.
    pub proven: bool,
}

impl Actor {
    /// The identity.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`].
    pub fn user(&self) -> Result<&UserId, Refusal> {
        self.user
            .as_ref()
            .ok_or_else(|| Code::Unauthenticated.into())
    }

    /// The identity, which must be proven.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] and [`Code::ProofRequired`].
    pub fn proven(&self) -> Result<&UserId, Refusal> {
        let user = self.user()?;
        if self.proven {
            Ok(user)
        } else {
            Err(Code::ProofRequired.into())
        }
    }
}

/// What is asked for. The text goes into refusals, and into the OpenAPI document as `x-permission`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See the server and its plugins: anyone for public servers, members for private ones.
    View,
    /// See who is there: members.
    ViewMembers,
    /// Remove and ban members, make invites, decide requests: `manageMembers`.
    ManageMembers,
    /// Change the server, its plugins and its roles: `manageServer`.
    ManageServer,
    /// Delete the server or hand it over: its owner.
    Own,
}

impl Action {
    /// The permission's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::ViewMembers => "member",
            Self::ManageMembers => "manageMembers",
            Self::ManageServer => "manageServer",
            Self::Own => "owner",
        }
    }
}

/// What an identity is on a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberRights {
    /// It owns the server.
    pub owner: bool,
    /// It has a stored membership.
    pub member: bool,
    /// It holds at least one role.
    pub holds_role: bool,
    /// It is banned.
    pub banned: bool,
    /// A role of it grants `manageServer`.
    pub manages_server: bool,
    /// A role of it grants `manageMembers`, or `manageServer`, which includes it.
    pub manages_members: bool,
}

impl MemberRights {
    /// The rights of `user`, from a state that holds its member, grant and ban entries and all roles.
    #[must_use]
    pub fn from_state(state: &State, server: &Server, user: &UserId) -> Self {
        let roles: Vec<String> = state
            .entry(Kind::Grant, user.as_str())
            .and_then(|entry| entry.read::<Grant>())
            .map(|grant| grant.roles)
            .unwrap_or_default();
        let grants = |wanted: Permission| {
            roles
                .iter()
                .filter_map(|role| state.entry(Kind::Role, role))
                .filter_map(|entry| entry.read::<Role>())
                .any(|role| role.permissions.contains(&wanted))
        };
        let manages_server = grants(Permission::ManageServer);
        Self {
            owner: server.owner == *user,
            member: state.entry(Kind::Member, user.as_str()).is_some(),
            holds_role: !roles.is_empty(),
            banned: state.entry(Kind::Ban, user.as_str()).is_some(),
            manages_server,
            manages_members: manages_server || grants(Permission::ManageMembers),
        }
    }
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// Not without an identity.
    Unauthenticated,
    /// Not with this one.
    Forbidden,
}

/// Decides. `rights` is the actor's own.
#[must_use]
pub fn permission(
    actor: &Actor,
    server: &Server,
    rights: MemberRights,
    action: Action,
) -> Decision {
    let inside = rights.owner || rights.member;
    let allowed = actor.admin
        || rights.owner
        || match action {
            Action::View => !server.stored.private || inside,
            Action::ViewMembers => inside,
            Action::ManageMembers => rights.manages_members,
            Action::ManageServer => rights.manages_server,
            Action::Own => false,
        };
    match (allowed, &actor.user) {
        (true, _) => Decision::Allow,
        (false, None) => Decision::Unauthenticated,
        (false, Some(_)) => Decision::Forbidden,
    }
}

/// As [`permission`], as a result.
///
/// # Errors
/// [`Code::Unauthenticated`], or [`Code::Forbidden`] with `needs`.
pub fn require(
    actor: &Actor,
    server: &Server,
    state: &State,
    action: Action,
) -> Result<MemberRights, Refusal> {
    let rights = actor
        .user
        .as_ref()
        .map(|user| MemberRights::from_state(state, server, user))
        .unwrap_or_default();
    match permission(actor, server, rights, action) {
        Decision::Allow => Ok(rights),
        Decision::Unauthenticated => Err(Code::Unauthenticated.into()),
        Decision::Forbidden => Err(Refusal::new(
            Code::Forbidden,
            format!("this needs the permission {}", action.as_str()),
        )
        .with("needs", action.as_str())),
    }
}

/// Whether `actor` may act on the member `target`. The owner is protected from all, a member with `manageServer` from
/// all but the owner, operators and its equals.
///
/// # Errors
/// [`Code::OwnerCannotLeave`] and [`Code::Forbidden`].
pub fn may_act_on(actor: &Actor, own: MemberRights, target: MemberRights) -> Result<(), Refusal> {
    if target.owner {
        return Err(Code::OwnerCannotLeave.into());
    }
    if target.manages_server && !(actor.admin || own.owner || own.manages_server) {
        return Err(Refusal::new(
            Code::Forbidden,
            "this needs the permission manageServer, which the other one has",
        )
        .with("needs", "manageServer"));
    }
    Ok(())
}

/// The facts that an actor's authority rests on, as checks: between reading and commit the head, the grant and its
/// roles stay as they are.
#[must_use]
pub fn checks(actor: &Actor, state: &State, rights: MemberRights) -> Vec<Check> {
    let mut checks = vec![state.head_unchanged()];
    if let Some(user) = &actor.user
        && !actor.admin
        && !rights.owner
    {
        checks.push(state.unchanged(Kind::Grant, user.as_str()));
        let roles = state
            .entry(Kind::Grant, user.as_str())
            .and_then(|entry| entry.read::<Grant>())
            .map(|grant| grant.roles);
        checks.extend(
            roles
                .unwrap_or_default()
                .iter()
                .map(|role| state.unchanged(Kind::Role, role)),
        );
    }
    checks
}
