//! The message bus of one plugin: topics, subscriptions of its instances, and recent messages for replay.
//!
//! A bus belongs to one plugin, and a topic to one scope: instances of different chat servers do not receive each
//! other's messages. Topics, replays and mailboxes are bounded.

use crate::instances::{pool::InstancePool, store_data::Scope};
use limits::plugin as bounds;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Arc<str>,
    pub(crate) published_ms: u64,
    pub(crate) replayed: bool,
    pub(crate) hops: u8,
}

/// The bus of one plugin.
pub(crate) struct Bus {
    pool: Weak<InstancePool>,
    topics: Mutex<HashMap<(Scope, Arc<str>), Topic>>,
}

#[derive(Default)]
struct Topic {
    past: VecDeque<Message>,
    /// Number of the instance, and whether it receives its own messages.
    subscribers: Vec<(u64, bool)>,
}

impl Bus {
    pub(crate) fn new(pool: Weak<InstancePool>) -> Self {
        Self {
            pool,
            topics: Mutex::default(),
        }
    }

    /// Publishes JSON; the error names the argument and the rule.
    pub(crate) fn publish(
        &self,
        scope: &Scope,
        by: u64,
        topic: &str,
        payload: String,
        hops: u8,
    ) -> Result<(), String> {
        check(topic)?;
        if serde_json::from_str::<&serde_json::value::RawValue>(&payload).is_err() {
            return Err("payload is not JSON".to_owned());
        }
        if hops >= limits::dispatch::HOPS_MAX {
            return Err(format!(
                "messages cause each other: the chain was cut after {hops} steps"
            ));
        }
        let topic: Arc<str> = topic.into();
        let message = Message {
            topic: topic.clone(),
            payload: payload.into(),
            published_ms: crate::now_ms(),
            replayed: false,
            hops,
        };
        let subscribers = {
            let mut topics = self.topics.lock();
            let topic = entry(&mut topics, scope, topic)?;
            if topic.past.len() == bounds::TOPIC_REPLAY_MAX {
                topic.past.pop_front();
            }
            topic.past.push_back(message.clone());
            topic.subscribers.clone()
        };
        let Some(pool) = self.pool.upgrade() else {
            return Ok(());
        };
        for (number, hears_itself) in subscribers {
            if number != by || hears_itself {
                pool.message(scope, number, message.clone());
            }
        }
        Ok(())
    }

    /// Subscribes an instance, beginning with at most `replay` messages of the past.
    pub(crate) fn subscribe(
        &self,
        scope: &Scope,
        number: u64,
        topic: &str,
        replay: usize,
        since_ms: Option<u64>,
        include_self: bool,
    ) -> Result<(), String> {
        check(topic)?;
        let past: Vec<Message> = {
            let mut topics = self.topics.lock();
            let topic = entry(&mut topics, scope, topic.into())?;
            topic.subscribers.retain(|(other, _)| *other != number);
            topic.subscribers.push((number, include_self));
            let wanted = topic
                .past
                .iter()
                .filter(|message| since_ms.is_none_or(|since| message.published_ms >= since));
            let wanted: Vec<&Message> = wanted.collect();
            wanted[wanted.len().saturating_sub(replay)..]
                .iter()
                .map(|message| Message {
                    replayed: true,
                    ..(*message).clone()
                })
                .collect()
        };
        if let Some(pool) = self.pool.upgrade() {
            past.into_iter()
                .for_each(|message| pool.message(scope, number, message));
        }
        Ok(())
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, number: u64, topic: &str) {
        for ((_, name), entry) in self.topics.lock().iter_mut() {
            if &**name == topic {
                entry.subscribers.retain(|(other, _)| *other != number);
            }
        }
    }

    /// Ends all subscriptions of an instance that has ended.
    pub(crate) fn forget(&self, number: u64) {
        self.topics
            .lock()
            .values_mut()
            .for_each(|topic| topic.subscribers.retain(|(other, _)| *other != number));
    }
}

fn check(topic: &str) -> Result<(), String> {
    let sound = !topic.is_empty()
        && topic.chars().count() <= bounds::TOPIC_CHARS_MAX
        && !topic.chars().any(char::is_control);
    if sound {
        Ok(())
    } else {
        Err(format!(
            "topic must have 1 to {} characters without control characters",
            bounds::TOPIC_CHARS_MAX
        ))
    }
}

fn entry<'a>(
    topics: &'a mut HashMap<(Scope, Arc<str>), Topic>,
    scope: &Scope,
    topic: Arc<str>,
) -> Result<&'a mut Topic, String> {
    let key = (scope.clone(), topic);
    if !topics.contains_key(&key) && topics.len() >= bounds::TOPICS_MAX {
        topics.retain(|_, topic| !topic.subscribers.is_empty());
        if topics.len() >= bounds::TOPICS_MAX {
            return Err(format!(
                "the plugin has {} topics, the most it may have",
                bounds::TOPICS_MAX
            ));
        }
    }
    Ok(topics.entry(key).or_default())
}
