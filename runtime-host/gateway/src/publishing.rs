//! What plugins send: events and chat messages in their own names.
//!
//! What it is not: a grant; who may publish is settled before. Invariant: what a plugin sends is judged by the same chain of judges as what
//! a client sends, with the plugin's own identity as the sender and never a person's (T17), and is bounded in rate, bytes, number and hops.

use crate::{
    frame,
    hub::Hub,
    metrics::Metrics,
    plugins::{Interest, Offered, OfferedKind, Subject, Topic},
    publish_error::PublishError,
    room::Room,
    shard::{Delivery, Filter, Message, Shard},
};
use envelope::{
    reply::{self, code},
    verdict::{self, Context, Decision, Effect, Membership, ValidatorError, Verdict},
};
use limits::{
    dispatch::{EVENTS, HOPS_MAX, MESSAGES, PUBLICATIONS_WAITING_MAX},
    envelope::CHANNEL_ID_CHARS_MAX,
    rate::Rate,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::oneshot;

/// A plugin as it speaks on a chat server.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The plugin.
    pub plugin_id: &'a str,
    /// The id of the manifest's `pluginUser`; `plugin:<pluginId>` where there is none (D9).
    pub plugin_user_id: Option<&'a str>,
    /// The name that people see; the plugin's id where it is empty.
    pub display_name: &'a str,
    /// Hops of the envelope that the plugin acts upon; 0 when it acts by itself.
    pub hops: u8,
}

/// A plugin event that a plugin publishes.
#[derive(Debug, Clone, Copy)]
pub struct PluginEvent<'a> {
    /// The chat server.
    pub server_id: &'a str,
    /// The event's name; its definition decides about scope, size and schema (T52 to T57).
    pub event_name: &'a str,
    /// What the event's schema allows.
    pub payload: &'a RawValue,
    /// The channel; needed by events of scope `channel`.
    pub channel_id: Option<&'a str>,
    /// The receiver, for events of scope `user`.
    pub target_user_id: Option<&'a str>,
}

/// A chat message that a plugin writes.
#[derive(Debug, Clone, Copy)]
pub struct ChatMessage<'a> {
    /// The chat server.
    pub server_id: &'a str,
    /// The channel, as clients name it.
    pub channel_id: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

/// An envelope of a plugin on its way to a shard, which judges and sends it.
#[derive(Debug)]
pub(crate) struct Publication {
    room: Arc<Room>,
    envelope: Vec<u8>,
    kind: OfferedKind,
    author: Arc<str>,
    user_id: Arc<str>,
    display_name: Arc<str>,
    hops: u8,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Hub {
    /// Publishes an event in a plugin's name: judged like a client's, then sent to whom its scope reaches (T57), then told to the plugins
    /// that listen, one hop further. Answers when it is on its way.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing was sent.
    pub async fn publish_event(
        &self,
        speaker: &Speaker<'_>,
        event: &PluginEvent<'_>,
    ) -> Result<(), PublishError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            r#type: &'static str,
            server_id: &'a str,
            plugin_id: &'a str,
            event_name: &'a str,
            payload: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            channel_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            target_user_id: Option<&'a str>,
            source_plugin_user_id: &'a str,
        }
        let user_id = user_id(speaker);
        let envelope = reply::bytes(&Wire {
            r#type: "plugin_event",
            server_id: event.server_id,
            plugin_id: speaker.plugin_id,
            event_name: event.event_name,
            payload: event.payload,
            channel_id: event.channel_id,
            target_user_id: event.target_user_id,
            source_plugin_user_id: &user_id,
        });
        let kind = OfferedKind::PluginEvent {
            plugin_id: speaker.plugin_id.into(),
            event_name: event.event_name.into(),
            // It comes from the server's side: nobody has to see it first.
            client_to_server: false,
        };
        self.publish(speaker, event.server_id, user_id, kind, envelope)
            .await
    }

    /// Writes a chat message in a plugin's name, judged like a person's; sent to everyone on the server (D5), then told to the plugins that
    /// listen to chat, one hop further.
    ///
    /// # Errors
    /// See [`PublishError`]; then nothing was sent.
    pub async fn send_chat(
        &self,
        speaker: &Speaker<'_>,
        message: &ChatMessage<'_>,
    ) -> Result<(), PublishError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            r#type: &'static str,
            server_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            channel_id: Option<&'a str>,
            message: &'a str,
            sender_id: &'a str,
            timestamp: u64,
        }
        if message
            .channel_id
            .is_some_and(|channel| channel.chars().count() > CHANNEL_ID_CHARS_MAX)
        {
            let message = format!("channelId has more than {CHANNEL_ID_CHARS_MAX} characters");
            return self.settled(Err(PublishError::Refused {
                code: code::INVALID_FIELD.to_owned(),
                message,
            }));
        }
        let user_id = user_id(speaker);
        let envelope = reply::bytes(&Wire {
            r#type: "chat_message",
            server_id: message.server_id,
            channel_id: message.channel_id,
            message: message.text,
            sender_id: &user_id,
            timestamp: Self::now_ms(),
        });
        self.publish(
            speaker,
            message.server_id,
            user_id,
            OfferedKind::Chat,
            envelope,
        )
        .await
    }

    async fn publish(
        &self,
        speaker: &Speaker<'_>,
        server_id: &str,
        user_id: Arc<str>,
        kind: OfferedKind,
        envelope: Vec<u8>,
    ) -> Result<(), PublishError> {
        let waiting = match self.hand_over(speaker, server_id, user_id, kind, envelope) {
            Ok(waiting) => waiting,
            Err(error) => return self.settled(Err(error)),
        };
        // A shard that ends with the process answers nothing more.
        let outcome = waiting.await.unwrap_or(Err(PublishError::Busy));
        self.settled(outcome)
    }

    fn hand_over(
        &self,
        speaker: &Speaker<'_>,
        server_id: &str,
        user_id: Arc<str>,
        kind: OfferedKind,
        envelope: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<(), PublishError>>, PublishError> {
        if speaker.hops >= HOPS_MAX {
            self.alarm(|| {
                tracing::warn!(
                    plugin = speaker.plugin_id,
                    "plugins answer plugins without end; the chain was cut"
                )
            });
            return Err(PublishError::Loop);
        }
        let room = self.room(server_id).ok_or(PublishError::NotOpen)?;
        let view = room.view();
        if view
            .judged
            .requirements
            .iter()
            .any(|known| known.blocked && known.plugin_id.as_str() == speaker.plugin_id)
        {
            let message = format!("plugin \"{}\" is blocked on this server", speaker.plugin_id);
            return Err(PublishError::Refused {
                code: code::PLUGIN_BLOCKED.to_owned(),
                message,
            });
        }
        let (what, rate) = match kind {
            OfferedKind::Chat => ("messages", MESSAGES),
            OfferedKind::PluginEvent { .. } => ("events", EVENTS),
        };
        self.charge_speaker(&room, speaker.plugin_id, what, rate, envelope.len())?;
        let shards = self.shards();
        // One shard for all publications of a server: they are sent in the order in which they came.
        let shard = shards
            .get((room.index % shards.len().max(1) as u64) as usize)
            .ok_or(PublishError::Busy)?;
        if self.publications.fetch_add(1, Ordering::AcqRel) >= PUBLICATIONS_WAITING_MAX {
            self.publications.fetch_sub(1, Ordering::AcqRel);
            return Err(PublishError::Busy);
        }
        let display_name = if speaker.display_name.is_empty() {
            speaker.plugin_id
        } else {
            speaker.display_name
        }
        .into();
        let (answer, waiting) = oneshot::channel();
        let author = speaker.plugin_id.into();
        shard.send(Message::Publish(Box::new(Publication {
            room,
            envelope,
            kind,
            author,
            user_id,
            display_name,
            hops: speaker.hops + 1,
            answer,
        })));
        Ok(waiting)
    }

    fn charge_speaker(
        &self,
        room: &Room,
        plugin_id: &str,
        what: &'static str,
        rate: Rate,
        bytes: usize,
    ) -> Result<(), PublishError> {
        let (now_ms, kib) = (self.monotonic_ms(), bytes.div_ceil(limits::KIB) as u32);
        room.charge_speaker(plugin_id, now_ms, (what, rate), (self.volume, kib))
            .map_err(|(what, wait_ms)| PublishError::RateLimited {
                what,
                retry_after_ms: u64::from(wait_ms.max(1)),
            })
    }

    /// Counts how a publication ended.
    fn settled(&self, outcome: Result<(), PublishError>) -> Result<(), PublishError> {
        Metrics::count(
            &self.metrics.plugin_publications,
            outcome
                .as_ref()
                .map_or_else(PublishError::label, |()| "sent"),
        );
        outcome
    }
}

impl Shard {
    /// Judges and sends an envelope of a plugin.
    pub(crate) fn publish(&mut self, publication: Publication) {
        self.hub.publications.fetch_sub(1, Ordering::AcqRel);
        let sent = self.try_publish(&publication);
        let Publication {
            room,
            kind,
            author,
            user_id,
            display_name,
            hops,
            answer,
            ..
        } = publication;
        let outcome = sent.map(|envelope| {
            let topic = if kind == OfferedKind::Chat {
                Topic::Chat
            } else {
                Topic::PluginEvent
            };
            let subject = Subject {
                server_id: &room.server_id,
                kind: kind.as_subject(),
            };
            let wanted = |plugins: &Arc<dyn crate::plugins::Plugins>| {
                plugins.listens(topic) && plugins.interest(&subject) != Interest::None
            };
            if self.hub.plugins.get().is_some_and(wanted) {
                let server_id = room.server_id.clone();
                let envelope = envelope.into();
                let author = Some(author);
                self.hub.inform(Offered {
                    server_id,
                    kind,
                    envelope,
                    sender_id: user_id,
                    sender_name: display_name,
                    author,
                    ask: None,
                    hops,
                });
            }
        });
        // Whoever asked may have given up; the envelope is sent all the same.
        let _ = answer.send(outcome);
    }

    /// The envelope as it was sent.
    fn try_publish(&mut self, publication: &Publication) -> Result<Vec<u8>, PublishError> {
        let decision = self.judge_publication(publication)?;
        let envelope = verdict::apply(&publication.envelope, &decision.patches)
            .ok_or(PublishError::Internal)?;
        let frame = frame::text(&envelope);
        for effect in &decision.effects {
            let filter = match effect {
                Effect::Broadcast(_) => Filter::All,
                Effect::SendToMember { user_id, .. } => Filter::User(user_id.as_str().into()),
                Effect::SendToPlugin { plugin_id, .. } => Filter::Plugin(plugin_id.as_str().into()),
                _ => continue,
            };
            self.spread(
                &publication.room,
                Delivery {
                    frame: frame.clone(),
                    skip: None,
                    filter,
                    coalesce: 0,
                },
            );
        }
        Ok(envelope)
    }

    fn judge_publication(&mut self, publication: &Publication) -> Result<Decision, PublishError> {
        let Publication {
            room,
            envelope,
            user_id,
            display_name,
            ..
        } = publication;
        let context = Context {
            now_ms: Hub::now_ms(),
            connection_id: "",
            user_id: Some(user_id),
            display_name,
            server_id: Some(&room.server_id),
            server_implied: false,
            server_revision: room.revision(),
            membership: Membership::Joined,
        };
        let verdict = match self.judge.validate(&context, envelope) {
            Ok(Verdict::NeedSnapshot(_)) => {
                let view = room.view();
                self.judge
                    .update_definitions(&view.judged)
                    .and_then(|()| self.judge.validate(&context, envelope))
            }
            verdict => verdict,
        };
        match verdict {
            Ok(Verdict::Route(decision)) => Ok(decision),
            Ok(Verdict::Refuse(refusal)) => Err(PublishError::of(&refusal)),
            Ok(_) => Err(self.publication_failed(&crate::session::broken(
                "it ended without a decision".into(),
            ))),
            Err(error) => Err(self.publication_failed(&error)),
        }
    }

    fn publication_failed(&mut self, error: &ValidatorError) -> PublishError {
        Metrics::count(
            &self.hub.metrics.judge_failures,
            crate::session::failure_label(error),
        );
        self.hub
            .alarm(|| tracing::warn!(%error, "an envelope of a plugin could not be judged"));
        PublishError::Internal
    }
}

/// The plugin's own identity (T17).
fn user_id(speaker: &Speaker<'_>) -> Arc<str> {
    match speaker.plugin_user_id.filter(|id| !id.is_empty()) {
        Some(id) => id.into(),
        None => format!("plugin:{}", speaker.plugin_id).into(),
    }
}
