//! What is asked before each stage of a live payment: whether its time allows it. On the way the stages of some payments
//! are timed for the metrics, and the node's device is at hand, where there is one.

use super::budget::Budget;
use super::clock::Clock;
use super::gpu::Gpu;
use super::pace::Pace;
use super::tally::Tally;
use super::timing::Timing;
use interdict_engine::generation::Generation;
use interdict_engine::lane::Gate;
use interdict_engine::similarity::vectors::Frozen;
use interdict_engine::{SkipReason, Stage};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a lane has of the node.
pub struct Means<'a> {
    /// By which budgets are kept.
    pub clock: &'a dyn Clock,
    /// How long things take.
    pub pace: &'a Pace,
    /// Where verdicts are counted.
    pub tally: &'a Tally,
    /// The device that may be asked.
    pub gpu: Option<&'a Gpu>,
}

/// The gate of a live payment.
pub struct Live<'a> {
    budget: Budget<'a>,
    timing: Option<Timing<'a>>,
    frozen: Option<Arc<Frozen>>,
}

impl<'a> Live<'a> {
    /// The gate of the payment of a sequence, whose stages have until a moment; `None`: nothing is skipped.
    pub fn new(
        until: Option<Instant>,
        means: &Means<'a>,
        generation: &'a Generation,
        sequence: u64,
    ) -> Live<'a> {
        Live {
            budget: Budget::new(until, means.clock, means.pace, generation),
            timing: Timing::of(&means.tally.times, sequence),
            frozen: means.gpu.and_then(Gpu::frozen),
        }
    }
    /// Counts what was timed, and lets go of the device's copies, which whoever replaced them waits for; to be called
    /// when the verdict is there. The ns that the stages took, as far as the clock was asked.
    pub fn done(self) -> u64 {
        self.timing.into_iter().for_each(Timing::done);
        self.budget.finish()
    }
}

impl Gate for Live<'_> {
    fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        let skipped = self.budget.skip(stage);
        self.timing.iter_mut().for_each(|timing| timing.begins(stage, skipped.is_some(), Instant::now()));
        skipped
    }
    fn deciding(&mut self) {
        self.timing.iter_mut().for_each(|timing| timing.deciding(Instant::now()));
    }
    fn device(&self) -> Option<(&Frozen, Option<Duration>)> {
        Some((self.frozen.as_deref()?, self.budget.left()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Machine;
    use super::super::recovery::empty_generation;
    use super::super::timing::{StageTimes, Step};
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
        let (tally, pace, generation) = (Tally::new(0, false), Pace::new(0), empty_generation());
        let means = Means { clock: &Machine, pace: &pace, tally: &tally, gpu: None };
        let times = &tally.times;
        let run = |until, sequence| {
            let mut gate = Live::new(until, &means, &generation, sequence);
            let skipped = [Stage::Lists, Stage::Rules].map(|stage| gate.skip(stage));
            gate.deciding();
            gate.done();
            skipped
        };
        let past = Some(Instant::now());
        assert_eq!(run(None, AT + 1), [None; 2]);
        assert_eq!(run(past, AT + 1), [Some(SkipReason::Deadline); 2]);
        assert_eq!(counts(times), []);
        assert_eq!(run(past, AT), [Some(SkipReason::Deadline); 2]);
        assert_eq!(counts(times), [("decision", 1)]);
        assert_eq!(run(None, AT + EVERY), [None; 2]);
        assert_eq!(counts(times), [("lists", 1), ("rules", 1), ("decision", 2)]);
    }
}
