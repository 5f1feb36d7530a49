//! How long things take here and now: running averages that whoever does them keeps, and that admission and the budget
//! of a payment are reckoned by. Nanoseconds throughout; relaxed atomics, since an estimate may be a little old.

use interdict_engine::Stage;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A new value counts for one part in so many.
const SLOWNESS: i64 = 16;
/// A value counts for at most so many times the average, so that one wait for a core that somebody else has (4 ms) does
/// not pass for what the work costs; a real change gets there within a dozen values.
const JUMP: u64 = 8;
/// Fractions kept, in bits: averages of some hundred ns would else stand still.
const FRACTION: u32 = 8;

/// A running average of ns.
#[derive(Debug, Default)]
pub struct Average(AtomicU64);

impl Average {
    /// The average in ns; 0 before the first value.
    pub fn ns(&self) -> u64 {
        self.0.load(Relaxed) >> FRACTION
    }
    /// Takes a value in.
    pub fn note(&self, ns: u64) {
        let known = self.0.load(Relaxed);
        let value = ns.min(u64::MAX >> (FRACTION + 1)) << FRACTION;
        if known == 0 {
            self.0.store(value.max(1), Relaxed);
            return;
        }
        let value = value.min(known.saturating_mul(JUMP)) as i64;
        let known = known as i64;
        self.0.store((known + (value - known) / SLOWNESS).max(1) as u64, Relaxed);
    }
    /// Begins with a guess, where there is no value yet.
    pub fn guess(&self, ns: u64) {
        let _ = self.0.compare_exchange(0, ns << FRACTION, Relaxed, Relaxed);
    }
    /// Takes a little off: what is never done for want of time is never measured, and must not stay too dear for ever.
    pub fn fade(&self) {
        let known = self.0.load(Relaxed);
        self.0.store(known - known / 64, Relaxed);
    }
}

/// What the parts of a payment's way take.
#[derive(Debug)]
pub struct Pace {
    /// Sequencing a job and, with `lanes = 0`, all else but the stages: records, their write, answers.
    pub take: Average,
    /// With lanes: writing and answering a job that came back; else 0.
    pub settle: Average,
    /// The stages of a payment, none skipped.
    pub stages_all: Average,
    /// From a batch's records made to its first answer given: the write and, under `disk`, the sync.
    pub journal: Average,
    /// From an answer given to the I/O thread that takes it up.
    pub hand_over: Average,
    stages: [Average; Stage::LANE.len()],
    lanes: u64,
}

impl Pace {
    /// Nothing known yet; for so many lanes.
    pub fn new(lanes: usize) -> Pace {
        Pace {
            take: Average::default(),
            settle: Average::default(),
            stages_all: Average::default(),
            journal: Average::default(),
            hand_over: Average::default(),
            stages: Default::default(),
            lanes: lanes as u64,
        }
    }
    /// A stage's average; of the lane's stages only.
    pub fn stage(&self, stage: Stage) -> &Average {
        &self.stages[stage as usize - Stage::Lists as usize]
    }
    /// Begins with what packs cost at worst by their own reckoning, in ns, where nothing was measured yet.
    pub fn guess(&self, costs: &BTreeMap<Stage, u64>) {
        let of_lane = costs.iter().filter(|(stage, _)| Stage::LANE.contains(stage));
        of_lane.for_each(|(stage, ns)| self.stage(*stage).guess(*ns));
    }
    /// ns between one payment and the next when they come without a gap, none of them cut short.
    pub fn full_ns(&self) -> u64 {
        let (owner, lane) = (self.express_ns(), self.stages_all.ns());
        match self.lanes {
            0 => owner + lane,
            lanes => owner.max(lane / lanes),
        }
    }
    /// The same of payments whose stages are skipped.
    pub fn express_ns(&self) -> u64 {
        self.take.ns() + self.settle.ns()
    }
    /// ns that a payment needs from the end of its stages to its caller.
    pub fn tail_ns(&self) -> u64 {
        self.journal.ns() + self.hand_over.ns()
    }
}

const _: () = assert!(Stage::Rules as usize - Stage::Lists as usize + 1 == Stage::LANE.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_wait_moves_an_average_little_and_a_real_change_soon() {
        let average = Average::default();
        assert_eq!(average.ns(), 0);
        average.guess(7);
        (0..200).for_each(|_| average.note(1_000));
        assert!((990..=1_000).contains(&average.ns()), "{}", average.ns());
        average.guess(7);
        average.note(4_000_000);
        assert!(average.ns() < 1_500, "{}", average.ns());
        (0..40).for_each(|_| average.note(100_000));
        assert!(average.ns() > 80_000, "{}", average.ns());
        (0..2_000).for_each(|_| average.fade());
        assert!(average.ns() < 10, "{}", average.ns());
    }

    #[test]
    fn lanes_work_beside_one_another_and_beside_their_owner() {
        for (lanes, full_ns) in [(0, 50_000), (1, 40_000), (2, 20_000), (8, 10_000)] {
            let pace = Pace::new(lanes);
            pace.take.note(6_000);
            pace.settle.note(4_000);
            pace.stages_all.note(40_000);
            assert_eq!((pace.full_ns(), pace.express_ns()), (full_ns, 10_000), "{lanes} lanes");
        }
    }
}
