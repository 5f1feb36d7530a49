//! Lanes as threads, for four cores and more: a sequencer thread takes what waits, hands work to each lane through a
//! ring of its own, and writes and answers what comes back. Everybody spins briefly and then parks.

use super::clock::Clock;
use super::core::{Answered, Core, Judged, Reply, Settled, Waiting, judge};
use super::failpoint;
use super::gate::Means;
use super::gpu::Gpu;
use super::intake::{Batch, Intake};
use super::pace::Pace;
use super::tally::Tally;
use crate::config::schema::Hardware;
use core_affinity::CoreId;
use interdict_engine::domain::Decided;
use interdict_engine::lane::{Evidence, Scratch};
use interdict_engine::sequencer::{Taken, Work};
use parking_lot::Mutex;
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How threads wait and hand over; a profile says it, since it depends on what waking costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Turns of an empty loop before a thread parks (unbounded spinning cost 8 ms at p99 and four times the CPU on
    /// shared cores: design/state.md, D).
    pub spins: u32,
    /// Work that a lane may have waiting.
    pub ring: usize,
    /// A parked thread looks again after this long even if nobody woke it.
    pub park: Duration,
}

impl Waits {
    /// As a profile says.
    pub fn of(hardware: &Hardware) -> Waits {
        let Hardware { spins, ring, park_us, .. } = *hardware;
        Waits { spins, ring, park: Duration::from_micros(park_us) }
    }
}

/// What the threads of a node with lanes work with.
#[derive(Clone)]
pub struct Setting {
    /// Where the work comes from.
    pub intake: Arc<Intake>,
    /// The owner of order, features and journal.
    pub core: Arc<Mutex<Core>>,
    /// Where verdicts are counted.
    pub tally: Arc<Tally>,
    /// Where times are noted.
    pub pace: Arc<Pace>,
    /// By which budgets are kept.
    pub clock: Arc<dyn Clock>,
    /// The device that lanes may ask.
    pub gpu: Option<Arc<Gpu>>,
    /// Transactions drained at once.
    pub micro_batch: usize,
    /// How threads wait.
    pub waits: Waits,
}

/// The threads of a node with `lanes = N`.
pub struct Lanes {
    stop: Arc<AtomicBool>,
    sequencer: Option<JoinHandle<()>>,
    thread: Thread,
}

type Given = (Box<Work>, Option<Instant>);
type Made = (Box<Work>, Decided, Evidence);

impl Lanes {
    /// Starts a sequencer thread and `count` lane threads.
    ///
    /// With `pin` each gets a core of its own, from the last core down, since the kernel's and the network's
    /// interrupts come to the first ones; where there are fewer cores than threads the rest stay where they are put.
    pub fn start(count: usize, setting: Setting, pin: bool) -> Lanes {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sequencer = thread::Builder::new()
            .name("sequencer".into())
            .spawn(move || {
                let mut cores = cores(pin, count + 1).into_iter();
                pin_to(cores.next());
                let lanes = (0..count).map(|number| Lane::start(number, &setting, cores.next())).collect();
                Sequencing { setting, stop: stopped, lanes, inflight: HashMap::new() }.run();
            })
            .expect("the system gives a thread at start");
        let thread = sequencer.thread().clone();
        Lanes { stop, sequencer: Some(sequencer), thread }
    }
    /// Wakes the sequencer, for what was queued.
    pub fn wake(&self) {
        self.thread.unpark();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(sequencer) = self.sequencer.take() {
            // A panic of the sequencer has been reported by its own hook; there is nobody to pass it to here.
            drop(sequencer.join());
        }
    }
}

struct Lane {
    give: Producer<Given>,
    made: Consumer<Made>,
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Lane {
    fn start(number: usize, setting: &Setting, core: Option<CoreId>) -> Lane {
        let (give, mut given) = RingBuffer::<Given>::new(setting.waits.ring);
        let (mut make, made) = RingBuffer::<Made>::new(setting.waits.ring);
        let (stop, stopped) = (Arc::new(AtomicBool::new(false)), thread::current());
        let stop_lane = stop.clone();
        let Setting { tally, pace, clock, gpu, waits, .. } = setting.clone();
        let run = move || {
            pin_to(core);
            let (sequencer, mut scratch) = (stopped, Scratch::of_lane());
            while !stop_lane.load(Ordering::Acquire) {
                let Some((work, until)) = next(&mut given, waits) else { continue };
                let means = Means { clock: &*clock, pace: &pace, tally: &tally, gpu: gpu.as_deref() };
                let Judged { decided, evidence, .. } = judge(&work, until, &means, &mut scratch, number);
                // The sequencer never has more than a ring out to a lane, so there is room.
                assert!(
                    make.push((work, decided, evidence)).is_ok(),
                    "a ring as long as the one that feeds it is full"
                );
                sequencer.unpark();
            }
        };
        let handle = thread::Builder::new().name(format!("lane-{number}")).spawn(run);
        Lane { give, made, stop, handle: Some(handle.expect("the system gives a thread at start")) }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            drop(handle.join());
        }
    }
}

/// The cores for that many threads, where they are to be pinned and there are more cores than threads.
fn cores(pin: bool, threads: usize) -> Vec<CoreId> {
    let mut cores = if pin { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
    cores.reverse();
    if cores.len() > threads { cores } else { Vec::new() }
}

fn pin_to(core: Option<CoreId>) {
    if let Some(core) = core
        && !core_affinity::set_for_current(core)
    {
        tracing::warn!(core = core.id, "the system does not let this thread be pinned");
    }
}

fn next(given: &mut Consumer<Given>, waits: Waits) -> Option<Given> {
    for _ in 0..waits.spins {
        if let Ok(work) = given.pop() {
            return Some(work);
        }
        std::hint::spin_loop();
    }
    thread::park_timeout(waits.park);
    given.pop().ok()
}

/// A transaction that is with a lane: who asked for it, and who asked for the same again meanwhile.
struct Pending {
    reply: Reply,
    deadline: Option<Instant>,
    again: Vec<(Reply, Option<Instant>)>,
}

struct Sequencing {
    setting: Setting,
    stop: Arc<AtomicBool>,
    lanes: Vec<Lane>,
    inflight: HashMap<u64, Pending>,
}

impl Sequencing {
    fn run(mut self) {
        let mut idle = 0;
        loop {
            let worked = self.take() | self.collect();
            if worked {
                idle = 0;
                continue;
            }
            let stop = self.stop.load(Ordering::Acquire);
            if stop && self.inflight.is_empty() && self.setting.intake.waiting() == 0 {
                return;
            }
            idle += 1;
            if idle < self.setting.waits.spins {
                std::hint::spin_loop();
            } else {
                thread::park_timeout(self.setting.waits.park);
            }
        }
    }

    /// Sequences what waits, writes `accepted`, and hands the work out.
    fn take(&mut self) -> bool {
        // Never more out than the rings hold, so that a push cannot fail.
        let room = self.lanes.len() * self.setting.waits.ring / 2;
        let micro_batch = self.setting.micro_batch;
        if self.inflight.len() + micro_batch > room || self.setting.intake.waiting() == 0 {
            return false;
        }
        let Setting { intake, core, pace, clock, .. } = self.setting.clone();
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
        for (one, deadline) in work {
            failpoint::reached("lanes.before_give");
            let lane = (one.accepted.sequence % self.lanes.len() as u64) as usize;
            let lane = self.lane_with_room(lane);
            assert!(lane.give.push((one, deadline)).is_ok(), "more is out than the rings hold");
            if let Some(handle) = &lane.handle {
                handle.thread().unpark();
            }
        }
        true
    }

    /// The lane whose turn it is, or the next one whose ring has room.
    fn lane_with_room(&mut self, from: usize) -> &mut Lane {
        let count = self.lanes.len();
        let at = (0..count).map(|n| (from + n) % count).find(|at| self.lanes[*at].give.slots() > 0);
        &mut self.lanes[at.expect("less is out than the rings hold")]
    }

    /// Writes the verdicts that lanes have made, and answers.
    fn collect(&mut self) -> bool {
        let mut made: Vec<Made> = Vec::new();
        for lane in &mut self.lanes {
            while let Ok(one) = lane.made.pop() {
                made.push(one);
            }
        }
        if made.is_empty() {
            return false;
        }
        made.sort_by_key(|(work, ..)| work.accepted.sequence);
        let Setting { intake, core, pace, clock, .. } = &self.setting;
        let (began, count) = (clock.now(), made.len());
        let mut core = core.lock();
        let mut waiting = Vec::with_capacity(made.len());
        for (work, decided, evidence) in made {
            core.records().decided(&decided);
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
