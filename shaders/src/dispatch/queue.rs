//! The queue of one device and the thread behind it: dispatches at once when idle; what arrives while a batch is in
//! flight makes the next one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stats::Counters;
use super::{Ask, Stats, Why};
use crate::gpu::{Card, Found, GpuBank, Opaque};
use crate::layout::batch::QUERIES_MAX;

/// Queries that may wait: four full batches. More would wait longer than the CPU takes.
const QUEUE_MAX: usize = 4 * QUERIES_MAX;

/// What callers and the device's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub card: Opaque<Card>,
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
            card: Opaque::new(card),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sample;

    /// No thread serves: what is put in stays.
    fn stalled() -> Option<(Shared, [Arc<GpuBank>; 2])> {
        let card = Card::any()?;
        let banks =
            [1, 2].map(|seed| Arc::new(card.upload_vectors(&sample::fingerprints(seed, 70)).unwrap()));
        Some((Shared::new(card, Duration::from_secs(10)), banks))
    }

    #[test]
    fn a_full_queue_takes_no_more_and_a_closed_one_frees_its_callers() {
        let Some((shared, [bank, _])) = stalled() else { return };
        let submit = || shared.submit(Ask::hamming_topk(&[0; 4], 3), Arc::clone(&bank));
        let waiting: Vec<_> = (0..QUEUE_MAX).map(|_| submit().unwrap()).collect();
        assert_eq!(submit().unwrap_err(), Why::Busy);
        assert_eq!(shared.stats().queue_len, QUEUE_MAX);
        shared.close();
        assert!(waiting.into_iter().all(|answer| answer.recv().is_err()));
        assert_eq!(submit().unwrap_err(), Why::Fault);
        assert!(shared.next_batch().is_none());
    }

    #[test]
    fn a_batch_is_of_one_search_and_one_bank_in_the_order_of_arrival() {
        let Some((shared, [first, second])) = stalled() else { return };
        let mut answers = Vec::new();
        for turn in 0..80 {
            let bank = if turn % 4 == 3 { &second } else { &first };
            let ask =
                if turn % 4 == 2 { Ask::hamming_range(&[0; 4], 9) } else { Ask::hamming_topk(&[0; 4], 3) };
            answers.push(shared.submit(ask, Arc::clone(bank)).unwrap());
        }
        let sizes: Vec<usize> = (0..3).map(|_| shared.next_batch().unwrap().len()).collect();
        assert_eq!(sizes, [40, 20, 20]);
        for _ in 0..70 {
            answers.push(shared.submit(Ask::hamming_range(&[0; 4], 9), Arc::clone(&first)).unwrap());
        }
        assert_eq!(shared.next_batch().unwrap().len(), QUERIES_MAX);
        assert_eq!(shared.stats().queue_len, 6);
    }

    #[test]
    fn what_a_batch_answers_goes_to_whom_it_belongs() {
        let Some((shared, [bank, _])) = stalled() else { return };
        let prints = sample::fingerprints(1, 70);
        let answers: Vec<_> = (0..6)
            .map(|index| {
                shared.submit(Ask::hamming_range(&prints.fingerprint(index), 0), Arc::clone(&bank)).unwrap()
            })
            .collect();
        let jobs = shared.next_batch().unwrap();
        shared.answer(jobs, &mut Vec::new());
        for (index, answer) in answers.into_iter().enumerate() {
            let found = answer.recv().unwrap();
            assert!(found.hits.iter().any(|hit| hit.index as usize == index && hit.score == 0));
        }
        assert_eq!(shared.stats().batches, 1);
    }
}
