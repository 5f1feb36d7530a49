//! How late the I/O threads are: what a request waits in its socket and in their queue before anybody reads it is part
//! of its deadline, and nobody sees it there. A timer of the same runtime comes as late as a request does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(4);
/// The runtime's timers are as coarse as this.
const COARSE: Duration = Duration::from_millis(1);

/// The lateness of the runtime that serves.
#[derive(Debug, Clone)]
pub struct Lag(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    last_ns: AtomicU64,
    /// When the timer is to come next, in ns after `began`; 0 before the first.
    due_ns: AtomicU64,
}

impl Default for Lag {
    fn default() -> Self {
        let (last_ns, due_ns) = (AtomicU64::new(0), AtomicU64::new(0));
        Lag(Arc::new(Inner { began: Instant::now(), last_ns, due_ns }))
    }
}

impl Lag {
    /// Looks once; to be called again and again on the runtime that serves.
    pub async fn look(&self) {
        let due = Instant::now() + EVERY;
        self.due(due);
        tokio::time::sleep_until(due.into()).await;
        self.came(Instant::now(), due);
    }
    fn due(&self, due: Instant) {
        self.0.due_ns.store(due.saturating_duration_since(self.0.began).as_nanos() as u64, Relaxed);
    }
    fn came(&self, now: Instant, due: Instant) {
        let late = now.saturating_duration_since(due).saturating_sub(COARSE);
        self.0.last_ns.store(late.as_nanos() as u64, Relaxed);
    }
    /// How late it is now: as the timer last was, or as it already is.
    pub fn now(&self, now: Instant) -> Duration {
        let due_ns = self.0.due_ns.load(Relaxed);
        let last = Duration::from_nanos(self.0.last_ns.load(Relaxed));
        if due_ns == 0 {
            return last;
        }
        let due = self.0.began + Duration::from_nanos(due_ns);
        last.max(now.saturating_duration_since(due).saturating_sub(COARSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_late_as_the_timer_was_or_already_is() {
        let (lag, ms) = (Lag::default(), Duration::from_millis(1));
        let began = Instant::now();
        assert_eq!(lag.now(began + 50 * ms), Duration::ZERO, "nobody looks yet");
        lag.due(began + 2 * ms);
        assert_eq!(lag.now(began + 3 * ms), Duration::ZERO);
        let already = lag.now(began + 33 * ms);
        assert!(already.abs_diff(30 * ms) < ms / 100, "{already:?}");
        lag.came(began + 33 * ms, began + 2 * ms);
        lag.due(began + 35 * ms);
        assert_eq!(lag.now(began + 34 * ms), 30 * ms);
        lag.came(began + 36 * ms, began + 35 * ms);
        assert_eq!(lag.now(began + 36 * ms), Duration::ZERO);
    }
}
