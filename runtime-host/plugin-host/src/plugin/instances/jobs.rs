//! The jobs of an instance: each is one call of an exported handler.

use crate::plugin::{
    bindings::{
        exports::jackfield::plugin::{
            chat_handler::{ChatMessage, Judgement},
            event_handler::{BusMessage, Disposition, PluginEvent},
            hook_handler::HookResult,
            http_handler::Request,
            lifecycle::DataChange,
        },
        jackfield::plugin::types::PluginError,
    },
    dispatch::body::{BodyReader, BodyWriter},
    instances::guest::{Crash, Guest},
};
use limits::plugin as bounds;
use plugin_store::Level;
use tokio::sync::oneshot;

/// Where an answer goes. Nobody listens any more: the answer is not needed.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, PluginError>>;

/// One call of a handler. A reply that is dropped means that the instance ended in the middle.
pub(crate) enum Job {
    Ready,
    Http {
        request: Request,
        body: BodyReader,
        answer: BodyWriter,
        reply: Reply<()>,
    },
    Event {
        event: PluginEvent,
        hops: u8,
        reply: Option<Reply<Disposition>>,
    },
    Chat {
        message: ChatMessage,
        hops: u8,
        reply: Reply<Judgement>,
    },
    Hook {
        name: String,
        input: String,
        output: Option<String>,
        deadline_ms: u64,
        reply: Reply<HookResult>,
    },
    Tool {
        name: String,
        arguments: String,
        deadline_ms: u64,
        reply: Reply<String>,
    },
    Message {
        message: BusMessage,
        hops: u8,
    },
    Settings(String),
    Requirements {
        server_id: String,
        snapshot: String,
    },
    Data(DataChange),
}

impl Job {
    /// Runs the job. An error ends the instance; a reply that nobody waits for any more is dropped.
    pub(crate) async fn run(self, guest: &mut Guest) -> Result<(), Crash> {
        match self {
            Self::Ready => guest.ready().await,
            Self::Http {
                request,
                body,
                answer,
                reply,
            } => {
                let Some(handler) = guest.http.clone() else {
                    return Ok(());
                };
                let deadline_ms = guest.store.data().shared.quota.response_ms;
                let budget = guest.arm(deadline_ms, 0);
                let call = async {
                    let table = &mut guest.store.data_mut().table;
                    let (body, answer) = (table.push(body)?, table.push(answer)?);
                    handler
                        .call_handle(&mut guest.store, &request, body, answer)
                        .await
                };
                send_reply(reply, budget.run("handle", call).await?)
            }
            Self::Event { event, hops, reply } => {
                let Some(handler) = guest.events.clone() else {
                    return Ok(());
                };
                let budget = guest.arm(
                    if reply.is_some() {
                        bounds::ACTION_DEADLINE_MS
                    } else {
                        bounds::EVENT_DEADLINE_MS
                    },
                    hops,
                );
                let answer = budget
                    .run("on-event", handler.call_on_event(&mut guest.store, &event))
                    .await?;
                match (reply, answer) {
                    (Some(reply), answer) => send_reply(reply, answer),
                    (None, Err(error)) => {
                        guest.store.data().log.line(
                            Level::Error,
                            &format!("on-event: {}", error.message),
                            error.details,
                        );
                        Ok(())
                    }
                    (None, Ok(_)) => Ok(()),
                }
            }
            Self::Chat {
                message,
                hops,
                reply,
            } => {
                let Some(handler) = guest.chat.clone() else {
                    return Ok(());
                };
                let budget = guest.arm(bounds::ACTION_DEADLINE_MS, hops);
                send_reply(
                    reply,
                    budget
                        .run("on-chat", handler.call_on_chat(&mut guest.store, &message))
                        .await?,
                )
            }
            Self::Hook {
                name,
                input,
                output,
                deadline_ms,
                reply,
            } => {
                let Some(handler) = guest.hooks.clone() else {
                    return Ok(());
                };
                let budget = guest.arm(deadline_ms, 0);
                send_reply(
                    reply,
                    budget
                        .run(
                            "hook",
                            handler.call_handle(&mut guest.store, &name, &input, output.as_deref()),
                        )
                        .await?,
                )
            }
            Self::Tool {
                name,
                arguments,
                deadline_ms,
                reply,
            } => {
                let Some(handler) = guest.tools.clone() else {
                    return Ok(());
                };
                let budget = guest.arm(deadline_ms, 0);
                send_reply(
                    reply,
                    budget
                        .run(
                            "tool",
                            handler.call_call(&mut guest.store, &name, &arguments),
                        )
                        .await?,
                )
            }
            Self::Message { message, hops } => {
                let Some(handler) = guest.events.clone() else {
                    return Ok(());
                };
                let budget = guest.arm(bounds::EVENT_DEADLINE_MS, hops);
                budget
                    .run(
                        "on-message",
                        handler.call_on_message(&mut guest.store, &message),
                    )
                    .await
            }
            Self::Settings(settings) => {
                let budget = guest.arm(bounds::EVENT_DEADLINE_MS, 0);
                budget
                    .run(
                        "on-settings-changed",
                        guest
                            .lifecycle
                            .call_on_settings_changed(&mut guest.store, &settings),
                    )
                    .await
            }
            Self::Requirements {
                server_id,
                snapshot,
            } => {
                let budget = guest.arm(bounds::EVENT_DEADLINE_MS, 0);
                let call = guest.lifecycle.call_on_requirements_changed(
                    &mut guest.store,
                    &server_id,
                    &snapshot,
                );
                budget.run("on-requirements-changed", call).await
            }
            Self::Data(change) => {
                let budget = guest.arm(bounds::EVENT_DEADLINE_MS, 0);
                budget
                    .run(
                        "on-data-changed",
                        guest
                            .lifecycle
                            .call_on_data_changed(&mut guest.store, &change),
                    )
                    .await
            }
        }
    }
}

/// Answers whoever waits; that nobody does any more is no fault of the instance.
fn send_reply<T>(reply: Reply<T>, answer: Result<T, PluginError>) -> Result<(), Crash> {
    let _ = reply.send(answer);
    Ok(())
}
