//! The end of names and texts: closes a segment that has taken records for long enough, and destroys the data keys of
//! those whose newest record has passed its retention. On a thread of its own; the path waits for none of it but the
//! closing of a segment, which is what it does at a full one.

use super::Node;
use super::background::Background;
use interdict_engine::domain::Accepted;
use interdict_ledger::dead_letter::DeadLetters;
use interdict_ledger::journal::{KeyState, Retention, SegmentInfo};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How often it is looked whether something has passed its retention.
const LOOK: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What retention has done and has left to do.
#[derive(Debug, Default)]
pub struct Retained {
    /// Data keys destroyed since the start.
    pub destroyed: AtomicU64,
    /// Files of dead letters destroyed since the start.
    pub letters: AtomicU64,
    /// Tries that failed.
    pub failures: AtomicU64,
    /// Segments past their retention whose text is still readable.
    pub overdue: AtomicU64,
    /// Segments whose text is readable.
    pub readable: AtomicU64,
}

/// What a node knows for its retention.
pub struct Keeping {
    journal: Retention,
    /// When the newest record of each closed segment came, ms since the Unix epoch.
    newest_ms: Mutex<BTreeMap<u64, i64>>,
    looked_ms: AtomicI64,
    /// Where wrong records are kept, once somebody serves.
    letters: Mutex<Option<Arc<Mutex<DeadLetters>>>>,
    /// What came of it.
    pub done: Retained,
}

impl Keeping {
    /// Of a journal.
    pub fn new(journal: Retention) -> Keeping {
        Keeping {
            journal,
            newest_ms: Mutex::default(),
            looked_ms: AtomicI64::new(0),
            letters: Mutex::default(),
            done: Retained::default(),
        }
    }
    /// Keeps the retention of dead letters too, from now on.
    pub fn keep_letters(&self, letters: Arc<Mutex<DeadLetters>>) {
        *self.letters.lock() = Some(letters);
    }
    /// When it was last looked for what has passed its retention, ms since the Unix epoch.
    pub fn looked_ms(&self) -> i64 {
        self.looked_ms.load(Ordering::Relaxed)
    }
    /// What is known of each segment.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.journal.segments()
    }
}

impl Node {
    /// Closes the open segment where it is old enough, and destroys what has passed its retention at a moment, in ms
    /// since the Unix epoch. What fails is told to the log, counted, and tried again the next time.
    pub fn retain(&self, now_ms: i64) {
        let keeping = &self.keeping;
        let journal = &self.loaded.config.journal;
        self.close_old_segment(now_ms, i64::from(journal.segment_max_h) * HOUR_MS);
        // Without a retention nothing is ever older.
        let kept_ms = journal.retain_text_days.map(|days| i64::from(days) * DAY_MS);
        let cutoff_ms = kept_ms.map_or(i64::MIN, |kept_ms| now_ms.saturating_sub(kept_ms));
        let segments = keeping.segments();
        let (mut overdue, mut readable) = (0, 0);
        for info in segments.iter().filter(|info| info.key == KeyState::Present) {
            let is_last = segments.last().is_some_and(|last| last.number == info.number);
            if is_last || kept_ms.is_none() || self.newest_ms(info) > cutoff_ms {
                readable += 1;
                continue;
            }
            match keeping.journal.destroy_key(info.number) {
                Ok(()) => {
                    keeping.done.destroyed.fetch_add(1, Ordering::Relaxed);
                    keeping.newest_ms.lock().remove(&info.number);
                    tracing::info!(segment = info.number, "its names and texts passed their retention");
                }
                Err(e) => {
                    self.failed_to_retain(&e.to_string());
                    (overdue, readable) = (overdue + 1, readable + 1);
                }
            }
        }
        keeping.done.overdue.store(overdue, Ordering::Relaxed);
        keeping.done.readable.store(readable, Ordering::Relaxed);
        keeping.looked_ms.store(now_ms, Ordering::Relaxed);
        if kept_ms.is_none() {
            return;
        }
        let letters = keeping.letters.lock().clone();
        match letters.map(|letters| letters.lock().destroy_through(cutoff_ms)) {
            Some(Ok(destroyed)) => {
                keeping.done.letters.fetch_add(destroyed, Ordering::Relaxed);
            }
            Some(Err(e)) => self.failed_to_retain(&e.to_string()),
            None => {}
        }
    }
    fn failed_to_retain(&self, why: &str) {
        self.keeping.done.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!("what passed its retention could not be destroyed: {why}; it is tried again");
    }

    fn close_old_segment(&self, now_ms: i64, age_ms: i64) {
        let is_old = |open: &SegmentInfo| {
            open.batches > 0 && now_ms.saturating_sub(open.created_ms) >= age_ms && !open.closed
        };
        if !self.keeping.segments().last().is_some_and(is_old) {
            return;
        }
        self.roll();
    }

    /// When the newest record of a closed segment came: the arrival of its last event, else when it was begun.
    fn newest_ms(&self, info: &SegmentInfo) -> i64 {
        if let Some(known) = self.keeping.newest_ms.lock().get(&info.number) {
            return *known;
        }
        let has_event = info.last_sequence >= info.first_sequence;
        let read = |sequence| -> Option<i64> {
            let stored = self.reader.read_accepted(sequence).ok()??;
            Some(Accepted::decode(&stored.open, None).ok()?.event.arrival_ms)
        };
        let newest_ms = match has_event.then(|| read(info.last_sequence)) {
            None => info.created_ms,
            Some(Some(arrival_ms)) => arrival_ms.max(info.created_ms),
            // It cannot be read now: as if it had come just now, and not remembered.
            Some(None) => return i64::MAX,
        };
        self.keeping.newest_ms.lock().insert(info.number, newest_ms);
        newest_ms
    }
}

/// Starts the thread of a node.
pub fn start(node: Weak<Node>) -> Background {
    Background::start("retain", move |stop| run(&node, stop))
}

fn run(node: &Weak<Node>, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        // Held for this look only, so that whoever closes the node finds itself its last holder.
        let Some(node) = node.upgrade() else { return };
        let now_ms = node.clock.wall_ms();
        node.retain(now_ms);
        node.refresh_tags(now_ms);
        drop(node);
        thread::park_timeout(LOOK);
    }
}
