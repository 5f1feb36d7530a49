//! Every metric in one table: names, units, labels from closed sets. `docs/OPERATIONS.md` lists the same, and a test
//! compares them. No label ever holds an identifier, a name or a caller's text.

mod reading;

use crate::alliance;
use crate::answer::Source;
use crate::http::entry::Entry;
use crate::node::{Answered, Node};
use crate::webhooks::Figures;
use interdict_engine::domain::{Outcome, ReasonSource};
use interdict_engine::rules::{Class, Mode};
use prometheus::core::{AtomicU64 as U64, GenericCounter, GenericCounterVec};
use prometheus::{Encoder, Histogram, HistogramOpts, Opts, Registry, TextEncoder};
use reading::Reading;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Counters = GenericCounterVec<U64>;

/// 10 µs to 164 ms by factors of two: the deadlines this is used under are milliseconds, its own work microseconds.
fn buckets() -> Vec<f64> {
    (0..15).map(|n| 1e-5 * f64::from(1u32 << n)).collect()
}

/// Counters and histograms that requests feed. What the node counts itself is read when somebody asks.
pub struct Metrics {
    registry: Registry,
    decisions: Counters,
    duration: Histogram,
    messages: Counters,
    dropped: Counters,
    defaults: Counters,
    not_admitted: Counters,
    rule_hits: Counters,
    reloads: Counters,
    reload_duration: Histogram,
    replays: GenericCounter<U64>,
    conflicts: GenericCounter<U64>,
    skew: Histogram,
    undurable: GenericCounter<U64>,
    webhooks: OnceLock<Figures>,
    /// Of nothing where nobody has set it: the metrics are there all the same.
    consortium: OnceLock<Arc<alliance::node::Figures>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = Counters::new(Opts::new(name, help), labels).expect("the table's names are valid");
            registry.register(Box::new(counters.clone())).expect("the table's names are unique");
            counters
        };
        let counter = |name: &str, help: &str| {
            let counter = GenericCounter::<U64>::new(name, help).expect("the table's names are valid");
            registry.register(Box::new(counter.clone())).expect("the table's names are unique");
            counter
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets));
            let histogram = histogram.expect("the table's names are valid");
            registry.register(Box::new(histogram.clone())).expect("the table's names are unique");
            histogram
        };
        let metrics = Metrics {
            decisions: counters(
                "interdict_decisions_total",
                "Verdicts given, by outcome, class of the strongest reason, and its pack",
                &["outcome", "reason_class", "pack"],
            ),
            duration: histogram(
                "interdict_decision_duration_seconds",
                "From the request's last byte to the durable verdict",
                buckets(),
            ),
            messages: counters(
                "interdict_ingest_messages_total",
                "Messages read, by protocol and result (ok, malformed, invalid, too_large, list_delta)",
                &["protocol", "result"],
            ),
            dropped: counters(
                "interdict_dropped_total",
                "What found no room, by stage and reason",
                &["stage", "reason"],
            ),
            defaults: counters(
                "interdict_deadline_exceeded_total",
                "Verdicts with a skipped stage, by the outcome that was answered",
                &["default"],
            ),
            not_admitted: counters(
                "interdict_admission_refused_total",
                "What was refused for want of room or time, by reason (queue, express, rate, lists)",
                &["reason"],
            ),
            rule_hits: counters(
                "interdict_rule_hits_total",
                "Reasons given, by rule and mode",
                &["rule", "mode"],
            ),
            reloads: counters("interdict_reload_total", "Publications asked for, by result", &["result"]),
            reload_duration: histogram(
                "interdict_reload_duration_seconds",
                "From asking for a publication to its generation in force, or its refusal",
                vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0],
            ),
            replays: counter(
                "interdict_idempotent_replays_total",
                "Retries answered with the verdict given before",
            ),
            conflicts: counter(
                "interdict_idempotency_conflicts_total",
                "Different payments under a known key (409)",
            ),
            undurable: counter(
                "interdict_undurable_answers_total",
                "Verdicts told before they were safe on the disk, as the configuration allows",
            ),
            skew: histogram(
                "interdict_event_time_skew_seconds",
                "How far event time lies from arrival time, either way",
                vec![1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0, 604_800.0],
            ),
            webhooks: OnceLock::new(),
            consortium: OnceLock::new(),
            registry,
        };
        metrics.begin_at_zero();
        metrics
    }

    /// What has few labels is there from the start: a counter that appears with its first event shows Prometheus no
    /// increase, and an alert on it would miss just that event.
    fn begin_at_zero(&self) {
        for result in ["ok", "malformed", "invalid", "too_large", "list_delta"] {
            self.messages.with_label_values(&["http", result]).reset();
        }
        for dropped in [["feed", "unavailable"], ["decode", "dead_letter"]] {
            self.dropped.with_label_values(&dropped).reset();
        }
        for reason in ["queue", "express", "rate", "lists"] {
            self.not_admitted.with_label_values(&[reason]).reset();
        }
        for result in ["ok", "refused"] {
            self.reloads.with_label_values(&[result]).reset();
        }
        for outcome in Outcome::ALL {
            self.defaults.with_label_values(&[outcome.name()]).reset();
        }
    }

    /// A verdict was given on a message of a protocol.
    pub fn decided(&self, protocol: &str, source: &Source<'_>, took: Duration) {
        let generation = source.view.generation();
        let strongest = source.verdict.reasons.first();
        let (class, pack) = match strongest.map(|reason| &reason.source) {
            Some(ReasonSource::Rule(number) | ReasonSource::Name { rule: number, .. }) => {
                let rule = generation.rules().rule(*number);
                (rule.class().name(), rule.id().split('/').next().unwrap_or_default())
            }
            Some(ReasonSource::Entry { list, .. }) => {
                let sanctions = source.view.lists().list_meta(*list).is_some_and(|meta| meta.sanctions);
                (if sanctions { Class::Sanctions } else { Class::Fraud }.name(), "lists")
            }
            Some(ReasonSource::Default(_)) => ("default", "default"),
            Some(ReasonSource::Model(_)) => ("model", "model"),
            Some(ReasonSource::Stale(_)) => ("stale", "lists"),
            None => ("none", "none"),
        };
        let outcome = source.verdict.outcome.name();
        self.decisions.with_label_values(&[outcome, class, pack]).inc();
        self.duration.observe(took.as_secs_f64());
        self.messages.with_label_values(&[protocol, "ok"]).inc();
        for reason in &source.verdict.reasons {
            if let Some(number) = reason.source.rule() {
                let rule = generation.rules().rule(number);
                self.rule_hits.with_label_values(&[rule.id(), Mode::Live.name()]).inc();
            }
        }
        if !source.verdict.skipped.is_empty() {
            self.defaults.with_label_values(&[outcome]).inc();
        }
    }
    /// A retry was answered.
    pub fn replayed(&self) {
        self.replays.inc();
    }
    /// A request was not answered with a verdict.
    pub fn refused(&self, answered: &Answered) {
        match answered {
            Answered::Different(_) => self.conflicts.inc(),
            Answered::Unavailable(_) => self.dropped("feed", "unavailable"),
            Answered::Overloaded(why) => self.not_admitted(why.name()),
            _ => {}
        }
    }
    /// A verdict was told before it was safe on the disk.
    pub fn undurable(&self) {
        self.undurable.inc();
    }
    /// Something was refused for want of room or time, or for a quota.
    pub fn not_admitted(&self, reason: &str) {
        self.not_admitted.with_label_values(&[reason]).inc();
    }
    /// A record was wrong.
    pub fn rejected(&self, protocol: &str, result: &str) {
        self.messages.with_label_values(&[protocol, result]).inc();
    }
    /// Something found no room.
    pub fn dropped(&self, stage: &str, reason: &str) {
        self.dropped.with_label_values(&[stage, reason]).inc();
    }
    /// A publication was asked for.
    pub fn reloaded(&self, ok: bool, took: Duration) {
        self.reload_duration.observe(took.as_secs_f64());
        self.reloads.with_label_values(&[if ok { "ok" } else { "refused" }]).inc();
    }
    /// Event time lay this far from arrival time.
    pub fn skew(&self, ms: i64) {
        self.skew.observe(ms.unsigned_abs() as f64 / 1000.0);
    }

    /// Tells of webhooks too, from now on.
    pub fn watch_webhooks(&self, figures: Figures) {
        // Endpoints are opened once, at start.
        drop(self.webhooks.set(figures));
    }

    /// Tells of the member's part in an alliance too, from now on.
    pub fn watch_consortium(&self, figures: Arc<alliance::node::Figures>) {
        // A node is one member's, from its start on.
        drop(self.consortium.set(figures));
    }

    /// The exposition, with what the node counts itself read now.
    pub fn text(&self, node: &Node, entry: &Entry, lag: Duration) -> String {
        let now = Registry::new();
        let reading = Reading { now: &now };
        reading.node(node);
        if let Some(figures) = self.webhooks.get() {
            reading.webhooks(figures);
        }
        reading.member(self.consortium.get_or_init(Arc::default));
        reading.turns(entry);
        reading.seconds("interdict_io_lag_seconds", "How late the I/O threads are", lag);
        let mut families = self.registry.gather();
        families.extend(now.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("writing to memory");
        String::from_utf8(text).expect("the exposition is text")
    }
}
