//! Watches over the journal's disk: has what could not be written tried again, so that a node without traffic recovers
//! too, and where the configuration says so answers at their deadlines those who wait for a sync that is late. On a thread
//! of its own; the steps are apart from it, for the simulator of the tests.

use super::background::Background;
use super::clock::Clock;
use super::core::Waiting;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How seldom writing is tried again.
pub const RETRY: Duration = Duration::from_millis(100);

/// What happens to payments while the journal cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUnwritable {
    /// They are refused before they are sequenced.
    #[default]
    Refuse,
    /// They are decided and answered from memory, marked as not durable, up to the bound.
    Continue,
}

/// What happens to a payment whose deadline comes before its sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncLate {
    /// It waits.
    #[default]
    Wait,
    /// It is answered at its deadline, marked as not durable.
    Answer,
}

/// What a node does while its disk fails or is slow.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// While the journal cannot write.
    pub when_unwritable: WhenUnwritable,
    /// While a sync takes long.
    pub sync_late: SyncLate,
    /// Most bytes of batches in memory that are not safe on the disk yet; at it payments are refused.
    pub unwritten_bytes_max: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            when_unwritable: WhenUnwritable::default(),
            sync_late: SyncLate::default(),
            unwritten_bytes_max: interdict_engine::limits::JOURNAL_UNWRITTEN_BYTES_MAX,
        }
    }
}

/// The answers of one batch, each told once: when the batch is durable, or before.
pub struct Group(Mutex<Vec<Option<Waiting>>>);

impl Group {
    /// Answers that wait for one sync.
    pub fn new(waiting: Vec<Waiting>) -> Group {
        Group(Mutex::new(waiting.into_iter().map(Some).collect()))
    }
    /// Takes all that were not told.
    pub fn take(&self) -> impl Iterator<Item = Waiting> + use<> {
        std::mem::take(&mut *self.0.lock()).into_iter().flatten()
    }
    fn is_done(&self) -> bool {
        self.0.lock().is_empty()
    }
    /// The earliest deadline of those that were not told.
    fn earliest(&self) -> Option<Instant> {
        self.0.lock().iter().flatten().filter_map(|one| one.deadline).min()
    }
    /// Tells those whose deadline has come.
    fn tell_due(&self, now: Instant) {
        let due: Vec<Waiting> = {
            let mut waiting = self.0.lock();
            let is_due = |one: &mut Waiting| one.deadline.is_some_and(|deadline| deadline <= now);
            waiting.iter_mut().filter_map(|one| one.take_if(is_due)).collect()
        };
        due.into_iter().for_each(|one| one.tell_unsafe(true, "its deadline has come before its sync"));
    }
}

#[derive(Default)]
struct Asked {
    /// Something waits to be written.
    look: AtomicBool,
    late: Mutex<Late>,
}

#[derive(Default)]
struct Late {
    /// In the order of their syncs.
    groups: VecDeque<Arc<Group>>,
    /// When the thread wakes for them.
    wakes: Option<Instant>,
}

/// How the core tells whoever watches.
#[derive(Clone)]
pub struct Watcher {
    asked: Arc<Asked>,
    /// `None` where nobody sleeps.
    thread: Option<Thread>,
}

impl Watcher {
    /// Has it looked whether something waits to be written.
    pub fn look(&self) {
        self.asked.look.store(true, Ordering::Release);
        self.wake();
    }
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
    /// Has it answer a group's payments at their deadlines.
    pub fn answer_in_time(&self, group: &Arc<Group>) {
        let Some(earliest) = group.earliest() else { return };
        let mut late = self.asked.late.lock();
        // Syncs release them in order: those in front are done first.
        while late.groups.front().is_some_and(|group| group.is_done()) {
            late.groups.pop_front();
        }
        late.groups.push_back(group.clone());
        if late.wakes.is_none_or(|wakes| earliest < wakes) {
            late.wakes = Some(earliest);
            drop(late);
            self.wake();
        }
    }
}

/// What is done, a step at a time.
#[derive(Default)]
pub struct Watch {
    asked: Arc<Asked>,
}

impl Watch {
    /// What tells it.
    pub fn watcher(&self) -> Watcher {
        Watcher { asked: self.asked.clone(), thread: None }
    }
    /// Does what is to be done by now. `try_again` writes what waits and says whether anything still does; `None` when
    /// there is nothing to write for any more. When there is more to do: `Some(None)` is when it is told something,
    /// `None` never again.
    pub fn step(&self, now: Instant, try_again: impl Fn() -> Option<bool>) -> Option<Option<Instant>> {
        let mut wakes = None;
        if self.asked.look.swap(false, Ordering::AcqRel) && try_again()? {
            self.asked.look.store(true, Ordering::Release);
            wakes = Some(now + RETRY);
        }
        Some([wakes, answer_late(&self.asked, now)].into_iter().flatten().min())
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("look", &self.look).finish_non_exhaustive()
    }
}

/// Starts the thread, and gives what tells it. `try_again`: as [`Watch::step`].
pub fn start(
    clock: Arc<dyn Clock>,
    try_again: impl Fn() -> Option<bool> + Send + 'static,
) -> (Background, Watcher) {
    let watch = Watch::default();
    let asked = watch.asked.clone();
    let watching = Background::start("disk", move |stop| run(&watch, stop, &*clock, &try_again));
    let watcher = Watcher { asked, thread: Some(watching.thread()) };
    (watching, watcher)
}

fn run(watch: &Watch, stop: &AtomicBool, clock: &dyn Clock, try_again: &dyn Fn() -> Option<bool>) {
    while !stop.load(Ordering::Acquire) {
        let Some(wakes) = watch.step(clock.now(), try_again) else { return };
        match wakes {
            Some(wakes) => thread::park_timeout(wakes.saturating_duration_since(clock.now())),
            None => thread::park(),
        }
    }
}

/// Tells whose deadline has come; when the next one comes.
fn answer_late(asked: &Asked, now: Instant) -> Option<Instant> {
    let groups: Vec<Arc<Group>> = {
        let mut late = asked.late.lock();
        late.groups.retain(|group| !group.is_done());
        late.groups.iter().cloned().collect()
    };
    groups.iter().for_each(|group| group.tell_due(now));
    let mut late = asked.late.lock();
    late.wakes = late.groups.iter().filter_map(|group| group.earliest()).min();
    late.wakes
}
