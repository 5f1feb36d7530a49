//! What the node counts itself, read when somebody asks for the metrics.

mod keys;
mod member;
mod archive;
mod settlement;
mod snapshots;
mod webhooks;

use super::Counters;
use crate::http::entry::{Entry, Figures};
use crate::node::{Node, finish};
use interdict_engine::features::FollowKind;
use interdict_engine::freshness::{Freshness, WhenStale};
use interdict_engine::identity::{Evicted, IdentityStats};
use interdict_ledger::journal::{Failures, Journal};
use interdict_shaders::shader::Search;
use interdict_shaders::{FaultKind, Why};
use prometheus::{Gauge, IntGaugeVec, Opts, Registry};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is read when somebody asks.
pub(super) struct Reading<'a> {
    pub now: &'a Registry,
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

    pub fn node(&self, node: &Node) {
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
        self.counters(
            "interdict_names_screened_total",
            "Names screened: searched for in the watchlists, or known from before",
            &["how"],
            node.tally.names().map(|(how, count)| (vec![how.to_owned()], count)).into(),
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
        self.keys(node);
        self.settlement(node);
        self.archive(node);
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
        self.finish(node);
        self.consortium(node);
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

    pub fn seconds(&self, name: &str, help: &str, value: Duration) {
        self.float(name, help, value.as_secs_f64());
    }
    fn float(&self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::new(name, help).expect("the table's names are valid");
        gauge.set(value);
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

    /// Who waits to be read.
    pub fn turns(&self, entry: &Entry) {
        let Figures { waiting: (for_turn, for_answer), given, pace } = entry.figures();
        let waiting = [("turn", for_turn), ("answer", for_answer)];
        self.gauges(
            "interdict_turns_waiting",
            "Requests that came and are not read yet, by what they wait for",
            &["for"],
            waiting.map(|(what, count)| (vec![what.to_owned()], count as i64)).into(),
        );
        let [full, default, refused] = given;
        let given = [("full", full), ("default", default), ("refused", refused)];
        self.counters(
            "interdict_turns_total",
            "Requests that were let in to be decided, let in for a default, or refused unread",
            &["turn"],
            given.map(|(turn, count)| (vec![turn.to_owned()], count)).into(),
        );
        self.seconds("interdict_turn_seconds", "From one turn to the next while others wait", pace);
    }

    fn finish(&self, node: &Node) {
        let finish = &node.finish;
        let (waiting, first_ms) = finish.waiting();
        let one = |value: u64| vec![(vec![], value)];
        self.gauges(
            "interdict_finish_queue_depth",
            "Payments without some stage that wait to be finished",
            &[],
            vec![(vec![], waiting as i64)],
        );
        let age_ms = first_ms.map_or(0, |first_ms| node.clock.wall_ms().saturating_sub(first_ms));
        self.gauges(
            "interdict_finish_cut_off_age_seconds",
            "How long ago the earliest cut-off among them was; negative: so long until it",
            &[],
            vec![(vec![], age_ms.div_euclid(1000))],
        );
        let rows = finish::changes(finish).map(|(from, to, count)| (vec![from.into(), to.into()], count));
        self.counters(
            "interdict_finished_total",
            "Payments finished, by the outcome that was answered and the one that they came to",
            &["from", "to"],
            rows.collect(),
        );
        let (not_kept, unreadable) = (&finish.not_kept, &finish.unreadable);
        let rows = [("not_kept", not_kept), ("unreadable", unreadable)];
        self.counters(
            "interdict_finish_failed_total",
            "Payments that can no longer be finished, by reason",
            &["reason"],
            rows.map(|(why, count)| (vec![why.to_owned()], count.load(Ordering::Relaxed))).into(),
        );
        self.counters(
            "interdict_finish_let_go_total",
            "Payments that the queue had no room for; they are looked for in the journal later",
            &[],
            one(finish.queue().let_go()),
        );
        self.counters(
            "interdict_finish_passes_total",
            "Passes over the journal to make views again or to find what was let go",
            &[],
            one(finish.passes.load(Ordering::Relaxed)),
        );
        let duration = finish.duration.clone();
        self.now.register(Box::new(duration)).expect("the table's names are unique");
    }

    fn consortium(&self, node: &Node) {
        let view = node.view();
        let alive = node.consortium_versions();
        let under = view.generation().lists().lists().iter().filter_map(|list| list.meta().consortium);
        let missing = under.filter(|of| !alive.contains(&of.version)).count();
        for (name, help, value) in [
            (
                "interdict_consortium_keys",
                "Versions of the consortium's key that tags are made under",
                alive.len(),
            ),
            ("interdict_consortium_keys_missing", "Consortium lists in force whose key is not held", missing),
            ("interdict_consortium_candidates", "Payments that wait to be confirmed", node.confirming()),
            (
                "interdict_consortium_identifiers",
                "Identifiers of candidates in memory",
                node.keys.vault.len(),
            ),
        ] {
            self.gauges(name, help, &[], vec![(vec![], value as i64)]);
        }
        let rows = node.finish.confirmed.all().map(|(answer, count)| (vec![answer.to_owned()], count));
        self.counters(
            "interdict_consortium_confirmations_total",
            "Payments whose candidates were settled, by what was said of them",
            &["answer"],
            rows.collect(),
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
        let now_ms = node.clock.wall_ms();
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
