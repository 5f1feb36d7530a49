//! The thread that folds list deltas into the base before they reach the overlay's bound. It sleeps until the core
//! says that the overlay has grown to `lists.fold_at`; what it makes is published like any other generation. A fold
//! that fails changes nothing and is tried again, less and less often.

use super::background::Background;
use super::{Node, fold};
use anyhow::Result;
use interdict_engine::domain::GenerationId;
use prometheus::{Histogram, HistogramOpts};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wait after the first fold that failed; twice as long after each further one, up to `BACKOFF_MAX`.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Folded generations held in memory for looking up verdicts; older ones are built again when asked for.
const BUILT_FOLDS_MAX: usize = 2;

/// What the folds of a node came to.
#[derive(Debug)]
pub struct Folds {
    /// Published.
    pub ok: AtomicU64,
    /// Failed, and tried again later.
    pub failed: AtomicU64,
    /// From the view taken to the publication durable, in seconds.
    pub duration: Histogram,
}

impl Default for Folds {
    fn default() -> Folds {
        // 1 ms to 65 s by factors of two.
        let buckets = (0..17).map(|n| 1e-3 * f64::from(1u32 << n)).collect();
        let name = "interdict_list_fold_duration_seconds";
        let options = HistogramOpts::new(name, "From the view taken to the folded generation published");
        let duration = Histogram::with_opts(options.buckets(buckets)).expect("the name is valid");
        Folds { ok: AtomicU64::new(0), failed: AtomicU64::new(0), duration }
    }
}

/// How the core asks for a fold.
#[derive(Debug, Clone)]
pub struct Caller {
    at: usize,
    due: Arc<AtomicBool>,
    thread: Thread,
}

impl Caller {
    /// Tells the thread when the overlay has so many changes.
    pub fn grown(&self, changes: usize) {
        if changes >= self.at {
            self.due.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }
}

/// Starts the thread of a node, and gives what calls it; a fold that has begun is finished before it ends.
pub fn start(node: Weak<Node>, at: usize) -> (Background, Caller) {
    let due = Arc::new(AtomicBool::new(false));
    let asked = due.clone();
    let folding = Background::start("fold", move |stop| run(&node, stop, &asked));
    let caller = Caller { at, due, thread: folding.thread() };
    (folding, caller)
}

fn run(node: &Weak<Node>, stop: &AtomicBool, due: &AtomicBool) {
    let (mut failures, mut not_before) = (0u32, Instant::now());
    while !stop.load(Ordering::Acquire) {
        let wait = not_before.saturating_duration_since(Instant::now());
        if !due.load(Ordering::Acquire) {
            thread::park();
        } else if !wait.is_zero() {
            thread::park_timeout(wait);
        } else {
            // Held for this fold only, so that whoever closes the node finds itself its last holder.
            let Some(node) = node.upgrade() else { return };
            // Before the view is taken: what comes after it asks anew.
            due.store(false, Ordering::Release);
            match node.fold(node.clock.wall_ms()) {
                Ok(_) => failures = 0,
                Err(e) => {
                    let backoff = BACKOFF_MIN.saturating_mul(1 << failures.min(6)).min(BACKOFF_MAX);
                    tracing::error!(
                        "list deltas could not be folded into the base: {e:#}; trying again in {} s",
                        backoff.as_secs()
                    );
                    (failures, not_before) = (failures + 1, Instant::now() + backoff);
                    due.store(true, Ordering::Release);
                }
            }
        }
    }
}

impl Node {
    /// Folds the list deltas in force into the base and publishes that: the same entries, and an overlay with room.
    /// The generation published; `None` where there are no deltas.
    ///
    /// # Errors
    /// When it cannot be built, kept or published; everything is as before then.
    pub fn fold(&self, now_ms: i64) -> Result<Option<GenerationId>> {
        let _publishing = self.publishing.lock();
        let (began, view) = (Instant::now(), self.view());
        let changes = view.overlay().len();
        if changes == 0 {
            return Ok(None);
        }
        let published = fold::folded(&view, &self.store, &self.keys)
            .and_then(|generation| self.publish_next(generation, now_ms))
            .inspect_err(|_| {
                self.folds.failed.fetch_add(1, Ordering::Relaxed);
            })?;
        let took = began.elapsed();
        self.folds.ok.fetch_add(1, Ordering::Relaxed);
        self.folds.duration.observe(took.as_secs_f64());
        self.let_go_of_folds(published.hash);
        let left = self.view().overlay().len();
        let duration_ms = took.as_millis() as u64;
        tracing::info!(changes, left, duration_ms, generation = %published, "list deltas folded");
        Ok(Some(published))
    }

    /// An index of all lists is large, and there is a new one with each fold.
    fn let_go_of_folds(&self, newest: [u8; 32]) {
        let mut recent = self.recent_folds.lock();
        recent.push_back(newest);
        while recent.len() > BUILT_FOLDS_MAX {
            let oldest = recent.pop_front();
            oldest.and_then(|hash| self.generations.lock().remove(&hash));
        }
    }
}
