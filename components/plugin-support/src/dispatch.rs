//! Which handler does what an operation of the interface says.

use crate::{
    call::Call,
    handlers::{internal, joining, members, plugins, roles, servers, users},
    openapi,
};
use directory::{Refusal, api::Operation};
use rest::Answer;

/// Runs the handler of an operation.
///
/// # Errors
/// The handler's refusal. [`directory::Code::Conflict`] asks for another try.
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
        Operation::ListInvites => joining::invites(call).await,
        Operation::CreateInvite => joining::make_invite(call).await,
        Operation::DeleteInvite => joining::delete_invite(call).await,
        Operation::ListJoinRequests => joining::requests(call).await,
        Operation::CreateJoinRequest => joining::make_request(call).await,
        Operation::DeleteJoinRequest => joining::refuse(call).await,
        Operation::ApproveJoinRequest => joining::approve(call).await,
        Operation::RefuseJoinRequest => joining::refuse(call).await,
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
        Operation::InternalUsers => internal::users(call).await,
        Operation::InternalUser => internal::user(call).await,
        Operation::InternalBindKey => users::bind(call).await,
        Operation::InternalChanges => internal::changes(call).await,
    }
}
