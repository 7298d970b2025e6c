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
    instances::{
        call::{CallError, Question, Reply},
        instance::{CallBudget, Crash, Instance},
    },
};
use limits::plugin as bounds;
use plugin_store::Level;
use std::future::Future;
use wasmtime::component::Resource;

/// One call of a handler.
pub(crate) enum Job {
    Ready,
    Http {
        request: Request,
        body: BodyReader,
        answer: BodyWriter,
        question: Question<()>,
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
        question: Question<HookResult>,
    },
    Tool {
        name: String,
        arguments: String,
        question: Question<String>,
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
    /// Bytes that the job occupies while it waits, its fixed size left out.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Ready => 0,
            Self::Http { request, body, .. } => {
                let headers = request.headers.iter();
                let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
                request.path.len()
                    + request.query.as_ref().map_or(0, String::len)
                    + headers
                    + body.len()
            }
            Self::Event { event, .. } => event.payload.len(),
            Self::Chat { message, .. } => message.text.len(),
            Self::Hook { input, output, .. } => {
                input.len() + output.as_ref().map_or(0, String::len)
            }
            Self::Tool { arguments, .. } => arguments.len(),
            Self::Message { message, .. } => message.payload.len(),
            Self::Settings(settings) => settings.len(),
            Self::Requirements { snapshot, .. } => snapshot.len(),
            Self::Data { change, .. } => change.key.len(),
        }
    }

    /// Runs the job. An error ends the instance.
    pub(crate) async fn run(self, instance: &mut Instance) -> Result<(), Crash> {
        match self {
            Self::Ready => instance.ready().await,
            Self::Http {
                request,
                body,
                answer,
                question,
            } => instance.on_request(request, body, answer, question).await,
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
                question,
            } => {
                instance
                    .on_hook((&name, &input, output.as_deref()), question)
                    .await
            }
            Self::Tool {
                name,
                arguments,
                question,
            } => instance.on_tool(&name, &arguments, question).await,
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

/// A question whose call has begun.
struct Begun<T> {
    budget: CallBudget,
    reply: Reply<T>,
}

impl<T> Begun<T> {
    /// Runs the call and answers the question; that its answer is not awaited any more is no fault of the instance.
    async fn run(
        self,
        during: &'static str,
        call: impl Future<Output = wasmtime::Result<Result<T, PluginError>>>,
    ) -> Result<(), Crash> {
        let (outcome, ends) = match self.budget.run(during, call).await {
            Ok(answer) => (answer.map_err(CallError::Failed), Ok(())),
            Err(crash) => (Err(CallError::Crashed(crash.clone())), Err(crash)),
        };
        let _ = self.reply.send(outcome);
        ends
    }
}

/// The handlers. A job for a handler that the plugin does not export is dropped with its question.
impl Instance {
    /// Starts the clock of a question's call; none if its answer is not awaited any more.
    fn begin<T>(&mut self, question: Question<T>, hops: u8) -> Option<Begun<T>> {
        let (deadline_ms, reply) = question.begin()?;
        let budget = self.arm(deadline_ms, hops);
        Some(Begun { budget, reply })
    }

    async fn on_request(
        &mut self,
        request: Request,
        body: BodyReader,
        answer: BodyWriter,
        question: Question<()>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.http.clone() else {
            return Ok(());
        };
        let Some(begun) = self.begin(question, 0) else {
            return Ok(());
        };
        let mut lent = None;
        let call = async {
            let table = &mut self.store.data_mut().table;
            let (body, answer) = (table.push(body)?, table.push(answer)?);
            lent = Some((body.rep(), answer.rep()));
            handler
                .call_handle(&mut self.store, &request, body, answer)
                .await
        };
        begun.run("handle", call).await?;
        // The answer ends with the call, even if the plugin keeps its handle. Those that it dropped are gone already.
        if let Some((body, answer)) = lent {
            let table = &mut self.store.data_mut().table;
            let _ = table.delete(Resource::<BodyReader>::new_own(body));
            let _ = table.delete(Resource::<BodyWriter>::new_own(answer));
        }
        Ok(())
    }

    async fn decide_event(
        &mut self,
        event: PluginEvent,
        hops: u8,
        question: Question<Disposition>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.events.clone() else {
            return Ok(());
        };
        let Some(begun) = self.begin(question, hops) else {
            return Ok(());
        };
        let call = handler.call_on_event(&mut self.store, &event);
        begun.run("on-event", call).await
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
        let Some(handler) = self.chat.clone() else {
            return Ok(());
        };
        let Some(begun) = self.begin(question, hops) else {
            return Ok(());
        };
        let call = handler.call_on_chat(&mut self.store, &message);
        begun.run("on-chat", call).await
    }

    async fn on_hook(
        &mut self,
        (name, input, output): (&str, &str, Option<&str>),
        question: Question<HookResult>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.hooks.clone() else {
            return Ok(());
        };
        let Some(begun) = self.begin(question, 0) else {
            return Ok(());
        };
        let call = handler.call_handle(&mut self.store, name, input, output);
        begun.run("hook", call).await
    }

    async fn on_tool(
        &mut self,
        name: &str,
        arguments: &str,
        question: Question<String>,
    ) -> Result<(), Crash> {
        let Some(handler) = self.tools.clone() else {
            return Ok(());
        };
        let Some(begun) = self.begin(question, 0) else {
            return Ok(());
        };
        let call = handler.call_call(&mut self.store, name, arguments);
        begun.run("tool", call).await
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
