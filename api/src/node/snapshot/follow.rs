//! The thread that makes the next image beside the path: it reads the last one, follows the journal from there with a
//! sequencer of its own, a share of a core at most, and checks every stamp as it goes. The second state is in memory
//! only while it does. What it writes is what a start would have come to.

use super::{Ground, Image, Loading, Outcome, Place, Snapshots, load, priority};
use crate::node::background::Background;
use crate::node::recovery::{Generations, empty_generation};
use crate::node::store::Store;
use crate::node::{Node, now_ms};
use interdict_engine::domain::{Accepted, Decided, Finished};
use interdict_engine::sequencer::{Sequencer, Taken};
use interdict_engine::unfinished::Progress;
use interdict_ledger::journal::{At, Go, Reader, RecordKind, Stored};
use interdict_ledger::storage::FileStorage;
use interdict_ledger::{Error, ErrorKind};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often it looks whether the next is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// It works so long at most before it rests, and rests so many times as long: a quarter of a core.
const WORK_MAX: Duration = Duration::from_millis(2);
const REST_TIMES: u32 = 3;
/// How long it waits for the last payments it has taken to be decided, which usually they are.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// From one image to the next.
const AT_LEAST: Duration = Duration::from_secs(1);
/// Wait after an image that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Starts the thread of a node; an image that it is writing when it is asked to end is finished, without rests.
pub fn start(node: Weak<Node>, snapshots: Arc<Snapshots>, store: Store, reader: Reader) -> Background {
    Background::start("snapshot", move |stop| {
        Follower { node, snapshots, store, reader, stop: stop.clone() }.run();
    })
}

struct Follower {
    node: Weak<Node>,
    snapshots: Arc<Snapshots>,
    store: Store,
    reader: Reader,
    stop: Arc<AtomicBool>,
}

/// Why there is no image: what to count it as, or nothing where the thread was asked to end.
type Failed = Option<(Outcome, Error)>;

impl Follower {
    fn run(self) {
        // The thread's own; where the system does not let it, it rests all the same.
        if let Err(e) = priority::lowest() {
            tracing::debug!("the thread of images keeps its priority: {e}");
        }
        let mut not_before = Instant::now();
        while !self.is_stopped() {
            thread::park_timeout(LOOK_EVERY);
            let is_due = || self.snapshots.is_due(self.reader.last_sequence(), now_ms());
            if Instant::now() < not_before || !is_due() {
                continue;
            }
            self.snapshots.figures.lock().working = true;
            let made = self.make();
            // The keys of a state that is gone.
            drop(std::fs::remove_file(&self.snapshots.ground.aside().cold));
            self.snapshots.figures.lock().working = false;
            not_before = Instant::now() + AT_LEAST;
            if let Err(Some((outcome, error))) = made {
                self.snapshots.failed(outcome, &error);
                not_before = Instant::now() + AGAIN_AFTER;
            }
        }
    }
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn make(&self) -> Result<(), Failed> {
        let began = Instant::now();
        let journal = |e: Error| Some((Outcome::Journal, e));
        let ground = self.snapshots.ground.aside();
        let folder = ground.dir.parent().expect("images lie in a data folder").join("journal");
        let storage = FileStorage::open(folder).map_err(journal)?;
        let built = |hash: &[u8; 32]| self.node.upgrade().and_then(|node| node.is_built(hash));
        let generations = Generations::new(&self.store).known_by(&built);
        let mut pace = Pace { began: Instant::now(), stop: &self.stop };
        let mut state = self.begin(&ground, &storage, &generations).map_err(journal)?;
        let Some(at) = state.at.take() else { return Ok(()) };
        // One end, so that it comes to one however fast the node is.
        let until = self.reader.last_sequence();
        let at = self
            .reader
            .follow(at, &mut |stored| state.take(stored, &generations), &mut |at| {
                pace.rest();
                if self.is_stopped() || at.last_sequence() >= until { Go::Stop } else { Go::On }
            })
            .map_err(journal)?;
        // Nothing new: under `disk` it may all wait for a sync.
        if self.is_stopped() || at.last_sequence() <= state.begun_at {
            return Err(None);
        }
        let differ = state.sequencer.counts().restored_differently;
        if differ > 0 {
            let text = format!("{differ} payments came out with other stamps than the journal has");
            return Err(Some((Outcome::Stamps, Error::new(ErrorKind::Corrupt, text))));
        }
        let State { sequencer, progress, .. } = state;
        let settled = self.settle(at.clone(), progress.open.keys().copied().collect(), &mut pace)?;
        let index = self.reader.resume(at);
        let published = generations.into_built().1.into_iter().collect();
        let place = Place { index, settled, published, progress };
        self.snapshots.write(&sequencer, place, began, &mut || pace.rest());
        Ok(())
    }

    /// The state of the newest image, or of nothing.
    fn begin(
        &self,
        ground: &Ground,
        storage: &FileStorage,
        generations: &Generations<'_>,
    ) -> Result<State, Error> {
        let Loading { image, .. } = load(ground, storage, generations);
        Ok(match image {
            Some(Image { sequencer, resume, progress, about, .. }) => {
                State { begun_at: about.sequence(), sequencer, at: Some(resume.at().clone()), progress }
            }
            None => {
                let (sequencer, at) = (ground.sequencer(empty_generation(), None), self.reader.beginning()?);
                State { begun_at: 0, sequencer, at, progress: ground.progress() }
            }
        })
    }

    /// Reads on from a place, without taking anything, until all that was taken is decided.
    fn settle(&self, mut at: At, undecided: BTreeSet<u64>, pace: &mut Pace<'_>) -> Result<At, Failed> {
        let began = Instant::now();
        let waiting = std::cell::RefCell::new(undecided);
        while !waiting.borrow().is_empty() {
            let decided = &mut |stored: &Stored<'_>| {
                if stored.kind == RecordKind::Decided {
                    waiting.borrow_mut().remove(&stored.sequence);
                }
                Ok(())
            };
            let read = self.reader.follow(at, decided, &mut |_| {
                pace.rest();
                if self.is_stopped() || waiting.borrow().is_empty() { Go::Stop } else { Go::On }
            });
            at = read.map_err(|e| Some((Outcome::Journal, e)))?;
            if self.is_stopped() {
                return Err(None);
            }
            if waiting.borrow().is_empty() {
                break;
            }
            if began.elapsed() > SETTLES_WITHIN {
                let count = waiting.borrow().len();
                let text = format!("{count} payments have no verdict yet");
                return Err(Some((Outcome::Journal, Error::new(ErrorKind::Invalid, text))));
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(at)
    }
}

/// A state on its way to the next image.
struct State {
    sequencer: Sequencer,
    /// The sequence it began with.
    begun_at: u64,
    at: Option<At>,
    progress: Progress,
}

impl State {
    fn take(&mut self, stored: &Stored<'_>, generations: &Generations<'_>) -> Result<(), Error> {
        let failed = |why: String| Error::new(ErrorKind::Corrupt, why);
        match stored.kind {
            RecordKind::Decided => {
                let decided = Decided::decode(stored.open())
                    .map_err(|e| failed(format!("decided {}: {e}", stored.sequence)))?;
                self.progress.decided(&decided.verdict);
                self.sequencer.decided(stored.sequence, decided.recorded.hold.as_deref());
            }
            RecordKind::Finished => {
                let finished = Finished::decode(stored.open())
                    .map_err(|e| failed(format!("finished {}: {e}", stored.sequence)))?;
                self.sequencer.finished(stored.sequence, finished.recorded.hold.as_deref());
                self.progress.finished(stored.sequence);
            }
            RecordKind::Accepted => {
                let sealed = stored.sealed()?;
                let accepted = Accepted::decode(stored.open(), sealed.as_deref())
                    .map_err(|e| failed(format!("accepted {}: {e}", stored.sequence)))?;
                let taken = self.sequencer.restore(accepted, &|id| generations.get(id));
                let taken = taken.map_err(|e| failed(format!("sequence {}: {e}", stored.sequence)))?;
                if let Taken::Work(work) = taken {
                    self.progress.accepted(&work.accepted, work.view.generation().settings());
                }
            }
        }
        Ok(())
    }
}

/// Keeps a thread to its share.
struct Pace<'a> {
    began: Instant,
    stop: &'a AtomicBool,
}

impl Pace<'_> {
    /// Rests where it has worked for long enough.
    fn rest(&mut self) {
        let worked = self.began.elapsed();
        if worked < WORK_MAX {
            return;
        }
        if !self.stop.load(Ordering::Acquire) {
            thread::sleep(worked * REST_TIMES);
        }
        self.began = Instant::now();
    }
}
