//! A background thread's part of the machine: it goes on only while nobody waits, never for more than so many hundredths of
//! one core's time, and lets whoever was woken on its core go first.

use super::intake::Intake;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How soon it is looked again whether anybody waits.
const LOOK: Duration = Duration::from_millis(1);
/// Work that is paid for at once.
const SLICE: Duration = Duration::from_millis(2);
/// How long it keeps a core at a time. Whoever is woken there for a payment waits so long at most: left to the kernel that
/// is a time slice, 1.5 ms and more.
const BREATH: Duration = Duration::from_micros(50);
/// Longest rest that is owed, so that a slice that the kernel interrupted for long does not count as work.
const REST_MAX: Duration = Duration::from_millis(500);

/// When a background thread may work.
pub struct Share {
    intake: Arc<Intake>,
    stop: Arc<AtomicBool>,
    percent: u32,
    patience: Option<Duration>,
    began: Instant,
    breathed: Instant,
}

impl Share {
    /// From now on; `percent` of a core, 1 to 100.
    pub fn new(intake: Arc<Intake>, stop: Arc<AtomicBool>, percent: u32) -> Share {
        let now = Instant::now();
        Share { intake, stop, percent: percent.clamp(1, 100), patience: None, began: now, breathed: now }
    }
    /// Goes on within its share though somebody waits, once it has stood still so long for them: for work that has a time
    /// by which it must be done.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Share {
        Share { patience: Some(patience), ..self }
    }
    /// The thread has slept until now.
    pub fn slept(&mut self) {
        self.began = Instant::now();
    }
    /// To be called between the smallest pieces of work: whoever waits for this core has it now.
    pub fn breathe(&mut self) {
        if self.breathed.elapsed() >= BREATH {
            std::thread::yield_now();
            self.breathed = Instant::now();
        }
    }
    /// To be called between pieces of work: rests as long as is owed and while anybody waits. False: the thread is to
    /// end.
    pub fn go_on(&mut self) -> bool {
        self.breathe();
        let worked = self.began.elapsed();
        if worked < SLICE && self.intake.is_idle() {
            return !self.stop.load(Ordering::Acquire);
        }
        let until = Instant::now() + rest_for(worked, self.percent);
        while !self.stop.load(Ordering::Acquire) {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let out_of_patience = self.patience.is_some_and(|patience| now >= until + patience);
            if left.is_zero() && (self.intake.is_idle() || out_of_patience) {
                self.slept();
                return true;
            }
            std::thread::park_timeout(left.max(LOOK));
        }
        false
    }
}

/// What so much work owes.
fn rest_for(worked: Duration, percent: u32) -> Duration {
    worked.mul_f64(f64::from(100 - percent) / f64::from(percent)).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::clock::Manual;
    use super::super::pace::Pace;
    use super::*;

    #[test]
    fn work_is_paid_for_with_rest_and_the_end_is_heard() {
        let ms = Duration::from_millis(1);
        assert_eq!(rest_for(2 * ms, 25), 6 * ms);
        assert_eq!(rest_for(2 * ms, 100), Duration::ZERO);
        assert_eq!(rest_for(100 * ms, 1), REST_MAX);
        let intake = Intake::new(Arc::new(Pace::new(0)), Arc::new(Manual::default()), Default::default(), 16);
        let stop = Arc::new(AtomicBool::new(false));
        let mut share = Share::new(Arc::new(intake), stop.clone(), 50);
        assert!(share.go_on());
        std::thread::sleep(3 * ms);
        let began = Instant::now();
        assert!(share.go_on());
        assert!(began.elapsed() >= 2 * ms, "three were worked, three are owed");
        stop.store(true, Ordering::Release);
        assert!(!share.go_on());
    }
}
