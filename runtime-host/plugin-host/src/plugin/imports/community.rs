//! What a plugin does among people: events, the bus, chat, rosters, servers.

use super::{State, bounded, error, not_done};
use crate::plugin::{
    bindings::jackfield::plugin::{
        bus, channels, events, messages, server,
        types::{ErrorCode, PluginError},
        users,
    },
    community::{Publication, Saying},
};
use capability::{CapabilityId, Target};
use limits::plugin as bounds;

impl events::Host for State {
    async fn publish(
        &mut self,
        server_id: String,
        event_name: String,
        payload: String,
        channel_id: Option<String>,
        target_user_id: Option<String>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self.own_server(&server_id) {
            return Ok(Err(refused));
        }
        if let Err(refused) = self
            .demand(CapabilityId::EventsServerPublish, Target::name(&event_name))
            .await
        {
            return Ok(Err(refused));
        }
        let publication = Publication {
            server_id,
            plugin_id: self.shared.id.clone(),
            plugin_user_id: self.shared.plugin_user_id.clone(),
            display_name: self.shared.display_name.clone(),
            event_name,
            payload,
            channel_id,
            target_user_id,
            hops: self.hops,
        };
        Ok(self
            .shared
            .community
            .publish(publication)
            .await
            .map_err(not_done))
    }
}

impl bus::Host for State {
    async fn publish(
        &mut self,
        topic: String,
        payload: String,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self
            .demand(CapabilityId::EventsP2pPublish, Target::name(&topic))
            .await
        {
            return Ok(Err(refused));
        }
        if let Err(refused) = bounded("payload", payload.len(), bounds::PAYLOAD_BYTES_MAX) {
            return Ok(Err(refused));
        }
        Ok(self
            .shared
            .bus
            .publish(&self.scope, self.number, &topic, payload, self.hops + 1)
            .map_err(|bad| error(ErrorCode::InvalidArgument, bad)))
    }

    async fn subscribe(
        &mut self,
        topic: String,
        options: bus::Options,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self
            .demand(CapabilityId::EventsP2pSubscribe, Target::name(&topic))
            .await
        {
            return Ok(Err(refused));
        }
        let replay = (options.replay as usize).min(bounds::TOPIC_REPLAY_MAX);
        let subscribed = self.shared.bus.subscribe(
            &self.scope,
            self.number,
            &topic,
            replay,
            options.since,
            options.include_self,
        );
        Ok(subscribed.map_err(|bad| error(ErrorCode::InvalidArgument, bad)))
    }

    async fn unsubscribe(&mut self, topic: String) -> wasmtime::Result<Result<(), PluginError>> {
        self.shared.bus.unsubscribe(self.number, &topic);
        Ok(Ok(()))
    }
}

impl messages::Host for State {
    async fn send(
        &mut self,
        server_id: String,
        channel_id: Option<String>,
        text: String,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self.own_server(&server_id) {
            return Ok(Err(refused));
        }
        if let Err(refused) = self.demand(CapabilityId::MessagesSend, Target::ANY).await {
            return Ok(Err(refused));
        }
        if let Err(refused) = bounded("text", text.len(), bounds::CHAT_TEXT_BYTES_MAX) {
            return Ok(Err(refused));
        }
        let saying = Saying {
            server_id,
            plugin_id: self.shared.id.clone(),
            channel_id,
            plugin_user_id: self.shared.plugin_user_id.clone(),
            display_name: self.shared.display_name.clone(),
            text,
            hops: self.hops,
        };
        Ok(self.shared.community.say(saying).await.map_err(not_done))
    }
}

impl channels::Host for State {
    async fn active(
        &mut self,
        server_id: String,
    ) -> wasmtime::Result<Result<Vec<String>, PluginError>> {
        if let Err(refused) = self.own_server(&server_id) {
            return Ok(Err(refused));
        }
        if let Err(refused) = self.demand(CapabilityId::ChannelsRead, Target::ANY).await {
            return Ok(Err(refused));
        }
        Ok(self.shared.community.channels(&server_id).map_err(not_done))
    }
}

impl users::Host for State {
    async fn roster(
        &mut self,
        server_id: String,
        offset: u32,
        users_max: u32,
    ) -> wasmtime::Result<Result<users::Page, PluginError>> {
        if let Err(refused) = self.own_server(&server_id) {
            return Ok(Err(refused));
        }
        if let Err(refused) = self.demand(CapabilityId::UsersRead, Target::ANY).await {
            return Ok(Err(refused));
        }
        let most = (users_max as usize).min(bounds::ROSTER_USERS_MAX);
        let roster = self
            .shared
            .community
            .roster(&server_id, offset as usize, most);
        Ok(roster.map_err(not_done).map(|(people, total)| users::Page {
            users: people
                .into_iter()
                .map(|person| users::User {
                    id: person.user_id,
                    display_name: person.display_name,
                    status: person.status.to_owned(),
                    verified: person.verified,
                })
                .collect(),
            total: u32::try_from(total).unwrap_or(u32::MAX),
        }))
    }
}

impl server::Host for State {
    async fn open(&mut self) -> wasmtime::Result<Result<Vec<server::Info>, PluginError>> {
        if let Err(refused) = self.demand(CapabilityId::ServerRead, Target::ANY).await {
            return Ok(Err(refused));
        }
        let own = self.scope.server_id();
        let servers = self
            .shared
            .community
            .servers()
            .into_iter()
            .filter(|open| own.is_none_or(|own| own == open.server_id));
        let info = servers.map(|open| server::Info {
            id: open.server_id,
            revision: open.revision,
            users: u32::try_from(open.users).unwrap_or(u32::MAX),
        });
        Ok(Ok(info.collect()))
    }
}
