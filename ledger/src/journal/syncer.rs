//! Group commit for `Durability::Disk`: fdatasync on a thread of its own, so that the one who drains batches never
//! blocks on the disk; whoever waits for a position is released when a sync has covered it. A sync that failed is
//! never tried again on the same file: the kernel may have dropped the pages and would say yes (see `writer.rs`).

use super::Position;
use crate::error::{Error, ErrorKind};
use crate::storage::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Told how long each sync took, in order of their ends.
pub type OnSync = Arc<dyn Fn(Duration) + Send + Sync>;

/// Tells which positions are durable. Cheap to clone; usable from any thread and from async code.
#[derive(Clone)]
pub struct Syncer {
    shared: Arc<Shared>,
}

struct Shared {
    /// Every position up to this one is durable.
    synced: AtomicU64,
    /// A sync of the current segment failed, and the writer has not left it yet.
    lost: AtomicBool,
    /// Held over each sync and the noting of its result: of two that overlap, the kernel tells a failure to one. Inside:
    /// what was begun and not ended, where syncs are stepped.
    syncing: Mutex<Option<Begun>>,
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
    on_sync: Option<OnSync>,
}

#[derive(Default)]
struct State {
    target: Option<Target>,
    written: u64,
    /// Why it is no use to wait now.
    failed: Option<Error>,
    stopping: bool,
    waiters: Vec<(u64, Waiter)>,
    /// Threads in [`Syncer::wait`]: std's Condvar asks the kernel at each notification, even where nobody waits.
    asleep: usize,
    on_loss: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A sync that is to make durable what was written when it was begun.
struct Begun {
    target: Target,
    upto: u64,
}

/// The segment being written.
#[derive(Clone)]
struct Target {
    file: Arc<dyn File>,
    segment: u64,
    written_bytes: u64,
    durable_bytes: u64,
}

impl Syncer {
    pub(crate) fn new(on_sync: Option<OnSync>) -> Syncer {
        let shared = Shared {
            synced: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            syncing: Mutex::default(),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            on_sync,
        };
        Syncer { shared: Arc::new(shared) }
    }

    /// Every position up to and including this one is durable.
    pub fn synced(&self) -> Position {
        Position(self.shared.synced.load(Ordering::Acquire))
    }
    /// Whether a position is durable.
    pub fn is_durable(&self, position: Position) -> bool {
        position <= self.synced()
    }
    /// Blocks until a position is durable, or until it is known that it is not and will not be soon.
    ///
    /// # Errors
    /// `Sync`, `Io`, `Full`: the journal cannot write now. The batch is still the journal's: it becomes durable when
    /// the disk takes it, and may be lost in a crash before. `Sync` too where the journal was dropped.
    pub fn wait(&self, position: Position) -> Result<(), Error> {
        let mut state = self.lock();
        loop {
            if self.is_durable(position) {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            state.asleep += 1;
            state = self.shared.done.wait(state).expect("no holder of this lock panics");
            state.asleep -= 1;
        }
    }
    /// Calls `then` with what [`Syncer::wait`] would return; at once, on this thread, where that is known already,
    /// otherwise on the thread that syncs or writes, which must not be held up.
    pub fn when_durable(&self, position: Position, then: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let mut state = self.lock();
        let result = match &state.failed {
            _ if self.is_durable(position) => Ok(()),
            Some(error) => Err(error.clone()),
            None => return state.waiters.push((position.0, Box::new(then))),
        };
        drop(state);
        then(result);
    }
    /// A future that is ready when the position is durable; errors as [`Syncer::wait`]. Needs no runtime.
    pub fn durable(&self, position: Position) -> Durable {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let filled = slot.clone();
        self.when_durable(position, move |result| {
            let mut slot = filled.lock().expect("no holder of this lock panics");
            slot.result = Some(result);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        });
        Durable { slot }
    }
    /// After a failed sync, `told` is called (on the thread that syncs) instead of everybody who waits: whoever sets
    /// this calls [`super::Journal::flush`] then, which releases them one way or the other.
    pub fn on_loss(&self, told: impl Fn() + Send + Sync + 'static) {
        self.lock().on_loss = Some(Arc::new(told));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no holder of this lock panics")
    }
    /// Whether a sync of the current segment failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire)
    }
    /// A new segment is written from now on; `bytes` of it are on disk.
    pub(crate) fn target(&self, file: Arc<dyn File>, segment: u64, bytes: u64) {
        self.lock().target = Some(Target { file, segment, written_bytes: bytes, durable_bytes: bytes });
    }
    /// The current segment is written no more: what was not synced is taken as never written.
    pub(crate) fn left(&self) {
        let mut state = self.lock();
        (state.target, state.written) = (None, self.synced().0);
        self.shared.lost.store(false, Ordering::Release);
    }
    /// How many bytes of the current segment are known to be on disk.
    pub(crate) fn durable_bytes(&self) -> u64 {
        self.lock().target.as_ref().map_or(0, |target| target.durable_bytes)
    }
    /// A batch was written to the current segment, which has `bytes` now.
    pub(crate) fn written(&self, position: Position, bytes: u64) {
        let mut state = self.lock();
        state.written = position.0;
        if let Some(target) = &mut state.target {
            target.written_bytes = bytes;
        }
        drop(state);
        self.shared.work.notify_one();
    }
    /// Everything up to `position` is safe without a sync.
    pub(crate) fn reached(&self, position: Position) {
        self.release(self.lock(), position.0);
    }
    /// Everybody who waits, and who comes, gets this error, until [`Syncer::takes_again`].
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.failed = Some(error.clone());
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        self.shared.done.notify_all();
        waiters.into_iter().for_each(|(_, then)| then(Err(error.clone())));
    }
    /// It is of use to wait again.
    pub(crate) fn takes_again(&self) {
        self.lock().failed = None;
    }

    fn release(&self, mut state: MutexGuard<'_, State>, upto: u64) {
        self.shared.synced.fetch_max(upto, Ordering::AcqRel);
        let any_asleep = state.asleep > 0;
        let waiters = std::mem::take(&mut state.waiters);
        let (ready, waiting) = waiters.into_iter().partition(|(position, _)| *position <= upto);
        state.waiters = waiting;
        drop(state);
        if any_asleep {
            self.shared.done.notify_all();
        }
        let ready: Vec<(u64, Waiter)> = ready;
        ready.into_iter().for_each(|(_, then)| then(Ok(())));
    }

    /// Syncs all that is written to the current segment, on this thread.
    ///
    /// # Errors
    /// `Sync`: this sync failed, or an earlier one of the segment; the segment must be left at what is durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let mut syncing = self.syncing();
        if let Some(begun) = syncing.take() {
            self.end(syncing, begun)?;
            syncing = self.syncing();
        }
        match self.due()? {
            Some(begun) => self.end(syncing, begun),
            None => Ok(()),
        }
    }
    fn syncing(&self) -> MutexGuard<'_, Option<Begun>> {
        self.shared.syncing.lock().expect("no holder of this lock panics")
    }
    /// What a sync would make durable now, if anything.
    fn due(&self) -> Result<Option<Begun>, Error> {
        let state = self.lock();
        let (upto, target) = (state.written, state.target.clone());
        drop(state);
        let Some(target) = target else { return Ok(None) };
        if self.is_lost() {
            return Err(lost("an earlier sync failed").at(target.segment, target.written_bytes));
        }
        Ok((self.synced().0 < upto).then_some(Begun { target, upto }))
    }
    /// Makes durable what was begun, and tells those who wait for it.
    fn end(&self, syncing: MutexGuard<'_, Option<Begun>>, begun: Begun) -> Result<(), Error> {
        let Begun { target: Target { file, segment, written_bytes, .. }, upto } = begun;
        let began = Instant::now();
        let result = file.sync();
        if let Some(on_sync) = &self.shared.on_sync {
            on_sync(began.elapsed());
        }
        if let Err(e) = result {
            self.shared.lost.store(true, Ordering::Release);
            return Err(lost(&e.to_string()).at(segment, written_bytes));
        }
        let mut state = self.lock();
        if let Some(target) = &mut state.target {
            target.durable_bytes = written_bytes;
        }
        drop(syncing);
        self.release(state, upto);
        Ok(())
    }

    /// The thread's loop: syncs while something is written and not synced; ends when stopped.
    pub(crate) fn run(&self) {
        let mut state = self.lock();
        loop {
            let idle = self.is_lost() || self.synced().0 >= state.written || state.target.is_none();
            if idle && state.stopping {
                return;
            }
            if idle {
                state = self.shared.work.wait(state).expect("no holder of this lock panics");
                continue;
            }
            drop(state);
            if let Err(error) = self.sync() {
                self.tell_loss(error);
            }
            state = self.lock();
        }
    }
    fn tell_loss(&self, error: Error) {
        let told = self.lock().on_loss.clone();
        match told {
            Some(told) => told(),
            None => self.fail(error),
        }
    }

    /// Begins a sync, where [`super::Options::stepped`] leaves that to the caller: of what is written by now, and to be
    /// ended by [`Syncer::step`]. Whether anything is to be synced that is not begun already.
    pub fn begin(&self) -> bool {
        let mut syncing = self.syncing();
        if syncing.is_some() {
            return false;
        }
        // After a failed sync there is nothing to begin before the writer has left the segment.
        *syncing = self.due().ok().flatten();
        syncing.is_some()
    }
    /// Ends what was begun, as the thread would: tells those who wait, or of the loss.
    pub fn step(&self) {
        let mut syncing = self.syncing();
        let Some(begun) = syncing.take() else { return };
        if let Err(error) = self.end(syncing, begun) {
            self.tell_loss(error);
        }
    }
    /// Lets the thread end after what is written has been synced.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.shared.work.notify_all();
    }
}

/// The error of a failed sync.
fn lost(why: &str) -> Error {
    Error::new(ErrorKind::Sync, format!("syncing: {why}"))
}

#[derive(Default)]
struct Slot {
    result: Option<Result<(), Error>>,
    waker: Option<Waker>,
}

/// Ready when a position is durable.
pub struct Durable {
    slot: Arc<Mutex<Slot>>,
}

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.slot.lock().expect("no holder of this lock panics");
        if let Some(result) = &slot.result {
            return Poll::Ready(result.clone());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
