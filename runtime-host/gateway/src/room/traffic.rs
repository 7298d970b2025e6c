//! Recent traffic of a server: channel names for plugins, and the rates of messages that plugins send.

use crate::rate::Bucket;
use limits::{
    dispatch::{CHANNELS_REMEMBERED_MAX, PLUGINS_PER_SERVER_MAX},
    envelope::CHANNEL_ID_CHARS_MAX,
    rate::Rate,
};
use std::collections::{HashMap, VecDeque};

/// The traffic of one server. Bounded: the oldest channels are dropped, and too many buckets of plugins all together.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Newest first.
    pub channels: VecDeque<Box<str>>,
    buckets: HashMap<(Box<str>, &'static str), Bucket>,
}

impl Traffic {
    /// Remembers a channel, unless its name is longer than the id of a channel may be.
    pub(crate) fn note_channel(&mut self, channel_id: &str) {
        if self
            .channels
            .front()
            .is_some_and(|newest| **newest == *channel_id)
        {
            return;
        }
        if channel_id.is_empty() || channel_id.chars().count() > CHANNEL_ID_CHARS_MAX {
            return;
        }
        let known = self
            .channels
            .iter()
            .position(|known| **known == *channel_id)
            .and_then(|at| self.channels.remove(at));
        self.channels
            .push_front(known.unwrap_or_else(|| channel_id.into()));
        self.channels.truncate(CHANNELS_REMEMBERED_MAX);
    }

    /// Takes one token of `rate`, and `volume.1` of `volume`.
    ///
    /// # Errors
    /// The exceeded rate (`what` or `bytes`), and milliseconds until the same can succeed.
    pub(crate) fn charge(
        &mut self,
        plugin_id: &str,
        now_ms: u32,
        (what, rate): (&'static str, Rate),
        (volume, kib): (Rate, u32),
    ) -> Result<(), (&'static str, u32)> {
        // Three buckets for each plugin: events, messages, and the bytes of both.
        if self.buckets.len() >= PLUGINS_PER_SERVER_MAX * 3 {
            self.buckets.clear();
        }
        for (what, rate, count) in [(what, rate, 1), ("bytes", volume, kib)] {
            let bucket = self
                .buckets
                .entry((plugin_id.into(), what))
                .or_insert_with(|| Bucket::full(rate, now_ms));
            bucket
                .take_many(rate, now_ms, count)
                .map_err(|wait_ms| (what, wait_ms))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;
    use limits::{
        dispatch::{CHANNELS_REMEMBERED_MAX, PLUGINS_PER_SERVER_MAX},
        rate::Rate,
    };

    #[test]
    fn the_newest_channels_are_remembered_once() {
        let mut traffic = Traffic::default();
        for channel in ["a", "b", "a", "", &"x".repeat(1_000)] {
            traffic.note_channel(channel);
        }
        assert_eq!(traffic.channels, ["a".into(), "b".into()]);
        (0..CHANNELS_REMEMBERED_MAX * 2).for_each(|at| traffic.note_channel(&at.to_string()));
        assert_eq!(
            (traffic.channels.len(), &*traffic.channels[0]),
            (
                CHANNELS_REMEMBERED_MAX,
                &*(CHANNELS_REMEMBERED_MAX * 2 - 1).to_string()
            )
        );
    }

    #[test]
    fn each_plugin_has_buckets_of_its_own() {
        let (few, much) = (
            Rate {
                per_second: 1,
                burst: 2,
            },
            Rate {
                per_second: 10,
                burst: 10,
            },
        );
        let mut traffic = Traffic::default();
        let mut charge =
            |plugin: &str, what, kib| traffic.charge(plugin, 0, (what, few), (much, kib));
        assert_eq!(
            (
                charge("a", "events", 1),
                charge("a", "events", 1),
                charge("a", "events", 1)
            ),
            (Ok(()), Ok(()), Err(("events", 1_000)))
        );
        assert_eq!(
            (charge("a", "messages", 1), charge("b", "events", 1)),
            (Ok(()), Ok(())),
            "another rate, another plugin"
        );
        assert_eq!(
            charge("b", "messages", 10),
            Err(("bytes", 100)),
            "both rates share the bytes"
        );
    }

    #[test]
    fn counting_is_bounded() {
        let mut traffic = Traffic::default();
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        for plugin in 0..PLUGINS_PER_SERVER_MAX * 4 {
            assert_eq!(
                traffic.charge(&plugin.to_string(), 0, ("events", rate), (rate, 1)),
                Ok(())
            );
        }
        assert!(traffic.buckets.len() <= PLUGINS_PER_SERVER_MAX * 3 + 1);
    }
}
