//! The core while the disk does not take the journal: what is refused and in which words, and when writing is tried
//! again. The sequencer has counted what the journal only holds in memory, so none of it may be dropped.

use super::core::{Answered, Core, Job, payment};
use super::disk::{Policy, RETRY, Watcher, WhenUnwritable};
use interdict_engine::domain::Event;
use interdict_engine::generation::Generation;
use interdict_ledger::journal::Journal;
use std::sync::Arc;
use std::time::Instant;

impl Core {
    /// What is done while the disk fails, from now on, and who sees to it.
    pub fn watched(&mut self, policy: Policy, watcher: Watcher) {
        if let Some(syncer) = &self.syncer {
            let watcher = watcher.clone();
            syncer.on_loss(move || watcher.look());
        }
        watcher.look();
        (self.policy, self.watcher) = (policy, Some(watcher));
    }
    /// Why payments are not taken, if they are not.
    pub fn refuses(&self) -> Option<String> {
        if self.in_batch {
            return Some("the core stopped in the middle of a batch; restart".into());
        }
        if self.broken.is_some() {
            return self.broken.clone();
        }
        let journal = self.journal.as_ref()?;
        let (bytes, bytes_max) = (journal.kept_bytes(), self.policy.unwritten_bytes_max);
        match journal.trouble() {
            Some(error) if self.policy.when_unwritable == WhenUnwritable::Refuse => Some(cannot_write(error)),
            Some(error) if bytes >= bytes_max => Some(format!(
                "{}; {} MiB wait to be written, limit {} MiB",
                cannot_write(error),
                bytes >> 20,
                bytes_max >> 20
            )),
            None if bytes >= bytes_max => Some(format!(
                "the disk is too slow: {} MiB wait to be synced, limit {} MiB",
                bytes >> 20,
                bytes_max >> 20
            )),
            _ => None,
        }
    }
    /// Why control events (list deltas, publications, labels) are not taken, if they are not: each is a promise.
    pub fn refuses_control(&mut self) -> Option<String> {
        self.try_again();
        let trouble = self.journal.as_ref().and_then(Journal::trouble);
        trouble.map(cannot_write).or_else(|| self.refuses())
    }
    /// Has a generation judge all that comes after it: an event like any other, whose record is with the batch at hand.
    ///
    /// # Errors
    /// While the journal cannot write; nothing was changed.
    pub fn publish(&mut self, generation: Arc<Generation>, event: Event) -> Result<Answered, Unwritable> {
        if let Some(why) = self.refuses_control() {
            return Err(Unwritable { why, is_kept: false });
        }
        let taken = self.sequencer.publish(generation, event);
        Ok(self.note(taken))
    }
    /// Writes what waits, where anything does, but seldom.
    pub fn try_again(&mut self) {
        let Some(journal) = self.journal.as_mut().filter(|journal| journal.needs_flush()) else { return };
        let now = self.clock.now();
        if self.tried.is_some_and(|tried| now.saturating_duration_since(tried) < RETRY) {
            return;
        }
        let waits = journal.unwritten_records();
        self.tried = Some(now);
        if journal.flush().is_ok() && self.told {
            self.told = false;
            tracing::info!(records = waits, "the journal is written again; what waited is in it");
        }
        self.look_after();
    }
    /// After each write: trouble is told to the log once, and to whoever tries again.
    pub(super) fn look_after(&mut self) -> Option<String> {
        let why = self.journal.as_ref().and_then(Journal::trouble).map(cannot_write)?;
        if !std::mem::replace(&mut self.told, true) {
            tracing::error!("{why}; it is tried again every {} ms", RETRY.as_millis());
        }
        if let Some(watcher) = &self.watcher {
            watcher.look();
        }
        Some(why)
    }
    /// Closes the journal's open segment and begins the next; where the disk does not take that, the next write does.
    pub fn roll(&mut self) {
        let Some(journal) = self.journal.as_mut().filter(|journal| journal.trouble().is_none()) else {
            return;
        };
        if let Err(e) = journal.roll() {
            tracing::warn!("a segment of the journal could not be closed: {e}");
        }
        self.look_after();
    }
    /// Whether something waits for the disk to take it.
    pub fn is_troubled(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::needs_flush)
    }
    /// Answers those jobs that are not taken now; the others stay, each with its moment in `until`.
    pub fn admit(&mut self, jobs: &mut Vec<Job>, until: &mut Vec<Option<Instant>>) {
        self.try_again();
        let refused = self.refuses();
        let control = self.journal.as_ref().and_then(Journal::trouble).map(cannot_write);
        if refused.is_none() && control.is_none() {
            return;
        }
        for (job, moment) in std::mem::take(jobs).into_iter().zip(std::mem::take(until)) {
            let is_payment = payment(&job.submission).is_some();
            match refused.as_ref().or(control.as_ref().filter(|_| !is_payment)) {
                Some(why) => (job.reply)(Answered::Unavailable(why.clone())),
                None => {
                    jobs.push(job);
                    until.push(moment);
                }
            }
        }
    }
}

/// What callers are told.
pub(super) fn cannot_write(error: &interdict_ledger::Error) -> String {
    format!("the journal cannot write: {error}")
}

/// A publication, or a key that is taken up, that the journal could not write.
#[derive(Debug)]
pub struct Unwritable {
    /// Why it cannot.
    pub why: String,
    /// Whether it is in force all the same, and written when the disk takes it; else nothing was changed.
    pub is_kept: bool,
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = match self.is_kept {
            true => "; what was asked for is in force and is written when the disk takes it",
            false => "; nothing was changed",
        };
        write!(f, "{}{kept}", self.why)
    }
}

impl std::error::Error for Unwritable {}
