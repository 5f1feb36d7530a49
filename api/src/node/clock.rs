//! What time it is, for whoever decides by deadlines: the machine's clock, or one that a test moves on by hand, or
//! somebody drives through a file.

mod driven;

pub use driven::{Driven, VARIABLE};

use super::now_ms;
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic clock, and the one on the wall.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
    /// What the wall's clock shows, ms since the Unix epoch: events come at it, holds expire by it. It may step.
    fn wall_ms(&self) -> i64 {
        now_ms()
    }
    /// Whether the wall's clock is one that somebody sets.
    fn is_virtual(&self) -> bool {
        false
    }
}

/// The machine's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;
impl Clock for Machine {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Stands still until it is moved on: with it, what depends on time repeats.
#[derive(Debug)]
pub struct Manual {
    began: Instant,
    passed_ns: AtomicU64,
    /// What the wall's clock showed when it began, and all its steps since.
    wall_ms: AtomicI64,
}

impl Default for Manual {
    fn default() -> Self {
        Manual { began: Instant::now(), passed_ns: AtomicU64::new(0), wall_ms: AtomicI64::new(now_ms()) }
    }
}

impl Manual {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.passed_ns.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }
    /// Has the wall's clock step, forth or back, without any time passing.
    pub fn step_wall(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Instant {
        self.began + Duration::from_nanos(self.passed_ns.load(Ordering::SeqCst))
    }
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst) + (self.passed_ns.load(Ordering::SeqCst) / 1_000_000) as i64
    }
}
