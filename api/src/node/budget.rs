//! A live payment's time on the lane: before each stage the clock is looked at, and a stage that would leave too little for
//! what is cheaper and for the answer is skipped. So patterns, similarity and models go before lists and rules.

use super::clock::Clock;
use super::pace::Pace;
use interdict_engine::generation::Generation;
use interdict_engine::{SkipReason, Stage};
use std::time::{Duration, Instant};

/// Kept for the rules and lists of whatever else there is to do: a verdict is worth little without them.
const KEPT: [Stage; 2] = [Stage::Lists, Stage::Rules];

/// One payment's time.
pub struct Budget<'a> {
    until: Option<Instant>,
    clock: &'a dyn Clock,
    pace: &'a Pace,
    generation: &'a Generation,
    running: Option<(Stage, Instant)>,
    skipped: bool,
    spent_ns: u64,
}

impl<'a> Budget<'a> {
    /// What is left; `None`: no matter how long.
    pub fn left(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(self.clock.now()))
    }
    /// Until a moment; `None`: no matter how long, and the clock is not asked.
    pub fn new(
        until: Option<Instant>,
        clock: &'a dyn Clock,
        pace: &'a Pace,
        generation: &'a Generation,
    ) -> Budget<'a> {
        Budget { until, clock, pace, generation, running: None, skipped: false, spent_ns: 0 }
    }
    /// The stages are over; the ns that they took, as far as the clock was asked.
    pub fn finish(mut self) -> u64 {
        if let Some((stage, began)) = self.running.take() {
            let now = self.clock.now();
            self.ran(stage, began, now);
            if !self.skipped {
                self.pace.stages_all.note(self.spent_ns);
            }
        }
        self.spent_ns
    }
    fn ran(&mut self, stage: Stage, began: Instant, ended: Instant) {
        let ns = ended.saturating_duration_since(began).as_nanos() as u64;
        self.pace.stage(stage).note(ns);
        self.spent_ns += ns;
    }
    /// ns that must be left for a stage to begin: its own, those of what comes later and is cheaper or to be kept, and
    /// of the answer.
    fn needs_ns(&self, stage: Stage) -> u64 {
        let own_ns = self.pace.stage(stage).ns();
        let later = Stage::LANE.into_iter().filter(|later| *later > stage && self.generation.has(*later));
        let kept = later.map(|later| (later, self.pace.stage(later).ns()));
        let kept = kept.filter(|(later, ns)| KEPT.contains(later) || *ns < own_ns).map(|(_, ns)| ns);
        own_ns + kept.sum::<u64>() + self.pace.tail_ns()
    }
}

impl Budget<'_> {
    /// Whether a stage is skipped, to leave time for what is cheaper and for the answer.
    pub fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        let until = self.until?;
        let now = self.clock.now();
        if let Some((before, began)) = self.running.take() {
            self.ran(before, began, now);
        }
        let left_ns = until.saturating_duration_since(now).as_nanos() as u64;
        if left_ns > 0 && left_ns >= self.needs_ns(stage) {
            self.running = Some((stage, now));
            return None;
        }
        if left_ns > 0 {
            self.pace.stage(stage).fade();
        }
        self.skipped = true;
        Some(SkipReason::Deadline)
    }
}
