//! Counters and gauges in the Prometheus format. Users and servers are never labels.

use envelope::catalogue::{CATALOGUE, EnvelopeType};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{borrow::Cow, fmt};

/// A label with a value from a closed or bounded set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Label {
    /// The value.
    pub kind: Cow<'static, str>,
}

type Counters = Family<Label, Counter>;

/// All measurements of the gateway.
pub struct Metrics {
    registry: Registry,
    /// Open WebSocket connections.
    pub connections: Gauge,
    /// Accepted WebSocket connections.
    pub accepted: Counter,
    /// Pauses of the acceptor because connections came faster than the configured rate.
    pub accepts_paced: Counter,
    /// Handshakes refused, by reason.
    pub handshakes_refused: Counters,
    /// Closed connections, by code.
    pub closed: Counters,
    /// Envelopes received, by type.
    pub received: Counters,
    /// [`Metrics::received`] by position in the catalogue, the last for unknown types: a lookup by label costs more than validating.
    received_by_type: Vec<Counter>,
    /// Envelopes refused, by code.
    pub refused: Counters,
    /// Messages over a rate, by what was exceeded.
    pub rate_limited: Counters,
    /// Frames delivered to sockets.
    pub delivered: Counter,
    /// Frames replaced by newer ones while they waited.
    pub coalesced: Counter,
    /// Deliveries dropped because a shard's inbox was full.
    pub inbox_dropped: Counter,
    /// Failures of the validator chain, by kind.
    pub judge_failures: Counters,
    /// Time of one call of the validator chain.
    pub judge_seconds: Histogram,
    /// Open servers.
    pub rooms: Gauge,
    /// Questions to the directory, by outcome.
    pub edge_questions: Counters,
    /// 1 while the directory answers, 0 while it does not.
    pub edge_up: Gauge,
    /// Forwards without a receiver, for any reason.
    pub unreachable: Counter,
    /// Envelopes offered to plugins, by how.
    pub plugin_offers: Counters,
    /// Decisions of plugins, by outcome.
    pub plugin_decisions: Counters,
    /// Time of decisions, from the question to the end of the pause.
    pub plugin_decision_seconds: Histogram,
    /// Connections that wait for plugins.
    pub plugin_waiting: Gauge,
    /// Envelopes sent by plugins, by outcome.
    pub plugin_publications: Counters,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("jackfield");
        macro_rules! metric {
            ($name:literal, $help:literal, $kind:ty) => {{
                let metric = <$kind>::default();
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        let judge_seconds =
            Histogram::new([2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2e-2]);
        registry.register_with_unit(
            "judge",
            "Time of one call of the validator chain; some are timed",
            Unit::Seconds,
            judge_seconds.clone(),
        );
        let plugin_decision_seconds =
            Histogram::new([1e-3, 5e-3, 2e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 30.0]);
        let help = "Time that a connection waited for a decision of plugins";
        registry.register_with_unit(
            "plugin_decision",
            help,
            Unit::Seconds,
            plugin_decision_seconds.clone(),
        );
        let received: Counters =
            metric!("envelopes_received", "Envelopes received by type", Counters);
        let names = CATALOGUE
            .iter()
            .map(|envelope| envelope.name)
            .chain(["unknown"]);
        let received_by_type = names
            .map(|kind| received.get_or_create(&Label { kind: kind.into() }).clone())
            .collect();
        Self {
            connections: metric!("connections", "Open WebSocket connections", Gauge),
            accepted: metric!(
                "connections_accepted",
                "Accepted WebSocket connections",
                Counter
            ),
            accepts_paced: metric!(
                "accepts_paced",
                "Pauses of the acceptor at its rate",
                Counter
            ),
            handshakes_refused: metric!(
                "handshakes_refused",
                "Refused handshakes by reason",
                Counters
            ),
            closed: metric!(
                "connections_closed",
                "Closed connections by close code",
                Counters
            ),
            received,
            received_by_type,
            refused: metric!("envelopes_refused", "Envelopes refused by code", Counters),
            rate_limited: metric!(
                "rate_limited",
                "Messages over a rate by what was exceeded",
                Counters
            ),
            delivered: metric!("frames_delivered", "Frames handed to sockets", Counter),
            coalesced: metric!(
                "frames_coalesced",
                "Waiting frames replaced by newer ones",
                Counter
            ),
            inbox_dropped: metric!(
                "shard_inbox_dropped",
                "Deliveries dropped at a full shard inbox",
                Counter
            ),
            judge_failures: metric!(
                "judge_failures",
                "Failures of the validator chain by kind",
                Counters
            ),
            judge_seconds,
            rooms: metric!("rooms", "Servers with at least one connection", Gauge),
            edge_questions: metric!(
                "edge_questions",
                "Questions to the edge by outcome",
                Counters
            ),
            edge_up: metric!("edge_up", "Whether the edge answers", Gauge),
            unreachable: metric!(
                "forwards_unreachable",
                "Forwards without a receiver",
                Counter
            ),
            plugin_offers: metric!(
                "plugin_offers",
                "Envelopes offered to plugins by how: to inform, to decide, or dropped",
                Counters
            ),
            plugin_decisions: metric!(
                "plugin_decisions",
                "Decisions of plugins by outcome",
                Counters
            ),
            plugin_decision_seconds,
            plugin_waiting: metric!(
                "plugin_waiting",
                "Connections that wait for a decision of plugins",
                Gauge
            ),
            plugin_publications: metric!(
                "plugin_publications",
                "Events and messages of plugins by how they ended",
                Counters
            ),
            registry,
        }
    }
}

impl Metrics {
    /// Adds measurements that are read at each request for `/metrics`.
    pub fn collect(&mut self, collector: Box<dyn prometheus_client::collector::Collector>) {
        self.registry.register_collector(collector);
    }

    /// The text that `/metrics` serves (OpenMetrics).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }

    /// Counts a received envelope; `None` is one of an unknown type.
    pub(crate) fn receive(&self, envelope: Option<&'static EnvelopeType>) {
        let position = envelope.and_then(|envelope| {
            CATALOGUE
                .iter()
                .position(|known| std::ptr::eq(known, envelope))
        });
        self.received_by_type[position.unwrap_or(CATALOGUE.len())].inc();
    }

    /// Adds one to the counter of `kind` in `counters`.
    pub fn count(counters: &Counters, kind: impl Into<Cow<'static, str>>) {
        counters.get_or_create(&Label { kind: kind.into() }).inc();
    }
}

/// A code as a label. Codes of filters are free text and become `other`, so that the set of labels is bounded.
#[must_use]
pub(crate) fn code_label(code: &str) -> Cow<'static, str> {
    use envelope::reply::code as known;
    const KNOWN: &[&str] = &[
        known::BAD_JSON,
        known::UNKNOWN_TYPE,
        known::INVALID_FIELD,
        known::NOT_IDENTIFIED,
        known::NOT_A_MEMBER,
        known::INVALID_PLUGIN_ID,
        known::INVALID_EVENT_NAME,
        known::EVENT_NOT_REGISTERED,
        known::DIRECTION_NOT_ALLOWED,
        known::PLUGIN_BLOCKED,
        known::CAPABILITY_DENIED,
        known::PAYLOAD_TOO_LARGE,
        known::SCHEMA_VIOLATION,
        known::RATE_LIMITED,
        known::INTERNAL,
        known::NOT_REACHABLE,
        known::IDENTITY_PROOF_REQUIRED,
        known::IDENTITY_FIXED,
        known::LIMIT_REACHED,
        known::EDGE_UNAVAILABLE,
        known::PLUGIN_REFUSED,
        known::PLUGIN_UNAVAILABLE,
    ];
    Cow::Borrowed(
        KNOWN
            .iter()
            .find(|known| **known == code)
            .copied()
            .unwrap_or("other"),
    )
}
