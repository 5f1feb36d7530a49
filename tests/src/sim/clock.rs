//! Time in the simulator: a clock that moves a little with every look at it, as one does while code runs, and stalls now
//! and then; and the agenda of what happens when.

use interdict::node::clock::Clock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// ns in a millisecond.
pub const MS: u64 = 1_000_000;

/// The clock. One thread only, so that what it says repeats.
#[derive(Debug)]
pub struct Ticking {
    began: Instant,
    passed_ns: AtomicU64,
    /// What a look costs; 0: nothing, and nothing stalls.
    tick_ns: u64,
    looks: AtomicU64,
}

impl Ticking {
    /// At 0.
    pub fn new(tick_ns: u64) -> Ticking {
        let zero = || AtomicU64::new(0);
        Ticking { began: Instant::now(), passed_ns: zero(), tick_ns, looks: zero() }
    }
    /// Since the beginning, ns.
    pub fn passed_ns(&self) -> u64 {
        self.passed_ns.load(Relaxed)
    }
    /// Moves on to a moment, if it is not past.
    pub fn reach(&self, at_ns: u64) {
        self.passed_ns.fetch_max(at_ns, Relaxed);
    }
    /// A moment as ns since the beginning.
    pub fn ns_of(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_nanos() as u64
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        if self.tick_ns > 0 {
            let looks = self.looks.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            // One look in 200 falls into up to 20 ms in which the machine did something else.
            let stall_ns = if looks.is_multiple_of(200) { looks % 20_000_000 } else { 0 };
            self.passed_ns.fetch_add(looks % self.tick_ns + stall_ns, Relaxed);
        }
        self.began + Duration::from_nanos(self.passed_ns())
    }
}

/// What happens when, in order; of one moment in the order of planning.
#[derive(Debug)]
pub struct Agenda<T> {
    tasks: BTreeMap<(u64, u64), T>,
    planned: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Agenda<T> {
        Agenda { tasks: BTreeMap::new(), planned: 0 }
    }
}

impl<T> Agenda<T> {
    /// Plans something.
    pub fn at(&mut self, at_ns: u64, task: T) {
        self.planned += 1;
        self.tasks.insert((at_ns, self.planned), task);
    }
    /// When the next thing happens.
    pub fn next_ns(&self) -> Option<u64> {
        self.tasks.keys().next().map(|(at_ns, _)| *at_ns)
    }
    /// The next thing.
    pub fn pop(&mut self) -> Option<T> {
        self.tasks.pop_first().map(|(_, task)| task)
    }
    /// Forgets what is planned, where asked.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.tasks.retain(|_, task| keep(task));
    }
}
