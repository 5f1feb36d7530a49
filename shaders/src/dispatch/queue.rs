//! The queue of one device and the thread behind it: dispatches at once when idle; what arrives while a batch is in
//! flight makes the next one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stats::Counters;
use super::{Ask, Stats, Why};
use crate::gpu::{Card, Found, GpuBank};
use crate::layout::batch::QUERIES_MAX;

/// Queries that may wait: four full batches. More would wait longer than the CPU takes.
const QUEUE_MAX: usize = 4 * QUERIES_MAX;

/// What callers and the device's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub card: Card,
    pub counters: Counters,
    pub watchdog: Duration,
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// Running mean of a batch's round trip, in nanoseconds; 0 before the first.
    batch_ns: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    in_flight: usize,
    closed: bool,
}

/// A query that waits. Dropping it tells its caller to score on the CPU.
struct Job {
    ask: Ask,
    bank: Arc<GpuBank>,
    reply: SyncSender<Found>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Jobs hold what persons are called.
        out.debug_struct("Queue").field("jobs", &self.jobs.len()).finish_non_exhaustive()
    }
}

/// Closes the queue however the thread ends, so that no caller waits for a thread that is gone.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    pub(super) fn new(card: Card, watchdog: Duration) -> Self {
        Self {
            card,
            counters: Counters::default(),
            watchdog,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            batch_ns: AtomicU64::new(0),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no more queries; those that wait go to the CPU.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.arrived.notify_all();
    }

    /// Nanoseconds that a query which came now would wait before its own batch, as far as can be foreseen.
    pub(super) fn wait_ns(&self) -> u64 {
        let queue = self.queue();
        let batches = queue.jobs.len() / QUERIES_MAX + usize::from(queue.in_flight > 0);
        drop(queue);
        batches as u64 * self.batch_ns.load(Ordering::Relaxed)
    }

    /// Puts a query in the queue; its answer comes through the channel, which closes without one where the device
    /// failed.
    pub(super) fn submit(&self, ask: Ask, bank: Arc<GpuBank>) -> Result<Receiver<Found>, Why> {
        let (reply, answer) = sync_channel(1);
        let mut queue = self.queue();
        if queue.closed {
            return Err(Why::Fault);
        }
        if queue.jobs.len() >= QUEUE_MAX {
            return Err(Why::Busy);
        }
        queue.jobs.push_back(Job { ask, bank, reply });
        drop(queue);
        self.arrived.notify_one();
        Ok(answer)
    }

    /// Serves until the queue is closed or the device is out of service.
    pub(super) fn serve(&self) {
        let _close = CloseAtEnd(self);
        let mut items = Vec::new();
        while let Some(jobs) = self.next_batch() {
            self.answer(jobs, &mut items);
            self.queue().in_flight = 0;
            if self.card.gpu().health.is_retired() {
                return;
            }
        }
    }

    /// Waits for queries; those that can run with the first, up to a full batch. `None` when the queue is closed.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue();
        while queue.jobs.is_empty() && !queue.closed {
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let first = queue.jobs.pop_front().filter(|_| !queue.closed)?;
        let (search, bank) = (first.ask.search, Arc::clone(&first.bank));
        let mut batch = vec![first];
        for job in std::mem::take(&mut queue.jobs) {
            let fits = job.ask.search == search && Arc::ptr_eq(&job.bank, &bank);
            if fits && batch.len() < QUERIES_MAX { batch.push(job) } else { queue.jobs.push_back(job) }
        }
        queue.in_flight = batch.len();
        Some(batch)
    }

    fn answer(&self, jobs: Vec<Job>, items: &mut Vec<u8>) {
        let Some(first) = jobs.first() else { return };
        let Some(batch) = Ask::batch(jobs.iter().map(|job| &job.ask), &first.bank, items) else { return };
        let started = Instant::now();
        // A fault is counted where it happens; the jobs are dropped, and their callers score on the CPU.
        let Ok(found) = self.card.run(&batch, self.watchdog) else { return };
        self.note_round_trip(started.elapsed());
        for (job, found) in jobs.iter().zip(found) {
            // A caller that no longer waits has scored by itself.
            drop(job.reply.try_send(found));
        }
    }

    fn note_round_trip(&self, took: Duration) {
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        let took = took.as_nanos() as u64;
        let before = self.batch_ns.load(Ordering::Relaxed);
        let mean = if before == 0 { took } else { (7 * before + took) / 8 };
        self.batch_ns.store(mean, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        let health = &self.card.gpu().health;
        Stats {
            gpu: self.counters.gpu(),
            simd: self.counters.simd(),
            faults: health.counts(),
            batches: self.counters.batches.load(Ordering::Relaxed),
            queue_len: self.queue().jobs.len(),
            banks_bytes: self.counters.banks_bytes.load(Ordering::Relaxed),
            retired: health.why(),
        }
    }
}
