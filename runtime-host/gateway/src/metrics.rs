//! Counters and gauges in the Prometheus format. Users and servers are never labels.

use envelope::{
    catalogue::{CATALOGUE, EnvelopeType},
    reply,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry, Unit},
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
    /// Open HTTP connections.
    pub http_connections: Gauge,
    /// HTTP connections and requests refused, by reason.
    pub http_refused: Counters,
    /// Answers to HTTP requests, by status.
    pub http_responses: Counters,
    /// HTTP connections without an open request that were closed because another client needed their place.
    pub http_idle_closed: Counter,
    /// Pauses of the acceptor because connections came faster than the configured rate.
    pub accepts_paced: Counter,
    /// Handshakes refused, by reason.
    pub handshakes_refused: Counters,
    /// Closed connections, by code.
    pub closed: Counters,
    /// Envelopes received, by type.
    pub received: Counters,
    /// [`Metrics::received`] by position in the catalogue, the last for unknown types: a lookup by label costs more
    /// than validating.
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
    pub validator_failures: Counters,
    /// Time of one call of the validator chain.
    pub validator_seconds: Histogram,
    /// Open servers.
    pub rooms: Gauge,
    /// Questions to the directory, by outcome.
    pub directory_questions: Counters,
    /// 1 while the directory answers, 0 while it does not.
    pub directory_up: Gauge,
    /// Seconds for which there have been changes that are not applied.
    pub directory_lag: Gauge,
    /// Changed servers and users that could not be fetched.
    pub directory_overdue: Gauge,
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

/// A registry that is being filled.
struct Builder(Registry);

impl Builder {
    /// A counter or gauge.
    fn metric<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    /// A histogram of seconds.
    fn seconds(&mut self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        let histogram = Histogram::new(bounds.iter().copied());
        self.0
            .register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut new = Builder(Registry::with_prefix("jackfield"));
        let received: Counters = new.metric("envelopes_received", "Envelopes received by type");
        let names = CATALOGUE.iter().map(|envelope| envelope.name);
        let received_by_type = names
            .chain(["unknown"])
            .map(|kind| received.get_or_create(&Label { kind: kind.into() }).clone())
            .collect();
        Self {
            received,
            received_by_type,
            connections: new.metric("connections", "Open WebSocket connections"),
            accepted: new.metric("connections_accepted", "Accepted WebSocket connections"),
            http_connections: new.metric("http_connections", "Open HTTP connections"),
            http_refused: new.metric(
                "http_refused",
                "Refused HTTP connections and requests by reason",
            ),
            http_responses: new.metric("http_responses", "Answers to HTTP requests by status"),
            http_idle_closed: new.metric(
                "http_idle_closed",
                "Idle HTTP connections closed for the place of another client",
            ),
            accepts_paced: new.metric("accepts_paced", "Pauses of the acceptor at its rate"),
            handshakes_refused: new.metric("handshakes_refused", "Refused handshakes by reason"),
            closed: new.metric("connections_closed", "Closed connections by close code"),
            refused: new.metric("envelopes_refused", "Envelopes refused by code"),
            rate_limited: new.metric("rate_limited", "Messages over a rate by what was exceeded"),
            delivered: new.metric("frames_delivered", "Frames handed to sockets"),
            coalesced: new.metric("frames_coalesced", "Waiting frames replaced by newer ones"),
            inbox_dropped: new.metric(
                "shard_inbox_dropped",
                "Deliveries dropped at a full shard inbox",
            ),
            validator_failures: new.metric(
                "validator_failures",
                "Failures of the validator chain by kind",
            ),
            rooms: new.metric("rooms", "Servers with at least one connection"),
            directory_questions: new.metric(
                "directory_questions",
                "Questions to the directory by outcome",
            ),
            directory_up: new.metric("directory_up", "Whether the directory answers"),
            directory_lag: new.metric(
                "directory_lag_seconds",
                "Age of the oldest change of the directory that is not applied",
            ),
            directory_overdue: new.metric(
                "directory_overdue",
                "Changed servers and users that could not be fetched from the directory",
            ),
            unreachable: new.metric("forwards_unreachable", "Forwards without a receiver"),
            plugin_offers: new.metric(
                "plugin_offers",
                "Envelopes offered to plugins by how: to inform, to decide, or dropped",
            ),
            plugin_decisions: new.metric("plugin_decisions", "Decisions of plugins by outcome"),
            plugin_waiting: new.metric(
                "plugin_waiting",
                "Connections that wait for a decision of plugins",
            ),
            plugin_publications: new.metric(
                "plugin_publications",
                "Events and messages of plugins by how they ended",
            ),
            validator_seconds: new.seconds(
                "validator",
                "Time of one call of the validator chain; some are timed",
                &[2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2e-2],
            ),
            plugin_decision_seconds: new.seconds(
                "plugin_decision",
                "Time that a connection waited for a decision of plugins",
                &[1e-3, 5e-3, 2e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 30.0],
            ),
            registry: new.0,
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
    let known = reply::code::ALL.iter().find(|known| **known == code);
    Cow::Borrowed(known.copied().unwrap_or("other"))
}
