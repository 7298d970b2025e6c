//! From operations of the interface to their handlers.

use crate::{
    call::Call,
    handlers::{
        internal, invites, join_requests, joining, members, plugins, roles, servers, users,
    },
    openapi,
};
use directory::{Refusal, api::Operation};
use rest::Answer;

/// Runs the handler of an operation.
///
/// # Errors
/// The handler's refusal. [`directory::Code::Conflict`] means that the request is tried again.
pub(crate) async fn run(operation: Operation, call: &Call) -> Result<Answer, Refusal> {
    match operation {
        Operation::ListServers => servers::list(call).await,
        Operation::CreateServer => servers::create(call).await,
        Operation::GetServer => servers::show(call).await,
        Operation::ReplaceServer => servers::replace(call).await,
        Operation::ChangeServer => servers::patch(call).await,
        Operation::DeleteServer => servers::delete(call).await,
        Operation::GetPlugins => plugins::snapshot(call).await,
        Operation::PutRequirement => plugins::put_requirement(call).await,
        Operation::DeleteRequirement => plugins::delete_requirement(call).await,
        Operation::PutEvent => plugins::put_event(call).await,
        Operation::DeleteEvent => plugins::delete_event(call).await,
        Operation::JoinServer => joining::join(call).await,
        Operation::LeaveServer => joining::leave(call).await,
        Operation::ListMembers => members::list(call).await,
        Operation::RemoveMember => members::remove(call).await,
        Operation::GrantRole => roles::grant(call).await,
        Operation::RevokeRole => roles::revoke(call).await,
        Operation::ListRoles => roles::list(call).await,
        Operation::PutRole => roles::put(call).await,
        Operation::DeleteRole => roles::delete(call).await,
        Operation::ListBans => members::bans(call).await,
        Operation::Ban => members::ban(call).await,
        Operation::Unban => members::unban(call).await,
        Operation::ListInvites => invites::list(call).await,
        Operation::CreateInvite => invites::create(call).await,
        Operation::DeleteInvite => invites::delete(call).await,
        Operation::ListJoinRequests => join_requests::list(call).await,
        Operation::CreateJoinRequest => join_requests::create(call).await,
        Operation::DeleteJoinRequest => join_requests::refuse(call).await,
        Operation::ApproveJoinRequest => join_requests::approve(call).await,
        Operation::RefuseJoinRequest => join_requests::refuse(call).await,
        Operation::GetMe => users::me(call).await,
        Operation::LockIdentity => users::lock(call).await,
        Operation::UnlockIdentity => users::unlock(call).await,
        Operation::ListBlocks => users::blocks(call).await,
        Operation::ReplaceBlocks => users::set_blocks(call).await,
        Operation::ClearBlocks => users::clear_blocks(call).await,
        Operation::Block => users::block(call).await,
        Operation::Unblock => users::unblock(call).await,
        Operation::ListAudit => servers::audit(call).await,
        Operation::GetOpenApi => Ok(openapi::DOCUMENT.answer(&call.headers)),
        Operation::InternalServer => internal::server(call).await,
        Operation::InternalJoin => joining::ask(call).await,
        Operation::InternalMembers => internal::members(call).await,
        Operation::InternalUsers => internal::users(call).await,
        Operation::InternalUser => internal::user(call).await,
        Operation::InternalBindKey => users::bind(call).await,
        Operation::InternalChanges => internal::changes(call).await,
    }
}
