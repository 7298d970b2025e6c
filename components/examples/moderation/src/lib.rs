//! Moderation of chat: masks words, refuses shouting and repetition, marks links.
//!
//! [`rules`] is the logic and compiles everywhere; the plugin around it passes messages in and translates the outcome
//! for the host.

pub mod rules;

use plugin_sdk::{ChatMessage, Context, Error, Judgement, Plugin, Result};
use rules::{Outcome, Rules};
use serde_json::Value;

/// One instance: looks at the chat of one server.
struct Moderation(Rules);

impl Plugin for Moderation {
    fn activate(context: Context) -> Result<Self> {
        let settings: Value = serde_json::from_str(&context.settings)?;
        Rules::new(&settings).map(Self).map_err(Error::invalid)
    }

    fn on_settings_changed(&mut self, settings: Value) {
        match Rules::new(&settings) {
            Ok(rules) => self.0 = rules,
            Err(rule) => plugin_sdk::log::write(
                plugin_sdk::log::Level::Error,
                &format!("settings are not taken: {rule}"),
                None,
            ),
        }
    }

    fn on_chat(&mut self, message: ChatMessage) -> Result<Judgement> {
        Ok(match self.0.moderate(&message.sender_id, &message.text) {
            Outcome::Pass => Judgement::Pass,
            Outcome::Rewrite(text) => Judgement::Rewrite(text),
            Outcome::Flag(reason) => Judgement::Flag(reason),
            Outcome::Refuse(reason) => Judgement::Refuse(reason),
        })
    }
}

plugin_sdk::plugin!(Moderation);
