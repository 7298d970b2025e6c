//! Polls: a question with up to twenty answers, votes by plugin event, results over a route and as an event to all
//! members.
//!
//! `POST /api/plugins/route/polls/` with `{"server","question","choices"}` asks; `GET …/<poll>` shows. A client votes
//! with the plugin event `vote` of this plugin, `{"poll","choice"}`; the vote is consumed, and all members of the
//! server get `results`.

pub mod poll;

use plugin_sdk::{
    Context, Disposition, Error, Event, Plugin, Request, Response, Result, events, values,
};
use poll::Poll;
use serde::Deserialize;
use serde_json::json;

/// One instance: for requests, or for one chat server.
struct Polls;

/// The body that makes a poll.
#[derive(Deserialize)]
struct NewPoll {
    server: String,
    question: String,
    choices: Vec<String>,
}

/// The payload of a vote.
#[derive(Deserialize)]
struct Vote {
    poll: String,
    choice: usize,
}

fn key(poll: &str) -> String {
    format!("poll/{poll}")
}

impl Plugin for Polls {
    fn activate(_: Context) -> Result<Self> {
        Ok(Self)
    }

    fn on_request(&mut self, request: Request) -> Result<Response> {
        match (request.method.as_str(), request.segments().as_slice()) {
            ("POST", []) => ask(&request),
            ("GET", []) => {
                let keys = plugin_sdk::kv::keys("poll/", None, 100)?.keys;
                Response::json(
                    200,
                    &json!({"polls": keys.iter().filter_map(|key| key.strip_prefix("poll/")).collect::<Vec<_>>()}),
                )
            }
            ("GET", [poll]) => match values::get::<Poll>(&key(poll))? {
                Some(found) => Response::json(200, &found.results(poll)),
                None => Ok(Response::error(
                    404,
                    "POLL_NOT_FOUND",
                    &format!("there is no poll {poll:?}"),
                )),
            },
            _ => Ok(Response::error(
                405,
                "METHOD_NOT_ALLOWED",
                "GET / and GET /<poll> show, POST / asks",
            )),
        }
    }

    fn on_event(&mut self, event: Event) -> Result<Disposition> {
        if event.event_name != "vote" {
            return Ok(Disposition::Relay);
        }
        let vote: Vote = match serde_json::from_str(&event.payload) {
            Ok(vote) => vote,
            // Another attempt would fail in the same way, which an error would not say.
            Err(rule) => return Ok(Disposition::Reject(format!("this is no vote: {rule}"))),
        };
        let voter = event.source_user_id.unwrap_or_default();
        let counted = values::update(&key(&vote.poll), |poll: &mut Option<Poll>| {
            let poll = poll.as_mut().filter(|poll| poll.server == event.server_id);
            let poll = poll.ok_or_else(|| {
                Error::not_found(format!("there is no poll {:?} on this server", vote.poll))
            })?;
            poll.vote(&voter, vote.choice).map_err(Error::invalid)?;
            Ok(poll.results(&vote.poll))
        });
        match counted {
            Ok(results) => events::publish(
                &event.server_id,
                "results",
                &results.to_string(),
                None,
                None,
            )
            .map(|()| Disposition::Consume),
            Err(error) => Ok(Disposition::Reject(error.message)),
        }
    }
}

fn ask(request: &Request) -> Result<Response> {
    let new: NewPoll = match request.json() {
        Ok(new) => new,
        Err(error) => return Ok(Response::error(400, "BAD_POLL", &error.message)),
    };
    let number = plugin_sdk::kv::add("polls", 1)?;
    let poll = match Poll::new(new.server, new.question, new.choices) {
        Ok(poll) => poll,
        Err(rule) => return Ok(Response::error(400, "BAD_POLL", &rule)),
    };
    values::set(&key(&number.to_string()), &poll)?;
    Response::json(201, &json!({"poll": number.to_string()}))
}

plugin_sdk::plugin!(Polls);
