//! Conversion between the types of `wit/judge.wit` and those of the `envelope` crate. Arguments are borrowed, results
//! are owned.

use crate::bindings::exports::jackfield::envelopes::types as wit;
use envelope::verdict as core;

pub(crate) fn context<'a>(context: &core::Context<'a>) -> wit::Context<'a> {
    wit::Context {
        now_ms: context.now_ms,
        connection_id: context.connection_id,
        user_id: context.user_id,
        display_name: context.display_name,
        server_id: context.server_id,
        server_implied: context.server_implied,
        server_revision: context.server_revision,
        membership: match context.membership {
            core::Membership::None => wit::Membership::None,
            core::Membership::Viewing => wit::Membership::Viewing,
            core::Membership::Joined => wit::Membership::Joined,
        },
    }
}

/// A snapshot whose lists are laid out as the call wants them.
pub(crate) struct Snapshot<'a> {
    server_id: &'a str,
    revision: u64,
    requirements: Vec<wit::Requirement<'a>>,
    definitions: Vec<wit::Definition<'a>>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(snapshot: &'a core::Snapshot) -> Self {
        Self {
            server_id: &snapshot.server_id,
            revision: snapshot.revision,
            requirements: snapshot.requirements.iter().map(requirement).collect(),
            definitions: snapshot.definitions.iter().map(definition).collect(),
        }
    }

    pub(crate) fn param(&self) -> wit::Snapshot<'_> {
        wit::Snapshot {
            server_id: self.server_id,
            revision: self.revision,
            requirements: &self.requirements,
            definitions: &self.definitions,
        }
    }
}

fn requirement(requirement: &core::Requirement) -> wit::Requirement<'_> {
    wit::Requirement {
        plugin_id: requirement.plugin_id.as_str(),
        blocked: requirement.blocked,
        publishes: requirement.publishes,
        plugin_user_id: requirement.plugin_user_id.as_deref(),
    }
}

fn definition(definition: &core::Definition) -> wit::Definition<'_> {
    wit::Definition {
        plugin_id: definition.plugin_id.as_str(),
        event_name: definition.event_name.as_str(),
        direction: match definition.direction {
            core::EventDirection::ClientToServer => wit::Direction::ClientToServer,
            core::EventDirection::ServerRelay => wit::Direction::ServerRelay,
            core::EventDirection::P2pHint => wit::Direction::P2pHint,
        },
        scope: match definition.scope {
            core::EventScope::Server => wit::Scope::Server,
            core::EventScope::Channel => wit::Scope::Channel,
            core::EventScope::User => wit::Scope::User,
            core::EventScope::Plugin => wit::Scope::Plugin,
        },
        schema: definition.schema.as_deref(),
        payload_bytes_max: definition.payload_bytes_max,
    }
}

pub(crate) fn verdict(verdict: wit::Verdict) -> core::Verdict {
    match verdict {
        wit::Verdict::Pass => core::Verdict::Pass,
        wit::Verdict::Rewrite(bytes) => core::Verdict::Rewrite(bytes),
        wit::Verdict::Route(decision) => core::Verdict::Route(core::Decision {
            patches: decision.patches.into_iter().map(patch).collect(),
            effects: decision.effects.into_iter().map(effect).collect(),
        }),
        wit::Verdict::Refuse(refusal) => core::Verdict::Refuse(core::Refusal {
            code: refusal.code,
            reply: refusal.reply,
        }),
        wit::Verdict::NeedSnapshot(server_id) => core::Verdict::NeedSnapshot(server_id),
        wit::Verdict::Later(number) => core::Verdict::Later(number),
    }
}

fn patch(patch: wit::Patch) -> core::Patch {
    core::Patch {
        offset: patch.offset,
        remove: patch.remove,
        insert: patch.insert,
    }
}

fn effect(effect: wit::Effect) -> core::Effect {
    match effect {
        wit::Effect::Identify(identify) => core::Effect::Identify(self::identify(identify)),
        wit::Effect::Keepalive => core::Effect::Keepalive,
        wit::Effect::SetStatus(status) => core::Effect::SetStatus(match status {
            wit::Status::Offline => core::Status::Offline,
            wit::Status::Busy => core::Status::Busy,
            wit::Status::Away => core::Status::Away,
            wit::Status::Online => core::Status::Online,
        }),
        wit::Effect::Join(access) => core::Effect::Join(self::access(access)),
        wit::Effect::View(access) => core::Effect::View(self::access(access)),
        wit::Effect::Leave(server_id) => core::Effect::Leave(server_id),
        wit::Effect::Broadcast(server_id) => core::Effect::Broadcast(server_id),
        wit::Effect::SendToMember(member) => core::Effect::SendToMember {
            server_id: member.server_id,
            user_id: member.user_id,
        },
        wit::Effect::SendToPlugin(to) => core::Effect::SendToPlugin {
            server_id: to.server_id,
            plugin_id: to.plugin_id,
        },
        wit::Effect::Forward(forward) => core::Effect::Forward {
            user_id: forward.user_id,
            class: match forward.class {
                wit::ForwardClass::Offer => core::ForwardClass::Offer,
                wit::ForwardClass::Reply => core::ForwardClass::Reply,
                wit::ForwardClass::Direct => core::ForwardClass::Direct,
                wit::ForwardClass::Icon => core::ForwardClass::Icon,
            },
        },
        wit::Effect::IconAvailable(icon) => core::Effect::IconAvailable {
            server_id: icon.server_id,
            updated_at: icon.updated_at,
        },
        wit::Effect::IconPeers(icon) => core::Effect::IconPeers {
            server_id: icon.server_id,
            updated_at: icon.updated_at,
        },
    }
}

fn access(access: wit::Access) -> core::Access {
    core::Access {
        server_id: access.server_id,
        password: access.password,
        invite: access.invite,
        roster_offset: access.roster_offset,
    }
}

fn identify(identify: wit::Identify) -> core::Identify {
    core::Identify {
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
