//! A feed of files through the node: the same path as live, with arrival time = event time. One thread decodes, this
//! one merges labels in and submits, one collects verdicts in their order.

pub mod collect;
pub mod source;

use crate::node::{Answered, Job, Node};
use anyhow::{Result, anyhow, bail};
use collect::{Collected, Collector, Message};
use indicatif::{ProgressBar, ProgressStyle};
use interdict_engine::domain::{Body, Event, Label};
use interdict_engine::sequencer::Submission;
use serde::Serialize;
use source::{Prepared, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Jobs that may be with the node at once; past it the feed waits.
const OUT_MAX: usize = 4096;

/// What is replayed and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Files, in order.
    pub feeds: Vec<PathBuf>,
    /// A JSONL file that is read after them, and on as it grows, until `stop`.
    pub follow: Option<PathBuf>,
    /// Set when the followed file is to end.
    pub stop: Arc<AtomicBool>,
    /// Files that feed state without verdicts, before them.
    pub warmup: Vec<PathBuf>,
    /// Event seconds per second; `None`: as fast as it goes.
    pub speed: Option<f64>,
    /// A Parquet file for the slots as they were stamped, and the labels.
    pub features: Option<PathBuf>,
    /// Whether to show progress on stderr.
    pub progress: bool,
}

/// What `replay` prints last, on one line.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Transactions with a verdict of this run.
    pub transactions: u64,
    /// Records that were not taken.
    pub rejected: u64,
    /// Retries of a payment that had its verdict.
    pub duplicates: u64,
    /// Labels that were applied.
    pub labels: u64,
    /// Transactions that fed the state without a verdict.
    pub warmup: u64,
    /// Verdicts by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The generation in force at the end.
    pub generation: String,
    /// SHA-256 over the canonical verdicts in order.
    pub verdict_digest: String,
    /// Counts by stage.
    pub stages: BTreeMap<&'static str, crate::node::tally::StageSummary>,
    /// Transactions each lane decided.
    pub lanes: Vec<u64>,
    /// Everything that depends on the clock.
    pub timing: Timing,
}

/// What depends on the clock.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// Seconds, warm-up not included.
    pub elapsed_s: f64,
    /// Transactions a second.
    pub throughput_tps: f64,
    /// From submission to durable verdict.
    pub latency_us: Latency,
    /// Seconds of the warm-up.
    pub warmup_s: f64,
}

/// Percentiles in µs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// Replays.
///
/// # Errors
/// A feed that cannot be read, a node that takes no more, a sink that cannot be written.
pub fn run(node: &Arc<Node>, plan: &Plan) -> Result<Summary> {
    let source = Source::new(node, plan)?;
    let bar = progress(plan, source.records());
    let mut labels = Labels::default();
    let (warmup, warmup_s) = warm_up(node, plan, &mut labels, &bar)?;
    let collector = Collector::start(node, plan.features.as_deref())?;
    let began = Instant::now();
    let mut feeder =
        Feeder { node, collector: &collector, out: Arc::default(), jobs: Vec::new(), labels, first: None };
    let rejected = source.run(|prepared| {
        bar.inc(1);
        feeder.take(prepared, plan.speed, plan.follow.is_some())
    })?;
    feeder.flush();
    feeder.wait_below(1)?;
    let feeder_labels = feeder.labels.applied;
    let collected = collector.finish()?;
    let elapsed_s = began.elapsed().as_secs_f64();
    bar.finish_and_clear();
    Ok(summary(node, collected, rejected, feeder_labels, warmup, (elapsed_s, warmup_s)))
}

fn summary(
    node: &Node,
    collected: Collected,
    rejected: u64,
    labels: u64,
    warmup: u64,
    (elapsed_s, warmup_s): (f64, f64),
) -> Summary {
    Summary {
        transactions: collected.verdicts,
        rejected: rejected + collected.refused,
        duplicates: collected.duplicates,
        labels,
        warmup,
        outcomes: node.tally.outcomes(),
        generation: node.view().id().to_string(),
        verdict_digest: collected.digest,
        stages: node.tally.stages(),
        lanes: node.tally.lanes(),
        timing: Timing {
            elapsed_s,
            throughput_tps: collected.verdicts as f64 / elapsed_s.max(1e-9),
            latency_us: collected.latency,
            warmup_s,
        },
    }
}

fn progress(plan: &Plan, records: Option<u64>) -> ProgressBar {
    if !plan.progress {
        return ProgressBar::hidden();
    }
    let bar = records.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Feeds the state from the warm-up files; their labels that are not visible yet go on into the run.
fn warm_up(node: &Arc<Node>, plan: &Plan, labels: &mut Labels, bar: &ProgressBar) -> Result<(u64, f64)> {
    if plan.warmup.is_empty() {
        return Ok((0, 0.0));
    }
    let began = Instant::now();
    let source = Source::new(node, &Plan { feeds: plan.warmup.clone(), follow: None, ..plan.clone() })?;
    bar.set_message("warm-up");
    let (mut count, mut batch) = (0, Vec::with_capacity(OUT_MAX));
    source.run(|prepared| {
        labels.due(prepared.time_ms(), |label| batch.push(label));
        labels.remember(&prepared);
        batch.push(prepared.submission);
        count += 1;
        if batch.len() >= OUT_MAX {
            node.warm_up(batch.drain(..));
        }
        Ok(())
    })?;
    node.warm_up(batch);
    Ok((count, began.elapsed().as_secs_f64()))
}

/// Labels that wait for their time: by the earliest event time at which they may be seen, then in feed order.
#[derive(Default)]
struct Labels {
    waiting: BTreeMap<(i64, u64), Submission>,
    seen: u64,
    applied: u64,
}

impl Labels {
    fn remember(&mut self, prepared: &Prepared) {
        // A feed that says "good" of all the rest says nothing that the state does not assume; only fraud is an event.
        let Some(label) = prepared.label.filter(|known| known.label == Label::Fraud) else { return };
        let Some(key) = prepared.identity() else { return };
        self.seen += 1;
        let time_ms = label.visible_at_ms;
        let body = Body::Label { target: 0, label: label.label, time_ms };
        let event = Event { tenant: prepared.submission.event.tenant.clone(), arrival_ms: time_ms, body };
        let submission =
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: Some(key.into()) };
        self.waiting.insert((time_ms, self.seen), submission);
    }
    /// Hands out the labels that are visible to an event at `time_ms`.
    fn due(&mut self, time_ms: i64, mut each: impl FnMut(Submission)) {
        while let Some(entry) = self.waiting.first_entry() {
            if entry.key().0 > time_ms {
                return;
            }
            self.applied += 1;
            each(entry.remove());
        }
    }
}

struct Feeder<'a> {
    node: &'a Arc<Node>,
    collector: &'a Collector,
    out: Arc<AtomicUsize>,
    jobs: Vec<Job>,
    labels: Labels,
    /// Event time and moment of the first record, which paces the rest.
    first: Option<(i64, Instant)>,
}

impl Feeder<'_> {
    /// Takes a record; `at_once` where the next may be long in coming.
    fn take(&mut self, prepared: Prepared, speed: Option<f64>, at_once: bool) -> Result<()> {
        let time_ms = prepared.time_ms();
        if let Some(speed) = speed {
            self.pace(time_ms, speed);
        }
        let mut due = Vec::new();
        self.labels.due(time_ms, |label| due.push(label));
        for label in due {
            self.push(label, None);
        }
        self.labels.remember(&prepared);
        let label = prepared.label.map(|known| known.label);
        self.push(prepared.submission, label);
        if self.jobs.len() >= interdict_engine::limits::MICRO_BATCH_MAX || speed.is_some() || at_once {
            self.flush();
            self.wait_below(OUT_MAX)?;
        }
        Ok(())
    }
    fn pace(&mut self, time_ms: i64, speed: f64) {
        let (first_ms, began) = *self.first.get_or_insert((time_ms, Instant::now()));
        let offset_s = (time_ms - first_ms).max(0) as f64 / 1000.0 / speed;
        let due = began + Duration::from_secs_f64(offset_s);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    fn push(&mut self, submission: Submission, label: Option<Label>) {
        let (out, send) = (self.out.clone(), self.collector.sender());
        out.fetch_add(1, Ordering::AcqRel);
        let began = Instant::now();
        let reply = Box::new(move |answered: Answered| {
            drop(send.send(Message { answered, took: began.elapsed(), label }));
            out.fetch_sub(1, Ordering::AcqRel);
        });
        self.jobs.push(Job { submission, deadline: None, reply });
    }
    fn flush(&mut self) {
        self.node.submit(self.jobs.drain(..));
    }
    fn wait_below(&self, bound: usize) -> Result<()> {
        while self.out.load(Ordering::Acquire) >= bound {
            std::thread::yield_now();
            if let Err(why) = self.node.ready() {
                bail!("{why}");
            }
        }
        self.collector.check().map_err(|why| anyhow!("{why}"))
    }
}
