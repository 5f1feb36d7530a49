//! One micro-batch through the node: sequencer, lane, journal, in that order, and the answers only when the record
//! of law is written. Whoever holds the core runs this: an I/O thread (combining) or the sequencer's own thread.

use super::budget::Budget;
use super::clock::{Clock, Machine};
use super::failpoint;
use super::folding::Caller;
use super::intake::Refusal;
use super::pace::Pace;
use super::tally::Tally;
use arc_swap::ArcSwap;
use interdict_engine::Error;
use interdict_engine::domain::{Accepted, Body, Decided, Recorded, Transaction, Verdict};
use interdict_engine::generation::View;
use interdict_engine::lane::{self, Scratch};
use interdict_engine::sequencer::{Sequencer, Submission, Taken, Work};
use interdict_ledger::journal::{Journal, Position, Record, RecordKind, Syncer};
use std::sync::Arc;
use std::time::Instant;

/// A submission with its deadline and whoever waits for the answer.
pub struct Job {
    /// What is submitted.
    pub submission: Submission,
    /// When the answer must be there; `None`: no matter when.
    pub deadline: Option<Instant>,
    /// Told the answer once what it says is durable.
    pub reply: Reply,
}

/// Whoever waits for an answer.
pub type Reply = Box<dyn FnOnce(Answered) + Send>;

/// What a job came to.
#[derive(Debug)]
pub enum Answered {
    /// Decided now.
    Decided(Box<Settled>),
    /// Taken note of.
    Noted(Box<Accepted>),
    /// The same payment was decided at this sequence.
    Same(u64),
    /// Another payment is known under this key, at this sequence.
    Different(u64),
    /// Not taken.
    Refused(Error),
    /// Not taken for want of room or time; the state is as it was.
    Overloaded(Refusal),
    /// The journal does not take records; nothing was acknowledged.
    Unavailable(String),
}

/// A decision with what it was made from.
#[derive(Debug)]
pub struct Settled {
    /// The stamped transaction and its view.
    pub work: Work,
    /// The canonical verdict.
    pub verdict: Verdict,
    /// What it used and cannot be made again.
    pub recorded: Recorded,
}

/// Sequencer, lane scratch and journal.
pub struct Core {
    /// Order, identity, features, generation.
    pub sequencer: Sequencer,
    journal: Option<Journal>,
    syncer: Option<Syncer>,
    scratch: Scratch,
    taken: Vec<Taken>,
    records: Records,
    tally: Arc<Tally>,
    /// Where the last record lies: what an answer without a record of its own may rest on.
    last: Option<Position>,
    failed: Option<String>,
    fold: Option<Caller>,
    pace: Arc<Pace>,
    clock: Arc<dyn Clock>,
    shown: Arc<ArcSwap<View>>,
}

/// The encoded records of a micro-batch.
#[derive(Default)]
pub struct Records(Vec<(RecordKind, u64, Vec<u8>, Vec<u8>)>);

impl Records {
    /// Adds an accepted record.
    pub fn accepted(&mut self, accepted: &Accepted) {
        let parts = (accepted.encode_open(), accepted.encode_sealed());
        self.0.push((RecordKind::Accepted, accepted.sequence, parts.0, parts.1));
    }
    /// The records, as the journal takes them.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().map(|(kind, sequence, open, sealed)| Record {
            kind: *kind,
            sequence: *sequence,
            open,
            sealed,
        })
    }
    /// Adds a decided record.
    pub fn decided(&mut self, decided: &Decided) {
        self.0.push((RecordKind::Decided, decided.verdict.sequence, decided.encode(), Vec::new()));
    }
}

impl Core {
    /// A core over a recovered sequencer; without a journal nothing is kept (a warm-up, a bench).
    pub fn new(sequencer: Sequencer, journal: Option<Journal>, tally: Arc<Tally>) -> Core {
        let syncer = journal.as_ref().map(Journal::syncer);
        let (scratch, records) = (Scratch::default(), Records::default());
        let shown = Arc::new(ArcSwap::new(sequencer.view().clone()));
        Core {
            sequencer,
            journal,
            syncer,
            scratch,
            taken: Vec::new(),
            records,
            tally,
            last: None,
            failed: None,
            fold: None,
            pace: Arc::new(Pace::new(0)),
            clock: Arc::new(Machine),
            shown,
        }
    }
    /// With somebody else's clock and averages.
    #[must_use]
    pub fn timed(mut self, pace: Arc<Pace>, clock: Arc<dyn Clock>) -> Core {
        (self.pace, self.clock) = (pace, clock);
        self
    }
    /// What the next transaction is judged by, for whoever reads it without waiting for the core.
    pub fn shown(&self) -> Arc<ArcSwap<View>> {
        self.shown.clone()
    }
    /// Shows the sequencer's view, after it may have changed.
    pub fn show(&self) {
        if !Arc::ptr_eq(&self.shown.load(), self.sequencer.view()) {
            self.shown.store(self.sequencer.view().clone());
        }
    }
    /// Why the journal takes no records, if it does not.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }
    /// Has folds asked for by `caller`, from now on and at once where one is due.
    pub fn fold_by(&mut self, caller: Caller) {
        caller.grown(self.sequencer.view().overlay().len());
        self.fold = Some(caller);
    }
    /// What tells when everything written so far is durable.
    pub fn durable(&self) -> impl FnOnce() -> Result<(), String> + use<> {
        let (syncer, last) = (self.syncer.clone(), self.last);
        move || match (syncer, last) {
            (Some(syncer), Some(last)) => syncer.wait(last).map_err(|e| e.to_string()),
            _ => Ok(()),
        }
    }
    /// The journal, for its figures.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }
    /// Takes the journal out, to close it.
    pub fn into_journal(self) -> Option<Journal> {
        self.journal
    }

    /// A micro-batch, all the way, on this thread; each payment's stages have until its deadline. `jobs` is emptied.
    pub fn process(&mut self, jobs: &mut Vec<Job>) {
        let until: Vec<Option<Instant>> = jobs.iter().map(|job| job.deadline).collect();
        self.process_until(jobs, &until);
    }
    /// As [`Core::process`], with a moment for each job until which its stages may take.
    pub fn process_until(&mut self, jobs: &mut Vec<Job>, until: &[Option<Instant>]) {
        if let Some(why) = &self.failed {
            jobs.drain(..).for_each(|job| (job.reply)(Answered::Unavailable(why.clone())));
            return;
        }
        let (pace, clock) = (self.pace.clone(), self.clock.clone());
        let (began, count, mut stages_ns, mut at) = (clock.now(), jobs.len().max(1) as u64, 0, 0);
        let mut waiting = Vec::with_capacity(jobs.len());
        self.step(jobs, |core, taken, _, reply| {
            let until = until[at];
            at += 1;
            let answered = match taken {
                Taken::Work(work) => {
                    let mut budget = Budget::new(until, &*clock, &pace, work.view.generation());
                    let verdict = lane::decide(&work, &mut budget, &mut core.scratch);
                    stages_ns += budget.finish();
                    core.tally.count(&work, &verdict, &mut core.scratch, 0);
                    core.records.accepted(&work.accepted);
                    let recorded = core.scratch.found.to_record(work.view.generation());
                    let decided = Decided { verdict, recorded, recovered: false };
                    core.records.decided(&decided);
                    let Decided { verdict, recorded, .. } = decided;
                    Answered::Decided(Box::new(Settled { work, verdict, recorded }))
                }
                other => core.note(other),
            };
            waiting.push((answered, reply));
        });
        self.time_journal(&mut waiting);
        self.settle(waiting);
        // The stages of what has no deadline are not timed, so here they could not be told from the rest.
        if until.iter().all(Option::is_some) {
            let all_ns = clock.now().saturating_duration_since(began).as_nanos() as u64;
            pace.take.note(all_ns.saturating_sub(stages_ns) / count);
        }
    }
    /// Has the time noted from now to the first of these answers.
    pub fn time_journal(&self, waiting: &mut [(Answered, Reply)]) {
        let Some((_, first)) = waiting.first_mut() else { return };
        let (pace, clock, began) = (self.pace.clone(), self.clock.clone(), self.clock.now());
        let reply: Reply = std::mem::replace(first, Box::new(|_| {}));
        *first = Box::new(move |answered| {
            pace.journal.note(clock.now().saturating_duration_since(began).as_nanos() as u64);
            reply(answered);
        });
    }

    /// Sequences a micro-batch and hands each result on, with the job's deadline and reply, in order.
    pub fn step(
        &mut self,
        jobs: &mut Vec<Job>,
        mut each: impl FnMut(&mut Core, Taken, Option<Instant>, Reply),
    ) {
        let payments: Vec<&Transaction> = jobs.iter().filter_map(|job| payment(&job.submission)).collect();
        if payments.len() > 1 {
            self.sequencer.prefetch(&payments);
        }
        let mut rest = Vec::with_capacity(jobs.len());
        let submissions = jobs.drain(..).map(|job| {
            rest.push((job.deadline, job.reply));
            job.submission
        });
        let mut taken = std::mem::take(&mut self.taken);
        self.sequencer.step(submissions, &mut taken);
        for (taken, (deadline, reply)) in taken.drain(..).zip(rest) {
            each(self, taken, deadline, reply);
        }
        self.taken = taken;
    }

    /// What is no work: recorded where it was accepted, answered.
    pub fn note(&mut self, taken: Taken) -> Answered {
        match taken {
            Taken::Noted(accepted) => {
                self.show();
                self.records.accepted(&accepted);
                if let (Body::ListDelta(_), Some(caller)) = (&accepted.event.body, &self.fold) {
                    caller.grown(self.sequencer.view().overlay().len());
                }
                Answered::Noted(accepted)
            }
            Taken::Same(sequence) => Answered::Same(sequence),
            Taken::Different(sequence) => Answered::Different(sequence),
            Taken::Refused(error) => Answered::Refused(error),
            Taken::Work(_) => unreachable!("work is decided, not noted"),
        }
    }

    /// The records of the batch at hand.
    pub fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    /// Writes the records of the batch at hand and then answers. Under `durability = disk` the answers wait for the
    /// group's fdatasync, on its thread.
    pub fn settle(&mut self, waiting: Vec<(Answered, Reply)>) {
        // A retry has nothing to write, but the verdict it is told may still be waiting for its sync.
        let written = self.write().map(|()| self.last);
        failpoint::reached("answer.before_reply");
        match (written, &self.syncer) {
            (Err(why), _) => {
                waiting.into_iter().for_each(|(_, reply)| reply(Answered::Unavailable(why.clone())))
            }
            (Ok(Some(position)), Some(syncer)) if !syncer.is_durable(position) => {
                syncer.when_durable(position, move |synced| match synced {
                    Ok(()) => waiting.into_iter().for_each(|(answered, reply)| reply(answered)),
                    Err(e) => {
                        waiting
                            .into_iter()
                            .for_each(|(_, reply)| reply(Answered::Unavailable(e.to_string())));
                    }
                });
            }
            _ => waiting.into_iter().for_each(|(answered, reply)| reply(answered)),
        }
    }

    /// One write for the whole batch. After a failure the sequencer has seen what the journal has not, so nothing
    /// more is taken until a restart has rebuilt it from the journal.
    pub fn write(&mut self) -> Result<(), String> {
        let Some(journal) = &mut self.journal else {
            self.records.0.clear();
            return Ok(());
        };
        if self.records.0.is_empty() {
            return Ok(());
        }
        let records: Vec<Record<'_>> = self.records.iter().collect();
        failpoint::reached("journal.before_append");
        let written = journal.append(&records);
        failpoint::reached("journal.after_append");
        self.records.0.clear();
        match written {
            Ok(position) => self.last = Some(position),
            Err(error) => {
                let why = format!("the journal takes no records: {error}");
                tracing::error!("{why}; refusing until a restart has rebuilt the state from the journal");
                self.failed = Some(why.clone());
                return Err(why);
            }
        }
        Ok(())
    }
}

fn payment(submission: &Submission) -> Option<&Transaction> {
    match &submission.event.body {
        Body::Payment(tx) => Some(tx),
        _ => None,
    }
}
