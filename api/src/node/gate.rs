//! What is asked before each stage of a live payment: whether its time is over. On the way the stages are timed, on some
//! payments, and the node's device is at hand, where there is one.

use super::gpu::Gpu;
use super::timing::{StageTimes, Timing};
use interdict_engine::lane::Gate;
use interdict_engine::similarity::vectors::Frozen;
use interdict_engine::{SkipReason, Stage};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The gate of a live payment: a stage that would begin after the deadline is skipped.
pub struct Live<'a> {
    deadline: Option<Instant>,
    timing: Option<Timing<'a>>,
    frozen: Option<Arc<Frozen>>,
}

impl<'a> Live<'a> {
    /// The gate of the payment of a sequence; without a deadline nothing is skipped.
    pub fn new(
        deadline: Option<Instant>,
        times: &'a StageTimes,
        gpu: Option<&Gpu>,
        sequence: u64,
    ) -> Live<'a> {
        Live { deadline, timing: Timing::of(times, sequence), frozen: gpu.and_then(Gpu::frozen) }
    }
    /// Counts what was timed, and lets go of the device's copies, which whoever replaced them waits for; to be called
    /// when the verdict is there.
    pub fn done(self) {
        self.timing.into_iter().for_each(Timing::done);
    }
}

impl Gate for Live<'_> {
    fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        if self.deadline.is_none() && self.timing.is_none() {
            return None;
        }
        let now = Instant::now();
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        self.timing.iter_mut().for_each(|timing| timing.begins(stage, late, now));
        late.then_some(SkipReason::Deadline)
    }
    fn deciding(&mut self) {
        self.timing.iter_mut().for_each(|timing| timing.deciding(Instant::now()));
    }
    fn device(&self) -> Option<(&Frozen, Option<Duration>)> {
        let frozen = self.frozen.as_deref()?;
        Some((frozen, self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::timing::Step;
    use super::*;

    /// A sequence that is timed; neither neighbour is.
    const AT: u64 = 32;
    const EVERY: u64 = 64;

    fn counts(times: &StageTimes) -> Vec<(&'static str, u64)> {
        let counts = Step::ALL.map(|step| (step.name(), times.count(step)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn stages_that_ran_are_counted_and_skipped_ones_are_not() {
        let times = StageTimes::new();
        let run = |deadline, sequence| {
            let mut gate = Live::new(deadline, &times, None, sequence);
            let skipped = [Stage::Lists, Stage::Rules].map(|stage| gate.skip(stage));
            gate.deciding();
            gate.done();
            skipped
        };
        let past = Some(Instant::now());
        assert_eq!(run(None, AT + 1), [None; 2]);
        assert_eq!(run(past, AT + 1), [Some(SkipReason::Deadline); 2]);
        assert_eq!(counts(&times), []);
        assert_eq!(run(past, AT), [Some(SkipReason::Deadline); 2]);
        assert_eq!(counts(&times), [("decision", 1)]);
        assert_eq!(run(None, AT + EVERY), [None; 2]);
        assert_eq!(counts(&times), [("lists", 1), ("rules", 1), ("decision", 2)]);
    }
}
