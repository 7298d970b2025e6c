//! The jobs of an instance: each is one call of an exported handler.

use crate::{
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
    instances::instance::{Crash, Instance},
};
use limits::plugin as bounds;
use plugin_store::Level;
use tokio::sync::oneshot;

/// The channel of a reply. If its receiver is gone, the reply is not needed.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, PluginError>>;

/// The other end of a [`Reply`].
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, PluginError>>;

/// Asks for a decision, within a deadline of its own.
pub(crate) struct Question<T> {
    deadline_ms: u64,
    reply: Reply<T>,
}

impl<T> Question<T> {
    /// A question whose call may take `deadline_ms`, and the end where its answer arrives.
    pub(crate) fn new(deadline_ms: u64) -> (Self, Answer<T>) {
        let (reply, answer) = oneshot::channel();
        (Self { deadline_ms, reply }, answer)
    }

    /// Whether the decision has been made without this plugin. Then the call would do what the sender was told did not
    /// happen.
    fn is_over(&self) -> bool {
        self.reply.is_closed()
    }
}

/// One call of a handler. A dropped reply means that the instance ended during the call.
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
        /// Set if the plugin decides about the event.
        question: Option<Question<Disposition>>,
    },
    Chat {
        message: ChatMessage,
        hops: u8,
        question: Question<Judgement>,
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
    Data {
        change: DataChange,
        hops: u8,
    },
}

impl Job {
    /// Runs the job. An error ends the instance; a reply whose receiver is gone is dropped.
    pub(crate) async fn run(self, instance: &mut Instance) -> Result<(), Crash> {
        match self {
            Self::Ready => instance.ready().await,
            Self::Http {
                request,
                body,
                answer,
                reply,
            } => instance.on_request(request, body, answer, reply).await,
            Self::Event {
                event,
                hops,
                question: Some(question),
            } => instance.decide_event(event, hops, question).await,
            Self::Event {
                event,
                hops,
                question: None,
            } => instance.on_event(event, hops).await,
            Self::Chat {
                message,
                hops,
                question,
            } => instance.on_chat(message, hops, question).await,
            Self::Hook {
                name,
                input,
                output,
                deadline_ms,
                reply,
            } => {
                instance
                    .on_hook((&name, &input, output.as_deref()), deadline_ms, reply)
                    .await
            }
            Self::Tool {
                name,
                arguments,
                deadline_ms,
                reply,
            } => {
                instance
                    .on_tool(&name, &arguments, deadline_ms, reply)
                    .await
            }
            Self::Message { message, hops } => instance.on_message(message, hops).await,
            Self::Settings(settings) => instance.on_settings(&settings).await,
            Self::Requirements {
                server_id,
                snapshot,
            } => instance.on_requirements(&server_id, &snapshot).await,
            Self::Data { change, hops } => instance.on_data(&change, hops).await,
        }
    }
}

/// The handlers. A job for a handler that the plugin does not export is dropped with its reply.
impl Instance {
    async fn on_request(
        &mut self,
        request: Request,
        body: BodyReader,
        answer: BodyWriter,
        reply: Reply<()>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.http.clone() else {
            return Ok(());
        };
        let deadline_ms = self.store.data().shared.quota.response_ms;
        let budget = self.arm(deadline_ms, 0);
        let call = async {
            let table = &mut self.store.data_mut().table;
            let (body, answer) = (table.push(body)?, table.push(answer)?);
            handler
                .call_handle(&mut self.store, &request, body, answer)
                .await
        };
        send_reply(reply, budget.run("handle", call).await?)
    }

    async fn decide_event(
        &mut self,
        event: PluginEvent,
        hops: u8,
        question: Question<Disposition>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.events.clone().filter(|_| !question.is_over()) else {
            return Ok(());
        };
        let budget = self.arm(question.deadline_ms, hops);
        let call = handler.call_on_event(&mut self.store, &event);
        send_reply(question.reply, budget.run("on-event", call).await?)
    }

    async fn on_event(&mut self, event: PluginEvent, hops: u8) -> Result<(), Crash> {
        let Some(handler) = self.events.clone() else {
            return Ok(());
        };
        let budget = self.arm(bounds::EVENT_DEADLINE_MS, hops);
        let call = handler.call_on_event(&mut self.store, &event);
        if let Err(error) = budget.run("on-event", call).await? {
            let text = format!("on-event: {}", error.message);
            let log = &self.store.data().log;
            log.line(Level::Error, &text, error.details);
        }
        Ok(())
    }

    async fn on_chat(
        &mut self,
        message: ChatMessage,
        hops: u8,
        question: Question<Judgement>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.chat.clone().filter(|_| !question.is_over()) else {
            return Ok(());
        };
        let budget = self.arm(question.deadline_ms, hops);
        let call = handler.call_on_chat(&mut self.store, &message);
        send_reply(question.reply, budget.run("on-chat", call).await?)
    }

    async fn on_hook(
        &mut self,
        (name, input, output): (&str, &str, Option<&str>),
        deadline_ms: u64,
        reply: Reply<HookResult>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.hooks.clone() else {
            return Ok(());
        };
        let budget = self.arm(deadline_ms, 0);
        let call = handler.call_handle(&mut self.store, name, input, output);
        send_reply(reply, budget.run("hook", call).await?)
    }

    async fn on_tool(
        &mut self,
        name: &str,
        arguments: &str,
        deadline_ms: u64,
        reply: Reply<String>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.tools.clone() else {
            return Ok(());
        };
        let budget = self.arm(deadline_ms, 0);
        let call = handler.call_call(&mut self.store, name, arguments);
        send_reply(reply, budget.run("tool", call).await?)
    }

    async fn on_message(&mut self, message: BusMessage, hops: u8) -> Result<(), Crash> {
        let Some(handler) = self.events.clone() else {
            return Ok(());
        };
        let budget = self.arm(bounds::EVENT_DEADLINE_MS, hops);
        let call = handler.call_on_message(&mut self.store, &message);
        budget.run("on-message", call).await
    }

    async fn on_settings(&mut self, settings: &str) -> Result<(), Crash> {
        let budget = self.arm(bounds::EVENT_DEADLINE_MS, 0);
        let call = self
            .lifecycle
            .call_on_settings_changed(&mut self.store, settings);
        budget.run("on-settings-changed", call).await
    }

    async fn on_requirements(&mut self, server_id: &str, snapshot: &str) -> Result<(), Crash> {
        let budget = self.arm(bounds::EVENT_DEADLINE_MS, 0);
        let call =
            self.lifecycle
                .call_on_requirements_changed(&mut self.store, server_id, snapshot);
        budget.run("on-requirements-changed", call).await
    }

    async fn on_data(&mut self, change: &DataChange, hops: u8) -> Result<(), Crash> {
        let budget = self.arm(bounds::EVENT_DEADLINE_MS, hops);
        let call = self.lifecycle.call_on_data_changed(&mut self.store, change);
        budget.run("on-data-changed", call).await
    }
}

/// Sends a reply. That its receiver has gone is no fault of the instance.
fn send_reply<T>(reply: Reply<T>, answer: Result<T, PluginError>) -> Result<(), Crash> {
    let _ = reply.send(answer);
    Ok(())
}
