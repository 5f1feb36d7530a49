//! What time it is, for whoever decides by deadlines: the machine's clock, or one that a test moves on by hand.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic clock.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
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
}

impl Default for Manual {
    fn default() -> Self {
        Manual { began: Instant::now(), passed_ns: AtomicU64::new(0) }
    }
}

impl Manual {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.passed_ns.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Instant {
        self.began + Duration::from_nanos(self.passed_ns.load(Ordering::SeqCst))
    }
}
