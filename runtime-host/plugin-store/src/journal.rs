//! Log lines and audit entries on their way into the database: accepted without waiting, and stored together a moment
//! later.
//!
//! The queue is bounded in bytes, for each plugin and in total. What is dropped is counted, and the count is a line of
//! the plugin's log.

use crate::{
    StoreError,
    audit::{self, AuditEntry},
    event,
    log::{self, Level, LogEntry},
    text::{self, now_ms},
    writer::Writer,
};
use limits::plugin_store::{
    AUDIT_RING_MAX, FOLLOWER_LINES_MAX, JOURNAL_BATCH_MAX, JOURNAL_BYTES_MAX,
    JOURNAL_BYTES_PER_PLUGIN_MAX, PRUNE_INTERVAL_MS, WRITE_OVERHEAD_BYTES,
};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::{broadcast, watch};

enum Item {
    Line(i64, Arc<LogEntry>),
    Decision(Arc<AuditEntry>),
}

impl Item {
    fn plugin(&self) -> &str {
        match self {
            Self::Line(_, line) => &line.plugin,
            Self::Decision(decision) => &decision.plugin,
        }
    }

    /// What it counts while it waits.
    fn bytes(&self) -> usize {
        WRITE_OVERHEAD_BYTES / 4
            + match self {
                Self::Line(_, line) => {
                    line.message.len() + line.fields.as_ref().map_or(0, String::len)
                }
                Self::Decision(decision) => decision.bytes(),
            }
    }
}

/// The queue of one plugin.
#[derive(Default)]
struct Share {
    bytes: usize,
    lines_dropped: u64,
    bytes_dropped: usize,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    shares: HashMap<String, Share>,
    /// The id of the line taken last.
    last_id: i64,
    /// How many were ever taken.
    accepted: u64,
    ended: bool,
}

/// Takes lines and decisions.
pub(crate) struct Journal {
    queue: Mutex<Queue>,
    wake: Condvar,
    followers: broadcast::Sender<Arc<LogEntry>>,
    ring: Mutex<VecDeque<Arc<AuditEntry>>>,
    lines_dropped: AtomicU64,
    /// How many of those that were taken are done with.
    done: watch::Sender<u64>,
}

impl Journal {
    /// Goes on where the database ends.
    pub(crate) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let last_id: Option<i64> =
            connection.query_row("SELECT max(id) FROM logs", [], |row| row.get(0))?;
        let ring = audit::latest(connection)?
            .into_iter()
            .map(Arc::new)
            .collect();
        Ok(Self {
            queue: Mutex::new(Queue {
                last_id: last_id.unwrap_or(0),
                ..Queue::default()
            }),
            wake: Condvar::new(),
            followers: broadcast::Sender::new(FOLLOWER_LINES_MAX),
            ring: Mutex::new(ring),
            lines_dropped: AtomicU64::new(0),
            done: watch::Sender::new(0),
        })
    }

    /// Takes a line, or drops and counts it.
    pub(crate) fn line(&self, mut entry: LogEntry) {
        let bytes = entry.message.len();
        if text::plugin(&entry.plugin).is_err() || self.is_full(&entry.plugin, bytes) {
            return;
        }
        entry.message = text::line(&entry.message);
        entry.fields = entry.fields.as_deref().map(text::fields);
        let entry = Arc::new(entry);
        let mut queue = self.queue.lock();
        queue.last_id += 1;
        let item = Item::Line(queue.last_id, entry.clone());
        queue.push(item);
        // Within the lock, so that a new follower sees each line once. Without followers the line is only stored.
        let _ = self.followers.send(entry);
        drop(queue);
        self.wake.notify_one();
    }

    /// Whether the queue is full; then the line counts as dropped. Checked before the text is escaped, which costs
    /// more.
    fn is_full(&self, plugin: &str, bytes: usize) -> bool {
        let mut queue = self.queue.lock();
        if queue.has_room(plugin) {
            return false;
        }
        let share = queue.shares.entry(plugin.to_owned()).or_default();
        share.lines_dropped += 1;
        share.bytes_dropped = share.bytes_dropped.saturating_add(bytes);
        self.lines_dropped.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes a decision.
    pub(crate) fn decision(&self, entry: AuditEntry) {
        let entry = Arc::new(entry);
        let mut ring = self.ring.lock();
        while ring.len() >= AUDIT_RING_MAX {
            ring.pop_front();
        }
        ring.push_back(entry.clone());
        drop(ring);
        let mut queue = self.queue.lock();
        if queue.has_room(&entry.plugin) {
            queue.push(Item::Decision(entry));
            self.wake.notify_one();
        }
    }

    pub(crate) fn recent(&self, plugin: Option<&str>, entries_max: usize) -> Vec<Arc<AuditEntry>> {
        let ring = self.ring.lock();
        ring.iter()
            .rev()
            .filter(|entry| plugin.is_none_or(|plugin| entry.plugin == plugin))
            .take(entries_max)
            .cloned()
            .collect()
    }

    pub(crate) fn lines_dropped(&self) -> u64 {
        self.lines_dropped.load(Ordering::Relaxed)
    }

    /// How many were ever taken.
    pub(crate) fn accepted(&self) -> u64 {
        self.queue.lock().accepted
    }

    /// What is taken from now on; and the id of the last line, and how many were taken, before that.
    pub(crate) fn follow(&self) -> (broadcast::Receiver<Arc<LogEntry>>, i64, u64) {
        let queue = self.queue.lock();
        (self.followers.subscribe(), queue.last_id, queue.accepted)
    }

    /// Waits until the first `accepted` are in the database.
    pub(crate) async fn stored(&self, accepted: u64) -> Result<(), StoreError> {
        let waited = self
            .done
            .subscribe()
            .wait_for(|done| *done >= accepted)
            .await
            .map(drop);
        waited.map_err(|_| StoreError::Closed)
    }
}

impl Queue {
    fn has_room(&self, plugin: &str) -> bool {
        let of_plugin = self.shares.get(plugin).map_or(0, |share| share.bytes);
        self.bytes < JOURNAL_BYTES_MAX && of_plugin < JOURNAL_BYTES_PER_PLUGIN_MAX
    }

    fn push(&mut self, item: Item) {
        let bytes = item.bytes();
        match self.shares.get_mut(item.plugin()) {
            Some(share) => share.bytes += bytes,
            None => drop(self.shares.insert(
                item.plugin().to_owned(),
                Share {
                    bytes,
                    ..Share::default()
                },
            )),
        }
        self.bytes += bytes;
        self.accepted += 1;
        self.items.push_back(item);
    }

    /// The next ones, and a line about each plugin of which some were dropped.
    fn take(&mut self) -> Vec<Item> {
        let count = self.items.len().min(JOURNAL_BATCH_MAX);
        let mut batch: Vec<Item> = self.items.drain(..count).collect();
        for item in &batch {
            let bytes = item.bytes();
            self.bytes -= bytes;
            if let Some(share) = self.shares.get_mut(item.plugin()) {
                share.bytes -= bytes;
            }
        }
        for (plugin, share) in self
            .shares
            .iter()
            .filter(|(_, share)| share.lines_dropped > 0)
        {
            let (lines, bytes) = (share.lines_dropped, share.bytes_dropped);
            let message = format!(
                "{lines} log lines ({bytes} bytes) were dropped: they came faster than they could be stored"
            );
            let fields = Some(format!(
                "{{\"dropped_lines\":{lines},\"dropped_bytes\":{bytes}}}"
            ));
            self.last_id += 1;
            let line = LogEntry {
                plugin: plugin.clone(),
                at_ms: now_ms(),
                level: Level::Warn,
                message,
                fields,
            };
            batch.push(Item::Line(self.last_id, Arc::new(line)));
        }
        self.shares.retain(|_, share| share.bytes > 0);
        for share in self.shares.values_mut() {
            (share.lines_dropped, share.bytes_dropped) = (0, 0);
        }
        batch
    }
}

/// The thread that stores; dropping this stores what waits and ends it.
pub(crate) struct Storing {
    journal: Arc<Journal>,
    thread: Option<JoinHandle<()>>,
}

impl Storing {
    /// Starts the thread.
    pub(crate) fn start(journal: Arc<Journal>, writer: Writer) -> Result<Self, StoreError> {
        let shared = journal.clone();
        let thread = thread::Builder::new().name("plugin-journal".into());
        let thread = thread
            .spawn(move || serve(&shared, &writer))
            .map_err(|_| StoreError::Closed)?;
        Ok(Self {
            journal,
            thread: Some(thread),
        })
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.journal.queue.lock().ended = true;
        self.journal.wake.notify_all();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that stores plugins' logs had ended");
        }
    }
}

fn serve(journal: &Journal, writer: &Writer) {
    let _done = Done(&journal.done);
    let interval = Duration::from_millis(PRUNE_INTERVAL_MS);
    let mut pruned: Option<Instant> = None;
    loop {
        if pruned.is_none_or(|at| at.elapsed() >= interval) {
            prune(writer);
            pruned = Some(Instant::now());
        }
        let mut queue = journal.queue.lock();
        if queue.items.is_empty() && !queue.ended {
            journal.wake.wait_for(&mut queue, interval);
        }
        let batch = queue.take();
        let (ended, done) = (
            queue.ended && batch.is_empty(),
            queue.accepted - queue.items.len() as u64,
        );
        drop(queue);
        if ended {
            return;
        }
        let lines = batch
            .iter()
            .filter(|item| matches!(item, Item::Line(..)))
            .count() as u64;
        if !batch.is_empty()
            && let Err(error) = writer.write_blocking(move |connection| store(connection, &batch))
        {
            journal.lines_dropped.fetch_add(lines, Ordering::Relaxed);
            tracing::warn!(%error, lines, "log lines and decisions of plugins could not be stored");
        }
        journal.done.send_replace(done);
    }
}

/// However the thread ends, no call waits for it any more.
struct Done<'a>(&'a watch::Sender<u64>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.send_replace(u64::MAX);
    }
}

fn store(connection: &Connection, batch: &[Item]) -> crate::writer::Written<()> {
    let mut lines: HashMap<&str, (i64, i64)> = HashMap::new();
    let mut decisions: HashSet<&str> = HashSet::new();
    for item in batch {
        match item {
            Item::Line(id, line) => {
                let bytes = log::insert(connection, *id, line)?;
                let counted = lines.entry(&line.plugin).or_default();
                *counted = (counted.0 + bytes, counted.1 + 1);
            }
            Item::Decision(decision) => {
                audit::insert(connection, decision)?;
                decisions.insert(&decision.plugin);
            }
        }
    }
    for (plugin, (bytes, count)) in lines {
        log::settle(connection, plugin, bytes, count)?;
    }
    for plugin in decisions {
        audit::settle(connection, plugin)?;
    }
    Ok(((), None))
}

fn prune(writer: &Writer) {
    let pruned = writer.write_blocking(|connection| {
        event::prune(connection)?;
        audit::prune(connection)?;
        Ok(((), None))
    });
    if let Err(error) = pruned {
        tracing::warn!(%error, "old events and decisions of plugins could not be removed");
    }
}
