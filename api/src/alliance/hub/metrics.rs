//! The hub's metrics in one table; `docs/OPERATIONS.md` lists the same, and a test compares them. No label ever holds a
//! member's name: who asked how much is in the log, for those who may see it.

use prometheus::core::{AtomicU64 as U64, GenericCounter, GenericCounterVec};
use prometheus::{Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, Opts, Registry, TextEncoder};
use std::time::Duration;

type Counters = GenericCounterVec<U64>;
type Counter = GenericCounter<U64>;

/// What a request was about; the label `call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A part of a log.
    Log,
    /// A proposal, or those that wait.
    Propose,
    /// A contribution, or a body.
    Contribute,
    /// An epoch or a cosignature of one.
    Epoch,
    /// A query.
    Evaluate,
    /// A witness's cosignature.
    Witness,
    /// Openings.
    Openings,
    /// Usage and statements.
    Statement,
    /// A path that is not there.
    None,
}

impl Call {
    /// All.
    pub const ALL: [Call; 9] = [
        Call::Log,
        Call::Propose,
        Call::Contribute,
        Call::Epoch,
        Call::Evaluate,
        Call::Witness,
        Call::Openings,
        Call::Statement,
        Call::None,
    ];
    /// Its label.
    pub const fn name(self) -> &'static str {
        match self {
            Call::Log => "log",
            Call::Propose => "propose",
            Call::Contribute => "contribute",
            Call::Epoch => "epoch",
            Call::Evaluate => "evaluate",
            Call::Witness => "witness",
            Call::Openings => "openings",
            Call::Statement => "statement",
            Call::None => "none",
        }
    }
    /// Of a path below `/alliance/v1/`.
    pub fn of(path: &str) -> Call {
        let path = path.strip_prefix("/alliance/v1/").unwrap_or_default();
        match path.split('/').next().unwrap_or_default() {
            "governance" | "queries" => Call::Log,
            "propose" | "pending" => Call::Propose,
            "contribute" | "body" => Call::Contribute,
            "epoch" => Call::Epoch,
            "evaluate" => Call::Evaluate,
            "add-checkpoint" => Call::Witness,
            "openings" => Call::Openings,
            "usage" | "statement" => Call::Statement,
            _ => Call::None,
        }
    }
}

/// Counters and gauges.
pub struct Metrics {
    registry: Registry,
    requests: Counters,
    duration: Histogram,
    items: Counter,
    leaves: GaugeVec,
    checkpoint: GaugeVec,
    epoch: Gauge,
    epoch_built: Gauge,
    epoch_waits: Gauge,
    epoch_rows: Gauge,
    members: Gauge,
    pending: Gauge,
    failed: Counters,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = Counters::new(Opts::new(name, help), labels).expect("the table's names are valid");
            registry.register(Box::new(made.clone())).expect("the table's names are unique");
            made
        };
        let gauge = |name: &str, help: &str| {
            let made = Gauge::new(name, help).expect("the table's names are valid");
            registry.register(Box::new(made.clone())).expect("the table's names are unique");
            made
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let made = GaugeVec::new(Opts::new(name, help), labels).expect("the table's names are valid");
            registry.register(Box::new(made.clone())).expect("the table's names are unique");
            made
        };
        let items = Counter::new("interdict_hub_query_items_total", "Items evaluated for members");
        let items = items.expect("the table's names are valid");
        registry.register(Box::new(items.clone())).expect("the table's names are unique");
        let duration = HistogramOpts::new(
            "interdict_hub_evaluate_duration_seconds",
            "From a query's last byte to its durable, promised answer",
        );
        let buckets = (0..14).map(|n| 5e-4 * f64::from(1u32 << n)).collect();
        let duration = Histogram::with_opts(duration.buckets(buckets)).expect("the table's names are valid");
        registry.register(Box::new(duration.clone())).expect("the table's names are unique");
        let metrics = Metrics {
            requests: counters(
                "interdict_hub_requests_total",
                "Requests answered, by call and result (ok, refused, forbidden, busy, failed)",
                &["call", "result"],
            ),
            duration,
            items,
            leaves: gauges("interdict_hub_log_leaves", "Leaves of a log", &["log"]),
            checkpoint: gauges(
                "interdict_hub_checkpoint_timestamp_seconds",
                "When a log's newest checkpoint was signed, Unix time",
                &["log"],
            ),
            epoch: gauge("interdict_hub_epoch", "Number of the newest epoch with its quorum"),
            epoch_built: gauge("interdict_hub_epoch_timestamp_seconds", "When it was built, Unix time"),
            epoch_waits: gauge("interdict_hub_epoch_waits", "1 while an epoch waits for cosignatures"),
            epoch_rows: gauge("interdict_hub_epoch_rows", "Active signals of the newest epoch"),
            members: gauge("interdict_hub_members", "Active members"),
            pending: gauge("interdict_hub_pending", "Proposals that wait for signatures"),
            failed: counters("interdict_hub_failures_total", "What the hub could not do, by task", &["task"]),
            registry,
        };
        for call in Call::ALL {
            for result in ["ok", "refused", "forbidden", "busy", "failed"] {
                metrics.requests.with_label_values(&[call.name(), result]).reset();
            }
        }
        for log in ["governance", "queries"] {
            metrics.leaves.with_label_values(&[log]).set(0.0);
            metrics.checkpoint.with_label_values(&[log]).set(0.0);
        }
        for task in ["checkpoint", "epoch"] {
            metrics.failed.with_label_values(&[task]).reset();
        }
        metrics
    }
    /// A request was answered with an HTTP status.
    pub fn answered(&self, call: Call, status: u16) {
        let result = match status {
            200..=299 => "ok",
            401 | 403 => "forbidden",
            429 | 503 => "busy",
            500..=599 => "failed",
            _ => "refused",
        };
        self.requests.with_label_values(&[call.name(), result]).inc();
    }
    /// A query was answered.
    pub fn evaluated(&self, items: u64, took: Duration) {
        self.items.inc_by(items);
        self.duration.observe(took.as_secs_f64());
    }
    /// A log has a checkpoint over so many leaves.
    pub fn checkpoint(&self, log: &str, leaves: u64, at_ms: u64) {
        self.leaves.with_label_values(&[log]).set(leaves as f64);
        self.checkpoint.with_label_values(&[log]).set(at_ms as f64 / 1000.0);
    }
    /// An epoch has its quorum.
    pub fn epoch(&self, number: u64, built_ms: u64, rows: u64) {
        self.epoch.set(number as f64);
        self.epoch_built.set(built_ms as f64 / 1000.0);
        self.epoch_rows.set(rows as f64);
    }
    /// Whether an epoch waits for cosignatures.
    pub fn epoch_waits(&self, waits: bool) {
        self.epoch_waits.set(f64::from(u8::from(waits)));
    }
    /// How many members are active and how many proposals wait.
    pub fn governance(&self, members: usize, pending: usize) {
        self.members.set(members as f64);
        self.pending.set(pending as f64);
    }
    /// A task failed; it is tried again.
    pub fn failed(&self, task: &str) {
        self.failed.with_label_values(&[task]).inc();
    }
    /// The exposition.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("writing to memory");
        String::from_utf8(text).expect("the exposition is text")
    }
}
