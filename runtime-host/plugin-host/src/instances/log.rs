//! A plugin's log: lines of bounded length at a bounded rate, and standard output line by line.
//!
//! An instance that writes without end costs one line buffer here and [`bounds::LOG_BYTES_PER_SECOND`] in the database.
//! Dropped lines are counted, and the count is logged when the rate allows it.

use crate::instances::metrics::Metrics;
use limits::plugin as bounds;
use parking_lot::Mutex;
use plugin_store::{Level, LogEntry, PluginStore};
use sandbox::{Lines, Sink};
use std::{sync::Arc, time::Instant};

/// The log of one instance.
#[derive(Clone)]
pub(crate) struct PluginLog(Arc<Inner>);

struct Inner {
    plugin: Arc<str>,
    store: PluginStore,
    metrics: Arc<Metrics>,
    budget: Mutex<Budget>,
}

struct Budget {
    left: usize,
    since: Instant,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl PluginLog {
    pub(crate) fn new(plugin: Arc<str>, store: PluginStore, metrics: Arc<Metrics>) -> Self {
        let left = bounds::LOG_BYTES_PER_SECOND * bounds::LOG_BURST_SECONDS;
        let budget = Budget {
            left,
            since: Instant::now(),
            dropped_lines: 0,
            dropped_bytes: 0,
        };
        Self(Arc::new(Inner {
            plugin,
            store,
            metrics,
            budget: Mutex::new(budget),
        }))
    }

    /// Writes a line, cut to [`bounds::LOG_LINE_BYTES_MAX`]; beyond the rate it is counted instead.
    pub(crate) fn line(&self, level: Level, text: &str, fields: Option<String>) {
        let fields = fields.filter(|fields| fields.len() <= bounds::LOG_LINE_BYTES_MAX);
        let cut = text.len().saturating_sub(bounds::LOG_LINE_BYTES_MAX);
        let kept = &text[..text.floor_char_boundary(bounds::LOG_LINE_BYTES_MAX)];
        let bytes = kept.len() + fields.as_ref().map_or(0, String::len) + 1;
        let Some(missed) = self.pay(bytes, text.len()) else {
            return;
        };
        if let Some((lines, dropped_bytes)) = missed {
            let message = format!(
                "{lines} log lines of {dropped_bytes} bytes were dropped: more than {} bytes a second",
                bounds::LOG_BYTES_PER_SECOND
            );
            let fields =
                serde_json::json!({"dropped_lines": lines, "dropped_bytes": dropped_bytes})
                    .to_string();
            self.write(Level::Warn, message, Some(fields));
        }
        let message = if cut > 0 {
            format!("{kept} [{cut} bytes cut]")
        } else {
            kept.to_owned()
        };
        self.write(level, message, fields);
    }

    /// Takes `bytes` from the budget; what was dropped since the last line that fitted, or none when this one does not
    /// fit.
    fn pay(&self, bytes: usize, whole: usize) -> Option<Option<(u64, u64)>> {
        let mut budget = self.0.budget.lock();
        let earned =
            budget.since.elapsed().as_millis() as usize * bounds::LOG_BYTES_PER_SECOND / 1_000;
        if earned > 0 {
            budget.left = (budget.left + earned)
                .min(bounds::LOG_BYTES_PER_SECOND * bounds::LOG_BURST_SECONDS);
            budget.since = Instant::now();
        }
        if bytes > budget.left {
            budget.dropped_lines += 1;
            budget.dropped_bytes += whole as u64;
            self.0.metrics.drop_log_line();
            return None;
        }
        budget.left -= bytes;
        let missed =
            (budget.dropped_lines > 0).then_some((budget.dropped_lines, budget.dropped_bytes));
        (budget.dropped_lines, budget.dropped_bytes) = (0, 0);
        Some(missed)
    }

    fn write(&self, level: Level, message: String, fields: Option<String>) {
        self.0.store.log(LogEntry {
            plugin: self.0.plugin.to_string(),
            at_ms: crate::now_ms(),
            level,
            message,
            fields,
        });
    }

    /// Standard output or error of an instance.
    pub(crate) fn stream(&self, level: Level) -> Lines<Stream> {
        Lines::new(
            bounds::LOG_LINE_BYTES_MAX,
            Stream {
                log: self.clone(),
                level,
            },
        )
    }
}

/// Lines of one stream on their way into the log.
pub(crate) struct Stream {
    log: PluginLog,
    level: Level,
}

impl Sink for Stream {
    fn line(&self, text: &str) {
        self.log.line(self.level, text, None);
    }
}
