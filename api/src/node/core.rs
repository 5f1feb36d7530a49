//! One micro-batch through the node: sequencer, lane, journal, in that order, and the answers only when the record
//! of law is written. Whoever holds the core runs this: an I/O thread (combining) or the sequencer's own thread. What
//! the disk does not take stays the journal's, in memory and in order (`outage.rs`).

use super::disk::{Group, Policy, SyncLate, Watcher, WhenUnwritable};
use super::failpoint;
use super::folding::Caller;
use super::outage::cannot_write;
use super::tally::Tally;
use interdict_engine::domain::{Accepted, Body, Decided, Recorded, Transaction, Verdict};
use interdict_engine::lane::{self, Gate, Scratch};
use interdict_engine::sequencer::{Sequencer, Submission, Taken, Work};
use interdict_engine::{Error, SkipReason, Stage};
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
    /// The journal does not take records; nothing was acknowledged.
    Unavailable(String),
    /// What is inside, told before it is safe, as the configuration allows.
    Early(Box<Answered>),
}

/// An answer and whoever waits for it.
pub struct Waiting {
    /// The answer.
    pub answered: Answered,
    /// Told it once.
    pub reply: Reply,
    /// When the answer must be there; `None`: no matter when.
    pub deadline: Option<Instant>,
}

impl Waiting {
    /// Answers.
    pub fn tell(self) {
        (self.reply)(self.answered);
    }
    /// Answers what was promised to nobody: a verdict is told early where that is allowed, a control event never.
    pub fn tell_unsafe(self, early: bool, why: &str) {
        let answered = match self.answered {
            Answered::Decided(_) | Answered::Same(_) if early => Answered::Early(Box::new(self.answered)),
            _ => Answered::Unavailable(why.to_owned()),
        };
        (self.reply)(answered);
    }
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

/// Looks at the clock before each stage.
pub struct Deadline(pub Option<Instant>);
impl Gate for Deadline {
    fn skip(&mut self, _: Stage) -> Option<SkipReason> {
        self.0.filter(|deadline| Instant::now() >= *deadline).map(|_| SkipReason::Deadline)
    }
}

/// Sequencer, lane scratch and journal.
pub struct Core {
    /// Order, identity, features, generation.
    pub sequencer: Sequencer,
    pub(super) journal: Option<Journal>,
    pub(super) syncer: Option<Syncer>,
    scratch: Scratch,
    taken: Vec<Taken>,
    records: Records,
    tally: Arc<Tally>,
    /// Where the last record lies: what an answer without a record of its own may rest on.
    last: Option<Position>,
    pub(super) policy: Policy,
    pub(super) watcher: Option<Watcher>,
    /// When writing what waits was last tried.
    pub(super) tried: Option<Instant>,
    /// Whether the log has said that the journal cannot write.
    pub(super) told: bool,
    /// Why nothing is taken until a restart.
    pub(super) broken: Option<String>,
    fold: Option<Caller>,
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
        Core {
            sequencer,
            journal,
            syncer,
            scratch,
            taken: Vec::new(),
            records,
            tally,
            last: None,
            policy: Policy::default(),
            watcher: None,
            tried: None,
            told: false,
            broken: None,
            fold: None,
        }
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

    /// A micro-batch, all the way, on this thread. `jobs` is emptied.
    pub fn process(&mut self, jobs: &mut Vec<Job>) {
        self.admit(jobs);
        if jobs.is_empty() {
            return;
        }
        let mut waiting = Vec::with_capacity(jobs.len());
        self.step(jobs, |core, taken, deadline, reply| {
            let answered = match taken {
                Taken::Work(work) => {
                    let verdict = lane::decide(&work, &mut Deadline(deadline), &mut core.scratch);
                    core.tally.count(&work, &verdict, &mut core.scratch, 0);
                    core.records.accepted(&work.accepted);
                    let recorded = core.scratch.found.to_record(work.view.generation());
                    let decided = Decided { verdict, recovered: false, recorded };
                    core.records.decided(&decided);
                    let Decided { verdict, recorded, .. } = decided;
                    Answered::Decided(Box::new(Settled { work, verdict, recorded }))
                }
                other => core.note(other),
            };
            waiting.push(Waiting { answered, reply, deadline });
        });
        self.settle(waiting);
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
    /// group's fdatasync, on its thread, or where the configuration says so no longer than their deadlines.
    pub fn settle(&mut self, waiting: Vec<Waiting>) {
        let written = self.write();
        let early = self.policy.when_unwritable == WhenUnwritable::Continue;
        failpoint::reached("answer.before_reply");
        let (syncer, position) = match (written, &self.syncer, self.last) {
            (Err(why), ..) => return waiting.into_iter().for_each(|one| one.tell_unsafe(early, &why)),
            // A retry has nothing to write, but the verdict it is told may still be waiting for its sync.
            (Ok(()), Some(syncer), Some(position)) if !syncer.is_durable(position) => (syncer, position),
            _ => return waiting.into_iter().for_each(Waiting::tell),
        };
        let group = Arc::new(Group::new(waiting));
        if let (SyncLate::Answer, Some(watcher)) = (self.policy.sync_late, &self.watcher) {
            watcher.answer_in_time(&group);
        }
        syncer.when_durable(position, move |synced| match synced {
            Ok(()) => group.take().for_each(Waiting::tell),
            Err(e) => {
                let why = cannot_write(&e);
                group.take().for_each(|one| one.tell_unsafe(early, &why));
            }
        });
    }

    /// One write for the whole batch. What the disk does not take is kept, since the sequencer has seen it: it is
    /// written when the disk takes it, and until then nothing is acknowledged.
    ///
    /// # Errors
    /// Why the journal cannot write now.
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
        let kept = journal.keep(&records);
        failpoint::reached("journal.after_append");
        self.records.0.clear();
        match kept {
            Ok(position) => self.last = Some(position),
            // Sequences are in order and batches within the journal's bound; if not, the state is past the journal
            // for good, and only a restart rebuilds it.
            Err(error) => {
                let why = format!("the journal refuses a batch: {error}; restart");
                tracing::error!("{why}");
                self.broken = Some(why.clone());
                return Err(why);
            }
        }
        self.look_after().map_or(Ok(()), Err)
    }
}

pub(super) fn payment(submission: &Submission) -> Option<&Transaction> {
    match &submission.event.body {
        Body::Payment(tx) => Some(tx),
        _ => None,
    }
}
