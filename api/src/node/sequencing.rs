//! What the owner of the core does with lanes, a step each, whoever the lanes are: takes what waits and hands it out,
//! collects what was made, writes and answers it. `lanes.rs` has the threads for it, the simulator of the tests others.

use super::clock::Clock;
use super::core::{Answered, Core, Reply, Settled, Waiting};
use super::intake::{Batch, Intake};
use super::pace::Pace;
use interdict_engine::domain::Decided;
use interdict_engine::lane::Evidence;
use interdict_engine::sequencer::{Taken, Work};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Work for a lane, and until when its stages may take.
pub type Given = (Box<Work>, Option<Instant>);
/// What a lane made of it.
pub type Made = (Box<Work>, Decided, Evidence);

/// Who does the work.
pub trait Crew {
    /// Work that may be out at once; a micro-batch at least.
    fn room(&self) -> usize;
    /// Hands a piece of work out. There is never more out than there is room for.
    fn give(&mut self, given: Given);
    /// Takes what was made since, in any order.
    fn collect(&mut self, made: &mut Vec<Made>);
}

/// What the steps work with.
#[derive(Clone)]
pub struct Means {
    /// Where the work comes from.
    pub intake: Arc<Intake>,
    /// The owner of order, features and journal.
    pub core: Arc<Mutex<Core>>,
    /// Where times are noted.
    pub pace: Arc<Pace>,
    /// By which budgets are kept.
    pub clock: Arc<dyn Clock>,
    /// Transactions drained at once.
    pub micro_batch: usize,
}

/// A transaction that is with a lane: who asked for it, and who asked for the same again meanwhile.
struct Pending {
    reply: Reply,
    deadline: Option<Instant>,
    again: Vec<(Reply, Option<Instant>)>,
}

/// The steps, and what is out.
pub struct Sequencing<C> {
    /// Who does the work.
    pub crew: C,
    means: Means,
    inflight: HashMap<u64, Pending>,
}

impl<C: Crew> Sequencing<C> {
    /// With nothing out.
    pub fn new(means: Means, crew: C) -> Sequencing<C> {
        Sequencing { crew, means, inflight: HashMap::new() }
    }
    /// Whether nothing is out and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.inflight.is_empty() && self.means.intake.waiting() == 0
    }

    /// Sequences what waits, writes `accepted`, and hands the work out; whether there was any.
    pub fn take(&mut self) -> bool {
        let micro_batch = self.means.micro_batch;
        if self.inflight.len() + micro_batch > self.crew.room() || self.means.intake.waiting() == 0 {
            return false;
        }
        let Means { intake, core, pace, clock, .. } = self.means.clone();
        let mut batch = Batch::default();
        if !intake.take(micro_batch, false, &mut batch) {
            return false;
        }
        let Batch { mut jobs, mut until } = batch;
        let (began, count, mut at) = (clock.now(), jobs.len(), 0);
        let mut core = core.lock();
        core.admit(&mut jobs, &mut until);
        // What was refused is answered and waits no more.
        intake.done(count - jobs.len());
        let count = jobs.len();
        if jobs.is_empty() {
            return true;
        }
        let (mut noted, mut work) = (Vec::new(), Vec::new());
        let inflight = &mut self.inflight;
        core.step(&mut jobs, |core, taken, deadline, reply| {
            let until = until[at];
            at += 1;
            match taken {
                Taken::Work(one) => {
                    core.records().accepted(&one.accepted);
                    inflight.insert(one.accepted.sequence, Pending { reply, deadline, again: Vec::new() });
                    work.push((Box::new(one), until));
                }
                // Asked for again while the first is with a lane: answered together with it.
                Taken::Same(sequence) if inflight.contains_key(&sequence) => {
                    inflight.get_mut(&sequence).expect("just looked").again.push((reply, deadline));
                }
                other => {
                    let answered = core.note(other);
                    noted.push(Waiting { answered, reply, deadline });
                }
            }
        });
        // What the disk does not take is decided all the same: it is kept, and its verdict behind it.
        core.settle(noted);
        drop(core);
        intake.done(count - work.len());
        pace.take.note(since_ns(&*clock, began) / count as u64);
        work.into_iter().for_each(|given| self.crew.give(given));
        true
    }

    /// Writes the verdicts that were made, and answers; whether there were any.
    pub fn collect(&mut self) -> bool {
        let mut made: Vec<Made> = Vec::new();
        self.crew.collect(&mut made);
        if made.is_empty() {
            return false;
        }
        made.sort_by_key(|(work, ..)| work.accepted.sequence);
        let Means { intake, core, pace, clock, .. } = &self.means;
        let (began, count) = (clock.now(), made.len());
        let mut core = core.lock();
        let mut waiting = Vec::with_capacity(made.len());
        for (work, decided, evidence) in made {
            core.decided(&work, &decided);
            let Decided { verdict, recorded, .. } = decided;
            let sequence = verdict.sequence;
            if let Some(pending) = self.inflight.remove(&sequence) {
                let settled = Settled { work: *work, verdict, recorded, evidence };
                let Pending { reply, deadline, again } = pending;
                waiting.push(Waiting { answered: Answered::Decided(Box::new(settled)), reply, deadline });
                waiting.extend(again.into_iter().map(|(reply, deadline)| Waiting {
                    answered: Answered::Same(sequence),
                    reply,
                    deadline,
                }));
            }
        }
        core.time_journal(&mut waiting);
        core.settle(waiting);
        drop(core);
        intake.done(count);
        pace.settle.note(since_ns(&**clock, began) / count as u64);
        true
    }
}

fn since_ns(clock: &dyn Clock, began: Instant) -> u64 {
    clock.now().saturating_duration_since(began).as_nanos() as u64
}
