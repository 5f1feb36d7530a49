//! Finishes what was skipped: while nobody waits, the lane runs again over a payment and the view of its sequence, without
//! a deadline, the earliest cut-off first. What it comes to is recorded beside the verdict of law, which stays, and
//! handed to the settlement window. It is made from the journal's own records, live and after a restart alike.

pub mod confirm;
pub mod queue;
pub mod remake;
pub mod window;

use super::background::Background;
use super::core::Core;
use super::disk::RETRY;
use super::share::Share;
use super::{Node, failpoint};
use anyhow::{Result, anyhow};
use confirm::Answer;
use interdict_engine::domain::{Accepted, Decided, Finished, GenerationId, Outcome};
use interdict_engine::generation::{Settings, View};
use interdict_engine::lane::{Confirmed, Scratch, decide};
use interdict_engine::limits::{MICRO_BATCH_MAX, UNFINISHED_REMADE_MAX};
use interdict_engine::sequencer::{ENGINE, Work};
use interdict_engine::settlement::on_finishing;
use interdict_engine::unfinished::Unfinished;
use interdict_ledger::journal::RecordKind;
use parking_lot::{Mutex, MutexGuard};
use prometheus::{Histogram, HistogramOpts};
use queue::{Lacking, Queue};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use window::{Counted, Handed, Window};

/// After the journal could not be read.
const AGAIN: Duration = Duration::from_secs(10);
/// How often it is looked for what settles unconfirmed.
const LATE_EVERY: Duration = Duration::from_secs(1);

/// What is unfinished, and what finishing came to.
pub struct Finish {
    queue: Mutex<Queue>,
    search: Mutex<Search>,
    thread: OnceLock<Thread>,
    /// The thread waits for something to do.
    waits: AtomicBool,
    /// Nothing is begun while it is set.
    held_back: AtomicBool,
    /// What counts and tells it.
    pub window: Counted,
    /// Payments that can no longer be finished: their view is not kept, or their texts are not readable.
    pub not_kept: AtomicU64,
    /// As there.
    pub unreadable: AtomicU64,
    /// Passes over the journal: for views, and for payments that were let go.
    pub passes: AtomicU64,
    /// How long the lane took, in seconds.
    pub duration: Histogram,
    /// What was said of candidates.
    pub confirmed: confirm::Counts,
}

/// How far the journal was searched for payments that were let go.
#[derive(Debug, Default)]
struct Search {
    /// The next search begins after this sequence; 0: at the beginning.
    after: u64,
    /// How often a payment had been let go when the one at the beginning began.
    let_go: u64,
}

impl Finish {
    /// With what a recovery found.
    pub fn new(queue: Queue) -> Finish {
        // 1 µs to 1 s by factors of two.
        let buckets = (0..21).map(|n| 1e-6 * f64::from(1u32 << n)).collect();
        let options =
            HistogramOpts::new("interdict_finish_duration_seconds", "All stages of a payment, once more");
        Finish {
            queue: Mutex::new(queue),
            search: Mutex::default(),
            thread: OnceLock::new(),
            waits: AtomicBool::new(false),
            held_back: AtomicBool::new(false),
            window: Counted::default(),
            not_kept: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            passes: AtomicU64::new(0),
            duration: Histogram::with_opts(options.buckets(buckets)).expect("the name is valid"),
            confirmed: confirm::Counts::default(),
        }
    }
    /// A payment that lacks stages.
    pub fn lacking(&self, work: &Work) -> Lacking {
        let cut_off_ms = Unfinished::cut_off_ms(&work.accepted, work.view.generation().settings());
        let candidates = confirm::candidates(&work.accepted, &work.view, cut_off_ms);
        Lacking { cut_off_ms, sequence: work.accepted.sequence, view: Some(work.view.clone()), candidates }
    }
    /// Queues payments whose verdicts the journal has.
    pub fn push(&self, lacking: impl IntoIterator<Item = Lacking>) {
        let mut queue = self.queue();
        lacking.into_iter().for_each(|one| queue.push(one));
        drop(queue);
        if self.waits.swap(false, Ordering::AcqRel) {
            self.thread.get().into_iter().for_each(Thread::unpark);
        }
    }
    /// The queue, for its figures and for an image of the state.
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
    /// Has nothing begun until it is let on again: for tests.
    pub fn hold_back(&self, held_back: bool) {
        self.held_back.store(held_back, Ordering::Release);
        if !held_back {
            self.thread.get().into_iter().for_each(Thread::unpark);
        }
    }
    /// How many wait, and the earliest cut-off among them, ms since the Unix epoch.
    pub fn waiting(&self) -> (usize, Option<i64>) {
        let queue = self.queue();
        let first = queue.unfinished().iter().next().map(|(cut_off_ms, _)| cut_off_ms);
        (queue.unfinished().len(), first)
    }
    /// Whether all that was skipped is finished, or cannot be, or waits to be confirmed.
    pub fn is_done(&self) -> bool {
        self.queue().is_done()
    }
}

/// Starts the thread of a node; what it has in hand when it ends stays unfinished.
pub fn start(node: &Arc<Node>) -> Background {
    let (weak, intake, percent) =
        (Arc::downgrade(node), node.intake.clone(), node.loaded.hardware.background_percent);
    let finishing = Background::start("finish", move |stop| {
        run(&weak, stop, Share::new(intake, stop.clone(), percent));
    });
    // Set once: a node has one.
    let _ = node.finish.thread.set(finishing.thread());
    finishing
}

/// What a round of the thread came to.
enum Round {
    /// Something was done, or there may be more to do.
    Worked,
    /// There is nothing to do until somebody says so.
    Nothing,
    /// Not now; again after so long.
    Later(Duration),
}

fn run(node: &Weak<Node>, stop: &AtomicBool, mut share: Share) {
    let mut scratch = Scratch::default();
    while !stop.load(Ordering::Acquire) {
        // Held for this round only, so that whoever closes the node finds itself its last holder.
        let Some(held) = node.upgrade() else { return };
        let round = held.finish_round(&mut share, &mut scratch).unwrap_or_else(|e| {
            tracing::error!("what was skipped cannot be finished now: {e:#}; trying again in {AGAIN:?}");
            Round::Later(AGAIN)
        });
        match round {
            Round::Worked => {}
            Round::Nothing => {
                held.finish.waits.store(true, Ordering::Release);
                // What came before the mark was set woke nobody.
                let is_done = held.finish.is_done();
                let waits = held.finish.queue().confirming().waiting() > 0;
                drop(held);
                if is_done {
                    // What nobody confirms is given up at its cut-off.
                    if waits { thread::park_timeout(LATE_EVERY) } else { thread::park() }
                    share.slept();
                }
            }
            Round::Later(wait) => {
                drop(held);
                thread::park_timeout(wait);
                share.slept();
            }
        }
    }
}

impl Node {
    fn finish_round(&self, share: &mut Share, scratch: &mut Scratch) -> Result<Round> {
        if self.loaded.hardware.background_percent == 0 || self.finish.held_back.load(Ordering::Acquire) {
            return Ok(Round::Later(AGAIN));
        }
        if !share.go_on() {
            return Ok(Round::Worked);
        }
        let (first, lacks) = {
            let mut queue = self.finish.queue();
            self.finish.confirmed.late(queue.settled(self.clock.wall_ms()));
            (queue.first(MICRO_BATCH_MAX), queue.unfinished().lacks())
        };
        match first.first() {
            None if lacks => self.find_let_go(share),
            None => Ok(Round::Nothing),
            Some(Lacking { view: None, sequence, .. }) => self.remake_views(*sequence, share),
            Some(_) => self.finish_some(&first, share, scratch),
        }
    }

    /// Finishes the first ones, as far as their views are held: one write for all of them, as of any micro-batch.
    fn finish_some(&self, first: &[Lacking], share: &mut Share, scratch: &mut Scratch) -> Result<Round> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let (mut handed, mut done) = (Vec::new(), Vec::new());
        let first: Vec<(u64, &Arc<View>)> =
            first.iter().map_while(|one| Some((one.sequence, one.view.as_ref()?))).collect();
        let kinds = [RecordKind::Accepted, RecordKind::Decided, RecordKind::Finished];
        let wanted: Vec<_> =
            first.iter().flat_map(|(sequence, _)| kinds.map(|kind| (kind, *sequence))).collect();
        let records = self.reader.read_many(&wanted).map_err(failed)?;
        for ((sequence, view), records) in first.iter().zip(records.chunks_exact(kinds.len())) {
            if !share.go_on() {
                break;
            }
            let [Some(accepted), Some(decided), finished] = records else {
                // Its segment was removed.
                self.finish.not_kept.fetch_add(1, Ordering::Relaxed);
                done.push(*sequence);
                continue;
            };
            done.push(*sequence);
            if finished.is_some() {
                continue;
            }
            let Some(sealed) = &accepted.sealed else {
                self.finish.unreadable.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let accepted = Accepted::decode(&accepted.open, Some(sealed))?;
            let decided = Decided::decode(&decided.open)?;
            let answer = match confirm::is_late(&decided.verdict) {
                false => Answer::Late,
                true => match self.answer_for(&accepted, view) {
                    Some(answer) => answer,
                    // It waits, as it did before a restart.
                    None => {
                        done.pop();
                        continue;
                    }
                },
            };
            // Of a fact, what it would have been.
            let answered = decided.recorded.would.unwrap_or(decided.verdict.outcome);
            let began = Instant::now();
            let finished = finished_of(accepted, answered, view, &answer, scratch, self.clock.wall_ms());
            self.finish.duration.observe(began.elapsed().as_secs_f64());
            handed.push(Handed { answered, finished });
        }
        self.record(&done, &handed)
    }

    /// Records what was finished, lets go of it, and once it is durable hands it over.
    fn record(&self, done: &[u64], handed: &[Handed]) -> Result<Round> {
        let mut core = self.core.lock();
        let recorded = match core.refuses_control() {
            Some(_) => None,
            None => {
                failpoint::reached("finish.before_append");
                handed.iter().for_each(|one| core.finished(&one.finished));
                // What the disk does not take is kept and written when it does, as any other record.
                let written = core.write();
                failpoint::reached("finish.after_append");
                // Under the core's lock, so that an image of the state has either the one or the other.
                let mut queue = self.finish.queue();
                for sequence in done {
                    queue.remove(*sequence);
                }
                Some((written, core.durable()))
            }
        };
        drop(core);
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        let Some((written, durable)) = recorded else { return Ok(Round::Later(RETRY)) };
        if written.is_ok() && durable().is_ok() && !handed.is_empty() {
            self.finish.window.finished(handed);
            self.free_unlisted(handed)?;
        }
        Ok(Round::Worked)
    }

    /// Makes the views again that the next payment and others of its generation need.
    fn remake_views(&self, next: u64, share: &mut Share) -> Result<Round> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let wanted = self.finish.queue().first_without_view(UNFINISHED_REMADE_MAX);
        let decided = self.reader.read_decided(next).map_err(failed)?;
        let hash = match &decided {
            Some(decided) => Decided::decode(&decided.open)?.verdict.generation.hash,
            None => return self.give_up(|sequence| sequence == next, &wanted),
        };
        self.finish.passes.fetch_add(1, Ordering::Relaxed);
        let in_force = self.view().generation().clone();
        // Those built stay built for the next pass, within the node's own bound.
        let generation = |id: &GenerationId| match in_force.hash() == id.hash {
            true => Some(in_force.clone()),
            false => self.generation(id).ok(),
        };
        let remade = remake::views(&self.reader, &wanted, hash, &generation, &mut || share.go_on())?;
        let Some(remake::Remade { views, gone_from }) = remade else { return Ok(Round::Worked) };
        let found;
        {
            let mut queue = self.finish.queue();
            // The next one first: there is room for it whatever else is held.
            let (own, others): (Vec<_>, Vec<_>) =
                views.into_iter().partition(|(sequence, _)| *sequence == next);
            found = !own.is_empty();
            own.into_iter().for_each(|(sequence, view)| queue.hold_remade(sequence, view, true));
            others.into_iter().for_each(|(sequence, view)| queue.hold_remade(sequence, view, false));
        }
        match gone_from {
            Some(from) => self.give_up(|sequence| sequence > from, &wanted),
            // A verdict of another generation than the journal leads to: `verify` tells such.
            None if !found => self.give_up(|sequence| sequence == next, &wanted),
            None => Ok(Round::Worked),
        }
    }
    /// Lets go of those that can never be finished.
    fn give_up(&self, which: impl Fn(u64) -> bool, wanted: &BTreeSet<u64>) -> Result<Round> {
        let mut queue = self.finish.queue();
        let gone = wanted.iter().filter(|sequence| which(**sequence) && queue.remove(**sequence)).count();
        drop(queue);
        self.finish.not_kept.fetch_add(gone as u64, Ordering::Relaxed);
        tracing::warn!(payments = gone, "skipped stages cannot be finished: what they judge by is not kept");
        Ok(Round::Worked)
    }

    /// Looks in the journal for payments that the queue had no room for.
    fn find_let_go(&self, share: &mut Share) -> Result<Round> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        // What is finished and only in memory would look unfinished.
        if self.core.lock().is_troubled() {
            return Ok(Round::Later(RETRY));
        }
        self.work();
        self.finish.passes.fetch_add(1, Ordering::Relaxed);
        // Where the last search ended, so that what was found then and cannot be finished is not found for ever.
        let mut search = self.finish.search.lock();
        if search.after == 0 {
            search.let_go = self.finish.queue().let_go();
        }
        let most = self.loaded.config.finish.queue_max;
        let found = remake::unfinished(&self.reader, search.after, most, &mut || share.go_on())?;
        let Some(remake::Lacking { sequences, more_after }) = found else { return Ok(Round::Worked) };
        let unknown = Settings::default();
        for sequence in sequences {
            if !share.go_on() {
                return Ok(Round::Worked);
            }
            let Some(record) = self.reader.read_accepted(sequence).map_err(failed)? else { continue };
            let accepted = Accepted::decode(&record.open, Some(&[]))?;
            // One that is not kept is told when the payment's turn comes; in what order does not matter then.
            let generation = self.generation(&accepted.generation).ok();
            let settings = generation.as_ref().map_or(&unknown, |generation| generation.settings());
            let cut_off_ms = Unfinished::cut_off_ms(&accepted, settings);
            let candidates = Vec::new();
            self.finish.queue().push(Lacking { cut_off_ms, sequence, view: None, candidates });
        }
        search.after = more_after.unwrap_or(0);
        let mut queue = self.finish.queue();
        if more_after.is_none() && queue.let_go() == search.let_go {
            queue.unfinished_mut().looked_for();
        }
        Ok(Round::Worked)
    }
}

/// What a payment comes to with all stages. Where it would have been stopped and was not, a hold begins, at `at_ms`.
fn finished_of(
    accepted: Accepted,
    answered: Outcome,
    view: &Arc<View>,
    answer: &Answer,
    scratch: &mut Scratch,
    at_ms: i64,
) -> Finished {
    let mut work = Work { accepted: Box::new(accepted), view: view.clone(), prints: None };
    let banks = view.generation().banks();
    if !banks.is_empty() {
        // As the sequencer made them: of the payment and its stamps alone.
        work.prints = Some(Arc::new(banks.prints(work.transaction(), &work.accepted.features)));
    }
    let confirmed = answer.confirmations();
    let verdict = decide(&work, &mut Confirmed(confirmed), scratch);
    let mut recorded = scratch.found.to_record(view.generation());
    recorded.confirmed = confirmed.to_vec();
    let hold = on_finishing(&work.accepted, view, &verdict, recorded.would, (answered, at_ms));
    recorded.hold = hold.map(Box::new);
    Finished { at_ms, engine: ENGINE.to_owned(), verdict, recorded }
}

impl Core {
    /// Has what lacks stages finished by whoever does that.
    pub fn finish_by(&mut self, finish: Arc<Finish>) {
        self.finish = Some(finish);
    }
    /// Adds the record of law of a piece of work; what lacks stages is finished when it is written.
    pub fn decided(&mut self, work: &Work, decided: &Decided) {
        self.records.decided(decided);
        self.sequencer.decided(decided.verdict.sequence, decided.recorded.hold.as_deref());
        if let Some(finish) = self.finish.as_ref().filter(|_| !decided.verdict.skipped.is_empty()) {
            self.lacking.push(finish.lacking(work));
        }
    }
    /// Adds the record of a payment that was finished.
    fn finished(&mut self, finished: &Finished) {
        self.sequencer.finished(finished.verdict.sequence, finished.recorded.hold.as_deref());
        self.records.finished(finished);
    }
}

/// Outcomes as answered and as finished, by name, with how many.
pub fn changes(finish: &Finish) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    finish.window.changes().map(|(from, to, count): (Outcome, Outcome, u64)| (from.name(), to.name(), count))
}
