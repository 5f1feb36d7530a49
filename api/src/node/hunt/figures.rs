//! What hunting the window came to, for metrics and status.

use interdict_engine::domain::{FoundNow, Learned, LearnedWhat};
use interdict_engine::settlement::CutOffFrom;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Figures of a node's hunts.
#[derive(Debug, Default)]
pub struct Figures {
    state: Mutex<State>,
    done: AtomicU64,
    /// Payments judged again.
    pub judged: AtomicU64,
    /// Payments whose text could not be read any more, so that they were judged without it.
    pub unreadable: AtomicU64,
    /// Hunts that came to their end.
    pub hunts: AtomicU64,
    /// Rounds that failed and are tried again.
    pub failures: AtomicU64,
    /// Payments that came into the window by where their cut-off is from, in the order of [`CutOffFrom::ALL`].
    pub cut_offs: [AtomicU64; CutOffFrom::ALL.len()],
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// Holds placed, cases too late and releases proposed, by what was learned.
    found: BTreeMap<String, [u64; 3]>,
    last: Option<(Duration, u64)>,
    failed: Option<String>,
}

#[derive(Debug)]
struct Running {
    began: Instant,
    through: u64,
    total: u64,
}

/// A hunt, as it stands.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Reading {
    /// Whether one runs.
    pub running: bool,
    /// The sequence it will have hunted through.
    pub through: u64,
    /// Payments it has looked at, and has to.
    pub done: u64,
    /// As there.
    pub total: u64,
    /// How long it has run, or the last one took, in seconds.
    pub seconds: f64,
    /// How many payments the last one looked at.
    pub last_total: u64,
    /// Why the last round failed, where one did and no later one succeeded.
    pub failed: Option<String>,
}

impl Figures {
    pub(super) fn begin(&self, through: u64, total: u64) {
        self.done.store(0, Relaxed);
        self.state.lock().running = Some(Running { began: Instant::now(), through, total });
    }
    pub(super) fn done(&self, rows: u64) {
        self.done.fetch_add(rows, Relaxed);
    }
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        if let Some(Running { began, total, .. }) = state.running.take() {
            state.last = Some((began.elapsed(), total));
        }
        state.failed = None;
        self.hunts.fetch_add(1, Relaxed);
    }
    pub(super) fn failed(&self, why: &anyhow::Error) {
        let mut state = self.state.lock();
        (state.running, state.failed) = (None, Some(format!("{why:#}")));
        self.failures.fetch_add(1, Relaxed);
    }
    pub(super) fn found(&self, now: &FoundNow) {
        let (place, learned) = match now {
            FoundNow::Stops { opened, too_late } => (usize::from(*too_late), opened.learned.as_ref()),
            FoundNow::Frees { learned, .. } => (2, Some(learned)),
        };
        let by = learned.map_or_else(|| "unknown".to_owned(), name);
        self.state.lock().found.entry(by).or_default()[place] += 1;
    }
    /// A hunt, as it stands.
    pub fn reading(&self) -> Reading {
        let state = self.state.lock();
        let done = self.done.load(Relaxed);
        let last_total = state.last.map_or(0, |(_, total)| total);
        let last_s = state.last.map_or(0.0, |(took, _)| took.as_secs_f64());
        let failed = state.failed.clone();
        match &state.running {
            Some(Running { began, through, total }) => Reading {
                running: true,
                through: *through,
                done: done.min(*total),
                total: *total,
                seconds: began.elapsed().as_secs_f64(),
                last_total,
                failed,
            },
            None => Reading { seconds: last_s, last_total, failed, ..Reading::default() },
        }
    }
    /// Holds placed, cases too late and releases proposed, by what was learned: a list's name, or `generation`, `label`.
    pub fn hits(&self) -> BTreeMap<String, [u64; 3]> {
        self.state.lock().found.clone()
    }
}

/// What was learned as a metric's label: lists are few, and their names no secret.
fn name(learned: &Learned) -> String {
    match &learned.what {
        LearnedWhat::List(name) => name.clone(),
        other => other.name().to_owned(),
    }
}
