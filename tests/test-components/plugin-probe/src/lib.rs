//! A plugin that does what it is told over its route, by plugin events and by chat, so that the host's tests can look at every import and at
//! every way to fail. What it is not: an example to copy.

mod deeds;

use deeds::Heard;
use plugin_sdk::{
    Answer, BusMessage, ChatMessage, Context, DataChange, Disposition, Error, Event, HookResult,
    Judgement, Plugin, Request, Response, Result, bus, events, messages,
};
use serde_json::{Value, json};

struct Probe {
    context: Context,
    heard: Heard,
}

impl Plugin for Probe {
    fn activate(context: Context) -> Result<Self> {
        let mut heard = Heard::default();
        heard.note("activate", json!({"server": context.server_id}));
        Ok(Self { context, heard })
    }

    fn ready(&mut self) -> Result<()> {
        self.heard.note("ready", Value::Null);
        Ok(())
    }

    fn deactivate(&mut self) {
        plugin_sdk::log::write(plugin_sdk::log::Level::Info, "deactivate", None);
    }

    fn on_settings_changed(&mut self, settings: Value) {
        self.heard.note("settings", settings);
    }

    fn on_requirements_changed(&mut self, server_id: &str, snapshot: Value) {
        self.heard.note(
            "requirements",
            json!({"server": server_id, "revision": snapshot["revision"]}),
        );
    }

    fn on_data_changed(&mut self, change: DataChange) {
        self.heard.note(
            "data",
            json!({"key": change.key, "by": change.by, "removed": change.removed}),
        );
    }

    fn on_request_streaming(&mut self, request: Request, answer: Answer) -> Result<()> {
        if request.path == "/stream" {
            answer.start(200, &[])?;
            while let Some(piece) = request.body.read(1024)? {
                answer.write(&piece)?;
            }
            return Ok(());
        }
        if request.path == "/endless" {
            loop {
                answer.write(&[b'x'; 65_536])?;
            }
        }
        let response = self.on_request(request)?;
        answer.send(response)
    }

    /// `/<deed>/<argument>`; the answer is JSON.
    fn on_request(&mut self, request: Request) -> Result<Response> {
        let path = request.path.clone();
        let (deed, argument) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_start_matches('/'), ""));
        match deed {
            "request" => {
                let headers: Vec<Value> = request
                    .headers
                    .iter()
                    .map(|(name, value)| json!([name, String::from_utf8_lossy(value)]))
                    .collect();
                let about = json!({
                    "method": request.method, "path": request.path, "query": request.query, "user": request.user_id, "role": request.role,
                    "headers": headers, "body": String::from_utf8_lossy(&request.bytes()?),
                });
                Response::json(200, &about)
            }
            "context" => Response::json(
                200,
                &json!({"instance": self.context.instance_id, "server": self.context.server_id}),
            ),
            "heard" => Response::json(200, &self.heard.all()),
            "header" => {
                let mut response = Response::text("with a header");
                let (name, value) = argument.split_once('/').unwrap_or((argument, ""));
                response
                    .headers
                    .push((name.to_owned(), value.as_bytes().to_vec()));
                Ok(response)
            }
            "status" => {
                Ok(Response::text("short and stout").with_status(argument.parse().unwrap_or(500)))
            }
            _ => Response::json(200, &deeds::run(deed, argument, &request)?),
        }
    }

    /// A client's `ask` says what to do with it; everything else is noted.
    fn on_event(&mut self, event: Event) -> Result<Disposition> {
        let payload: Value = serde_json::from_str(&event.payload)?;
        self.heard
            .note("event", json!({"name": event.event_name, "payload": payload, "from": event.source_user_id, "decides": event.decides}));
        match payload["do"].as_str() {
            Some("consume") => return Ok(Disposition::Consume),
            Some("reject") => return Ok(Disposition::Reject("told to".to_owned())),
            Some("sleep") => deeds::sleep(),
            Some("panic") => panic!("told to panic"),
            // Each receiver publishes it again: a loop, which the host ends.
            Some("echo") => events::publish(&event.server_id, "tell", &event.payload, None, None)?,
            Some("say") => messages::send(
                &event.server_id,
                None,
                payload["text"].as_str().unwrap_or_default(),
            )?,
            Some("heard") => events::publish(
                &event.server_id,
                "tell",
                &self.heard.all().to_string(),
                None,
                None,
            )?,
            Some("subscribe") => {
                let replay = payload["replay"].as_u64().unwrap_or_default() as u32;
                bus::subscribe(
                    "topic",
                    bus::Options {
                        replay,
                        since: None,
                        include_self: true,
                    },
                )?;
            }
            Some("publish") => bus::publish("topic", &payload["message"].to_string())?,
            _ => {}
        }
        Ok(Disposition::Relay)
    }

    fn on_message(&mut self, message: BusMessage) {
        let payload: Value = serde_json::from_str(&message.payload).unwrap_or_default();
        self.heard.note(
            "message",
            json!({"topic": message.topic, "payload": payload, "replayed": message.replayed}),
        );
    }

    fn on_hook(&mut self, hook: &str, input: Value, output: Option<Value>) -> Result<HookResult> {
        self.heard
            .note("hook", json!({"hook": hook, "input": input}));
        let id = &self.context.plugin_id;
        // What it is told stands under its id, or its id and the hook, in the input or in a tool's arguments.
        let told = [&input, &input["tool_input"]]
            .into_iter()
            .flat_map(|told| [&told[format!("{id} {hook}")], &told[id]])
            .find(|told| told.is_object());
        deeds::hook(told.unwrap_or(&Value::Null), output)
    }

    fn on_tool(&mut self, name: &str, arguments: Value) -> Result<Value> {
        match (name, arguments["number"].as_i64()) {
            ("double", Some(number)) => Ok(json!(number * 2)),
            ("read" | "write" | "exec", _) => Ok(arguments),
            ("fail", _) => Err(Error::internal("told to fail")),
            _ => Err(Error::invalid("number must be a whole number")),
        }
    }

    fn on_chat(&mut self, message: ChatMessage) -> Result<Judgement> {
        let (order, rest) = message.text.split_once(' ').unwrap_or((&message.text, ""));
        match order {
            "!rewrite" => Ok(Judgement::Rewrite(format!("rewritten {rest}"))),
            "!flag" => Ok(Judgement::Flag(rest.to_owned())),
            "!refuse" => Ok(Judgement::Refuse(rest.to_owned())),
            "!panic" => panic!("told to panic"),
            "!sleep" => {
                deeds::sleep();
                Ok(Judgement::Pass)
            }
            _ => Ok(Judgement::Pass),
        }
    }
}

plugin_sdk::plugin!(Probe);
