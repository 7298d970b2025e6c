//! The HTTP client of the commands: requests bounded in time and size, and errors that say what to do.

use crate::{failure::Coded, keys};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use edge_host::network::outbound;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{client::legacy, rt::TokioExecutor};
use identifiers::UserId;
use identity::{NewToken, Role};
use limits::plugin_api::{
    COMMAND_ANSWER_BYTES_MAX, COMMAND_TIMEOUT_MS, COMMAND_TOKEN_LIFETIME_SECONDS, FOLLOW_PING_MS,
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// The host, and the token that the command presents.
#[derive(clap::Args)]
pub(super) struct Connection {
    /// Base URL of the host
    #[arg(
        long,
        global = true,
        default_value = "http://127.0.0.1:8080",
        env = "JACKFIELD_URL"
    )]
    pub(super) url: String,
    /// Token with the role admin [default: one signed with the key in the data folder]
    #[arg(long, global = true, env = "JACKFIELD_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Data folder of the host; only its signing key is read
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    pub(super) data: PathBuf,
}

/// A client of one host.
pub(super) struct Client {
    http: legacy::Client<outbound::Connector, Full<Bytes>>,
    url: String,
    token: String,
}

/// Identity of the tokens that are made here, in grants and in the audit.
const OPERATOR: &str = "operator";

impl Client {
    /// # Errors
    /// No token was given, and none can be made.
    pub(super) fn new(connection: &Connection, follows: bool) -> Result<Self> {
        let token = match &connection.token {
            Some(token) => token.trim().to_owned(),
            None => own_token(&connection.data, follows)
                .context("there is no --token (JACKFIELD_TOKEN), and none can be made")?,
        };
        let http = legacy::Client::builder(TokioExecutor::new()).build(outbound::connector()?);
        Ok(Self {
            http,
            url: connection.url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None).await
    }

    /// Sends a request and reads its JSON.
    ///
    /// # Errors
    /// No host, no answer in time, or a refusal.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let response = self.begin(method, path, body).await?;
        let status = response.status();
        let body = timeout(
            Duration::from_millis(COMMAND_TIMEOUT_MS),
            Limited::new(response.into_body(), COMMAND_ANSWER_BYTES_MAX).collect(),
        );
        let bytes = body
            .await
            .context("the answer did not arrive in time")?
            .map_err(|error| anyhow::anyhow!(error))?
            .to_bytes();
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer => Err(self.refused(status, answer.as_ref())),
        }
    }

    async fn begin(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>> {
        let url = format!("{}{path}", self.url);
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(&url);
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request
            .body(Full::new(body))
            .with_context(|| format!("--url {:?} or the token is not valid", self.url))?;
        let sent = timeout(
            Duration::from_millis(COMMAND_TIMEOUT_MS),
            self.http.request(request),
        )
        .await;
        sent.with_context(|| format!("{} does not answer in time", self.url))?.map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let message = format!(
                "no host answers at {} ({cause}); is `jackfield serve` running? --url (JACKFIELD_URL) names another host",
                self.url
            );
            Coded { code: "HOST_UNREACHABLE", message }.into()
        })
    }

    fn refused(&self, status: StatusCode, answer: Option<&Value>) -> anyhow::Error {
        let text = |name: &str| {
            answer
                .and_then(|answer| answer[name].as_str())
                .map(super::table::safe)
        };
        let said = text("error").unwrap_or_else(|| format!("the host answers {status}"));
        let (code, advice) = match status {
            StatusCode::UNAUTHORIZED => (
                "UNAUTHORIZED",
                "; --data must be the data folder of this host, whose key signs the token",
            ),
            StatusCode::FORBIDDEN => (
                "FORBIDDEN",
                "; `jackfield token --role admin` prints a token that may",
            ),
            StatusCode::NOT_FOUND
                if text("code").as_deref() != Some("PLUGIN_NOT_FOUND")
                    && text("code").is_none() =>
            {
                ("NOT_FOUND", "; is this a Jackfield host?")
            }
            StatusCode::NOT_FOUND => ("NOT_FOUND", ""),
            StatusCode::CONFLICT => ("CONFLICT", ""),
            _ => ("REFUSED", ""),
        };
        let detail = text("code")
            .map(|code| format!(" [{code}]"))
            .unwrap_or_default();
        Coded {
            code,
            message: format!("{said}{detail}{advice}"),
        }
        .into()
    }

    /// Reads server-sent events until the host ends them, and calls `show` with the data of each `log` event.
    ///
    /// # Errors
    /// As [`Client::send`]; an error of `show`; a host that stops sending.
    pub(super) async fn follow(
        &self,
        path: &str,
        show: impl Fn(&Value) -> Result<()>,
    ) -> Result<()> {
        let response = self.begin("GET", path, None).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let bytes = Limited::new(body, COMMAND_ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!(error))?
                .to_bytes();
            return Err(self.refused(status, serde_json::from_slice(&bytes).ok().as_ref()));
        }
        let mut waiting: Vec<u8> = Vec::new();
        loop {
            // The host sends a comment at this interval when there is no event.
            let frame = timeout(Duration::from_millis(3 * FOLLOW_PING_MS), body.frame())
                .await
                .context("the host has stopped sending")?;
            let Some(frame) = frame else { return Ok(()) };
            let Ok(data) = frame
                .context("the connection to the host broke")?
                .into_data()
            else {
                continue;
            };
            waiting.extend_from_slice(&data);
            while let Some(end) = waiting.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = waiting.drain(..end + 2).collect();
                event_of(&String::from_utf8_lossy(&event), &show)?;
            }
            if waiting.len() > COMMAND_ANSWER_BYTES_MAX {
                bail!("the host sends an event without end");
            }
        }
    }
}

/// One event: a line of the log, or the number of lines that were dropped. Comments are ignored.
fn event_of(event: &str, show: impl Fn(&Value) -> Result<()>) -> Result<()> {
    let field = |name: &str| {
        event
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let Some(data) = field("data:").and_then(|data| serde_json::from_str::<Value>(data).ok())
    else {
        return Ok(());
    };
    match field("event:") {
        Some("missed") => super::table::line(&format!(
            "({} lines were dropped: the log is written faster than it is read)",
            data["lines"]
        )),
        _ => show(&data),
    }
}

/// A short-lived token for the operator, signed with the key in `data`.
fn own_token(data: &Path, follows: bool) -> Result<String> {
    let key = keys::read(data)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_secs();
    let lifetime_s = if follows {
        limits::identity::TOKEN_LIFETIME_SECONDS
    } else {
        COMMAND_TOKEN_LIFETIME_SECONDS
    };
    let user_id = UserId::new(OPERATOR).context("the operator's name")?;
    Ok(identity::sign(
        &key,
        &NewToken {
            user_id,
            role: Role::Admin,
            issued_at_s: now,
            lifetime_s,
            audience: None,
            issuer: None,
        },
    )?)
}

/// Percent-encodes text for a path segment or a query value.
pub(super) fn query(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{event_of, query};
    use std::cell::RefCell;

    #[test]
    fn events_are_told_apart() {
        let seen = RefCell::new(Vec::new());
        let show = |value: &serde_json::Value| {
            seen.borrow_mut().push(value["message"].to_string());
            Ok(())
        };
        for event in [
            "event: log\ndata: {\"message\":\"a: b\"}\n\n",
            ": still here\n\n",
            "event: log\ndata: broken\n\n",
        ] {
            event_of(event, show).expect("it is read");
        }
        assert_eq!(*seen.borrow(), ["\"a: b\""]);
    }

    #[test]
    fn text_in_a_path_stays_one_segment() {
        assert_eq!(query("a/b ?&ä"), "a%2Fb%20%3F%26%C3%A4");
    }
}
