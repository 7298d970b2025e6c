//! Logs: in pages, or followed as server-sent events.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok, timestamp},
    auth::Caller,
    call::Call,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use limits::{
    identity::TOKEN_LEEWAY_SECONDS,
    plugin_api::{FOLLOW_LINES_DEFAULT, FOLLOW_PING_MS},
};
use plugin_store::{Level, LogEntry, LogQuery, now_ms};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{Receiver, error::RecvError},
    },
    time::timeout,
};

/// `GET /api/plugins/{pluginId}/logs`.
pub(crate) async fn list(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    api.plugins.get(call.id())?;
    let level = match call.asked("level") {
        None | Some("") => Level::Trace,
        Some(text) => Level::parse(text)
            .ok_or_else(|| Refusal::bad("'level' must be trace, debug, info, warn or error"))?,
    };
    if call.flag("follow")? {
        return follow(api, &call, level).await;
    }
    let (page, page_size) = call.page()?;
    let query = LogQuery {
        plugin: Some(call.id().to_owned()),
        level,
        since_ms: since(&call)?,
        page,
        page_size,
    };
    let found = api.store().logs(query).await?;
    let logs: Vec<Value> = found.logs.iter().map(line).collect();
    Ok(ok(
        &json!({"logs": logs, "page": found.page, "page_size": found.page_size, "total": found.total}),
    ))
}

/// `since`: milliseconds since 1970, or RFC 3339.
fn since(call: &Call) -> Result<Option<u64>, Refusal> {
    let Some(text) = call.asked("since").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let at = text.parse().ok().or_else(|| {
        let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        u64::try_from(at.timestamp_millis()).ok()
    });
    at.map(Some).ok_or_else(|| {
        Refusal::bad("'since' must be milliseconds since 1970, or a time as in RFC 3339")
    })
}

/// A line with the members of earlier plugin hosts; the other data of the plugin is under `fields`.
fn line(entry: &LogEntry) -> Value {
    let mut shown = json!({
        "timestamp": timestamp(entry.at_ms), "level": entry.level.as_str(), "message": entry.message, "plugin": entry.plugin,
    });
    let fields: Option<Value> = entry
        .fields
        .as_deref()
        .and_then(|fields| serde_json::from_str(fields).ok());
    if let Some(fields) = fields {
        if let Some(error) = fields.get("error") {
            shown["error"] = error.clone();
        }
        shown["fields"] = fields;
    }
    shown
}

/// A client that follows a log.
struct Follower {
    plugin: String,
    level: Level,
    /// What was logged before, oldest first.
    past: std::vec::IntoIter<LogEntry>,
    next: Receiver<Arc<LogEntry>>,
    /// When the token of the request expires.
    until_ms: u64,
    _place: OwnedSemaphorePermit,
}

async fn follow(api: &PluginApi, call: &Call, level: Level) -> Result<Response<Body>, Refusal> {
    let place = api.followers.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "TOO_MANY_FOLLOWERS",
            "too many logs are followed",
        )
    })?;
    let lines = call.number("lines")?.map_or(FOLLOW_LINES_DEFAULT, |lines| {
        usize::try_from(lines).unwrap_or(usize::MAX)
    });
    let tail = api.store().tail(Some(call.id()), level, lines).await?;
    let until_ms = match &call.caller {
        Caller::Person(claims) => claims
            .expires_at_s
            .saturating_add(TOKEN_LEEWAY_SECONDS)
            .saturating_mul(1_000),
        Caller::Plugin(_) => u64::MAX,
    };
    let past = tail.lines.into_iter();
    let follower = Follower {
        plugin: call.id().to_owned(),
        level,
        past,
        next: tail.next,
        until_ms,
        _place: place,
    };
    let events = futures::stream::unfold(follower, async |mut follower: Follower| {
        let event = follower.event().await?;
        Some((
            Ok::<_, anyhow::Error>(Frame::data(Bytes::from(event))),
            follower,
        ))
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Follower {
    /// The next event; none when it is over.
    async fn event(&mut self) -> Option<String> {
        if let Some(entry) = self.past.next() {
            return Some(event("log", &line(&entry)));
        }
        loop {
            if now_ms() > self.until_ms {
                return None;
            }
            match timeout(Duration::from_millis(FOLLOW_PING_MS), self.next.recv()).await {
                Ok(Ok(entry)) if entry.plugin == self.plugin && entry.level >= self.level => {
                    return Some(event("log", &line(&entry)));
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(missed))) => {
                    return Some(event("missed", &json!({"lines": missed})));
                }
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }
}

/// JSON has no line breaks of its own, so one `data` line holds it.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
