//! Chat messages before the plugins that moderate them.
//!
//! If a plugin fails, the message is refused and can be sent again, unless its [`OnFailure`] lets it pass: otherwise one user's
//! message that makes a moderator slow would let another's through. A plugin takes no time from the others: each has an
//! equal part of what is left.

use crate::{
    bindings::exports::jackfield::plugin::chat_handler::{ChatMessage, Judgement},
    dispatch::{
        decision::{AwaitedDecision, Decision, await_answer},
        table::Listener,
    },
    instances::{
        call::{Answer, Question},
        group::Work,
        jobs::Job,
    },
};
use plugin_bus::ServerPlugins;
use plugin_manifest::OnFailure;
use plugin_store::Level;
use serde_json::json;
use std::time::Duration;

/// Asks the plugins that act on the server, in load order; each sees the message as the plugins before it left it.
pub(super) async fn moderate(
    moderators: &[Listener],
    server: &ServerPlugins,
    mut message: ChatMessage,
    hops: u8,
    decision: &AwaitedDecision,
) -> Decision {
    let work = Work::Server(message.server_id.as_str().into());
    let mut is_rewritten = false;
    for (at, listener) in moderators.iter().enumerate() {
        if !listener.may_moderate(server) {
            continue;
        }
        let later = moderators[at + 1..].iter();
        let to_ask = 1 + later
            .filter(|listener| listener.may_moderate(server))
            .count() as u32;
        let (question, answer) = Question::new(decision.call_ms(listener));
        let job = Job::Chat {
            message: message.clone(),
            hops,
            question,
        };
        let within = decision.left() / to_ask;
        match ask(listener, &work, job, answer, within).await {
            Ok(Judgement::Pass) => {}
            Ok(Judgement::Rewrite(text)) => {
                message.text = text;
                is_rewritten = true;
            }
            Ok(Judgement::Flag(reason)) => flag(listener, &message, &reason),
            Ok(Judgement::Refuse(reason)) => {
                return Decision::Refuse {
                    plugin_id: listener.id.clone(),
                    reason,
                };
            }
            Err(why) if listener.pool.shared.on_failure == OnFailure::Pass => {
                listener.log_failure(&format!("on-chat: {why}; the envelope goes on"));
            }
            Err(why) => {
                listener.log_failure(&format!("on-chat: {why}; the envelope is refused"));
                return Decision::Unavailable;
            }
        }
    }
    match is_rewritten {
        true => Decision::Rewrite(message.text),
        false => Decision::Relay,
    }
}

async fn ask(
    listener: &Listener,
    work: &Work,
    job: Job,
    answer: Answer<Judgement>,
    within: Duration,
) -> Result<Judgement, String> {
    let enqueued = listener.pool.enqueue(work, job);
    enqueued.map_err(|busy| format!("was not asked: {busy}"))?;
    await_answer(answer, within).await
}

fn flag(listener: &Listener, message: &ChatMessage, reason: &str) {
    let fields = json!({"flag": reason, "sender": message.sender_id, "server": message.server_id});
    let log = listener.pool.log();
    log.line(Level::Warn, "flagged a message", Some(fields.to_string()));
}
