//! Lanes without threads: what the sequencer hands out is made at times that the seed draws, each lane one after another,
//! so that verdicts come back in any order.

use super::Broken;
use super::clock::Ticking;
use interdict::node::clock::Clock;
use interdict::node::core::{Judged, judge};
use interdict::node::gate::Means;
use interdict::node::pace::Pace;
use interdict::node::sequencing::{Crew, Given, Made};
use interdict::node::tally::Tally;
use interdict_engine::lane::Scratch;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the lanes have.
pub struct Lanes {
    /// By which budgets are kept.
    pub clock: Arc<Ticking>,
    /// Where times are noted.
    pub pace: Arc<Pace>,
    /// Where verdicts are counted.
    pub tally: Arc<Tally>,
    /// Draws how long things take.
    pub random: ChaCha8Rng,
    /// Longest that one takes, ns.
    pub longest_ns: u64,
    /// Work that may be out.
    pub room: usize,
    /// What is broken on purpose.
    pub broken: Option<Broken>,
    lanes: Vec<Lane>,
    made: Vec<Made>,
}

#[derive(Default)]
struct Lane {
    scratch: Scratch,
    /// With when each is done, ns.
    work: VecDeque<(u64, Given)>,
}

impl Lanes {
    /// So many, idle.
    pub fn new(
        count: usize,
        (clock, pace, tally): (Arc<Ticking>, Arc<Pace>, Arc<Tally>),
        random: ChaCha8Rng,
        (longest_ns, room): (u64, usize),
        broken: Option<Broken>,
    ) -> Lanes {
        let lanes = (0..count).map(|_| Lane::default()).collect();
        Lanes { clock, pace, tally, random, longest_ns, room, broken, lanes, made: Vec::new() }
    }
    /// When the next piece is done.
    pub fn next_ns(&self) -> Option<u64> {
        self.lanes.iter().filter_map(|lane| lane.work.front().map(|(at_ns, _)| *at_ns)).min()
    }
    /// Makes what is done by now.
    pub fn work(&mut self) {
        let now_ns = self.clock.passed_ns();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            while lane.work.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns) {
                let Some((_, (work, until))) = lane.work.pop_front() else { break };
                if self.broken == Some(Broken::LostWork) && self.random.random_range(0..20) == 0 {
                    continue;
                }
                let clock: &dyn Clock = &*self.clock;
                let means = Means { clock, pace: &self.pace, tally: &self.tally, gpu: None };
                let made = judge(&work, until, &means, &mut lane.scratch, number);
                let Judged { mut decided, evidence, .. } = made;
                if self.broken == Some(Broken::LaneShows) && number == 1 {
                    decided.verdict.score += 1;
                }
                if self.broken == Some(Broken::LostHold) {
                    decided.recorded.hold = None;
                }
                self.made.push((work, decided, evidence));
            }
        }
    }
}

impl Crew for Lanes {
    fn room(&self) -> usize {
        self.room
    }
    fn give(&mut self, given: Given) {
        let count = self.lanes.len() as u64;
        let lane = &mut self.lanes[(given.0.accepted.sequence % count) as usize];
        let begins_ns = lane.work.back().map_or(0, |(at_ns, _)| *at_ns).max(self.clock.passed_ns());
        lane.work.push_back((begins_ns + self.random.random_range(0..=self.longest_ns), given));
    }
    fn collect(&mut self, made: &mut Vec<Made>) {
        made.append(&mut self.made);
    }
}
