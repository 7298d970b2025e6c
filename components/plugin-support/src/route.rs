//! The one table of routes: dispatch, permissions and the OpenAPI document come from it, so that they cannot drift apart.

use crate::{
    answer::Answer,
    call::Call,
    handlers::{internal, joining, members, plugins, roles, servers, users},
};
use directory::{Code, Refusal, permission::Action};
use std::{future::Future, pin::Pin};

/// What runs for a route.
pub(crate) type Handler =
    for<'a> fn(&'a Call) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + 'a>>;

/// What a route asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// An identity.
    Identity,
    /// An identity proven by a token, in every mode.
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
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Identity => "identity",
            Self::Proof => "proof",
            Self::Creator => "createServers",
            Self::On(action) => action.as_str(),
            Self::Service => "service",
        }
    }

    /// Whether nobody anonymous can have it.
    pub(crate) const fn an_identity(self) -> bool {
        !matches!(self, Self::Nothing | Self::On(Action::View) | Self::Service)
    }
}

/// Query parameters, by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    None,
    /// `limit`, `after`.
    Page,
    /// `limit`, `after`, `mine`.
    Servers,
    /// `cascade`.
    Cascade,
    /// `server`, `before`, `limit`.
    Audit,
    /// `after`, `limit`.
    Changes,
    /// `after`, `limit`: identities.
    Noted,
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    /// `operationId`.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Query,
    /// Schema of the request body, where the route takes one.
    pub(crate) body: Option<&'static str>,
    /// Status of success.
    pub(crate) status: u16,
    /// Schema of the answer.
    pub(crate) answer: &'static str,
    pub(crate) handler: Handler,
}

impl Route {
    /// Whether the route wants a body: some take one whose members are all optional, and then none is one too.
    pub(crate) fn body_required(&self) -> bool {
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
    ($($method:ident $path:literal $needs:expr, $id:literal, $query:ident, $body:expr => $status:literal $answer:literal, $handler:expr, $summary:literal;)+) => {
        /// All routes. `…/plugins/{pluginId}/data/{key}` is not among them: it is gone for every method, before anything else is looked at.
        pub(crate) static ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            needs: $needs,
            id: $id,
            summary: $summary,
            query: Query::$query,
            body: $body,
            status: $status,
            answer: $answer,
            handler: |call| Box::pin($handler(call)),
        }),+];
    };
}

use Action::{ManageMembers, ManageServer, Own, View, ViewMembers};
use Needs::{Creator, Identity, Nothing, On, Proof, Service};

routes! {
    GET "/api/servers" Nothing, "listServers", Servers, None => 200 "ServerPage", servers::list, "Public servers, and private ones of which the caller is a member.";
    POST "/api/servers" Creator, "createServer", None, Some("NewServer") => 201 "Server", servers::create, "Make a server; the caller owns it.";
    GET "/api/servers/{serverId}" On(View), "getServer", None, None => 200 "Server", servers::show, "One server.";
    PUT "/api/servers/{serverId}" On(ManageServer), "replaceServer", None, Some("ServerBody") => 200 "Server", servers::replace, "Replace what is known of a server; the password stays where none is named.";
    PATCH "/api/servers/{serverId}" On(ManageServer), "changeServer", None, Some("ServerPatch") => 200 "Server", servers::patch, "Change parts of a server; `ownerId` hands it over, which only the owner may.";
    DELETE "/api/servers/{serverId}" On(Own), "deleteServer", None, None => 200 "Done", servers::delete, "End a server, with all that belongs to it.";

    GET "/api/servers/{serverId}/plugins" On(View), "getPlugins", None, None => 200 "Snapshot", plugins::snapshot, "All plugin requirements and event definitions (T41).";
    PUT "/api/servers/{serverId}/plugins/{pluginId}/requirement" On(ManageServer), "putRequirement", None, Some("RequirementBody") => 200 "Requirement", plugins::put_requirement, "Store a plugin requirement (T42).";
    DELETE "/api/servers/{serverId}/plugins/{pluginId}/requirement" On(ManageServer), "deleteRequirement", Cascade, None => 200 "Done", plugins::delete_requirement, "Remove a plugin requirement (T43).";
    PUT "/api/servers/{serverId}/plugins/{pluginId}/events/{eventName}" On(ManageServer), "putEvent", None, Some("EventBody") => 200 "EventDefinition", plugins::put_event, "Register or change an event definition (T44).";
    DELETE "/api/servers/{serverId}/plugins/{pluginId}/events/{eventName}" On(ManageServer), "deleteEvent", None, None => 200 "Done", plugins::delete_event, "Remove an event definition (T45).";

    POST "/api/servers/{serverId}/join" Identity, "joinServer", None, Some("JoinBody") => 200 "Joined", joining::join, "Become a member (D6).";
    POST "/api/servers/{serverId}/leave" Identity, "leaveServer", None, Some("Nothing") => 200 "Done", joining::leave, "End the own membership (D6).";
    GET "/api/servers/{serverId}/members" On(ViewMembers), "listMembers", Page, None => 200 "MemberPage", members::list, "Members and their roles.";
    DELETE "/api/servers/{serverId}/members/{userId}" On(ManageMembers), "removeMember", None, None => 200 "Done", members::remove, "Remove a member; anyone may remove itself.";
    PUT "/api/servers/{serverId}/members/{userId}/roles/{roleId}" On(ManageServer), "grantRole", None, Some("Nothing") => 200 "Grant", roles::grant, "Give a member a role.";
    DELETE "/api/servers/{serverId}/members/{userId}/roles/{roleId}" On(ManageServer), "revokeRole", None, None => 200 "Grant", roles::revoke, "Take a role from a member.";
    GET "/api/servers/{serverId}/roles" On(ViewMembers), "listRoles", None, None => 200 "Roles", roles::list, "Roles, their permissions and holders.";
    PUT "/api/servers/{serverId}/roles/{roleId}" On(ManageServer), "putRole", None, Some("RoleBody") => 200 "Role", roles::put, "Store a role.";
    DELETE "/api/servers/{serverId}/roles/{roleId}" On(ManageServer), "deleteRole", None, None => 200 "Done", roles::delete, "Remove a role, also from its holders.";
    GET "/api/servers/{serverId}/bans" On(ManageMembers), "listBans", Page, None => 200 "BanPage", members::bans, "Banned identities.";
    PUT "/api/servers/{serverId}/bans/{userId}" On(ManageMembers), "ban", None, Some("BanBody") => 200 "Ban", members::ban, "Ban an identity; its membership ends.";
    DELETE "/api/servers/{serverId}/bans/{userId}" On(ManageMembers), "unban", None, None => 200 "Done", members::unban, "Lift a ban.";
    GET "/api/servers/{serverId}/invites" On(ManageMembers), "listInvites", None, None => 200 "Invites", joining::invites, "Invites that still admit.";
    POST "/api/servers/{serverId}/invites" On(ManageMembers), "createInvite", None, Some("InviteBody") => 200 "Invite", joining::make_invite, "Make an invite; it lasts ten days unless it says otherwise.";
    DELETE "/api/servers/{serverId}/invites/{code}" On(ManageMembers), "deleteInvite", None, None => 200 "Done", joining::delete_invite, "Withdraw an invite.";
    GET "/api/servers/{serverId}/join-requests" On(ManageMembers), "listJoinRequests", Page, None => 200 "JoinRequestPage", joining::requests, "Open requests to join.";
    POST "/api/servers/{serverId}/join-requests" Identity, "createJoinRequest", None, Some("JoinRequestBody") => 200 "JoinRequest", joining::make_request, "Ask to join a private server.";
    DELETE "/api/servers/{serverId}/join-requests/{userId}" On(ManageMembers), "deleteJoinRequest", None, None => 200 "Done", joining::refuse, "Refuse a request; its maker withdraws it this way.";
    POST "/api/servers/{serverId}/join-requests/{userId}/approve" On(ManageMembers), "approveJoinRequest", None, Some("Nothing") => 200 "Joined", joining::approve, "Approve a request: the identity is a member from now on.";
    POST "/api/servers/{serverId}/join-requests/{userId}/refuse" On(ManageMembers), "refuseJoinRequest", None, Some("Nothing") => 200 "Done", joining::refuse, "Refuse a request.";

    GET "/api/users/me" Identity, "getMe", None, None => 200 "User", users::me, "What the directory knows of the caller.";
    PUT "/api/users/me/lock" Proof, "lockIdentity", None, Some("LockBody") => 200 "User", users::lock, "Lock the identity: from now on it needs proof, by token or by the key named here (D7).";
    DELETE "/api/users/me/lock" Proof, "unlockIdentity", None, None => 200 "Done", users::unlock, "Unlock the identity and forget its keys.";
    GET "/api/users/me/blocks" Identity, "listBlocks", None, None => 200 "Blocks", users::blocks, "Whom the caller blocks.";
    PUT "/api/users/me/blocks" Identity, "replaceBlocks", None, Some("Blocks") => 200 "BlocksDone", users::set_blocks, "Replace the list of blocked identities.";
    DELETE "/api/users/me/blocks" Identity, "clearBlocks", None, None => 200 "BlocksDone", users::clear_blocks, "Empty the list of blocked identities.";
    PUT "/api/users/me/blocks/{userId}" Identity, "block", None, Some("Nothing") => 200 "BlocksDone", users::block, "Block an identity.";
    DELETE "/api/users/me/blocks/{userId}" Identity, "unblock", None, None => 200 "BlocksDone", users::unblock, "Unblock an identity.";

    GET "/api/audit" On(ManageServer), "listAudit", Audit, None => 200 "AuditPage", servers::audit, "Who changed what, newest first; without `server`, for operators alone.";
    GET "/api/openapi.json" Nothing, "getOpenApi", None, None => 200 "AnyObject", openapi, "This document.";

    GET "/api/internal/servers/{serverId}" Service, "internalServer", None, None => 200 "InternalServer", internal::server, "Everything a gateway decides on, at one revision.";
    POST "/api/internal/servers/{serverId}/join" Service, "internalJoin", None, Some("InternalJoinBody") => 200 "InternalJoin", joining::ask, "Whether an identity may join or view; a right password or invite makes it a member.";
    GET "/api/internal/users" Service, "internalUsers", Noted, None => 200 "NotedUsers", internal::users, "Identities that something is known of; everybody else needs no proof and blocks nobody.";
    GET "/api/internal/users/{userId}" Service, "internalUser", None, None => 200 "User", internal::user, "Whether an identity needs proof, its keys, whom it blocks.";
    PUT "/api/internal/users/{userId}/key" Service, "internalBindKey", None, Some("BindBody") => 200 "User", users::bind, "Bind a key that was seen proven.";
    GET "/api/internal/changes" Service, "internalChanges", Changes, None => 200 "ChangePage", internal::changes, "The feed of changes.";
}

async fn openapi(_call: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::text(200, crate::openapi::document()))
}

/// What a path and a method lead to.
pub(crate) enum Found {
    /// A route, and the values of its placeholders.
    Route(&'static Route, Vec<String>),
    /// Plugin data: gone.
    Gone,
    /// The path's methods, for `OPTIONS`.
    Options(String),
}

/// Finds the route.
///
/// # Errors
/// [`Code::NotFound`], and [`Code::MethodNotAllowed`] with `allow`.
pub(crate) fn find(method: &str, segments: &[String], preflight: bool) -> Result<Found, Refusal> {
    if is_plugin_data(segments) {
        return Ok(if preflight {
            Found::Options("GET, HEAD, PUT, DELETE".to_owned())
        } else {
            Found::Gone
        });
    }
    let at_path: Vec<(&Route, Vec<String>)> = ROUTES
        .iter()
        .filter_map(|route| Some((route, matched(route.path, segments)?)))
        .collect();
    if at_path.is_empty() {
        return Err(if is_native_hosts(segments) {
            Code::UnsupportedOnEdge.into()
        } else {
            Refusal::not_found("path")
        });
    }
    let mut methods: Vec<&str> = at_path.iter().map(|(route, _)| route.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    let allow = methods.join(", ");
    if method == "OPTIONS" {
        return Ok(Found::Options(allow));
    }
    let wanted = if method == "HEAD" { "GET" } else { method };
    match at_path
        .into_iter()
        .find(|(route, _)| route.method == wanted)
    {
        Some((route, values)) => Ok(Found::Route(route, values)),
        None => Err(Refusal::from(Code::MethodNotAllowed).with("allow", allow)),
    }
}

/// What the native host answers before the edge is asked (7.5): without one, nobody can.
fn is_native_hosts(segments: &[String]) -> bool {
    const AREAS: [&str; 5] = ["plugins", "consents", "capabilities", "tools", "hooks"];
    matches!(segments, [api, area, ..] if api == "api" && AREAS.contains(&area.as_str()))
}

fn is_plugin_data(segments: &[String]) -> bool {
    matches!(segments, [api, servers, _, plugins, _, data, key, ..]
        if api == "api" && servers == "servers" && plugins == "plugins" && data == "data" && !key.is_empty())
}

/// The values of a pattern's placeholders; nothing when the path is another. A fixed segment wins over a placeholder by standing earlier.
fn matched(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let parts: Vec<&str> = pattern.split('/').skip(1).collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut values = Vec::new();
    for (part, segment) in parts.iter().zip(segments) {
        if part.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    Some(values)
}
