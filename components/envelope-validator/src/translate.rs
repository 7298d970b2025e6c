//! Conversion between the types of `wit/judge.wit` and those of `envelope::verdict`, which have the same names.

use crate::bindings::exports::jackfield::envelopes::types as wit;
use envelope::verdict as core;
use identifiers::{EventName, PluginId};

pub(crate) fn context(context: &wit::Context) -> core::Context<'_> {
    core::Context {
        now_ms: context.now_ms,
        connection_id: &context.connection_id,
        user_id: context.user_id.as_deref(),
        display_name: &context.display_name,
        server_id: context.server_id.as_deref(),
        server_implied: context.server_implied,
        server_revision: context.server_revision,
        membership: match context.membership {
            wit::Membership::None => core::Membership::None,
            wit::Membership::Viewing => core::Membership::Viewing,
            wit::Membership::Joined => core::Membership::Joined,
        },
    }
}

/// Entries whose names break their patterns cannot be addressed by any envelope, so they are left out.
pub(crate) fn snapshot(snapshot: wit::Snapshot) -> core::Snapshot {
    core::Snapshot {
        server_id: snapshot.server_id,
        revision: snapshot.revision,
        requirements: snapshot
            .requirements
            .into_iter()
            .filter_map(requirement)
            .collect(),
        definitions: snapshot
            .definitions
            .into_iter()
            .filter_map(definition)
            .collect(),
    }
}

fn requirement(requirement: wit::Requirement) -> Option<core::Requirement> {
    Some(core::Requirement {
        plugin_id: PluginId::new(requirement.plugin_id).ok()?,
        blocked: requirement.blocked,
        publishes: requirement.publishes,
        plugin_user_id: requirement.plugin_user_id,
    })
}

fn definition(definition: wit::Definition) -> Option<core::Definition> {
    Some(core::Definition {
        plugin_id: PluginId::new(definition.plugin_id).ok()?,
        event_name: EventName::new(definition.event_name).ok()?,
        direction: match definition.direction {
            wit::Direction::ClientToServer => core::EventDirection::ClientToServer,
            wit::Direction::ServerRelay => core::EventDirection::ServerRelay,
            wit::Direction::P2pHint => core::EventDirection::P2pHint,
        },
        scope: match definition.scope {
            wit::Scope::Server => core::EventScope::Server,
            wit::Scope::Channel => core::EventScope::Channel,
            wit::Scope::User => core::EventScope::User,
            wit::Scope::Plugin => core::EventScope::Plugin,
        },
        schema: definition.schema,
        payload_bytes_max: definition.payload_bytes_max,
    })
}

pub(crate) fn verdict(verdict: core::Verdict) -> wit::Verdict {
    match verdict {
        core::Verdict::Pass => wit::Verdict::Pass,
        core::Verdict::Rewrite(bytes) => wit::Verdict::Rewrite(bytes),
        core::Verdict::Route(decision) => wit::Verdict::Route(wit::Decision {
            patches: decision.patches.into_iter().map(patch).collect(),
            effects: decision.effects.into_iter().map(effect).collect(),
        }),
        core::Verdict::Refuse(refusal) => wit::Verdict::Refuse(wit::Refusal {
            code: refusal.code,
            reply: refusal.reply,
        }),
        core::Verdict::NeedSnapshot(server_id) => wit::Verdict::NeedSnapshot(server_id),
        core::Verdict::Later(number) => wit::Verdict::Later(number),
    }
}

fn patch(patch: core::Patch) -> wit::Patch {
    wit::Patch {
        offset: patch.offset,
        remove: patch.remove,
        insert: patch.insert,
    }
}

fn effect(effect: core::Effect) -> wit::Effect {
    match effect {
        core::Effect::Identify(identify) => wit::Effect::Identify(self::identify(identify)),
        core::Effect::Keepalive => wit::Effect::Keepalive,
        core::Effect::SetStatus(status) => wit::Effect::SetStatus(match status {
            core::Status::Offline => wit::Status::Offline,
            core::Status::Busy => wit::Status::Busy,
            core::Status::Away => wit::Status::Away,
            core::Status::Online => wit::Status::Online,
        }),
        core::Effect::Join(access) => wit::Effect::Join(self::access(access)),
        core::Effect::View(access) => wit::Effect::View(self::access(access)),
        core::Effect::Leave(server_id) => wit::Effect::Leave(server_id),
        core::Effect::Broadcast(server_id) => wit::Effect::Broadcast(server_id),
        core::Effect::SendToMember { server_id, user_id } => {
            wit::Effect::SendToMember(wit::Member { server_id, user_id })
        }
        core::Effect::SendToPlugin {
            server_id,
            plugin_id,
        } => wit::Effect::SendToPlugin(wit::ServerPlugin {
            server_id,
            plugin_id,
        }),
        core::Effect::Forward { user_id, class } => wit::Effect::Forward(wit::Forward {
            user_id,
            class: match class {
                core::ForwardClass::Offer => wit::ForwardClass::Offer,
                core::ForwardClass::Reply => wit::ForwardClass::Reply,
                core::ForwardClass::Direct => wit::ForwardClass::Direct,
                core::ForwardClass::Icon => wit::ForwardClass::Icon,
            },
        }),
        core::Effect::IconAvailable {
            server_id,
            updated_at,
        } => wit::Effect::IconAvailable(wit::Icon {
            server_id,
            updated_at,
        }),
        core::Effect::IconPeers {
            server_id,
            updated_at,
        } => wit::Effect::IconPeers(wit::Icon {
            server_id,
            updated_at,
        }),
    }
}

fn access(access: core::Access) -> wit::Access {
    wit::Access {
        server_id: access.server_id,
        password: access.password,
        invite: access.invite,
        roster_offset: access.roster_offset,
    }
}

fn identify(identify: core::Identify) -> wit::Identify {
    wit::Identify {
        user_id: identify.user_id,
        display_name: identify.display_name,
        connection_scope: identify.connection_scope,
        description: identify.description,
        profile_updated_at: identify.profile_updated_at,
        token: identify.token,
        key: identify.key,
        proof: identify.proof,
        lock: identify.lock,
        plugins: identify.plugins,
        features: identify.features,
    }
}
