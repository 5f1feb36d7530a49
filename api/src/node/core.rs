//! One micro-batch through the node: sequencer, lane, journal, in that order, and the answers only when the record
//! of law is written. Whoever holds the core runs this: an I/O thread (combining) or the sequencer's own thread. What
//! the disk does not take stays the journal's, in memory and in order (`outage.rs`).

use super::clock::{Clock, Machine};
use super::disk::{Group, Policy, SyncLate, Watcher, WhenUnwritable};
use super::failpoint;
use super::finish::Finish;
use super::finish::queue::Lacking;
use super::folding::Caller;
use super::gate::{Live, Means};
use super::gpu::Gpu;
use super::intake::Refusal;
use super::outage::cannot_write;
use super::pace::Pace;
use super::tally::Tally;
use super::timing::{Step, any_timed, is_timed};
use arc_swap::ArcSwap;
use interdict_engine::Error;
use interdict_engine::domain::{Accepted, Body, Decided, Finished, Recorded, Transaction, Verdict};
use interdict_engine::generation::View;
use interdict_engine::lane::{self, Evidence, Scratch};
use interdict_engine::sequencer::{Sequencer, Submission, Taken, Work};
use interdict_engine::settlement;
use interdict_ledger::journal::{Journal, Position, Record, RecordKind, Syncer};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// What the lane found of what its reasons name.
    pub evidence: Evidence,
}

/// What a lane made of a piece of work.
pub struct Judged {
    /// The record of law.
    pub decided: Decided,
    /// What its reasons name of what the stages found.
    pub evidence: Evidence,
    /// What the stages took, in ns, as far as the clock was asked.
    pub stages_ns: u64,
}

/// One piece of work through the lane, its stages until a moment; `lane` is the number it is counted under.
pub fn judge(
    work: &Work,
    until: Option<Instant>,
    means: &Means<'_>,
    scratch: &mut Scratch,
    lane: usize,
) -> Judged {
    let generation = work.view.generation();
    let mut gate = Live::new(until, means, generation, work.accepted.sequence);
    let verdict = lane::decide(work, &mut gate, scratch);
    let stages_ns = gate.done();
    // Before the count, which asks some verdicts again without a stage.
    let evidence = Evidence::of(&verdict, generation, &scratch.found);
    let mut recorded = scratch.found.to_record(generation);
    recorded.hold = settlement::inline(&work.accepted, &work.view, &verdict, recorded.would).map(Box::new);
    means.tally.count(work, &verdict, scratch, lane);
    Judged { decided: Decided { verdict, recovered: false, recorded }, evidence, stages_ns }
}

/// Sequencer, lane scratch and journal.
pub struct Core {
    /// Order, identity, features, generation.
    pub sequencer: Sequencer,
    pub(super) journal: Option<Journal>,
    pub(super) syncer: Option<Syncer>,
    scratch: Scratch,
    taken: Vec<Taken>,
    pub(super) records: Records,
    /// Of the batch at hand, the payments that lack stages.
    pub(super) lacking: Vec<Lacking>,
    pub(super) finish: Option<Arc<Finish>>,
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
    /// Between the first event of a batch and its records; seen by others only when it ended by a panic.
    pub(super) in_batch: bool,
    fold: Option<Caller>,
    gpu: Option<Arc<Gpu>>,
    pace: Arc<Pace>,
    pub(super) clock: Arc<dyn Clock>,
    shown: Arc<ArcSwap<View>>,
}

/// The encoded records of a micro-batch: what was accepted before what was decided. That is the order in which they
/// changed the state, so a restart, which takes them as they lie, comes to the same.
#[derive(Default)]
pub struct Records {
    accepted: Vec<Encoded>,
    verdicts: Vec<Encoded>,
    timed: Timed,
}

/// A record's kind, sequence, open and sealed part.
type Encoded = (RecordKind, u64, Vec<u8>, Vec<u8>);

/// Of a micro-batch's records those of timed payments: how many, of how many payments, how long encoding them took.
#[derive(Default)]
struct Timed {
    records: u32,
    payments: u32,
    last: u64,
    encoding: Duration,
}

impl Timed {
    fn add(&mut self, sequence: u64, began: Option<Instant>) {
        let Some(began) = began else { return };
        self.encoding += began.elapsed();
        self.records += 1;
        self.payments += u32::from(self.payments == 0 || self.last != sequence);
        self.last = sequence;
    }
}

impl Records {
    /// Adds an accepted record.
    pub fn accepted(&mut self, accepted: &Accepted) {
        let sequence = accepted.sequence;
        let is_payment = matches!(accepted.event.body, Body::Payment(_));
        let began = (is_payment && is_timed(sequence)).then(Instant::now);
        let parts = (accepted.encode_open(), accepted.encode_sealed());
        self.accepted.push((RecordKind::Accepted, sequence, parts.0, parts.1));
        self.timed.add(sequence, began);
    }
    /// Adds a decided record.
    pub fn decided(&mut self, decided: &Decided) {
        let sequence = decided.verdict.sequence;
        let began = is_timed(sequence).then(Instant::now);
        self.verdicts.push((RecordKind::Decided, sequence, decided.encode(), Vec::new()));
        self.timed.add(sequence, began);
    }
    /// Adds a finished record.
    pub fn finished(&mut self, finished: &Finished) {
        let sequence = finished.verdict.sequence;
        self.verdicts.push((RecordKind::Finished, sequence, finished.encode(), Vec::new()));
    }
    /// The records, as the journal takes them.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.accepted.iter().chain(&self.verdicts).map(|(kind, sequence, open, sealed)| Record {
            kind: *kind,
            sequence: *sequence,
            open,
            sealed,
        })
    }
    fn clear(&mut self) {
        self.accepted.clear();
        self.verdicts.clear();
        self.timed = Timed::default();
    }
    fn len(&self) -> usize {
        self.accepted.len() + self.verdicts.len()
    }
    /// What a timed payment among them cost the journal, its share of a write of them all that took so long
    /// included; `None` when none is timed.
    fn cost(&self, write: Duration) -> Option<Duration> {
        let Timed { records, payments, encoding, .. } = self.timed;
        let share = write.mul_f64(f64::from(records) / self.len().max(1) as f64);
        (payments > 0).then(|| (encoding + share) / payments)
    }
}

impl Core {
    /// A core over a recovered sequencer; without a journal nothing is kept (a warm-up, a bench).
    pub fn new(sequencer: Sequencer, journal: Option<Journal>, tally: Arc<Tally>) -> Core {
        let syncer = journal.as_ref().map(Journal::syncer);
        let (scratch, records) = (Scratch::of_lane(), Records::default());
        let shown = Arc::new(ArcSwap::new(sequencer.view().clone()));
        Core {
            sequencer,
            journal,
            syncer,
            scratch,
            taken: Vec::new(),
            records,
            lacking: Vec::new(),
            finish: None,
            tally,
            last: None,
            policy: Policy::default(),
            watcher: None,
            tried: None,
            told: false,
            broken: None,
            in_batch: false,
            fold: None,
            gpu: None,
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
    /// Has folds asked for by `caller`, from now on and at once where one is due.
    pub fn fold_by(&mut self, caller: Caller) {
        caller.grown(self.sequencer.view().overlay().len());
        self.fold = Some(caller);
    }
    /// Has banks searched on `gpu` too, and tells it when they learn.
    pub fn search_by(&mut self, gpu: Option<Arc<Gpu>>) {
        self.gpu = gpu;
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
    /// Takes the state and the journal out, to close them.
    pub fn into_parts(self) -> (Sequencer, Option<Journal>) {
        (self.sequencer, self.journal)
    }

    /// A micro-batch, all the way, on this thread; each payment's stages have until its deadline. `jobs` is emptied.
    pub fn process(&mut self, jobs: &mut Vec<Job>) {
        let mut until: Vec<Option<Instant>> = jobs.iter().map(|job| job.deadline).collect();
        self.process_until(jobs, &mut until);
    }
    /// As [`Core::process`], with a moment for each job until which its stages may take.
    pub fn process_until(&mut self, jobs: &mut Vec<Job>, until: &mut Vec<Option<Instant>>) {
        self.admit(jobs, until);
        if jobs.is_empty() {
            return;
        }
        // Taken back at the end: a panic in between leaves a state that the journal does not have.
        self.in_batch = true;
        let (pace, clock, tally) = (self.pace.clone(), self.clock.clone(), self.tally.clone());
        let (began, count, mut stages_ns, mut at) = (clock.now(), jobs.len().max(1) as u64, 0, 0);
        let mut waiting = Vec::with_capacity(jobs.len());
        self.step(jobs, |core, taken, deadline, reply| {
            let until = until[at];
            at += 1;
            let answered = match taken {
                Taken::Work(work) => {
                    let means =
                        Means { clock: &*clock, pace: &pace, tally: &tally, gpu: core.gpu.as_deref() };
                    let Judged { decided, evidence, stages_ns: took_ns } =
                        judge(&work, until, &means, &mut core.scratch, 0);
                    stages_ns += took_ns;
                    core.records.accepted(&work.accepted);
                    core.decided(&work, &decided);
                    let Decided { verdict, recorded, .. } = decided;
                    Answered::Decided(Box::new(Settled { work, verdict, recorded, evidence }))
                }
                other => core.note(other),
            };
            waiting.push(Waiting { answered, reply, deadline });
        });
        self.time_journal(&mut waiting);
        self.in_batch = false;
        self.settle(waiting);
        // The stages of what has no deadline are not timed, so here they could not be told from the rest.
        if until.iter().all(Option::is_some) {
            let all_ns = clock.now().saturating_duration_since(began).as_nanos() as u64;
            pace.take.note(all_ns.saturating_sub(stages_ns) / count);
        }
    }
    /// Has the time noted from now to the first of these answers.
    pub fn time_journal(&self, waiting: &mut [Waiting]) {
        let Some(first) = waiting.first_mut() else { return };
        let (pace, clock, began) = (self.pace.clone(), self.clock.clone(), self.clock.now());
        let reply: Reply = std::mem::replace(&mut first.reply, Box::new(|_| {}));
        first.reply = Box::new(move |answered| {
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
        let (last, count) = (self.sequencer.last_sequence(), jobs.len() as u32);
        let payments: Vec<&Transaction> = jobs.iter().filter_map(|job| payment(&job.submission)).collect();
        let began = (!payments.is_empty() && any_timed(last, last + u64::from(count))).then(Instant::now);
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
        // A retry takes no sequence, so the one to be timed may not have come yet.
        if let Some(began) = began.filter(|_| any_timed(last, self.sequencer.last_sequence())) {
            self.tally.times.observe(Step::Features, began.elapsed() / count);
        }
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
                match (&accepted.event.body, &self.fold, &self.gpu) {
                    (Body::ListDelta(_), Some(caller), _) => {
                        caller.grown(self.sequencer.view().overlay().len());
                    }
                    (Body::Label { .. } | Body::Publish { .. }, _, Some(gpu)) => gpu.learned(),
                    _ => {}
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
            self.records.clear();
            return Ok(());
        };
        if self.records.len() == 0 {
            return Ok(());
        }
        let records: Vec<Record<'_>> = self.records.iter().collect();
        failpoint::reached("journal.before_append");
        let began = (self.records.timed.payments > 0).then(Instant::now);
        let kept = journal.keep(&records);
        if let Some(cost) = began.and_then(|began| self.records.cost(began.elapsed())) {
            self.tally.times.observe(Step::Journal, cost);
        }
        failpoint::reached("journal.after_append");
        self.records.clear();
        match kept {
            Ok(position) => {
                self.last = Some(position);
                // Only now, since what finishes them reads them in the journal.
                if let Some(finish) = self.finish.as_ref().filter(|_| !self.lacking.is_empty()) {
                    finish.push(self.lacking.drain(..));
                }
            }
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
