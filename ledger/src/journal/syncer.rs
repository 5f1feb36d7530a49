//! Group commit for `Durability::Disk`: fdatasync on a thread of its own, so that the one who drains batches never
//! blocks on the disk; whoever waits for a position is released when a sync has covered it.

use super::Position;
use crate::error::{Error, ErrorKind};
use crate::storage::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Tells which positions are durable. Cheap to clone; usable from any thread and from async code.
#[derive(Clone)]
pub struct Syncer {
    shared: Arc<Shared>,
}

struct Shared {
    /// Every position up to this one is durable.
    synced: AtomicU64,
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct State {
    target: Option<Target>,
    written: u64,
    failed: Option<Error>,
    stopping: bool,
    waiters: Vec<(u64, Waiter)>,
}

/// The segment being written.
struct Target {
    file: Arc<dyn File>,
    segment: u64,
    written_bytes: u64,
    durable_bytes: u64,
}

impl Syncer {
    pub(crate) fn new() -> Syncer {
        let (synced, state) = (AtomicU64::new(0), Mutex::default());
        Syncer { shared: Arc::new(Shared { synced, state, work: Condvar::new(), done: Condvar::new() }) }
    }

    /// Every position up to and including this one is durable.
    pub fn synced(&self) -> Position {
        Position(self.shared.synced.load(Ordering::Acquire))
    }
    /// Whether a position is durable.
    pub fn is_durable(&self, position: Position) -> bool {
        position <= self.synced()
    }
    /// Blocks until a position is durable.
    ///
    /// # Errors
    /// `Sync` where it may never be: a sync failed, or the journal was dropped before.
    pub fn wait(&self, position: Position) -> Result<(), Error> {
        let mut state = self.lock();
        loop {
            if self.is_durable(position) {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            state = self.shared.done.wait(state).expect("no holder of this lock panics");
        }
    }
    /// Calls `then` once the position is durable or can no longer become so; at once, on this thread, where that is
    /// known already, otherwise on the syncing thread, which must not be held up.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no holder of this lock panics")
    }
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failed.clone()
    }
    /// A new segment is written from now on; `bytes` of it are on disk.
    pub(crate) fn target(&self, file: Arc<dyn File>, segment: u64, bytes: u64) {
        self.lock().target = Some(Target { file, segment, written_bytes: bytes, durable_bytes: bytes });
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
    /// Everything up to `position` is durable: nothing has to be waited for, or the writer synced it.
    pub(crate) fn reached(&self, position: Position) {
        self.release(self.lock(), position.0);
    }
    /// A sync failed; every waiter and every later append gets this error.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.lock();
        let error = state.failed.get_or_insert(error).clone();
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        self.shared.done.notify_all();
        waiters.into_iter().for_each(|(_, then)| then(Err(error.clone())));
    }

    fn release(&self, mut state: MutexGuard<'_, State>, upto: u64) {
        self.shared.synced.fetch_max(upto, Ordering::AcqRel);
        if state.waiters.is_empty() {
            drop(state);
            return self.shared.done.notify_all();
        }
        let waiters = std::mem::take(&mut state.waiters);
        let (ready, waiting) = waiters.into_iter().partition(|(position, _)| *position <= upto);
        state.waiters = waiting;
        drop(state);
        self.shared.done.notify_all();
        let ready: Vec<(u64, Waiter)> = ready;
        ready.into_iter().for_each(|(_, then)| then(Ok(())));
    }

    /// The thread's loop: syncs while something is written and not synced; ends when stopped.
    pub(crate) fn run(&self) {
        let mut state = self.lock();
        loop {
            let idle = state.failed.is_some() || self.shared.synced.load(Ordering::Acquire) >= state.written;
            if idle && state.stopping {
                return;
            }
            let (Some(target), false) = (&state.target, idle) else {
                state = self.shared.work.wait(state).expect("no holder of this lock panics");
                continue;
            };
            let (file, segment, bytes) = (target.file.clone(), target.segment, target.written_bytes);
            let upto = state.written;
            drop(state);
            let result = file.sync();
            state = self.lock();
            if let Err(e) = result {
                drop(state);
                self.fail(sync_error(&e).at(segment, bytes));
            } else {
                if let Some(target) = state.target.as_mut().filter(|target| target.segment == segment) {
                    target.durable_bytes = target.durable_bytes.max(bytes);
                }
                self.release(state, upto);
            }
            state = self.lock();
        }
    }
    /// Lets the thread end after what is written has been synced.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.shared.work.notify_all();
    }
}

/// The error of a failed sync.
pub(crate) fn sync_error(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Sync, format!("syncing: {error}; the journal must be opened anew"))
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
