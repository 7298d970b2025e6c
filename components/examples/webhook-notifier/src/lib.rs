//! Posts notifications to a URL: outbound HTTP with consent.
//!
//! The first post to a host waits until a person allows it; `submit` sends it then by itself. The result is in the
//! plugin's log.

use plugin_sdk::{
    BusMessage, Context, Disposition, Error, ErrorCode, Event, Plugin, Request, Response, Result,
    http_client, log, settings,
};
use serde_json::{Value, json};

/// One instance: for requests, or for one chat server.
struct Notifier;

/// The request for one notification.
fn post(server: &str, from: &str, text: &str) -> Result<http_client::Request> {
    let url = settings::get("url")
        .and_then(|url| serde_json::from_str::<String>(&url).ok())
        .unwrap_or_default();
    if url.is_empty() {
        return Err(Error::invalid("the setting \"url\" is empty"));
    }
    Ok(http_client::Request {
        method: "POST".to_owned(),
        url,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: Some(
            json!({"server": server, "from": from, "text": text})
                .to_string()
                .into_bytes(),
        ),
    })
}

impl Plugin for Notifier {
    fn activate(_: Context) -> Result<Self> {
        Ok(Self)
    }

    fn on_event(&mut self, event: Event) -> Result<Disposition> {
        let payload: Value = serde_json::from_str(&event.payload)?;
        let from = event.source_user_id.unwrap_or_default();
        match http_client::submit(&post(
            &event.server_id,
            &from,
            payload["text"].as_str().unwrap_or_default(),
        )?) {
            Ok(_) => Ok(Disposition::Consume),
            Err(error) => Ok(Disposition::Reject(error.message)),
        }
    }

    fn on_message(&mut self, message: BusMessage) {
        let outcome: Value = serde_json::from_str(&message.payload).unwrap_or_default();
        let (level, text) = match outcome["ok"]["status"].as_u64() {
            Some(status) => (log::Level::Info, format!("posted: {status}")),
            None => (
                log::Level::Warn,
                format!(
                    "not posted: {}",
                    outcome["err"]["message"].as_str().unwrap_or_default()
                ),
            ),
        };
        log::write(level, &text, None);
    }

    /// `POST /test` posts at once and says what the other side answered.
    fn on_request(&mut self, request: Request) -> Result<Response> {
        if (request.method.as_str(), request.segments().as_slice()) != ("POST", &["test"])
            || request.role != "admin"
        {
            return Ok(Response::error(
                404,
                "NOT_FOUND",
                "an administrator may POST /test",
            ));
        }
        match http_client::fetch(&post("test", &request.user_id, "test")?) {
            Ok(answer) => Response::json(200, &json!({"status": answer.status})),
            Err(error) if error.code == ErrorCode::ConsentPending => {
                Ok(Response::error(409, "CONSENT_PENDING", &error.message))
            }
            Err(error) => Ok(Response::error(502, "NOT_POSTED", &error.message)),
        }
    }
}

plugin_sdk::plugin!(Notifier);
