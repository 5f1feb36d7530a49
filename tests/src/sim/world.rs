//! One seed from its beginning to its end: clients ask, the disk has its weather, the node crashes and is started again,
//! in the order of a virtual clock; then all heals, everybody gets an answer, and the journal is judged.

// Before the modules, which use it.
macro_rules! trace {
    ($world:expr, $($what:tt)*) => {
        if $world.trace {
            eprintln!("{:>12} us  {}", $world.clock.passed_ns() / 1000, format_args!($($what)*));
        }
    };
}

mod asking;
mod lives;

use super::books::{Books, Failure};
use super::clients::{Op, START_MS, What};
use super::clock::{Agenda, MS, Ticking};
use super::disk::weather;
use super::node::{Node, key};
use super::plan::Plan;
use super::{Broken, Summary, again, holds, law};
use interdict::node::core::Answered;
use interdict_engine::domain::Body;
use interdict_ledger::faulty::{Faults, MemoryStorage};
use interdict_ledger::journal::{Reader, check};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Steps in which everything must have come to rest.
const STEPS_MAX: usize = 100_000;
/// How often an op is asked for after the disk is well again.
const TRIES_MAX: u32 = 60;
/// How long clients wait then, at least: no sync takes longer.
const WELL_TIMEOUT_NS: u64 = 1000 * MS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// A client asks, for the first time or again.
    Send(usize),
    /// Somebody looks at the core while clients come.
    Look,
    /// The disk's faults change.
    Weather,
    /// The process or the machine fails, at once or in one of its next calls to the disk.
    Crash,
    /// The node is started.
    Start,
    /// Days pass.
    Days,
    /// The wall clock is set: back, or on.
    Set,
    /// No more faults.
    Heal,
}

/// What happens next, and not by the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Agenda,
    Lane,
    Sync,
    Watch,
}

/// An answer on its way to a client.
struct Told {
    op: usize,
    attempt: u64,
    answered: Answered,
}

/// The world of a seed.
pub struct World {
    seed: u64,
    plan: Plan,
    random: ChaCha8Rng,
    clock: Arc<Ticking>,
    agenda: Agenda<Task>,
    storage: MemoryStorage,
    node: Option<Node>,
    /// The ops by number; the one of number 0 is the first publication.
    ops: Vec<Op>,
    done: BTreeSet<usize>,
    /// Attempts that the node of this life has not answered.
    open: BTreeSet<u64>,
    attempts: u64,
    tries: Vec<u32>,
    inbox: Arc<Mutex<Vec<Told>>>,
    books: Books,
    /// What ops about holds came to when they were first asked for.
    bound: BTreeMap<usize, (Arc<str>, Body)>,
    /// What the wall clock is off by, ms.
    off_ms: i64,
    sync_ends_ns: Option<u64>,
    watch_ns: Option<u64>,
    is_well: bool,
    /// A power loss under `os`: what was acknowledged may be gone.
    took_power: bool,
    summary: Summary,
    trace: bool,
}

impl World {
    /// Everything that a seed decides beforehand.
    pub fn new(seed: u64, broken: Option<Broken>, trace: bool) -> World {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let plan = Plan::draw(&mut random, broken);
        let publish = What::Publish(0);
        let mut ops = vec![Op {
            number: 0,
            tenant: "default".into(),
            what: publish,
            at_ns: 0,
            deadline_ns: None,
            timeout_ns: MS,
        }];
        ops.extend(Op::draw(plan.ops, plan.storm_ms, &mut random));
        let mut agenda = Agenda::default();
        agenda.at(0, Task::Start);
        ops[1..].iter().for_each(|op| agenda.at(op.at_ns, Task::Send(op.number)));
        let storm_ns = plan.storm_ms * MS;
        let mut some = |count: u32, task: Task| {
            (0..count).for_each(|_| agenda.at(random.random_range(0..storm_ns), task));
        };
        some(plan.crashes, Task::Crash);
        some(3, Task::Look);
        some(8, Task::Weather);
        some(u32::from(seed.is_multiple_of(7)), Task::Days);
        some(2 * u32::from(seed.is_multiple_of(3)), Task::Set);
        agenda.at(storm_ns, Task::Heal);
        World {
            seed,
            clock: Arc::new(Ticking::new(plan.tick_ns)),
            storage: MemoryStorage::new(seed),
            tries: vec![0; ops.len()],
            plan,
            random,
            agenda,
            node: None,
            ops,
            // Published at the start, not by a client.
            done: BTreeSet::from([0]),
            open: BTreeSet::new(),
            attempts: 0,
            inbox: Arc::default(),
            books: Books::default(),
            bound: BTreeMap::new(),
            off_ms: 0,
            sync_ends_ns: None,
            watch_ns: None,
            is_well: false,
            took_power: false,
            summary: Summary::default(),
            trace,
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What was not as it must be.
    pub fn run(mut self) -> Result<Summary, Failure> {
        trace!(self, "seed {}: {:?}", self.seed, self.plan);
        for _ in 0..STEPS_MAX {
            let Some((at_ns, next)) = self.next() else {
                if self.move_on() {
                    self.after()?;
                    continue;
                }
                return self.end();
            };
            self.clock.reach(at_ns);
            match next {
                Next::Agenda => {
                    if let Some(task) = self.agenda.pop()
                        && self.happens(task)?
                    {
                        return Ok(self.summary);
                    }
                }
                Next::Lane => drop(self.node.as_mut().map(|node| node.turn(false, false))),
                Next::Sync => {
                    self.sync_ends_ns = None;
                    self.node.as_ref().into_iter().for_each(Node::end_sync);
                }
                Next::Watch => self.watch(),
            }
            self.after()?;
        }
        Err("the world does not come to rest".into())
    }

    fn next(&self) -> Option<(u64, Next)> {
        let lane_ns = self.node.as_ref().and_then(Node::lane_ns);
        let all = [
            (self.agenda.next_ns(), Next::Agenda),
            (lane_ns, Next::Lane),
            (self.sync_ends_ns, Next::Sync),
            (self.watch_ns, Next::Watch),
        ];
        all.into_iter().filter_map(|(at_ns, next)| Some((at_ns?, next))).min()
    }
    /// Nothing is planned: whatever thread has something to do does it; whether any had.
    fn move_on(&mut self) -> bool {
        if self.node.is_none() {
            return false;
        }
        let turned = self.node.as_mut().is_some_and(|node| node.turn(true, true));
        let began = self.begin_sync();
        self.watch();
        turned || began || self.watch_ns.is_some()
    }
    fn watch(&mut self) {
        self.watch_ns = self.node.as_mut().and_then(Node::watch);
    }
    fn begin_sync(&mut self) -> bool {
        if self.sync_ends_ns.is_some() || !self.node.as_ref().is_some_and(Node::begin_sync) {
            return false;
        }
        self.storage.begin_sync();
        let takes_ns = self.random.random_range(0..=self.plan.sync_max_ns);
        self.sync_ends_ns = Some(self.clock.passed_ns() + takes_ns);
        true
    }

    /// What the node's threads do after something has happened, as far as they come to it; and what clients were told.
    fn after(&mut self) -> Result<(), Failure> {
        loop {
            let (takes, collects) = (self.random.random_range(0..4) > 0, self.random.random_range(0..4) > 0);
            let turned = self.node.as_mut().is_some_and(|node| node.turn(takes, collects));
            if !turned || !self.is_well && self.random.random_range(0..4) == 0 {
                break;
            }
        }
        if self.random.random_range(0..3) > 0 {
            self.begin_sync();
        }
        if self.random.random_range(0..3) == 0 {
            self.watch();
        }
        let told = std::mem::take(&mut *self.inbox.lock());
        told.into_iter().try_for_each(|told| self.told(told))?;
        if self.node.is_some() && self.storage.is_stopped() {
            self.summary.in_call += 1;
            self.crash();
        }
        Ok(())
    }

    /// Whether it ends the seed.
    fn happens(&mut self, task: Task) -> Result<bool, Failure> {
        match task {
            Task::Send(op) => self.send(op)?,
            Task::Look => self.look(),
            Task::Weather if !self.is_well => {
                let faults = weather(&self.plan, &self.storage, &mut self.random);
                trace!(self, "{faults:?}");
                self.storage.set_faults(faults);
            }
            Task::Crash if !self.is_well && self.node.is_some() => match self.random.random_range(0..3) {
                0 => self.crash(),
                _ => self.storage.stop_after(Some(self.random.random_range(0..8))),
            },
            Task::Start if self.node.is_none() => return self.start(),
            Task::Days => {
                let days_ns = self.random.random_range(0..9 * 86_400_000u64) * MS;
                self.clock.reach(self.clock.passed_ns() + days_ns);
            }
            Task::Set => {
                self.off_ms = self.random.random_range(-3_000..3_000);
                trace!(self, "the wall clock is off by {} ms", self.off_ms);
            }
            Task::Heal => {
                trace!(self, "the disk is well");
                self.is_well = true;
                self.storage.set_faults(Faults::default());
                self.storage.stop_after(None);
            }
            Task::Weather | Task::Crash | Task::Start => {}
        }
        Ok(false)
    }

    fn end(mut self) -> Result<Summary, Failure> {
        if let Some(attempt) = self.open.first() {
            return Err(format!("attempt {attempt} was never answered, though the disk is well"));
        }
        let Some(node) = self.node.take() else { return Err("no node at the end".into()) };
        if !node.is_idle() {
            return Err("something waits for ever".into());
        }
        let records = node.reader.records(1).collect::<Result<Vec<_>, _>>();
        if let Ok(records) = records {
            let holds = holds::judge(&records, node.core.lock().sequencer.book())?;
            holds::count(&holds, &mut self.summary);
        }
        let (damaged, storage) = (self.is_damaged(), Arc::new(self.storage.clone()));
        node.close().map_err(|e| format!("closing: {e}"))?;
        let report = check(&*storage, &key()).map_err(|e| e.to_string())?;
        match report.damage {
            Some(damage) if damaged && damage.place.is_some() => {
                self.summary.damaged += 1;
                return Ok(self.summary);
            }
            Some(damage) => return Err(format!("at the end: {damage}")),
            None => {}
        }
        let reader = Reader::open(storage, &key()).map_err(|e| e.to_string())?;
        let records = reader.records(1).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        self.compare(records.clone())?;
        law::judge(&records, &self.ops)?;
        again::compare(&records, &self.ops, &self.plan, self.seed)?;
        self.summary.judged += 1;
        Ok(self.summary)
    }

    /// What the wall clock says, ms since the Unix epoch.
    fn wall_ms(&self) -> i64 {
        START_MS + self.off_ms + (self.clock.passed_ns() / MS) as i64
    }
    fn fold(&mut self, one: u64, other: u64) {
        for value in [one, other, self.clock.passed_ns()] {
            self.summary.digest = (self.summary.digest ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(7);
        }
    }
}
