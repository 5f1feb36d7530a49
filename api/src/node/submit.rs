//! The ways to the core: jobs and events in, looks at what it has, and who takes what waits afterwards.

use super::Node;
use super::combining::combine;
use super::core::{Answered, Core, Job, Reply};
use interdict_engine::freshness::WhenStale;
use interdict_engine::generation::View;
use interdict_engine::sequencer::{Submission, Taken};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Node {
    /// Submits jobs that are to be taken in their order, whatever their tenants: a feed's, an operator's. Their replies
    /// are called when their answers are durable, on some thread.
    pub fn submit(&self, jobs: impl IntoIterator<Item = Job>) {
        self.intake.feed(jobs);
        self.work();
    }
    /// Submits callers' jobs: taken by their tenants' weights, in order within a tenant; a payment whose deadline the
    /// wait would outlast is answered by defaults, or refused.
    pub fn admit(&self, jobs: impl IntoIterator<Item = Job>) {
        drop(self.admit_soon(jobs));
    }
    /// As [`Node::admit`], but what waits is taken only when what this gives is dropped, so that what comes until then
    /// is one batch with it.
    pub fn admit_soon(&self, jobs: impl IntoIterator<Item = Job>) -> Soon<'_> {
        self.intake.admit(jobs);
        Soon(self)
    }
    pub(super) fn combine(&self) {
        combine(&self.intake, &self.core, &self.wanted, self.micro_batch);
    }
    /// Has what waits taken.
    pub(super) fn work(&self) {
        match &self.lanes {
            Some(lanes) => lanes.wake(),
            None => self.combine(),
        }
    }

    /// Submits one event and waits for its answer on this thread.
    pub fn call(&self, submission: Submission) -> Answered {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        let reply: Reply = Box::new(move |answered| drop(send.send(answered)));
        self.submit([Job { submission, deadline: None, reply }]);
        receive.recv().unwrap_or_else(|_| Answered::Unavailable("the node is stopping".into()))
    }

    /// Feeds the state without deciding or keeping anything: a replay's warm-up.
    pub fn warm_up(&self, submissions: impl IntoIterator<Item = Submission>) {
        let mut taken = Vec::new();
        let mut core = self.core.lock();
        core.sequencer.step(submissions, &mut taken);
        // Nothing of them is to be settled.
        for one in &taken {
            if let Taken::Work(work) = one {
                core.sequencer.decided(work.accepted.sequence, None);
            }
        }
        core.show();
    }

    /// What the next transaction is judged by. Waits for nobody.
    pub fn view(&self) -> Arc<View> {
        self.shown.load_full()
    }
    /// The last sequence that the journal has. Waits for nobody.
    pub fn written_sequence(&self) -> u64 {
        self.reader.last_sequence()
    }
    /// Something of the core, under its lock: figures for metrics and status.
    pub fn with_core<T>(&self, f: impl FnOnce(&Core) -> T) -> T {
        let found = f(&self.core.lock());
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        found
    }
    /// Closes the journal's open segment and begins the next.
    pub(super) fn roll(&self) {
        self.core.lock().roll();
        // As above.
        self.work();
    }
    /// Writes what waits for the disk; whether anything still does.
    pub(super) fn write_again(&self) -> bool {
        let mut core = self.core.lock();
        core.try_again();
        let still_waits = core.is_troubled();
        drop(core);
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        still_waits
    }
    /// Whether threads of its own decide.
    pub fn has_lanes(&self) -> bool {
        self.lanes.is_some()
    }
    /// Jobs that wait for the sequencer.
    pub fn queue_depth(&self) -> usize {
        self.intake.waiting()
    }
    /// Whether the node takes requests, or why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".into());
        }
        // Whoever has the core is at work with it, or will find out; callers do not wait for that. A look at it must
        // not leave behind what came meanwhile.
        let Some(mut core) = self.core.try_lock() else { return Ok(()) };
        core.try_again();
        let ready = core.refuses().map_or(Ok(()), Err);
        drop(core);
        // Not what others are still gathering a batch for.
        if self.lanes.is_none() && self.wanted.swap(false, Ordering::SeqCst) {
            self.combine();
        }
        ready
    }
    /// Whether every list that payments must not be judged without is fresh, or which one is not. Asked by whoever
    /// serves: a replay's payments are of the past, and so are its lists.
    pub fn fresh(&self, now_ms: i64) -> Result<(), String> {
        match self.view().stale(WhenStale::Stop, now_ms).next() {
            None => Ok(()),
            Some((_, list)) => Err(format!(
                "list {:?} is older than its fresh_for of {} s, and its when_stale is stop",
                list.list,
                list.fresh_for_ms / 1000
            )),
        }
    }
    /// Whether it takes no more requests, since it is about to end.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
    /// Takes no more requests; those taken are answered.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
}

/// Jobs that wait and are not taken yet; see [`Node::admit_soon`].
#[must_use = "dropping it has the jobs taken"]
pub struct Soon<'a>(&'a Node);
impl Soon<'_> {
    /// Whether a batch is gathered by waiting: with lanes the sequencer's thread gathers it.
    pub fn gathers(&self) -> bool {
        self.0.lanes.is_none()
    }
}
impl Drop for Soon<'_> {
    fn drop(&mut self) {
        self.0.work();
    }
}
