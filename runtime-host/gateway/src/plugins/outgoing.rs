//! The envelopes in which messages of plugins are sent.

use crate::hub::Hub;
use envelope::reply::{self, code};
use limits::envelope::CHANNEL_ID_CHARS_MAX;
use plugin_bus::{OfferKind, OutgoingBody, OutgoingMessage, PluginSender, PublishError};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The user that a plugin acts as.
pub(super) fn user_id(sender: &PluginSender) -> Arc<str> {
    match &sender.plugin_user_id {
        Some(id) if !id.is_empty() => id.clone(),
        _ => format!("plugin:{}", sender.plugin_id).into(),
    }
}

/// The kind of a message, and its envelope before validation.
pub(super) fn envelope(
    message: &OutgoingMessage,
    user_id: &str,
) -> Result<(OfferKind, Vec<u8>), PublishError> {
    match &message.body {
        OutgoingBody::Chat { text } => {
            Ok((OfferKind::Chat, chat_envelope(message, text, user_id)?))
        }
        OutgoingBody::Event {
            event_name,
            payload,
            target_user_id,
        } => {
            let plugin_id = &message.sender.plugin_id;
            let envelope = reply::bytes(&EventEnvelope {
                r#type: "plugin_event",
                server_id: &message.server_id,
                plugin_id,
                event_name,
                payload: serde_json::from_str(payload).map_err(|error| {
                    refused("BAD_JSON", format!("payload is not JSON: {error}"))
                })?,
                channel_id: message.channel_id.as_deref(),
                target_user_id: target_user_id.as_deref(),
                source_plugin_user_id: user_id,
            });
            let kind = OfferKind::PluginEvent {
                plugin_id: plugin_id.clone(),
                event_name: event_name.as_str().into(),
                // The event comes from the server's side, so no plugin decides about it.
                client_to_server: false,
            };
            Ok((kind, envelope))
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventEnvelope<'a> {
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatEnvelope<'a> {
    r#type: &'static str,
    server_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<&'a str>,
    message: &'a str,
    sender_id: &'a str,
    timestamp: u64,
}

fn chat_envelope(
    message: &OutgoingMessage,
    text: &str,
    user_id: &str,
) -> Result<Vec<u8>, PublishError> {
    let channel_id = message.channel_id.as_deref();
    if channel_id.is_some_and(|channel| channel.chars().count() > CHANNEL_ID_CHARS_MAX) {
        let text = format!("channelId has more than {CHANNEL_ID_CHARS_MAX} characters");
        return Err(refused(code::INVALID_FIELD, text));
    }
    Ok(reply::bytes(&ChatEnvelope {
        r#type: "chat_message",
        server_id: &message.server_id,
        channel_id,
        message: text,
        sender_id: user_id,
        timestamp: Hub::now_ms(),
    }))
}

/// A refusal of a plugin's envelope before validation.
fn refused(code: &str, message: String) -> PublishError {
    PublishError::Refused {
        code: code.to_owned(),
        message,
    }
}
