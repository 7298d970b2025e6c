//! Logs, events and decisions: taken without waiting, bounded, inert.

use crate::Fixture;
use limits::plugin_store::{
    AUDIT_RING_MAX, EVENTS_PER_PLUGIN_MAX, JOURNAL_BYTES_PER_PLUGIN_MAX, KEPT_MS,
    LOG_BYTES_PER_PLUGIN_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_PER_PLUGIN_MAX,
};
use plugin_store::{
    AuditDecision, AuditEntry, AuditQuery, EventQuery, Level, LifecycleEvent, LogEntry, LogQuery,
    PluginStore,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as u64
}

fn line(plugin: &str, level: Level, message: impl Into<String>) -> LogEntry {
    LogEntry {
        plugin: plugin.into(),
        at_ms: now_ms(),
        level,
        message: message.into(),
        fields: None,
    }
}

fn logs_of(plugin: &str) -> LogQuery {
    LogQuery {
        plugin: Some(plugin.into()),
        ..LogQuery::default()
    }
}

/// Everything that was handed in is stored, or known to be dropped.
async fn settled(store: &PluginStore) {
    store
        .logs(LogQuery {
            page_size: 1,
            ..LogQuery::default()
        })
        .await
        .expect("logs");
}

#[tokio::test]
async fn pages_levels_and_times() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..250 {
        let level = if at % 10 == 0 {
            Level::Warn
        } else {
            Level::Info
        };
        store.log(LogEntry {
            at_ms: 1_000 + at,
            ..line("p", level, at.to_string())
        });
        store.log(line("q", Level::Error, "other"));
    }
    for (page, count) in [(0, 100), (1, 100), (2, 50), (3, 0)] {
        let found = store
            .logs(LogQuery {
                page,
                ..logs_of("p")
            })
            .await
            .unwrap();
        assert_eq!(
            (found.logs.len(), found.total, found.page, found.page_size),
            (count, 250, page, 100)
        );
        if let Some(first) = found.logs.first() {
            assert_eq!(
                first.message,
                (249 - 100 * page).to_string(),
                "newest first"
            );
        }
    }
    let warnings = store
        .logs(LogQuery {
            level: Level::Warn,
            since_ms: Some(1_100),
            ..logs_of("p")
        })
        .await
        .unwrap();
    assert_eq!((warnings.total, warnings.logs[0].level), (15, Level::Warn));
    assert_eq!(store.logs(LogQuery::default()).await.unwrap().total, 500);
    drop(store);
    assert_eq!(
        fixture.open().logs(logs_of("p")).await.unwrap().total,
        250,
        "a store that is closed stores what waited"
    );
}

#[tokio::test]
async fn nothing_in_a_log_steers_a_terminal() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n2026-01-01 ERROR fake\u{202e}\0";
    let fields = json!({"a\u{1b}": "b\u{9b}"}).to_string();
    store.log(LogEntry {
        fields: Some(fields.clone()),
        ..line("p", Level::Info, hostile)
    });
    let mut found = store.logs(logs_of("p")).await.unwrap().logs.remove(0);
    let stored = found.fields.take().expect("fields");
    assert!(
        ![found.message.as_str(), &stored]
            .concat()
            .contains(|letter: char| letter.is_control() || letter == '\u{202e}')
    );
    assert_eq!(
        serde_json::from_str::<Value>(&stored).unwrap(),
        serde_json::from_str::<Value>(&fields).unwrap()
    );
    assert!(
        found.message.starts_with("\\u{1b}]0;owned") && found.message.contains("\\r\\n2026"),
        "{}",
        found.message
    );
}

#[tokio::test]
async fn a_flood_of_lines_is_bounded_counted_and_costs_others_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.log(line("flood", Level::Info, "x".repeat(100 * 1024 * 1024)));
    let cut = store
        .logs(logs_of("flood"))
        .await
        .unwrap()
        .logs
        .remove(0)
        .message;
    assert!(cut.len() < LOG_LINE_BYTES_MAX + 64 && cut.ends_with("bytes cut"));
    let full = "y".repeat(LOG_LINE_BYTES_MAX);
    // While another process holds the database nothing is written, however fast the writer is.
    let holder = fixture.sql();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 * JOURNAL_BYTES_PER_PLUGIN_MAX / LOG_LINE_BYTES_MAX {
        store.log(line("flood", Level::Info, full.as_str()));
    }
    store.log(line("quiet", Level::Info, "heard"));
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.logs(logs_of("quiet")).await.unwrap().total, 1);
    let notes: Vec<LogEntry> = store
        .logs(LogQuery {
            level: Level::Warn,
            ..logs_of("flood")
        })
        .await
        .unwrap()
        .logs;
    let dropped = store.lines_dropped();
    assert!(dropped > 0 && !notes.is_empty());
    let told = |note: &LogEntry| {
        serde_json::from_str::<Value>(note.fields.as_ref().unwrap()).unwrap()["dropped_lines"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(notes.iter().map(told).sum::<u64>(), dropped);
    // However much comes, what is kept is bounded, and what is newest is kept.
    for _ in 0..6 {
        for _ in 0..JOURNAL_BYTES_PER_PLUGIN_MAX / LOG_LINE_BYTES_MAX / 2 {
            store.log(line("flood", Level::Info, full.as_str()));
        }
        settled(&store).await;
    }
    let mut rounds = 0;
    loop {
        for _ in 0..64 {
            store.log(line("flood", Level::Info, full.as_str()));
        }
        store.log(line("flood", Level::Error, "last"));
        settled(&store).await;
        let sql = "SELECT sum(bytes), count(*), (SELECT log_bytes FROM usage WHERE plugin = 'flood') FROM logs WHERE plugin = 'flood'";
        let (bytes, lines, counted): (i64, i64, i64) = fixture
            .sql()
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("SQL");
        assert!(
            bytes as u64 <= LOG_BYTES_PER_PLUGIN_MAX
                && lines as u64 <= LOG_LINES_PER_PLUGIN_MAX
                && bytes == counted
        );
        rounds += 1;
        if rounds * 64 * LOG_LINE_BYTES_MAX as u64 > 2 * LOG_BYTES_PER_PLUGIN_MAX {
            break;
        }
    }
    assert_eq!(
        store.logs(logs_of("flood")).await.unwrap().logs[0].message,
        "last"
    );
    assert_eq!(store.logs(logs_of("quiet")).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_tail_has_neither_gap_nor_repetition() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..20 {
        store.log(line("p", Level::Info, at.to_string()));
    }
    let logging = tokio::task::spawn_blocking({
        let store = store.clone();
        move || (20..300).for_each(|at| store.log(line("p", Level::Info, at.to_string())))
    });
    let mut tail = store.tail(Some("p"), Level::Info, 1_000).await.unwrap();
    logging.await.expect("it logs");
    store.log(line("p", Level::Info, "end"));
    let mut seen: Vec<String> = tail.lines.into_iter().map(|line| line.message).collect();
    loop {
        let next = tail.next.recv().await.expect("a line");
        if next.message == "end" {
            break;
        }
        seen.push(next.message.clone());
    }
    assert_eq!(seen, (0..300).map(|at| at.to_string()).collect::<Vec<_>>());
    assert_eq!(
        store
            .tail(Some("p"), Level::Info, 2)
            .await
            .unwrap()
            .lines
            .into_iter()
            .map(|line| line.message)
            .collect::<Vec<_>>(),
        ["299", "end"]
    );
}

#[tokio::test]
async fn events_are_kept_a_week() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let event = |plugin: &str, at_ms, kind: &str, details| LifecycleEvent {
        plugin: plugin.into(),
        at_ms,
        kind: kind.into(),
        details,
    };
    let details = json!({"reason": "max_restarts_exceeded", "restart_count": 10});
    store
        .event(event(
            "p",
            now_ms() - KEPT_MS - 60_000,
            "started",
            Value::Null,
        ))
        .await
        .unwrap();
    store
        .event(event("p", now_ms() - 1, "crashed", Value::Null))
        .await
        .unwrap();
    store
        .event(event(
            "p",
            now_ms(),
            "disabled_after_max_restarts",
            details.clone(),
        ))
        .await
        .unwrap();
    store
        .event(event("q", now_ms(), "started", Value::Null))
        .await
        .unwrap();
    let found = store
        .events(EventQuery {
            plugin: Some("p".into()),
            ..EventQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(found.total, 2, "what is too old is not shown");
    assert_eq!(
        (found.events[0].kind.as_str(), &found.events[0].details),
        ("disabled_after_max_restarts", &details)
    );
    let shown: String = fixture
        .sql()
        .query_row(
            "SELECT timestamp FROM plugin_events WHERE at_ms = 0 OR event_type = 'crashed'",
            [],
            |row| row.get(0),
        )
        .expect("SQL");
    assert!(
        shown.len() == 24 && shown.ends_with('Z') && shown.as_bytes()[10] == b'T',
        "RFC 3339: {shown}"
    );
    drop(store);
    let store = fixture.open();
    settled(&store).await;
    // The first thing that is done after a start.
    let count = || -> i64 {
        fixture
            .sql()
            .query_row("SELECT count(*) FROM plugin_events", [], |row| row.get(0))
            .expect("SQL")
    };
    while count() > 3 {
        tokio::task::yield_now().await;
    }
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS_PER_PLUGIN_MAX})
         INSERT INTO plugin_events (plugin_id, event_type, at_ms) SELECT 'p', 'started', {} FROM n",
        now_ms()
    );
    fixture.sql().execute(&rows, []).expect("SQL");
    store
        .event(event("p", now_ms(), "stopped", Value::Null))
        .await
        .unwrap();
    let found = store
        .events(EventQuery {
            plugin: Some("p".into()),
            page: 0,
            page_size: 1,
        })
        .await
        .unwrap();
    assert_eq!(
        (found.total, found.events[0].kind.as_str()),
        (EVENTS_PER_PLUGIN_MAX, "stopped")
    );
}

fn decision(plugin: &str, at: u64) -> AuditEntry {
    AuditEntry {
        at_ms: now_ms(),
        plugin: plugin.into(),
        capability: "http.fetch".into(),
        target: Some(format!("host-{at}\n")),
        action: "http.fetch".into(),
        decision: AuditDecision::NeedsApproval,
        layer: 5,
        reason: "prompt mode".into(),
        duration_us: None,
        by: None,
    }
}

#[tokio::test]
async fn the_latest_thousand_decisions_are_in_memory_and_all_are_stored() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..AUDIT_RING_MAX as u64 + 5 {
        store.audit(decision(if at % 2 == 0 { "p" } else { "q" }, at));
    }
    let recent = store.recent_audits(None, usize::MAX);
    assert_eq!(recent.len(), AUDIT_RING_MAX);
    assert_eq!(
        (recent[0].target.as_deref(), recent[999].target.as_deref()),
        (Some("host-1004\\n"), Some("host-5\\n")),
        "newest first"
    );
    assert_eq!(
        store
            .recent_audits(Some("p"), 3)
            .iter()
            .filter(|entry| entry.plugin == "p")
            .count(),
        3
    );
    let stored = store
        .audits(AuditQuery {
            page_size: 1_000,
            page: 1,
            ..AuditQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(
        (
            stored.total,
            stored.entries.len(),
            stored.entries[4].target.as_deref()
        ),
        (1_005, 5, Some("host-0\\n"))
    );
    drop(store);
    let store = fixture.open();
    let again = store.recent_audits(None, usize::MAX);
    assert_eq!(again, recent, "the ring is as it was");
    assert_eq!(
        store
            .audits(AuditQuery {
                plugin: Some("q".into()),
                ..AuditQuery::default()
            })
            .await
            .unwrap()
            .total,
        502
    );
}
