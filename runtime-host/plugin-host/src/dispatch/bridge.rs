//! The gateway's calls ([`PluginHost`]): envelopes become calls of plugins, and their decisions become outcomes.

use crate::{
    ChatMessage, PluginEvent, Plugins,
    dispatch::decision::{AwaitedDecision, Decision},
};
use bytes::Bytes;
use plugin_bus::{
    ChatView, EventView, Interest, Offer, OfferKind, Outcome, PluginHost, ServerPlugins, Subject,
    SubjectKind, Topic,
};
use std::sync::Arc;

impl PluginHost for Plugins {
    fn listens(&self, topic: Topic) -> bool {
        self.host.dispatch.listens(topic)
    }

    fn interest(&self, subject: &Subject<'_>) -> Interest {
        let dispatch = &self.host.dispatch;
        match subject.kind {
            SubjectKind::Chat if dispatch.moderates(subject.plugins) => Interest::Decide,
            SubjectKind::Chat => Interest::None,
            SubjectKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => match dispatch.subscribes(subject.plugins, plugin_id, event_name) {
                true if client_to_server => Interest::Decide,
                true => Interest::Inform,
                false => Interest::None,
            },
        }
    }

    fn offer(&self, offer: Offer) -> bool {
        let (dispatch, decision) = (&self.host.dispatch, self.awaited(&offer));
        match &offer.kind {
            OfferKind::Chat => {
                // A plugin's own message has been sent already; no plugin decides about it.
                let Some(decision) = decision else {
                    return true;
                };
                let Some(chat) = ChatView::read(&offer.envelope) else {
                    decision.send(Decision::Relay);
                    return true;
                };
                let message = chat_message(&offer, chat);
                dispatch.chat(offer.plugins, message, offer.hops, decision)
            }
            OfferKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => {
                let Some(mut event) = plugin_event(&offer, plugin_id, event_name) else {
                    return false;
                };
                event.decides = decision.is_some() && *client_to_server;
                dispatch.event(event, offer.hops, decision)
            }
        }
    }

    fn requirements_changed(
        &self,
        server_id: &Arc<str>,
        plugins: &ServerPlugins,
        snapshot: &Bytes,
    ) {
        Self::requirements_changed(self, server_id, plugins, &String::from_utf8_lossy(snapshot));
    }

    fn server_closed(&self, server_id: &Arc<str>) {
        Self::server_closed(self, server_id);
    }
}

impl Plugins {
    /// The decision that the gateway waits for, if the envelope is held back for one.
    fn awaited(&self, offer: &Offer) -> Option<AwaitedDecision> {
        let request = offer.decision?;
        let (chat_host, envelope) = (self.host.chat_host.clone(), offer.envelope.clone());
        Some(AwaitedDecision::new(&request, move |decision| {
            chat_host.decided(request.ticket, outcome(decision, &envelope));
        }))
    }
}

fn outcome(decision: Decision, envelope: &[u8]) -> Outcome {
    match decision {
        Decision::Relay => Outcome::Relay,
        Decision::Consume => Outcome::Consume,
        Decision::Refuse { plugin_id, reason } => Outcome::Refuse {
            code: "PLUGIN_REFUSED".to_owned(),
            message: format!("{plugin_id}: {reason}"),
        },
        Decision::Unavailable => Outcome::Failed,
        Decision::Rewrite(text) => ChatView::read(envelope)
            .and_then(|chat| chat.with_text(&text))
            .map_or(Outcome::Failed, Outcome::Rewrite),
    }
}

fn chat_message(offer: &Offer, chat: ChatView<'_>) -> ChatMessage {
    ChatMessage {
        server_id: offer.server_id.to_string(),
        channel_id: chat.channel_id,
        sender_id: offer.sender_id.to_string(),
        sender_name: offer.sender_name.to_string(),
        text: chat.text,
    }
}

fn plugin_event(offer: &Offer, plugin_id: &str, event_name: &str) -> Option<PluginEvent> {
    let event = EventView::read(&offer.envelope)?;
    Some(PluginEvent {
        server_id: offer.server_id.to_string(),
        plugin_id: plugin_id.to_owned(),
        event_name: event_name.to_owned(),
        payload: event.payload().to_owned(),
        emitted_at: event.emitted_at_ms(),
        source_user_id: event.source_user_id,
        source_plugin_user_id: event.source_plugin_user_id,
        decides: false,
    })
}
