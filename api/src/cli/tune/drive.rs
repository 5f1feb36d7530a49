//! Payments through a real node in a folder of its own: decoded by whoever brings them, as the HTTP threads do, then
//! handed in and waited for. The journal is written and not synced: what the disk takes is measured by itself.

use super::super::doctor::measure::Delays;
use super::{Batched, Judged};
use crate::config::Loaded;
use crate::http::decisions::from_decoded;
use crate::node::{Answered, Job, Node, Options, now_ms};
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::limits::MICRO_BATCH_MAX;
use interdict_engine::sequencer::Submission;
use interdict_ingest::{Decoder, RequestContext};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Payments that one caller has with the node at once.
const WINDOW: usize = 32;
/// How long one caller rests between two payments when there is no load, so that threads park.
const REST: Duration = Duration::from_micros(300);

/// What nodes are opened with.
pub(super) struct Driver<'a> {
    /// Data folders go there.
    pub scratch: &'a Path,
    /// Packs and lists.
    pub loaded: Loaded,
}

/// Payments, each under an id of its own.
struct Payments {
    decoder: Decoder,
    made: AtomicU64,
}

impl Payments {
    fn next(&self) -> Result<Submission> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let body = body(number);
        let context = RequestContext::default();
        let mut decoded = self.decoder.decode(body.as_bytes(), &context).map_err(|e| anyhow!("{e}"))?;
        let now = now_ms();
        decoded.tx.time_ms = now;
        Ok(from_decoded(decoded, now))
    }
}

/// A card payment of one of 4,096 cards.
fn body(number: u64) -> String {
    // Drawn, and the same every time.
    let dice = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let stem = format!("41111{:010}", dice % 4096);
    let channel = ["chip", "ecommerce", "atm", "contactless"][(dice >> 12) as usize % 4];
    let text = ["invoice 4471 of march", "thank you for the book", "gift cards as agreed", "rent"];
    format!(
        r#"{{"id":"t-{number}","kind":"request","time":"2026-03-02T12:00:00Z","amount":{{"minor":{},"currency":"EUR"}},"card":{{"pan":"{stem}{}"}},"channel":"{channel}","text":"{}"}}"#,
        100 + (dice >> 14) % 100_000,
        luhn(&stem),
        text[(dice >> 31) as usize % 4],
    )
}

/// The digit that makes a PAN of these pass Luhn's check.
fn luhn(stem: &str) -> u32 {
    let doubled = |(at, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap_or(0);
        let value = if at.is_multiple_of(2) { digit * 2 } else { digit };
        value / 10 + value % 10
    };
    let sum: u32 = stem.chars().rev().enumerate().map(doubled).sum();
    (10 - sum % 10) % 10
}

impl Driver<'_> {
    /// A node in a folder that no other one had, since payments have the same ids in each.
    fn open(&self, name: &str, lanes: usize, micro_batch: usize) -> Result<(Arc<Node>, Payments)> {
        let mut loaded = self.loaded.clone();
        loaded.hardware.micro_batch = micro_batch;
        loaded.hardware.pin = false;
        loaded.config.journal.durability = Some("os".into());
        let data = self.scratch.join(name);
        let options = Options { lanes: Some(lanes), ..Options::default() };
        let node = Node::open(&data, loaded, &options, now_ms()).context("a node to measure with")?;
        let payments = Payments { decoder: Decoder::new(node.keys.tags.clone()), made: AtomicU64::new(0) };
        Ok((node, payments))
    }

    /// What a payment takes on one thread, by how many are taken at once.
    pub fn batches(&self, during: Duration) -> Result<Vec<Batched>> {
        let (node, payments) = self.open("batches", 0, MICRO_BATCH_MAX)?;
        let sizes = [1, 2, 4, 8, MICRO_BATCH_MAX];
        let (tell, told) = channel();
        let mut took: Vec<Vec<Duration>> = vec![Vec::new(); sizes.len()];
        let start = Instant::now();
        // In turn, so that what else runs here falls on all sizes alike; the median counts.
        while start.elapsed() < during || took[0].is_empty() {
            for (size, took) in sizes.iter().zip(&mut took) {
                let jobs = (0..*size).map(|_| job(payments.next()?, &tell)).collect::<Result<Vec<_>>>()?;
                let began = Instant::now();
                node.submit(jobs);
                for _ in 0..*size {
                    take(&told)?;
                }
                took.push(began.elapsed());
            }
        }
        let batch = |(size, took): (&usize, Vec<Duration>)| Batched {
            size: *size,
            us: Delays::of(took).p50.as_secs_f64() * 1e6 / *size as f64,
        };
        let batches = sizes.iter().zip(took).map(batch).collect();
        node.close()?;
        Ok(batches)
    }

    /// What a node with so many lanes does for so many callers: half of the time one payment alone, half of it as many
    /// as it takes.
    pub fn lanes(
        &self,
        lanes: usize,
        micro_batch: usize,
        callers: usize,
        during: Duration,
    ) -> Result<Judged> {
        let (node, payments) = self.open(&format!("lanes-{lanes}"), lanes, micro_batch)?;
        let (tell, told) = channel();
        let (start, mut alone) = (Instant::now(), Vec::new());
        while start.elapsed() < during / 2 || alone.is_empty() {
            let job = job(payments.next()?, &tell)?;
            let began = Instant::now();
            node.submit([job]);
            alone.push(take(&told)?.saturating_duration_since(began));
            thread::sleep(REST);
        }
        let (node_ref, payments_ref) = (&node, &payments);
        let began = Instant::now();
        let done = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..callers).map(|_| scope.spawn(move || call(node_ref, payments_ref, during / 2))).collect();
            let joined =
                threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a caller panicked"))?);
            joined.sum::<Result<u64>>()
        })?;
        let per_s = done as f64 / began.elapsed().as_secs_f64();
        node.close()?;
        Ok(Judged { lanes, per_s, alone: Delays::of(alone) })
    }
}

/// One caller at full load; how many payments it had answered.
fn call(node: &Arc<Node>, payments: &Payments, during: Duration) -> Result<u64> {
    let (tell, told) = channel();
    let (start, mut out, mut done) = (Instant::now(), 0, 0);
    while start.elapsed() < during || out > 0 {
        if out < WINDOW && start.elapsed() < during {
            node.submit([job(payments.next()?, &tell)?]);
            out += 1;
            continue;
        }
        take(&told)?;
        (out, done) = (out - 1, done + 1);
    }
    Ok(done)
}

type Told = (Instant, bool);

fn job(submission: Submission, tell: &Sender<Told>) -> Result<Job> {
    let tell = tell.clone();
    let reply = Box::new(move |answered| {
        let decided = matches!(answered, Answered::Decided(_));
        // Nobody listens where the run has failed already.
        let _ = tell.send((Instant::now(), decided));
    });
    Ok(Job { submission, deadline: None, reply })
}

/// When an answer came.
fn take(told: &Receiver<Told>) -> Result<Instant> {
    match told.recv() {
        Ok((at, true)) => Ok(at),
        Ok((_, false)) => bail!("a generated payment was not decided"),
        Err(_) => bail!("the node answers no more"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_makes_a_pan_pass() {
        assert_eq!((luhn("411111111111111"), luhn("7992739871")), (1, 3));
        assert_ne!(body(1), body(2));
    }
}
