//! Envelopes that plugins send: events and chat messages in the plugin's own name.
//!
//! An envelope of a plugin passes the same validator chain as a client's, with the plugin's own user as its sender, and
//! is bounded in rate, bytes, number and hops. The plugin host has checked its grant before.

use crate::{
    frame,
    hub::Hub,
    metrics::Metrics,
    plugins::outgoing,
    room::Room,
    session::{
        Sessions,
        validation::{count_failure, no_decision},
    },
    shard::message::{Delivery, Message, Receivers},
};
use envelope::verdict::{self, Context, Decision, Effect, Membership, ValidatorError, Verdict};
use limits::{
    dispatch::{EVENTS, HOPS_MAX, MESSAGES},
    rate::Rate,
};
use plugin_bus::{Interest, Offer, OfferKind, OutgoingMessage, PublishError, Subject};
use std::sync::Arc;
use tokio::sync::oneshot;

/// An envelope of a plugin on its way to a shard, which validates and sends it.
#[derive(Debug)]
pub(crate) struct Publication {
    room: Arc<Room>,
    envelope: Vec<u8>,
    kind: OfferKind,
    author: Arc<str>,
    user_id: Arc<str>,
    display_name: Arc<str>,
    hops: u8,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Hub {
    /// Sends an envelope in a plugin's name: validated like a client's, sent to the receivers in its scope, then
    /// offered to the plugins that listen, one hop further. Completes when it is on its way.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing was sent.
    pub(super) async fn publish(&self, message: &OutgoingMessage) -> Result<(), PublishError> {
        let outcome = match self.enqueue(message) {
            // A shard that ends with the process does not answer.
            Ok(answer) => answer.await.unwrap_or(Err(PublishError::Busy)),
            Err(error) => Err(error),
        };
        let label = outcome
            .as_ref()
            .map_or_else(PublishError::label, |()| "sent");
        Metrics::count(&self.metrics.plugin_publications, label);
        outcome
    }

    fn enqueue(
        &self,
        message: &OutgoingMessage,
    ) -> Result<oneshot::Receiver<Result<(), PublishError>>, PublishError> {
        let (sender, server_id) = (&message.sender, message.server_id.as_str());
        let user_id = outgoing::user_id(sender);
        let (kind, envelope) = outgoing::envelope(message, &user_id)?;
        if sender.hops >= HOPS_MAX {
            self.alarm(|| {
                tracing::warn!(
                    plugin = &*sender.plugin_id,
                    "plugins react to each other without end; the chain was cut"
                )
            });
            return Err(PublishError::Loop);
        }
        let room = self.room_for(sender.actor(), server_id)?;
        let (what, rate) = match kind {
            OfferKind::Chat => ("messages", MESSAGES),
            OfferKind::PluginEvent { .. } => ("events", EVENTS),
        };
        self.charge_plugin(&room, &sender.plugin_id, what, rate, envelope.len())?;
        let shards = self.shards();
        // One shard for all publications of a server: they are sent in the order in which they came.
        let shard = shards
            .get((room.index % shards.len().max(1) as u64) as usize)
            .ok_or(PublishError::Busy)?;
        if !self.plugins.begin_publication() {
            return Err(PublishError::Busy);
        }
        let display_name = if sender.display_name.is_empty() {
            sender.plugin_id.clone()
        } else {
            sender.display_name.clone()
        };
        let (answer, waiting) = oneshot::channel();
        let author = sender.plugin_id.clone();
        shard.send(Message::Publish(Box::new(Publication {
            room,
            envelope,
            kind,
            author,
            user_id,
            display_name,
            hops: sender.hops + 1,
            answer,
        })));
        Ok(waiting)
    }

    fn charge_plugin(
        &self,
        room: &Room,
        plugin_id: &str,
        what: &'static str,
        rate: Rate,
        bytes: usize,
    ) -> Result<(), PublishError> {
        let (now_ms, kib) = (self.monotonic_ms(), bytes.div_ceil(limits::KIB) as u32);
        room.charge_plugin(plugin_id, now_ms, (what, rate), (self.rates.volume, kib))
            .map_err(|(what, wait_ms)| PublishError::RateLimited {
                what,
                retry_after_ms: u64::from(wait_ms.max(1)),
            })
    }
}

impl Sessions {
    /// Validates and sends an envelope of a plugin.
    pub(crate) fn publish(&mut self, publication: Publication) {
        self.hub().plugins.end_publication();
        let outcome = match self.send_publication(&publication) {
            Ok(envelope) => {
                inform_others(self.hub(), &publication, envelope);
                Ok(())
            }
            Err(error) => Err(error),
        };
        // The caller may not wait any more; the envelope is sent all the same.
        let _ = publication.answer.send(outcome);
    }

    /// Returns the envelope as it was sent.
    fn send_publication(&mut self, publication: &Publication) -> Result<Vec<u8>, PublishError> {
        let decision = self.validate_publication(publication)?;
        let envelope = verdict::apply(&publication.envelope, &decision.patches)
            .ok_or(PublishError::Internal)?;
        let frame = frame::text(&envelope);
        for effect in &decision.effects {
            let receivers = match effect {
                Effect::Broadcast(_) => Receivers::All,
                Effect::SendToMember { user_id, .. } => Receivers::User(user_id.as_str().into()),
                Effect::SendToPlugin { plugin_id, .. } => {
                    Receivers::Plugin(plugin_id.as_str().into())
                }
                _ => continue,
            };
            let delivery = Delivery {
                frame: frame.clone(),
                skip: None,
                receivers,
                coalesce: None,
            };
            self.send_to_room(&publication.room, delivery);
        }
        Ok(envelope)
    }

    fn validate_publication(
        &mut self,
        publication: &Publication,
    ) -> Result<Decision, PublishError> {
        let room = &publication.room;
        let context = Context {
            now_ms: Hub::now_ms(),
            connection_id: "",
            user_id: Some(&publication.user_id),
            display_name: &publication.display_name,
            server_id: Some(&room.server_id),
            server_implied: false,
            server_revision: room.plugins_revision(),
            membership: Membership::Joined,
        };
        let view_of = |_: &str| Some(room.view());
        match self.validate_for_plugin(&context, &publication.envelope, view_of) {
            Ok(Verdict::Route(decision)) => Ok(decision),
            Ok(Verdict::Refuse(refusal)) => Err(PublishError::from(&refusal)),
            Ok(_) => Err(publication_failed(self.hub(), &no_decision())),
            Err(error) => Err(publication_failed(self.hub(), &error)),
        }
    }
}

/// Offers an envelope of a plugin to the plugins that listen.
fn inform_others(hub: &Hub, publication: &Publication, envelope: Vec<u8>) {
    let Publication { room, kind, .. } = publication;
    if !hub.plugins.listens(kind.topic()) {
        return;
    }
    let plugins = room.view().plugins.clone();
    let subject = Subject {
        plugins: &plugins,
        kind: kind.as_subject(),
    };
    if hub.plugins.interest(&subject) != Interest::None {
        hub.inform(Offer {
            server_id: room.server_id.clone(),
            plugins,
            kind: kind.clone(),
            envelope: envelope.into(),
            sender_id: publication.user_id.clone(),
            sender_name: publication.display_name.clone(),
            author: Some(publication.author.clone()),
            decision: None,
            hops: publication.hops,
        });
    }
}

fn publication_failed(hub: &Hub, error: &ValidatorError) -> PublishError {
    count_failure(&hub.metrics, error);
    hub.alarm(|| tracing::warn!(%error, "an envelope of a plugin could not be validated"));
    PublishError::Internal
}
