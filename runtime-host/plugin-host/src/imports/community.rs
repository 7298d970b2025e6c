//! Imports that need the gateway or other instances: events, the bus, chat messages, rosters and servers.

use super::{StoreData, bounded, error};
use crate::bindings::jackfield::plugin::{
    bus, channels, events, messages, server,
    types::{ErrorCode, PluginError},
    users,
};
use capability::{CapabilityId, CapabilityUse, Target};
use limits::plugin as bounds;
use plugin_bus::{NotHere, OutgoingBody, OutgoingMessage, PluginSender, PublishError};
use serde_json::json;

impl StoreData {
    /// Sends an envelope in the plugin's name, which a capability allows.
    async fn send_out(
        &mut self,
        id: CapabilityId,
        server_id: String,
        channel_id: Option<String>,
        body: OutgoingBody,
    ) -> Result<(), PluginError> {
        let shared = self.shared.clone();
        let server = server_id.clone();
        let message = OutgoingMessage {
            sender: PluginSender {
                plugin_id: shared.id.clone(),
                plugin_user_id: Some(shared.plugin_user_id.clone()),
                display_name: shared.display_name.clone(),
                reach: shared.reach,
                hops: self.hops,
            },
            server_id,
            channel_id,
            body,
        };
        let sent = shared.chat_host.send(message).await;
        sent.map_err(|failed| self.refused(self.not_sent(id, &server, failed)))
    }

    /// The error of a message that was not sent, as the plugin sees it.
    fn not_sent(&self, id: CapabilityId, server_id: &str, failed: PublishError) -> PluginError {
        let code = match &failed {
            PublishError::NotHere(why) => return self.not_here(id, server_id, *why),
            PublishError::NotRegistered(_) => ErrorCode::NotFound,
            PublishError::Violations { .. } | PublishError::Refused { .. } => {
                ErrorCode::InvalidArgument
            }
            PublishError::TooLarge(_) => ErrorCode::TooLarge,
            PublishError::RateLimited { .. } => ErrorCode::RateLimited,
            PublishError::Loop => ErrorCode::Denied,
            PublishError::Busy | PublishError::Internal => ErrorCode::Unavailable,
        };
        PluginError {
            code,
            message: failed.to_string(),
            details: failed.details().map(|details| details.to_string()),
        }
    }

    /// The error of a call for a server on which the plugin does not act. The audit has an entry, unless the server is
    /// merely empty.
    fn not_here(&self, id: CapabilityId, server_id: &str, why: NotHere) -> PluginError {
        let code = match why {
            NotHere::NotOpen => ErrorCode::NotFound,
            NotHere::Blocked | NotHere::Guarded | NotHere::NotNamed => {
                let asked = CapabilityUse::new(id, Target::name(server_id));
                let authority = &self.shared.authority;
                authority.note_refusal(&asked, &format!("server rule: {why}"));
                ErrorCode::Denied
            }
        };
        PluginError {
            code,
            message: format!("server {server_id:?}: {why}"),
            details: Some(json!({"code": why.code()}).to_string()),
        }
    }
}

impl events::Host for StoreData {
    async fn publish(
        &mut self,
        server_id: String,
        event_name: String,
        payload: String,
        channel_id: Option<String>,
        target_user_id: Option<String>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        let id = CapabilityId::EventsServerPublish;
        if let Err(refused) = self
            .authorize_on(&server_id, id, Target::name(&event_name))
            .await
        {
            return Ok(Err(refused));
        }
        let body = OutgoingBody::Event {
            event_name,
            payload,
            target_user_id,
        };
        Ok(self.send_out(id, server_id, channel_id, body).await)
    }
}

impl bus::Host for StoreData {
    async fn publish(
        &mut self,
        topic: String,
        payload: String,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self
            .authorize(CapabilityId::EventsP2pPublish, Target::name(&topic))
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
            .authorize(CapabilityId::EventsP2pSubscribe, Target::name(&topic))
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

impl messages::Host for StoreData {
    async fn send(
        &mut self,
        server_id: String,
        channel_id: Option<String>,
        text: String,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        let id = CapabilityId::MessagesSend;
        if let Err(refused) = self.authorize_on(&server_id, id, Target::ANY).await {
            return Ok(Err(refused));
        }
        if let Err(refused) = bounded("text", text.len(), bounds::CHAT_TEXT_BYTES_MAX) {
            return Ok(Err(refused));
        }
        let body = OutgoingBody::Chat { text };
        Ok(self.send_out(id, server_id, channel_id, body).await)
    }
}

impl channels::Host for StoreData {
    async fn active(
        &mut self,
        server_id: String,
    ) -> wasmtime::Result<Result<Vec<String>, PluginError>> {
        let id = CapabilityId::ChannelsRead;
        if let Err(refused) = self.authorize_on(&server_id, id, Target::ANY).await {
            return Ok(Err(refused));
        }
        let shared = &self.shared;
        let channels = shared.chat_host.recent_channels(shared.actor(), &server_id);
        Ok(channels
            .map(|channels| channels.into_iter().map(String::from).collect())
            .map_err(|why| self.refused(self.not_here(id, &server_id, why))))
    }
}

impl users::Host for StoreData {
    async fn roster(
        &mut self,
        server_id: String,
        offset: u32,
        users_max: u32,
    ) -> wasmtime::Result<Result<users::Page, PluginError>> {
        let id = CapabilityId::UsersRead;
        if let Err(refused) = self.authorize_on(&server_id, id, Target::ANY).await {
            return Ok(Err(refused));
        }
        let most = (users_max as usize).min(bounds::ROSTER_USERS_MAX);
        let shared = &self.shared;
        let roster = shared
            .chat_host
            .roster(shared.actor(), &server_id, offset as usize, most);
        let roster = match roster {
            Ok(roster) => roster,
            Err(why) => return Ok(Err(self.refused(self.not_here(id, &server_id, why)))),
        };
        let users = roster.people.iter().map(|person| users::User {
            id: person.user_id.to_string(),
            display_name: person.display_name.to_string(),
            status: person.status.as_str().to_owned(),
            verified: person.verified,
        });
        Ok(Ok(users::Page {
            users: users.collect(),
            total: u32::try_from(roster.total).unwrap_or(u32::MAX),
        }))
    }
}

impl server::Host for StoreData {
    async fn open(&mut self) -> wasmtime::Result<Result<Vec<server::Info>, PluginError>> {
        if let Err(refused) = self.authorize(CapabilityId::ServerRead, Target::ANY).await {
            return Ok(Err(refused));
        }
        let own = self.scope.server_id();
        let servers = self
            .shared
            .chat_host
            .open_servers(self.shared.actor())
            .into_iter()
            .filter(|open| own.is_none_or(|own| own == &*open.server_id));
        let info = servers.map(|open| server::Info {
            id: open.server_id.to_string(),
            revision: open.revision,
            users: u32::try_from(open.people).unwrap_or(u32::MAX),
        });
        Ok(Ok(info.collect()))
    }
}
