//! Where finished verdicts are counted, by what was answered and what they came to, and told to the log. What stops a payment
//! is not from here: a hold begins with the `finished` record itself.

use interdict_engine::domain::{Finished, Outcome};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A payment that was finished.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The outcome that was answered: the one of law.
    pub answered: Outcome,
    /// What it came to, as recorded and durable.
    pub finished: Finished,
}

/// Counts by change of outcome.
#[derive(Debug, Default)]
pub struct Counted {
    changes: [[AtomicU64; Outcome::ALL.len()]; Outcome::ALL.len()],
}

impl Counted {
    /// Outcome as answered, as finished, and how many. Of facts, which have no other outcome, one row.
    pub fn changes(&self) -> impl Iterator<Item = (Outcome, Outcome, u64)> {
        let is_possible =
            |from: Outcome, to: Outcome| (from == Outcome::Recorded) == (to == Outcome::Recorded);
        let pairs = Outcome::ALL.into_iter().flat_map(|from| Outcome::ALL.map(|to| (from, to)));
        let pairs = pairs.filter(move |(from, to)| is_possible(*from, *to));
        pairs.map(|(from, to)| (from, to, self.changes[from as usize][to as usize].load(Relaxed)))
    }
    /// All of them.
    pub fn total(&self) -> u64 {
        self.changes.iter().flatten().map(|count| count.load(Relaxed)).sum()
    }
    /// Takes some that were finished and are durable.
    pub fn finished(&self, handed: &[Handed]) {
        for Handed { answered, finished } in handed {
            let outcome = finished.verdict.outcome;
            self.changes[*answered as usize][outcome as usize].fetch_add(1, Relaxed);
            if outcome != *answered {
                let (sequence, answered, finished) =
                    (finished.verdict.sequence, answered.name(), outcome.name());
                tracing::debug!(sequence, answered, finished, "finished otherwise than answered");
            }
        }
        let stronger = handed.iter().filter(|one| one.finished.verdict.outcome > one.answered).count();
        let weaker = handed.iter().filter(|one| one.finished.verdict.outcome < one.answered).count();
        if stronger + weaker > 0 {
            tracing::info!(finished = handed.len(), stronger, weaker, "finished what had been skipped");
        }
    }
}
