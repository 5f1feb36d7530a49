//! What waits for the sequencer: a queue each tenant, served by weight, and before them the express queue of payments
//! that have no time for their stages. Admission is here: a payment whose wait would outlast its deadline goes express
//! and is answered by declared defaults, in time; where even that has no room, it is refused at once.

use super::clock::Clock;
use super::core::{Answered, Job};
use super::fair::Fair;
use super::pace::Pace;
use super::quota::{Bucket, Terms};
use interdict_engine::domain::Body;
use interdict_engine::limits::{INTAKE_EXPRESS_MAX, INTAKE_JOBS_MAX, INTAKE_TENANTS_MAX};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// While payments with time for their stages wait, those without get so much of the owner's time for each part that
/// the others get: a fifth of it in all, so that defaults never crowd out verdicts.
const EXPRESS_PART: u64 = 4;

/// So long after somebody had no time for a verdict, work beside the path may begin again.
const CALM: Duration = Duration::from_millis(100);

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The tenant's queue, or the whole, is full.
    Queue,
    /// There is no time for a verdict, and no room left for a default.
    Express,
    /// The tenant's rate is used up for so long.
    Rate(Duration),
}

impl Refusal {
    /// Its name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Queue => "queue",
            Refusal::Express => "express",
            Refusal::Rate(_) => "rate",
        }
    }
    /// In whole seconds, when to try again.
    pub fn retry_after_s(self) -> u64 {
        match self {
            Refusal::Rate(wait) => wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
            Refusal::Queue | Refusal::Express => 1,
        }
    }
}

/// Whose queue a job waits in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// Files and other callers that need their jobs in one order whatever their tenants; all of them are one party.
    Feed,
    /// A tenant.
    Tenant(Arc<str>),
}

/// Jobs that were taken, and until when the stages of each may take.
#[derive(Default)]
pub struct Batch {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// As many moments: of an express job, the moment it was taken.
    pub until: Vec<Option<Instant>>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Payments that went express when they came, and when their turn came.
    pub express: [AtomicU64; 2],
}

/// Everything that waits.
pub struct Intake {
    state: Mutex<State>,
    waiting: AtomicUsize,
    in_hand: AtomicUsize,
    /// When there was not time enough for all, in ns after the beginning; 0: never.
    pressed_ns: AtomicU64,
    began: Instant,
    pace: Arc<Pace>,
    clock: Arc<dyn Clock>,
    terms: BTreeMap<String, Terms>,
    batch: usize,
    /// What happened.
    pub counts: Counts,
}

struct State {
    fair: Fair<Whose, Job>,
    express: VecDeque<Job>,
    /// What of the owner's time the express queue may have before the others' next turn.
    credit_ns: u64,
    buckets: BTreeMap<String, Bucket>,
}

impl State {
    /// Queues a job; past the bound whoever has most for its weight gives a place back, be it this one.
    fn push(&mut self, whose: Whose, weight: u32, job: Job) -> Result<(), (Job, Refusal)> {
        self.fair.push(whose, weight, job).map_err(|job| (job, Refusal::Queue))?;
        if self.fair.len() <= INTAKE_JOBS_MAX {
            return Ok(());
        }
        self.fair.push_out().map_or(Ok(()), |job| Err((job, Refusal::Queue)))
    }
    /// How many express jobs may go now; they are paid for out of the credit while anybody else waits.
    fn express_places(&mut self, max: usize, express_ns: u64) -> usize {
        let wanted = self.express.len().min(max);
        if self.fair.is_empty() {
            return wanted;
        }
        let places = wanted.min(usize::try_from(self.credit_ns / express_ns.max(1)).unwrap_or(max));
        self.credit_ns -= places as u64 * express_ns.max(1);
        places
    }
}

impl Intake {
    /// An empty one. `terms` are of the tenants that have some; `batch` is how many jobs are taken at once as a rule.
    pub fn new(
        pace: Arc<Pace>,
        clock: Arc<dyn Clock>,
        terms: BTreeMap<String, Terms>,
        batch: usize,
    ) -> Intake {
        let now = clock.now();
        let buckets = terms.iter().filter_map(|(name, of)| Some((name.clone(), Bucket::new(of.rate?, now))));
        let state = State {
            fair: Fair::new(INTAKE_TENANTS_MAX),
            express: VecDeque::new(),
            credit_ns: 0,
            buckets: buckets.collect(),
        };
        Intake {
            state: Mutex::new(state),
            waiting: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            pressed_ns: AtomicU64::new(0),
            began: now,
            pace,
            clock,
            terms,
            batch,
            counts: Counts::default(),
        }
    }
    /// A tenant's weight among those that wait.
    pub fn weight(&self, tenant: &str) -> u32 {
        self.terms.get(tenant).map_or(1, |terms| terms.weight)
    }
    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
    /// Whether nothing waits and nothing is in hand, and has not been pressed for time lately: under a load that just
    /// fits there are such moments between any two batches, and what is begun in them is what makes the next one late.
    pub fn is_idle(&self) -> bool {
        let pressed_ns = self.pressed_ns.load(Ordering::Relaxed);
        let is_calm = pressed_ns == 0 || self.since_start_ns() >= pressed_ns + CALM.as_nanos() as u64;
        is_calm && self.waiting() == 0 && self.in_hand.load(Ordering::Relaxed) == 0
    }
    /// Somebody had to wait for a turn, or had no time for a verdict.
    pub fn press(&self) {
        self.pressed_ns.store(self.since_start_ns().max(1), Ordering::Relaxed);
    }
    fn since_start_ns(&self) -> u64 {
        self.clock.now().saturating_duration_since(self.began).as_nanos() as u64
    }
    /// Jobs that wait: express, of feeds, of each tenant that has terms, and of all others together (`other`).
    pub fn depths(&self) -> Vec<(&'static str, String, usize)> {
        let state = self.state.lock();
        let mut rows = vec![("express", "other".to_owned(), state.express.len())];
        rows.push(("feed", "other".to_owned(), state.fair.len_of(&Whose::Feed)));
        let mut tenants: BTreeMap<&str, usize> = self.terms.keys().map(|name| (name.as_str(), 0)).collect();
        let mut other = 0;
        for (whose, len) in state.fair.waiting() {
            match whose {
                Whose::Feed => {}
                Whose::Tenant(name) => *tenants.get_mut(&**name).unwrap_or(&mut other) += len,
            }
        }
        rows.push(("fair", "other".to_owned(), other));
        rows.extend(tenants.into_iter().map(|(name, len)| ("fair", name.to_owned(), len)));
        rows
    }
    /// How long a payment of a tenant without terms would wait for its verdict if it came now.
    pub fn wait_estimate(&self) -> Duration {
        let state = self.state.lock();
        self.wait(&state, &Whose::Tenant("".into()), 1)
    }

    /// Queues a feed's jobs in their order; no deadline of theirs is looked at before their turn.
    pub fn feed(&self, jobs: impl IntoIterator<Item = Job>) {
        self.queue(jobs, |state, job| state.push(Whose::Feed, 1, job));
    }
    /// Queues callers' jobs, each with its tenant's, or express; refuses what has no room.
    pub fn admit(&self, jobs: impl IntoIterator<Item = Job>) {
        let now = self.clock.now();
        self.queue(jobs, |state, job| self.admit_one(state, job, now));
    }
    fn queue(
        &self,
        jobs: impl IntoIterator<Item = Job>,
        mut each: impl FnMut(&mut State, Job) -> Result<(), (Job, Refusal)>,
    ) {
        let mut refused = Vec::new();
        {
            let mut state = self.state.lock();
            refused.extend(jobs.into_iter().filter_map(|job| each(&mut state, job).err()));
            self.show(&state);
        }
        refused.into_iter().for_each(|(job, why)| (job.reply)(Answered::Overloaded(why)));
    }
    fn show(&self, state: &State) {
        self.waiting.store(state.fair.len() + state.express.len(), Ordering::Release);
    }

    fn admit_one(&self, state: &mut State, job: Job, now: Instant) -> Result<(), (Job, Refusal)> {
        let tenant = job.submission.event.tenant.clone();
        let weight = self.terms.get(&*tenant).map_or(1, |terms| terms.weight);
        let is_payment = matches!(job.submission.event.body, Body::Payment(_));
        if let Some(bucket) = state.buckets.get_mut(&*tenant).filter(|_| is_payment)
            && let Err(wait) = bucket.take(now)
        {
            return Err((job, Refusal::Rate(wait)));
        }
        let whose = Whose::Tenant(tenant);
        if let Some(deadline) = job.deadline.filter(|_| is_payment) {
            let wait = self.wait(state, &whose, weight);
            if now + wait > deadline {
                return self.admit_express(state, job, deadline.saturating_duration_since(now));
            }
        }
        state.push(whose, weight, job)
    }
    fn admit_express(&self, state: &mut State, job: Job, left: Duration) -> Result<(), (Job, Refusal)> {
        self.press();
        let len = state.express.len();
        let (parts, batches) = if state.fair.is_empty() { (1, 1) } else { (1 + EXPRESS_PART, 2) };
        // The batch in hand, the one that its turn may come after, and its own, which is answered as one.
        let batch_ns = self.batch as u64 * (batches * self.pace.full_ns() + self.pace.express_ns());
        let wait_ns = (len as u64 + 1) * self.pace.express_ns() * parts + batch_ns + self.pace.tail_ns();
        // What comes with no time at all is answered late whatever happens; a default is then as soon as a refusal.
        let is_late = len >= self.batch && Duration::from_nanos(wait_ns) > left;
        if len >= INTAKE_EXPRESS_MAX || is_late {
            return Err((job, Refusal::Express));
        }
        self.counts.express[0].fetch_add(1, Ordering::Relaxed);
        state.express.push_back(job);
        Ok(())
    }
    /// From now to the answer, for the next payment of a party: what is in hand, what goes before it, itself, and what
    /// is answered with it.
    fn wait(&self, state: &State, whose: &Whose, weight: u32) -> Duration {
        let before = state.fair.ahead(whose, weight) + 1;
        // A batch is answered as one.
        let with = before.next_multiple_of(self.batch.max(1)).min(state.fair.len() + 1);
        let full = (self.in_hand.load(Ordering::Relaxed) + with) as u64 * self.pace.full_ns();
        // Express ones come between, those that have not come yet too: as much as they may have.
        Duration::from_nanos(full + full / EXPRESS_PART + self.pace.tail_ns())
    }

    /// Takes up to `max` jobs into an empty batch, express ones or others; whether there were any. What was taken is in
    /// hand until [`Intake::done`]. `as_one`: the jobs are done one after another and answered together, so that each
    /// is the others' wait.
    pub fn take(&self, max: usize, as_one: bool, batch: &mut Batch) -> bool {
        let mut state = self.state.lock();
        let now = self.clock.now();
        let places = state.express_places(max, self.pace.express_ns());
        if places > 0 {
            let express = state.express.len().min(places);
            batch.jobs.extend(state.express.drain(..express));
            batch.until.extend(std::iter::repeat_n(Some(now), express));
        } else {
            self.take_fair(&mut state, now, max, as_one, batch);
        }
        self.show(&state);
        drop(state);
        self.in_hand.fetch_add(batch.jobs.len(), Ordering::Relaxed);
        !batch.jobs.is_empty()
    }
    fn take_fair(&self, state: &mut State, now: Instant, max: usize, as_one: bool, batch: &mut Batch) {
        let (full_ns, express_ns, tail_ns) =
            (self.pace.full_ns(), self.pace.express_ns(), self.pace.tail_ns());
        let mut before_ns = if as_one { 0 } else { self.in_hand.load(Ordering::Relaxed) as u64 * full_ns };
        let after = |ns: u64| now + Duration::from_nanos(ns);
        let (mut spent_ns, mut first) = (0, None::<Instant>);
        while batch.jobs.len() < max
            && let Some(job) = state.fair.front()
        {
            let deadline = job.deadline.filter(|_| matches!(job.submission.event.body, Body::Payment(_)));
            let is_late = deadline.is_some_and(|deadline| after(before_ns + full_ns + tail_ns) > deadline);
            let own_ns = if is_late { express_ns } else { full_ns };
            // With one more, those taken already would be answered too late: the next batch has it.
            if as_one && first.is_some_and(|first| after(before_ns + own_ns + tail_ns) > first) {
                break;
            }
            before_ns += own_ns;
            spent_ns += own_ns;
            if !is_late {
                first = [first, deadline].into_iter().flatten().min();
            }
            self.counts.express[1].fetch_add(u64::from(is_late), Ordering::Relaxed);
            batch.jobs.extend(state.fair.take());
            batch.until.push(if is_late { Some(now) } else { deadline });
        }
        // What is saved up is at most what a whole batch gives.
        let credit_max_ns = (max as u64 * full_ns / EXPRESS_PART).max(express_ns.max(1));
        state.credit_ns = (state.credit_ns + (spent_ns / EXPRESS_PART).max(1)).min(credit_max_ns);
        if as_one {
            let mut after_ns = 0;
            for until in batch.until.iter_mut().rev().filter(|until| **until != Some(now)) {
                *until = until.map(|until| until.checked_sub(Duration::from_nanos(after_ns)).unwrap_or(now));
                after_ns += full_ns;
            }
        }
    }
    /// So many of the jobs in hand are answered.
    pub fn done(&self, count: usize) {
        self.in_hand.fetch_sub(count, Ordering::Relaxed);
    }
    /// What was taken is done when this goes, be it by a panic: what is not in hand must not count as such for ever.
    pub fn hold(&self, batch: &Batch) -> InHand<'_> {
        InHand(self, batch.jobs.len())
    }
}

/// Jobs in hand; see [`Intake::hold`].
pub struct InHand<'a>(&'a Intake, usize);
impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.done(self.1);
    }
}
