//! What the member's part counts, for metrics and alerts.

use super::epochs::Epoch;
use super::feedback::Told;
use crate::alliance::member::session::now_ms;
use crate::alliance::member::sync::Synced;
use crate::node::consortium::PublishedConsortium;
use interdict_consortium::tag::confirm::Counts;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What may fail: the label of `interdict_consortium_failures_total`.
pub const STEPS: [&str; 4] = ["sync", "publish", "confirm", "feedback"];

/// Counters of a member's part.
#[derive(Debug, Default)]
pub struct Figures {
    rounds: AtomicU64,
    failures: [AtomicU64; STEPS.len()],
    synced_ms: AtomicU64,
    epoch: AtomicU64,
    rows: AtomicU64,
    unusable: AtomicU64,
    valid_until_ms: AtomicU64,
    broken: AtomicU64,
    receipts: AtomicU64,
    told: [AtomicU64; 3],
    confirmer: Mutex<Counts>,
}

/// What is read of it.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Rounds with the hub that ended well.
    pub rounds: u64,
    /// What failed, by step.
    pub failures: [u64; STEPS.len()],
    /// Seconds since the last round that ended well, or since the start before the first.
    pub synced_age_s: f64,
    /// The epoch in force; 0 before the first.
    pub epoch: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows that nothing can be looked for by.
    pub unusable: u64,
    /// Seconds until the epoch is out of date, negative past it; 0 before the first.
    pub valid_s: f64,
    /// Promises of the hub that it has not kept.
    pub broken: u64,
    /// Receipts made.
    pub receipts: u64,
    /// Outcomes told: confirmed, false alarms, and those of which it is unclear which signal is meant.
    pub told: [u64; 3],
    /// The confirmer's.
    pub confirmer: Counts,
}

impl Figures {
    /// Of a part that starts.
    pub(super) fn started() -> Figures {
        Figures { synced_ms: AtomicU64::new(now_ms()), ..Figures::default() }
    }
    pub(super) fn failed(&self, step: &str) {
        if let Some(at) = STEPS.iter().position(|known| *known == step) {
            self.failures[at].fetch_add(1, Relaxed);
        }
    }
    pub(super) fn synced(&self, synced: &Synced) {
        self.rounds.fetch_add(1, Relaxed);
        self.synced_ms.store(now_ms(), Relaxed);
        self.broken.store(synced.promises.broken.len() as u64, Relaxed);
        self.receipts.fetch_add(synced.promises.receipts, Relaxed);
    }
    pub(super) fn published(&self, epoch: &Epoch, published: &PublishedConsortium) {
        self.epoch.store(epoch.manifest.number, Relaxed);
        self.rows.store(epoch.manifest.rows, Relaxed);
        self.unusable.store(published.unusable, Relaxed);
        self.valid_until_ms.store(epoch.manifest.valid_until_ms, Relaxed);
    }
    pub(super) fn confirming(&self, counts: Counts) {
        *self.confirmer.lock() = counts;
    }
    pub(super) fn told(&self, told: Told) {
        for (count, more) in self.told.iter().zip([told.confirmed, told.false_alarms, told.unclear]) {
            count.fetch_add(more, Relaxed);
        }
    }
    /// All of it, now.
    pub fn read(&self) -> Reading {
        let now_ms = now_ms();
        let synced_ms = self.synced_ms.load(Relaxed);
        let epoch = self.epoch.load(Relaxed);
        let valid_ms = self.valid_until_ms.load(Relaxed) as f64 - now_ms as f64;
        Reading {
            rounds: self.rounds.load(Relaxed),
            failures: self.failures.each_ref().map(|count| count.load(Relaxed)),
            synced_age_s: if synced_ms > 0 { now_ms.saturating_sub(synced_ms) as f64 / 1000.0 } else { 0.0 },
            epoch,
            rows: self.rows.load(Relaxed),
            unusable: self.unusable.load(Relaxed),
            valid_s: if epoch > 0 { valid_ms / 1000.0 } else { 0.0 },
            broken: self.broken.load(Relaxed),
            receipts: self.receipts.load(Relaxed),
            told: self.told.each_ref().map(|count| count.load(Relaxed)),
            confirmer: *self.confirmer.lock(),
        }
    }
}
