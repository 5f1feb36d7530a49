//! Every metric in one table: names, units, labels from closed sets. `docs/OPERATIONS.md` lists the same, and a test
//! compares them. No label ever holds an identifier, a name or a caller's text.

mod snapshots;

use crate::answer::Source;
use crate::node::{Answered, Node};
use interdict_engine::domain::{Outcome, ReasonSource};
use interdict_engine::features::FollowKind;
use interdict_engine::freshness::{Freshness, WhenStale};
use interdict_engine::identity::{Evicted, IdentityStats};
use interdict_engine::rules::{Class, Mode};
use interdict_ledger::journal::{Failures, Journal};
use interdict_shaders::shader::Search;
use interdict_shaders::{FaultKind, Why};
use prometheus::core::{AtomicU64 as U64, GenericCounter, GenericCounterVec};
use prometheus::{Encoder, Gauge, Histogram, HistogramOpts, IntGaugeVec, Opts, Registry, TextEncoder};
use std::sync::atomic::{AtomicU64, Ordering};
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

    /// The exposition, with what the node counts itself read now.
    pub fn text(&self, node: &Node, lag: Duration) -> String {
        let now = Registry::new();
        let reading = Reading { now: &now };
        reading.node(node);
        reading.seconds("interdict_io_lag_seconds", "How late the I/O threads are", lag);
        let mut families = self.registry.gather();
        families.extend(now.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("writing to memory");
        String::from_utf8(text).expect("the exposition is text")
    }
}

/// What is read when somebody asks.
struct Reading<'a> {
    now: &'a Registry,
}

impl Reading<'_> {
    fn gauges(&self, name: &str, help: &str, labels: &[&str], rows: Vec<(Vec<String>, i64)>) {
        let gauges = IntGaugeVec::new(Opts::new(name, help), labels).expect("the table's names are valid");
        for (values, value) in rows {
            gauges.with_label_values(&values.iter().map(String::as_str).collect::<Vec<_>>()).set(value);
        }
        self.now.register(Box::new(gauges)).expect("the table's names are unique");
    }
    fn counters(&self, name: &str, help: &str, labels: &[&str], rows: Vec<(Vec<String>, u64)>) {
        let counters = Counters::new(Opts::new(name, help), labels).expect("the table's names are valid");
        for (values, value) in rows {
            counters.with_label_values(&values.iter().map(String::as_str).collect::<Vec<_>>()).inc_by(value);
        }
        self.now.register(Box::new(counters)).expect("the table's names are unique");
    }

    fn node(&self, node: &Node) {
        let stages = node.tally.stages();
        let by_stage = |count: fn(&crate::node::tally::StageSummary) -> u64| {
            stages.iter().map(|(stage, summary)| (vec![(*stage).to_owned()], count(summary))).collect()
        };
        let stage = &["stage"][..];
        self.counters(
            "interdict_stage_evaluated_total",
            "Transactions a stage ran for",
            stage,
            by_stage(|s| s.evaluated),
        );
        self.counters(
            "interdict_stage_hits_total",
            "Transactions a stage found something in",
            stage,
            by_stage(|s| s.hits),
        );
        self.counters(
            "interdict_stage_skipped_total",
            "Transactions a stage was skipped for, by reason",
            &["stage", "reason"],
            node.tally.skips().map(|(s, reason, count)| (vec![s.into(), reason.into()], count)).collect(),
        );
        let undecided = vec![(vec![], node.tally.undecided())];
        self.counters(
            "interdict_rules_undecided_total",
            "Rule evaluations that came to no answer",
            &[],
            undecided,
        );
        let failures = node.tally.model_failures(&node.view()).into_iter();
        self.counters(
            "interdict_model_failures_total",
            "Scores that failed inside a model's run: it said nothing then",
            &["model"],
            failures.map(|(model, count)| (vec![model], count)).collect(),
        );
        let shadow = node.tally.shadow_hits(&node.view());
        let rows = shadow.into_iter().map(|(rule, hits)| (vec![rule], hits)).collect();
        self.counters("interdict_shadow_hits_total", "Hits of rules in shadow mode", &["rule"], rows);
        let diffs = node.tally.shadow_diffs();
        let rows =
            diffs.map(|(from, to, count)| (vec![from.name().into(), to.name().into()], count)).collect();
        self.counters(
            "interdict_shadow_diff_total",
            "Verdicts with a shadow hit: as given, and as they were if shadow rules counted",
            &["from", "to"],
            rows,
        );
        let times = node.tally.times.collector();
        self.now.register(Box::new(times)).expect("the table's names are unique");
        self.gpu(node);
        self.sequencer(node);
        self.journal(node);
        self.generation(node);
    }

    /// All at zero where no GPU is used.
    fn gpu(&self, node: &Node) {
        let totals = node.gpu.as_ref().map(|gpu| gpu.totals()).unwrap_or_default();
        // Names are searched on the CPU, and no bank asks for a range of products.
        let searches = [Search::HammingRange, Search::HammingTopk, Search::DotTopk];
        self.counters(
            "interdict_gpu_queries_total",
            "Searches of banks that the GPU answered",
            &["search"],
            searches.map(|search| (vec![search.name().to_owned()], totals.gpu[search as usize])).into(),
        );
        self.counters(
            "interdict_simd_queries_total",
            "Searches of a bank's copy for the GPU that the CPU answered, by reason",
            &["reason"],
            Why::ALL.map(|why| (vec![why.name().to_owned()], totals.simd[why as usize])).into(),
        );
        self.counters(
            "interdict_gpu_faults_total",
            "Faults of the GPU, by kind",
            &["kind"],
            FaultKind::ALL.map(|kind| (vec![kind.name().to_owned()], totals.faults[kind as usize])).into(),
        );
        let batches = vec![(vec![], totals.batches)];
        self.counters("interdict_gpu_batches_total", "Batches that the GPU answered", &[], batches);
        let bytes = vec![(vec![], totals.bank_bytes as i64)];
        self.gauges("interdict_gpu_bank_bytes", "Bytes of banks on the GPU", &[], bytes);
        self.gauges("interdict_gpu_up", "1 while a GPU serves", &[], vec![(vec![], totals.up.into())]);
    }

    fn journal(&self, node: &Node) {
        let (writable, unwritten, failures) = node.with_core(|core| {
            let figures = |journal: &Journal| {
                (journal.trouble().is_none(), journal.unwritten_records(), journal.failures())
            };
            core.journal().map_or((true, 0, Failures::default()), figures)
        });
        let one = |value: i64| vec![(vec![], value)];
        self.gauges(
            "interdict_journal_writable",
            "1 while the disk takes the journal's records",
            &[],
            one(writable.into()),
        );
        self.gauges(
            "interdict_journal_unwritten_records",
            "Records in memory that the disk does not take",
            &[],
            one(unwritten as i64),
        );
        let Failures { full, io, sync } = failures;
        let rows = [("full", full), ("io", io), ("sync", sync)];
        self.counters(
            "interdict_journal_write_failures_total",
            "Writes and syncs of the journal that failed, tries again included",
            &["kind"],
            rows.map(|(kind, count)| (vec![kind.to_owned()], count)).into(),
        );
        self.now.register(Box::new(node.syncs.clone())).expect("the table's names are unique");
        self.snapshots(node);
    }

    fn sequencer(&self, node: &Node) {
        let (sequence, features, counts, waiting, identity, ready) = node.with_core(|core| {
            let s = &core.sequencer;
            let ready = core.refuses().is_none();
            let waiting = s.waiting().len();
            (s.last_sequence(), s.features().stats(), s.counts(), waiting, s.identity().stats(), ready)
        });
        let one = |value: i64| vec![(vec![], value)];
        self.gauges("interdict_sequence", "Last sequence given", &[], one(sequence as i64));
        self.gauges("interdict_ready", "1 when the node takes requests", &[], one(ready.into()));
        self.intake(node);
        let group = &["group"][..];
        let groups = &features.groups;
        let gauge = |value: fn(&interdict_engine::features::GroupStats) -> u64| {
            groups.iter().map(|g| (vec![g.name.clone()], value(g) as i64)).collect()
        };
        self.gauges("interdict_feature_keys", "Keys held", group, gauge(|g| g.keys));
        self.gauges("interdict_feature_events", "Events held", group, gauge(|g| g.events));
        self.gauges("interdict_feature_bytes", "Bytes of keys and events", group, gauge(|g| g.bytes));
        let counter = |value: fn(&interdict_engine::features::GroupStats) -> u64| {
            groups.iter().map(|g| (vec![g.name.clone()], value(g))).collect()
        };
        self.counters(
            "interdict_feature_evictions_total",
            "Keys evicted for a bound",
            group,
            counter(|g| g.evictions),
        );
        self.counters(
            "interdict_feature_late_total",
            "Events later than the lateness bound",
            group,
            counter(|g| g.late_beyond_horizon),
        );
        self.counters(
            "interdict_unmatched_total",
            "Labels, reversals and completions that have not met their payment and will not",
            &[],
            vec![(vec![], counts.unmatched)],
        );
        let kinds = FollowKind::ALL.into_iter();
        let rows = kinds.flat_map(|kind| {
            let row = move |(result, count): (&str, u64)| (vec![kind.name().into(), result.into()], count);
            counts.follow_ups.of(kind).rows().map(row)
        });
        self.counters(
            "interdict_follow_ups_total",
            "Reversals and completions, by what became of them",
            &["kind", "result"],
            rows.collect(),
        );
        self.gauges(
            "interdict_follow_ups_waiting",
            "Reversals and completions that wait for their payment",
            &[],
            one(waiting as i64),
        );
        self.identity(&identity);
    }

    fn seconds(&self, name: &str, help: &str, value: Duration) {
        let gauge = Gauge::new(name, help).expect("the table's names are valid");
        gauge.set(value.as_secs_f64());
        self.now.register(Box::new(gauge)).expect("the table's names are unique");
    }
    fn intake(&self, node: &Node) {
        let rows = node.intake.depths().into_iter();
        self.gauges(
            "interdict_queue_depth",
            "What waits for the sequencer, by queue and, where one is configured, tenant",
            &["queue", "tenant"],
            rows.map(|(queue, tenant, len)| (vec![queue.to_owned(), tenant], len as i64)).collect(),
        );
        self.seconds(
            "interdict_wait_estimate_seconds",
            "How long a payment that came now would wait for its verdict, as admission reckons",
            node.intake.wait_estimate(),
        );
        let [arrival, turn] = &node.intake.counts.express;
        let rows = [("arrival", arrival), ("turn", turn)];
        self.counters(
            "interdict_admission_express_total",
            "Payments that had no time for any stage, by when that was found",
            &["at"],
            rows.map(|(at, count)| (vec![at.to_owned()], count.load(Ordering::Relaxed))).into(),
        );
    }

    fn identity(&self, stats: &IdentityStats) {
        let rows = |rows: &[(&str, u64)]| -> Vec<(Vec<String>, u64)> {
            rows.iter().map(|(label, value)| (vec![(*label).to_owned()], *value)).collect()
        };
        let gauge = |name: &str, help: &str, at: &[(&str, u64)]| {
            let rows = rows(at).into_iter().map(|(label, value)| (label, value as i64)).collect();
            self.gauges(name, help, &["place"], rows);
        };
        gauge(
            "interdict_identity_keys",
            "Idempotency keys remembered, by place",
            &[("memory", stats.memory_keys), ("disk", stats.disk_keys)],
        );
        gauge(
            "interdict_identity_bytes",
            "Bytes of the idempotency keys, by place; the filter is in memory and of those on disk",
            &[("memory", stats.memory_bytes), ("filter", stats.filter_bytes), ("disk", stats.disk_bytes)],
        );
        let Evicted { age, room, tenants, failed } = stats.evicted;
        self.counters(
            "interdict_identity_evicted_total",
            "Idempotency keys forgotten, by reason",
            &["reason"],
            rows(&[("age", age), ("room", room), ("tenants", tenants), ("failed", failed)]),
        );
        self.counters(
            "interdict_identity_failures_total",
            "Reads and writes of identity's disk store that failed",
            &[],
            vec![(vec![], stats.failures)],
        );
    }

    fn generation(&self, node: &Node) {
        let view = node.view();
        let lists = view.lists();
        let rows = (0..lists.len() as u16)
            .filter_map(|number| {
                let base = view.generation().lists().list(number).map_or(0, |list| list.len());
                lists.list_name(number).map(|name| (vec![name.to_owned()], base as i64))
            })
            .collect();
        self.gauges("interdict_list_entries", "Entries of a list's base", &["list"], rows);
        let times = node.list_times().into_iter();
        self.gauges(
            "interdict_list_version_timestamp_seconds",
            "When a list's content was last changed: its file when it was read, or a delta",
            &["list"],
            times.map(|(name, changed_ms)| (vec![name], changed_ms.div_euclid(1000))).collect(),
        );
        let now_ms = crate::node::now_ms();
        let policies = WhenStale::ALL.into_iter();
        let stale = policies.flat_map(|policy| {
            let is_stale = |place| view.stale(policy, now_ms).any(|(stale, _)| stale == place);
            let all = view.generation().settings().freshness.iter().enumerate();
            let of_policy = all.filter(move |(_, known)| known.when_stale == policy);
            let row = |(place, known): (usize, &Freshness)| {
                (vec![known.list.clone(), policy.name().to_owned()], i64::from(is_stale(place)))
            };
            of_policy.map(row).collect::<Vec<_>>()
        });
        self.gauges(
            "interdict_list_stale",
            "1 while a list is older than its fresh_for",
            &["list", "when_stale"],
            stale.collect(),
        );
        self.gauges(
            "interdict_list_overlay_entries",
            "Changes by deltas since the base",
            &[],
            vec![(vec![], view.overlay().len() as i64)],
        );
        let count = |counted: &AtomicU64| counted.load(Ordering::Relaxed);
        let folds = [("ok", count(&node.folds.ok)), ("failed", count(&node.folds.failed))];
        self.counters(
            "interdict_list_folds_total",
            "Folds of list deltas into the base, by result",
            &["result"],
            folds.map(|(result, count)| (vec![result.to_owned()], count)).into(),
        );
        let duration = node.folds.duration.clone();
        self.now.register(Box::new(duration)).expect("the table's names are unique");
        let packs = view.generation().packs().iter();
        let rows =
            packs.map(|pack| (vec![pack.name().to_owned(), pack.manifest.version.clone()], 1)).collect();
        self.gauges("interdict_pack_info", "1 for each pack in force", &["id", "version"], rows);
        self.gauges(
            "interdict_generation_info",
            "1 for the generation in force",
            &["generation"],
            vec![(vec![format!("g-{}", view.id().short())], 1)],
        );
        let (kept, bytes) = node.built();
        self.gauges(
            "interdict_generations_kept",
            "Generations held in memory beside the one in force",
            &[],
            vec![(vec![], kept as i64)],
        );
        let which = ["in_force", "kept"].into_iter().zip(bytes);
        self.gauges(
            "interdict_generation_bytes",
            "Bytes of the lists' tables and snapshots of the generation in force, and of those kept beside it",
            &["which"],
            which.map(|(which, bytes)| (vec![which.to_owned()], bytes as i64)).collect(),
        );
    }
}
