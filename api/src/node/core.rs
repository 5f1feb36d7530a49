//! One micro-batch through the node: sequencer, lane, journal, in that order, and the answers only when the record
//! of law is written. Whoever holds the core runs this: an I/O thread (combining) or the sequencer's own thread.

use super::failpoint;
use super::folding::Caller;
use super::gate::Live;
use super::gpu::Gpu;
use super::tally::Tally;
use super::timing::{Step, any_timed, is_timed};
use interdict_engine::Error;
use interdict_engine::domain::{Accepted, Body, Decided, Recorded, Transaction, Verdict};
use interdict_engine::lane::{self, Evidence, Scratch};
use interdict_engine::sequencer::{Sequencer, Submission, Taken, Work};
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
    /// What the lane found of what its reasons name.
    pub evidence: Evidence,
}

/// One piece of work through the lane: the record of law, and what its reasons name of what the stages found. `lane` is
/// the number it is counted under.
pub fn judge(
    work: &Work,
    deadline: Option<Instant>,
    scratch: &mut Scratch,
    tally: &Tally,
    gpu: Option<&Gpu>,
    lane: usize,
) -> (Decided, Evidence) {
    let generation = work.view.generation();
    let mut gate = Live::new(deadline, &tally.times, gpu, work.accepted.sequence);
    let verdict = lane::decide(work, &mut gate, scratch);
    gate.done();
    // Before the count, which asks some verdicts again without a stage.
    let evidence = Evidence::of(&verdict, generation, &scratch.found);
    let recorded = scratch.found.to_record(generation);
    tally.count(work, &verdict, scratch, lane);
    (Decided { verdict, recovered: false, recorded }, evidence)
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
    gpu: Option<Arc<Gpu>>,
}

/// The encoded records of a micro-batch.
#[derive(Default)]
pub struct Records {
    all: Vec<(RecordKind, u64, Vec<u8>, Vec<u8>)>,
    timed: Timed,
}

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
        self.all.push((RecordKind::Accepted, sequence, parts.0, parts.1));
        self.timed.add(sequence, began);
    }
    /// Adds a decided record.
    pub fn decided(&mut self, decided: &Decided) {
        let sequence = decided.verdict.sequence;
        let began = is_timed(sequence).then(Instant::now);
        self.all.push((RecordKind::Decided, sequence, decided.encode(), Vec::new()));
        self.timed.add(sequence, began);
    }
    /// The records, as the journal takes them.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.all.iter().map(|(kind, sequence, open, sealed)| Record {
            kind: *kind,
            sequence: *sequence,
            open,
            sealed,
        })
    }
    fn clear(&mut self) {
        self.all.clear();
        self.timed = Timed::default();
    }
    /// What a timed payment among them cost the journal, its share of a write of them all that took so long
    /// included; `None` when none is timed.
    fn cost(&self, write: Duration) -> Option<Duration> {
        let Timed { records, payments, encoding, .. } = self.timed;
        let share = write.mul_f64(f64::from(records) / self.all.len().max(1) as f64);
        (payments > 0).then(|| (encoding + share) / payments)
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
            failed: None,
            fold: None,
            gpu: None,
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
    /// Takes the journal out, to close it.
    pub fn into_journal(self) -> Option<Journal> {
        self.journal
    }

    /// A micro-batch, all the way, on this thread. `jobs` is emptied.
    pub fn process(&mut self, jobs: &mut Vec<Job>) {
        if let Some(why) = &self.failed {
            jobs.drain(..).for_each(|job| (job.reply)(Answered::Unavailable(why.clone())));
            return;
        }
        let mut waiting = Vec::with_capacity(jobs.len());
        self.step(jobs, |core, taken, deadline, reply| {
            let answered = match taken {
                Taken::Work(work) => {
                    let (decided, evidence) =
                        judge(&work, deadline, &mut core.scratch, &core.tally, core.gpu.as_deref(), 0);
                    core.records.accepted(&work.accepted);
                    core.records.decided(&decided);
                    let Decided { verdict, recorded, .. } = decided;
                    Answered::Decided(Box::new(Settled { work, verdict, recorded, evidence }))
                }
                other => core.note(other),
            };
            waiting.push((answered, reply));
        });
        self.settle(waiting);
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
            self.records.clear();
            return Ok(());
        };
        if self.records.all.is_empty() {
            return Ok(());
        }
        let records: Vec<Record<'_>> = self.records.iter().collect();
        failpoint::reached("journal.before_append");
        let began = (self.records.timed.payments > 0).then(Instant::now);
        let written = journal.append(&records);
        if let Some(cost) = began.and_then(|began| self.records.cost(began.elapsed())) {
            self.tally.times.observe(Step::Journal, cost);
        }
        failpoint::reached("journal.after_append");
        self.records.clear();
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
