//! Envelopes that plugins listen to: plugins that only listen get a copy, and an envelope about which plugins decide
//! waits for the decision.

use crate::{
    hub::Hub,
    metrics::Metrics,
    room::Room,
    session::{
        Sessions,
        pending::{Unavailable, Wait},
    },
};
use bytes::Bytes;
use envelope::{
    Scan,
    catalogue::{EnvelopeType, RateClass},
    verdict::{Decision, Effect, EventDirection},
};
use plugin_bus::{
    DecisionRequest, Interest, Offer, OfferKind, ServerPlugins, Subject, SubjectKind, Topic,
};
use std::sync::Arc;

/// Routing data of an envelope that at least one plugin listens to.
#[derive(Debug)]
pub(crate) struct PluginInterest {
    room: Arc<Room>,
    /// What the room's server said about plugins when their interest was asked for.
    plugins: Arc<ServerPlugins>,
    user_id: Arc<str>,
    kind: OfferKind,
    envelope_type: &'static EnvelopeType,
    /// Plugins decide about it.
    pub decides: bool,
}

/// An envelope that waits for the decision of plugins.
#[derive(Debug)]
pub(crate) struct HeldEnvelope {
    /// What kind of envelope it is for plugins.
    pub kind: OfferKind,
    /// The patched envelope.
    pub envelope: Bytes,
    /// What is done with it if plugins relay it.
    pub effects: Vec<Effect>,
    /// Its type.
    pub envelope_type: &'static EnvelopeType,
}

/// The topic of an envelope type, if plugins can listen to it; both types have a rate class of their own.
fn topic_of(envelope_type: &EnvelopeType) -> Option<Topic> {
    match envelope_type.rate {
        RateClass::Chat => Some(Topic::Chat),
        RateClass::PluginEvent => Some(Topic::PluginEvent),
        _ => None,
    }
}

impl Sessions {
    /// What plugins want of a validated envelope, if anything.
    pub(crate) fn plugin_interest(
        &self,
        slot: u32,
        decision: &Decision,
        scan: &Scan<'_>,
    ) -> Option<PluginInterest> {
        let envelope_type = scan.envelope_type()?;
        let topic = topic_of(envelope_type)?;
        let plugins = &self.hub().plugins;
        let listens = plugins.listens(topic);
        let channels = topic == Topic::Chat && plugins.listens(Topic::Channels);
        if !listens && !channels {
            return None;
        }
        let server_id = decision.effects.iter().find_map(sent_to)?;
        let (room, user_id) = self.joined_room(slot, server_id)?;
        if channels && let Some(channel) = scan.channel_id() {
            room.note_channel(&channel);
        }
        if !listens {
            return None;
        }
        let (plugin_id, event_name) = match topic {
            Topic::PluginEvent => (scan.plugin_id()?, scan.event_name()?),
            _ => Default::default(),
        };
        let view = room.view();
        let kind = match topic {
            Topic::PluginEvent => {
                let direction = view.rules.direction(&plugin_id, &event_name);
                let client_to_server = direction == Some(EventDirection::ClientToServer);
                SubjectKind::PluginEvent {
                    plugin_id: &plugin_id,
                    event_name: &event_name,
                    client_to_server,
                }
            }
            _ => SubjectKind::Chat,
        };
        let subject = Subject {
            plugins: &view.plugins,
            kind,
        };
        match plugins.interest(&subject) {
            Interest::None => None,
            interest => Some(PluginInterest {
                room,
                plugins: view.plugins.clone(),
                user_id,
                kind: kind.into(),
                envelope_type,
                decides: interest == Interest::Decide,
            }),
        }
    }

    /// Gives a copy of a sent envelope to the plugins that only listen.
    pub(crate) fn inform_plugins(&self, slot: u32, interest: &PluginInterest, envelope: Vec<u8>) {
        if let Some(offer) = self.offer_of(slot, interest, envelope.into()) {
            self.hub().inform(offer);
        }
    }

    /// Pauses the connection until plugins have decided about its envelope.
    pub(crate) fn ask_plugins(
        &mut self,
        slot: u32,
        request_id: Option<&str>,
        interest: &PluginInterest,
        envelope: Vec<u8>,
        effects: Vec<Effect>,
    ) {
        let envelope = Bytes::from(envelope);
        let Some(mut offer) = self.offer_of(slot, interest, envelope.clone()) else {
            return;
        };
        let wait = Wait::Plugins(HeldEnvelope {
            kind: interest.kind.clone(),
            envelope,
            effects,
            envelope_type: interest.envelope_type,
        });
        let Some(ticket) = self.pause(slot, request_id, wait) else {
            return;
        };
        offer.decision = Some(DecisionRequest {
            ticket,
            limit_ms: self.hub().config.decision_max_ms(),
        });
        if !self.hub().offer(offer, "decide") {
            self.resolve(ticket, Err(Unavailable::Full));
        }
    }

    fn offer_of(&self, slot: u32, interest: &PluginInterest, envelope: Bytes) -> Option<Offer> {
        let user = self.user(slot)?;
        Some(Offer {
            server_id: interest.room.server_id.clone(),
            plugins: interest.plugins.clone(),
            kind: interest.kind.clone(),
            envelope,
            sender_id: interest.user_id.clone(),
            sender_name: user.profile.display_name.clone(),
            author: None,
            decision: None,
            hops: 0,
        })
    }
}

impl Hub {
    /// Offers an envelope that was sent already. A full queue is counted and delays no sender.
    pub(crate) fn inform(&self, offer: Offer) {
        self.offer(offer, "inform");
    }

    /// Offers an envelope; false if plugins have no room for it.
    fn offer(&self, offer: Offer, how: &'static str) -> bool {
        let taken = self.plugins.offer(offer);
        Metrics::count(
            &self.metrics.plugin_offers,
            if taken { how } else { "dropped" },
        );
        if !taken {
            self.alarm(|| tracing::warn!(how, "plugins have no room for an envelope"));
        }
        taken
    }
}

/// The server whose members an effect sends to.
pub(super) fn sent_to(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Broadcast(server_id)
        | Effect::SendToMember { server_id, .. }
        | Effect::SendToPlugin { server_id, .. } => Some(server_id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::topic_of;
    use envelope::catalogue::CATALOGUE;
    use plugin_bus::Topic;

    #[test]
    fn each_topic_is_one_type() {
        let types = |topic| {
            CATALOGUE
                .iter()
                .filter(|kind| topic_of(kind) == Some(topic))
                .map(|kind| kind.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (types(Topic::Chat), types(Topic::PluginEvent)),
            (vec!["chat_message"], vec!["plugin_event"])
        );
        assert!(types(Topic::Channels).is_empty());
    }
}
