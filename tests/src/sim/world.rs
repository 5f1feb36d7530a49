//! One seed from its beginning to its end: clients ask, the disk has its weather, the node crashes and is started again,
//! in the order of a virtual clock; then all heals, everybody gets an answer, and the journal is judged.

use super::books::{Ack, Books, Failure};
use super::clients::{Op, START_MS, What};
use super::clock::{Agenda, MS, Ticking};
use super::disk::weather;
use super::node::{Node, key};
use super::packs;
use super::plan::Plan;
use super::{Broken, Summary, again, law};
use interdict::node::clock::Clock;
use interdict::node::core::{Answered, Job, Reply};
use interdict_engine::domain::{Accepted, Decided};
use interdict_ledger::ErrorKind;
use interdict_ledger::faulty::{Crash, Faults, MemoryStorage};
use interdict_ledger::journal::{Durability, OwnedRecord, Reader, check};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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
    sync_ends_ns: Option<u64>,
    watch_ns: Option<u64>,
    is_well: bool,
    /// A power loss under `os`: what was acknowledged may be gone.
    took_power: bool,
    summary: Summary,
    trace: bool,
}

macro_rules! trace {
    ($world:expr, $($what:tt)*) => {
        if $world.trace {
            eprintln!("{:>12} us  {}", $world.clock.passed_ns() / 1000, format_args!($($what)*));
        }
    };
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
        some(u32::from(seed % 7 == 0), Task::Days);
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

    // Clients.

    fn send(&mut self, number: usize) -> Result<(), Failure> {
        if self.done.contains(&number) {
            return Ok(());
        }
        let again_ns = self.ops[number].timeout_ns.max(if self.is_well { WELL_TIMEOUT_NS } else { 0 });
        self.agenda.at(self.clock.passed_ns() + again_ns, Task::Send(number));
        if self.is_well {
            self.tries[number] += 1;
            if self.tries[number] > TRIES_MAX {
                return Err(format!("op {number} gets no answer on a good disk: {:?}", self.ops[number]));
            }
        }
        self.ask(number);
        Ok(())
    }
    fn ask(&mut self, number: usize) {
        let (op, now_ns) = (self.ops[number].clone(), self.clock.passed_ns());
        let reply = self.reply(number);
        let Some(node) = &mut self.node else {
            self.open.remove(&self.attempts);
            return;
        };
        trace!(self, "op {number} attempt {}: {:?}", self.attempts, op.what);
        if let What::Publish(generation) = op.what {
            let arrival_ms = START_MS + (now_ns / MS) as i64;
            return node.publish(packs::generations()[generation].clone(), arrival_ms, reply);
        }
        let deadline = op.deadline_ns.filter(|_| !self.is_well);
        let deadline = deadline.map(|ns| self.clock.now() + Duration::from_nanos(ns));
        node.bring(Job { submission: op.submission(now_ns), deadline, reply }, op.is_payment());
    }
    /// What the next attempt is told by; whoever has stopped tells nobody.
    fn reply(&mut self, op: usize) -> Reply {
        self.attempts += 1;
        self.open.insert(self.attempts);
        let (attempt, inbox, storage) = (self.attempts, self.inbox.clone(), self.storage.clone());
        Box::new(move |answered| {
            if !storage.is_stopped() {
                inbox.lock().push(Told { op, attempt, answered });
            }
        })
    }
    /// Somebody has the core for a look at its figures, while the next clients come.
    fn look(&mut self) {
        let Some(node) = self.node.as_ref().filter(|_| self.plan.lanes == 0) else { return };
        let core = node.core.clone();
        let held = core.lock();
        let waiting = self.ops.iter().filter(|op| op.is_payment() && !self.done.contains(&op.number));
        let callers: Vec<usize> = waiting.map(|op| op.number).take(3).collect();
        callers.into_iter().for_each(|op| self.ask(op));
        drop(held);
        self.node.as_ref().into_iter().for_each(Node::work);
    }

    fn told(&mut self, told: Told) -> Result<(), Failure> {
        let Told { op: number, attempt, answered } = told;
        if !self.open.remove(&attempt) {
            return Err(format!("op {number} was answered twice"));
        }
        let op = self.ops[number].clone();
        trace!(self, "op {number} attempt {attempt} is told {}", short(&answered));
        self.fold(number as u64, attempt);
        match answered {
            Answered::Decided(settled) => {
                let verdict = &settled.verdict;
                self.summary.skipped += usize::from(!verdict.skipped.is_empty());
                self.ack(&op, verdict.sequence, Ack::of(&settled.work.accepted, Some(verdict)))
            }
            Answered::Noted(accepted) => self.ack(&op, accepted.sequence, Ack::of(&accepted, None)),
            Answered::Same(sequence) => {
                let Some((accepted, ack)) = self.given(sequence)? else { return self.unread(number) };
                let is_it = accepted.identity == op.identity() && accepted.payment_digest == op.digest();
                if !is_it || accepted.event.tenant != op.tenant {
                    return Err(format!("op {number} is not the payment of sequence {sequence}"));
                }
                self.summary.same += 1;
                self.ack(&op, sequence, ack)
            }
            Answered::Different(sequence) => {
                let Some(accepted) = self.accepted(sequence)? else { return self.unread(number) };
                if accepted.identity != op.identity() || accepted.payment_digest == op.digest() {
                    return Err(format!("op {number} does not differ from sequence {sequence}"));
                }
                self.summary.different += 1;
                self.done.insert(number);
                Ok(())
            }
            Answered::Refused(_) => {
                self.done.insert(number);
                Ok(())
            }
            Answered::Overloaded(_) | Answered::Unavailable(_) => {
                self.summary.refused += 1;
                Ok(())
            }
            Answered::Early(inside) => self.early(&op, &inside),
        }
    }
    fn ack(&mut self, op: &Op, sequence: u64, ack: Ack) -> Result<(), Failure> {
        self.fold(sequence, ack.verdict.as_ref().map_or(0, Vec::len) as u64);
        self.summary.acknowledged += 1;
        self.done.insert(op.number);
        self.books.ack(op, sequence, ack)
    }
    fn early(&mut self, op: &Op, inside: &Answered) -> Result<(), Failure> {
        self.summary.early += 1;
        match inside {
            Answered::Decided(settled) => {
                self.books.early(op, settled.verdict.sequence, settled.verdict.encode());
            }
            Answered::Same(sequence) => {
                if let Some((_, Ack { verdict: Some(verdict), .. })) = self.given(*sequence)? {
                    self.books.early(op, *sequence, verdict);
                }
            }
            other => return Err(format!("op {} was told early: {}", op.number, short(other))),
        }
        Ok(())
    }
    /// What the journal has of a sequence, as whoever answers a retry reads it; `None` where the disk does not let it.
    fn given(&self, sequence: u64) -> Result<Option<(Accepted, Ack)>, Failure> {
        let Some(node) = self.reads() else { return Ok(None) };
        let both = (node.reader.read_accepted(sequence), node.reader.read_decided(sequence));
        let (accepted, decided) = match both {
            (Ok(Some(accepted)), Ok(Some(decided))) => (accepted, decided),
            (Err(e), _) | (_, Err(e)) if self.may_fail(&e) => return Ok(None),
            other => return Err(format!("sequence {sequence} was told and reads as {other:?}")),
        };
        let read = super::books::decode(&accepted)?;
        let verdict = Decided::decode(&decided.open).map_err(|e| e.to_string())?.verdict;
        let parts = (accepted.open, accepted.sealed.unwrap_or_default());
        Ok(Some((read, Ack { accepted: parts, verdict: Some(verdict.encode()) })))
    }
    fn reads(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| !self.storage.is_stopped())
    }
    /// What was accepted under a sequence; it may still be with a lane.
    fn accepted(&self, sequence: u64) -> Result<Option<Accepted>, Failure> {
        let Some(node) = self.reads() else { return Ok(None) };
        match node.reader.read_accepted(sequence) {
            Ok(Some(accepted)) => super::books::decode(&accepted).map(Some),
            Err(e) if self.may_fail(&e) => Ok(None),
            other => Err(format!("sequence {sequence} was told and reads as {other:?}")),
        }
    }
    /// A verdict that was given and cannot be read; where that is for damage, it never can.
    fn unread(&mut self, op: usize) -> Result<(), Failure> {
        if self.is_damaged() && self.is_well {
            self.done.insert(op);
        }
        Ok(())
    }
    fn may_fail(&self, error: &interdict_ledger::Error) -> bool {
        let is_of_damage = matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Version);
        self.is_damaged() || (!is_of_damage && !self.is_well)
    }

    // The node's lives.

    /// The disk did what checksums are for.
    fn is_damaged(&self) -> bool {
        let harm = self.storage.harm();
        self.plan.broken.is_none() && (harm.misdirected > 0 || harm.rotted > 0)
    }
    /// The disk did what no durability is promised against.
    fn is_lossy(&self) -> bool {
        self.is_damaged() || self.took_power
    }

    fn crash(&mut self) {
        let power = self.plan.power && self.random.random_range(0..3) > 0;
        let crash = if power { Crash::Power } else { Crash::Process };
        trace!(self, "crash: {crash:?}");
        self.summary.power_losses += usize::from(power);
        self.summary.kills += usize::from(!power);
        self.took_power |= power && self.plan.durability == Durability::Os;
        self.storage = self.storage.crash(crash);
        self.gone();
    }
    /// What the node had in memory is gone, and nobody it has not told will be.
    fn gone(&mut self) {
        self.node = None;
        self.open.clear();
        self.inbox.lock().clear();
        self.books.crashed();
        (self.sync_ends_ns, self.watch_ns) = (None, None);
        let after_ns = self.random.random_range(1..50) * MS;
        self.agenda.at(self.clock.passed_ns() + after_ns, Task::Start);
    }

    fn start(&mut self) -> Result<bool, Failure> {
        let faults = match !self.is_well && self.random.random_range(0..3) == 0 {
            true => weather(&self.plan, &self.storage, &mut self.random),
            false => Faults::default(),
        };
        self.storage.set_faults(faults);
        if !self.is_well && self.random.random_range(0..6) == 0 {
            self.storage.stop_after(Some(self.random.random_range(0..12)));
        }
        let random = ChaCha8Rng::seed_from_u64(self.random.random());
        let opened = Node::open(&self.plan, &self.storage, &self.clock, random);
        if self.storage.is_stopped() {
            self.summary.in_call += 1;
            self.crash();
            return Ok(false);
        }
        let (node, found) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.failed_start(&e),
        };
        trace!(self, "started: {found:?}");
        if found.restored_differently > 0 {
            return Err(format!("{} stamps were restored differently", found.restored_differently));
        }
        // Looked at in good weather; what is checked is what was found.
        self.storage.set_faults(Faults::default());
        let records = node.reader.records(1).collect::<Result<Vec<_>, _>>();
        self.node = Some(node);
        let records = match records {
            Ok(records) => records,
            Err(e) if self.is_damaged() => return self.failed_start(&e),
            Err(e) => return Err(format!("what was recovered reads as {e}")),
        };
        self.compare(records)?;
        if found.last_sequence == 0 {
            self.publish_first();
        }
        self.storage.set_faults(if self.is_well { Faults::default() } else { faults });
        Ok(false)
    }
    fn compare(&mut self, records: Vec<OwnedRecord>) -> Result<(), Failure> {
        self.fold(records.len() as u64, 0);
        let lossy = self.is_lossy();
        let kept = self.books.compare(records, lossy)?;
        self.summary.recovered = self.summary.recovered.max(kept.recovered);
        self.summary.lost += kept.lost;
        Ok(())
    }
    fn publish_first(&mut self) {
        let (arrival_ms, reply) = (START_MS, self.reply(0));
        if let Some(node) = &mut self.node {
            node.publish(packs::generations()[0].clone(), arrival_ms, reply);
        }
    }
    /// A start that fails is tried again, unless for damage: which is said, with its place, and ends the seed.
    fn failed_start(&mut self, error: &interdict_ledger::Error) -> Result<bool, Failure> {
        trace!(self, "the start fails: {error}");
        if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Version) {
            self.summary.damaged += 1;
            return match (self.is_lossy(), error.place) {
                (true, Some(_)) => Ok(true),
                (true, None) => Err(format!("damage without its place: {error}")),
                (false, _) => Err(format!("damage on a disk that keeps its promises: {error}")),
            };
        }
        if self.is_well {
            return Err(format!("a good disk, and the start fails: {error}"));
        }
        self.summary.failed_starts += 1;
        self.gone();
        Ok(false)
    }

    // The end.

    fn end(mut self) -> Result<Summary, Failure> {
        if let Some(attempt) = self.open.first() {
            return Err(format!("attempt {attempt} was never answered, though the disk is well"));
        }
        let Some(node) = self.node.take() else { return Err("no node at the end".into()) };
        if !node.is_idle() {
            return Err("something waits for ever".into());
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

    fn fold(&mut self, one: u64, other: u64) {
        for value in [one, other, self.clock.passed_ns()] {
            self.summary.digest = (self.summary.digest ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(7);
        }
    }
}

/// An answer in a few words.
fn short(answered: &Answered) -> String {
    match answered {
        Answered::Decided(settled) => {
            let verdict = &settled.verdict;
            format!("{} {:?}, skipped {:?}", verdict.sequence, verdict.outcome, verdict.skipped)
        }
        Answered::Noted(accepted) => format!("{} noted", accepted.sequence),
        Answered::Early(inside) => format!("early: {}", short(inside)),
        other => format!("{other:?}"),
    }
}
