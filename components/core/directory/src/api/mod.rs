//! The directory's interface over HTTP: every route, what it needs and what it answers. Dispatch in the component,
//! permissions and the OpenAPI document come from this one table.

mod document;

pub use document::document;

use crate::permission::Action;
use Action::{ManageMembers, ManageServer, Own, View, ViewMembers};
use Needs::{Creator, Identity, Nothing, On, Proof, Service};
use rest::{Endpoint, Routes};

/// What a route asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// An identity.
    Identity,
    /// An identity proven by a token, in every identity mode.
    Proof,
    /// An identity that may create servers here (variable `create_servers`).
    Creator,
    /// A permission on the server of the path.
    On(Action),
    /// The service credential.
    Service,
}

impl Needs {
    /// The text of `x-permission`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Identity => "identity",
            Self::Proof => "proof",
            Self::Creator => "createServers",
            Self::On(action) => action.as_str(),
            Self::Service => "service",
        }
    }

    /// Whether a caller without an identity is always refused.
    #[must_use]
    pub const fn an_identity(self) -> bool {
        !matches!(self, Self::Nothing | Self::On(Action::View) | Self::Service)
    }
}

/// Query parameters, by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// No parameters.
    None,
    /// `limit`, `after`.
    Page,
    /// `limit`, `after`, `mine`.
    Servers,
    /// `cascade`.
    Cascade,
    /// `server`, `before`, `limit`.
    Audit,
    /// `after`, `limit`: positions in the changes feed.
    Changes,
    /// `after`, `limit`: identities.
    KnownUsers,
    /// `pluginsRevision`.
    KnownPlugins,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// What it does; the component has one handler for each.
    pub operation: Operation,
    /// `operationId`.
    pub id: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path, with placeholders in braces.
    pub path: &'static str,
    /// What the caller needs.
    pub needs: Needs,
    /// Its query parameters.
    pub query: Query,
    /// Schema of the request body, where the route takes one.
    pub body: Option<&'static str>,
    /// Status of success.
    pub status: u16,
    /// Schema of the answer.
    pub answer: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

impl Endpoint for Route {
    fn method(&self) -> &'static str {
        self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

impl Route {
    /// Whether the body must be there. Bodies whose members are all optional may be left out.
    #[must_use]
    pub fn body_required(&self) -> bool {
        let optional = [
            "Nothing",
            "JoinBody",
            "BanBody",
            "InviteBody",
            "JoinRequestBody",
            "LockBody",
        ];
        self.body.is_some_and(|body| !optional.contains(&body))
    }
}

macro_rules! routes {
    ($($operation:ident $id:literal $method:ident $path:literal $needs:expr, $query:ident, $body:expr => $status:literal $answer:literal, $summary:literal;)+) => {
        /// Everything that the interface does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $(#[doc = $summary] $operation,)+
        }

        /// All routes, but plugin data: that is gone for every method.
        pub static ROUTES: Routes<Route> = Routes(&[$(Route {
            operation: Operation::$operation,
            id: $id,
            method: stringify!($method),
            path: $path,
            needs: $needs,
            query: Query::$query,
            body: $body,
            status: $status,
            answer: $answer,
            summary: $summary,
        }),+]);
    };
}

routes! {
    ListServers "listServers" GET "/api/servers" Nothing, Servers, None => 200 "ServerPage", "Public servers, and private ones of which the caller is a member.";
    CreateServer "createServer" POST "/api/servers" Creator, None, Some("NewServer") => 201 "Server", "Make a server; the caller owns it.";
    GetServer "getServer" GET "/api/servers/{serverId}" On(View), None, None => 200 "Server", "One server.";
    ReplaceServer "replaceServer" PUT "/api/servers/{serverId}" On(ManageServer), None, Some("ServerBody") => 200 "Server", "Replace what is known of a server; the password stays where none is named.";
    ChangeServer "changeServer" PATCH "/api/servers/{serverId}" On(ManageServer), None, Some("ServerPatch") => 200 "Server", "Change parts of a server; `ownerId` hands it over, which only the owner may.";
    DeleteServer "deleteServer" DELETE "/api/servers/{serverId}" On(Own), None, None => 200 "Done", "End a server, with all that belongs to it.";

    GetPlugins "getPlugins" GET "/api/servers/{serverId}/plugins" On(View), None, None => 200 "Snapshot", "All plugin requirements and event definitions.";
    PutRequirement "putRequirement" PUT "/api/servers/{serverId}/plugins/{pluginId}/requirement" On(ManageServer), None, Some("RequirementBody") => 200 "Requirement", "Store a plugin requirement.";
    DeleteRequirement "deleteRequirement" DELETE "/api/servers/{serverId}/plugins/{pluginId}/requirement" On(ManageServer), Cascade, None => 200 "Done", "Remove a plugin requirement.";
    PutEvent "putEvent" PUT "/api/servers/{serverId}/plugins/{pluginId}/events/{eventName}" On(ManageServer), None, Some("EventBody") => 200 "EventDefinition", "Register or change an event definition.";
    DeleteEvent "deleteEvent" DELETE "/api/servers/{serverId}/plugins/{pluginId}/events/{eventName}" On(ManageServer), None, None => 200 "Done", "Remove an event definition.";

    JoinServer "joinServer" POST "/api/servers/{serverId}/join" Identity, None, Some("JoinBody") => 200 "Joined", "Become a member.";
    LeaveServer "leaveServer" POST "/api/servers/{serverId}/leave" Identity, None, Some("Nothing") => 200 "Done", "End the own membership.";
    ListMembers "listMembers" GET "/api/servers/{serverId}/members" On(ViewMembers), Page, None => 200 "MemberPage", "Members and their roles.";
    RemoveMember "removeMember" DELETE "/api/servers/{serverId}/members/{userId}" On(ManageMembers), None, None => 200 "Done", "Remove a member; anyone may remove itself.";
    GrantRole "grantRole" PUT "/api/servers/{serverId}/members/{userId}/roles/{roleId}" On(ManageServer), None, Some("Nothing") => 200 "Grant", "Give a member a role.";
    RevokeRole "revokeRole" DELETE "/api/servers/{serverId}/members/{userId}/roles/{roleId}" On(ManageServer), None, None => 200 "Grant", "Take a role from a member.";
    ListRoles "listRoles" GET "/api/servers/{serverId}/roles" On(ViewMembers), None, None => 200 "Roles", "Roles, their permissions and holders.";
    PutRole "putRole" PUT "/api/servers/{serverId}/roles/{roleId}" On(ManageServer), None, Some("RoleBody") => 200 "Role", "Store a role.";
    DeleteRole "deleteRole" DELETE "/api/servers/{serverId}/roles/{roleId}" On(ManageServer), None, None => 200 "Done", "Remove a role, also from its holders.";
    ListBans "listBans" GET "/api/servers/{serverId}/bans" On(ManageMembers), Page, None => 200 "BanPage", "Banned identities.";
    Ban "ban" PUT "/api/servers/{serverId}/bans/{userId}" On(ManageMembers), None, Some("BanBody") => 200 "Ban", "Ban an identity; its membership ends.";
    Unban "unban" DELETE "/api/servers/{serverId}/bans/{userId}" On(ManageMembers), None, None => 200 "Done", "Lift a ban.";
    ListInvites "listInvites" GET "/api/servers/{serverId}/invites" On(ManageMembers), None, None => 200 "Invites", "Invites that still admit.";
    CreateInvite "createInvite" POST "/api/servers/{serverId}/invites" On(ManageMembers), None, Some("InviteBody") => 200 "Invite", "Make an invite; it lasts ten days unless it says otherwise.";
    DeleteInvite "deleteInvite" DELETE "/api/servers/{serverId}/invites/{code}" On(ManageMembers), None, None => 200 "Done", "Withdraw an invite.";
    ListJoinRequests "listJoinRequests" GET "/api/servers/{serverId}/join-requests" On(ManageMembers), Page, None => 200 "JoinRequestPage", "Open requests to join.";
    CreateJoinRequest "createJoinRequest" POST "/api/servers/{serverId}/join-requests" Identity, None, Some("JoinRequestBody") => 200 "JoinRequest", "Ask to join a private server.";
    DeleteJoinRequest "deleteJoinRequest" DELETE "/api/servers/{serverId}/join-requests/{userId}" On(ManageMembers), None, None => 200 "Done", "Refuse a request; its maker withdraws it this way.";
    ApproveJoinRequest "approveJoinRequest" POST "/api/servers/{serverId}/join-requests/{userId}/approve" On(ManageMembers), None, Some("Nothing") => 200 "Joined", "Approve a request: the identity is a member from now on.";
    RefuseJoinRequest "refuseJoinRequest" POST "/api/servers/{serverId}/join-requests/{userId}/refuse" On(ManageMembers), None, Some("Nothing") => 200 "Done", "Refuse a request.";

    GetMe "getMe" GET "/api/users/me" Identity, None, None => 200 "User", "What the directory knows of the caller.";
    LockIdentity "lockIdentity" PUT "/api/users/me/lock" Proof, None, Some("LockBody") => 200 "User", "Lock the identity: from now on it needs proof, by token or by the key named here.";
    UnlockIdentity "unlockIdentity" DELETE "/api/users/me/lock" Proof, None, None => 200 "Done", "Unlock the identity and forget its keys.";
    ListBlocks "listBlocks" GET "/api/users/me/blocks" Identity, None, None => 200 "Blocks", "The identities that the caller blocks.";
    ReplaceBlocks "replaceBlocks" PUT "/api/users/me/blocks" Identity, None, Some("Blocks") => 200 "BlocksDone", "Replace the list of blocked identities.";
    ClearBlocks "clearBlocks" DELETE "/api/users/me/blocks" Identity, None, None => 200 "BlocksDone", "Empty the list of blocked identities.";
    Block "block" PUT "/api/users/me/blocks/{userId}" Identity, None, Some("Nothing") => 200 "BlocksDone", "Block an identity.";
    Unblock "unblock" DELETE "/api/users/me/blocks/{userId}" Identity, None, None => 200 "BlocksDone", "Unblock an identity.";

    ListAudit "listAudit" GET "/api/audit" On(ManageServer), Audit, None => 200 "AuditPage", "Changes with their actors, newest first; without `server`, for operators alone.";
    GetOpenApi "getOpenApi" GET "/api/openapi.json" Nothing, None, None => 200 "AnyObject", "This document.";

    InternalServer "internalServer" GET "/api/internal/servers/{serverId}" Service, KnownPlugins, None => 200 "InternalServer", "Everything a gateway decides on, at one revision.";
    InternalJoin "internalJoin" POST "/api/internal/servers/{serverId}/join" Service, None, Some("InternalJoinBody") => 200 "InternalJoin", "Whether an identity may join or view; a right password or invite makes it a member.";
    InternalMembers "internalMembers" POST "/api/internal/servers/{serverId}/members" Service, None, Some("InternalMembersBody") => 200 "InternalMembers", "Which of some identities are members.";
    InternalUsers "internalUsers" GET "/api/internal/users" Service, KnownUsers, None => 200 "KnownUsers", "Identities with data of their own, with a role, or that own a server. All others need no proof and block no identity.";
    InternalUser "internalUser" GET "/api/internal/users/{userId}" Service, None, None => 200 "User", "Whether an identity needs proof, its keys, the identities that it blocks.";
    InternalBindKey "internalBindKey" PUT "/api/internal/users/{userId}/key" Service, None, Some("BindBody") => 200 "User", "Bind a key that was seen proven.";
    InternalChanges "internalChanges" GET "/api/internal/changes" Service, Changes, None => 200 "ChangePage", "The feed of changes.";
}
