//! Lanes as threads, for four cores and more: a sequencer thread goes through the steps of `sequencing.rs`, and hands work
//! to and takes it from each lane through rings of its own. Everybody spins briefly and then parks.

use super::core::{Judged, judge};
use super::failpoint;
use super::gate;
use super::gpu::Gpu;
use super::sequencing::{Crew, Given, Made, Means, Sequencing};
use super::tally::Tally;
use crate::config::schema::Hardware;
use core_affinity::CoreId;
use interdict_engine::lane::Scratch;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

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
    /// What the sequencer's steps work with.
    pub means: Means,
    /// Where verdicts are counted.
    pub tally: Arc<Tally>,
    /// The device that lanes may ask.
    pub gpu: Option<Arc<Gpu>>,
    /// How threads wait.
    pub waits: Waits,
}

/// The threads of a node with `lanes = N`.
pub struct Lanes {
    stop: Arc<AtomicBool>,
    sequencer: Option<JoinHandle<()>>,
    thread: Thread,
}

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
                let Setting { means, waits, .. } = setting;
                run(Sequencing::new(means, Rings { lanes, ring: waits.ring }), &stopped, waits);
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
        let Setting { means: Means { pace, clock, .. }, tally, gpu, waits } = setting.clone();
        let run = move || {
            pin_to(core);
            let (sequencer, mut scratch) = (stopped, Scratch::of_lane());
            while !stop_lane.load(Ordering::Acquire) {
                let Some((work, until)) = next(&mut given, waits) else { continue };
                let means = gate::Means { clock: &*clock, pace: &pace, tally: &tally, gpu: gpu.as_deref() };
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

/// The lanes, each with its rings.
struct Rings {
    lanes: Vec<Lane>,
    /// How long each ring is.
    ring: usize,
}

impl Crew for Rings {
    fn room(&self) -> usize {
        // Never more out than the rings hold, so that a push cannot fail.
        self.lanes.len() * self.ring / 2
    }
    fn give(&mut self, given: Given) {
        failpoint::reached("lanes.before_give");
        let lane = (given.0.accepted.sequence % self.lanes.len() as u64) as usize;
        let lane = self.lane_with_room(lane);
        assert!(lane.give.push(given).is_ok(), "more is out than the rings hold");
        if let Some(handle) = &lane.handle {
            handle.thread().unpark();
        }
    }
    fn collect(&mut self, made: &mut Vec<Made>) {
        for lane in &mut self.lanes {
            while let Ok(one) = lane.made.pop() {
                made.push(one);
            }
        }
    }
}

impl Rings {
    /// The lane whose turn it is, or the next one whose ring has room.
    fn lane_with_room(&mut self, from: usize) -> &mut Lane {
        let count = self.lanes.len();
        let at = (0..count).map(|n| (from + n) % count).find(|at| self.lanes[*at].give.slots() > 0);
        &mut self.lanes[at.expect("less is out than the rings hold")]
    }
}

/// The sequencer's thread: step after step, until it is to stop and has nothing left.
fn run(mut sequencing: Sequencing<Rings>, stop: &AtomicBool, waits: Waits) {
    let mut idle = 0;
    loop {
        if sequencing.take() | sequencing.collect() {
            idle = 0;
            continue;
        }
        if stop.load(Ordering::Acquire) && sequencing.is_idle() {
            return;
        }
        idle += 1;
        if idle < waits.spins {
            std::hint::spin_loop();
        } else {
            thread::park_timeout(waits.park);
        }
    }
}
