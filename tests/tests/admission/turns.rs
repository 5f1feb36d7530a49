//! Whose request is read next, against a simulated core on a clock that the test moves: a verdict takes it 1 ms, a
//! default 0.5 ms, a refusal 0.1 ms, and all are done in the order in which turns were given.

use super::MS;
use interdict::node::turns::{Asking, Now, Turn, Turns};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FULL: Duration = MS;
const DEFAULT: Duration = Duration::from_micros(500);
const REFUSAL: Duration = Duration::from_micros(100);
const ROOM: usize = 4;

/// What a request came to, and how long after it had come.
type End = (Turn, Duration);

struct Core {
    turns: Turns<usize>,
    began: Instant,
    passed: Duration,
    given: VecDeque<(usize, Turn)>,
}

impl Core {
    fn now(&self) -> Now {
        let inside = self.given.iter().filter(|(_, turn)| *turn != Turn::Refused).count();
        Now { at: self.began + self.passed, inside, guess_ns: 2_000_000, tail_ns: 50_000 }
    }
    fn ask(&mut self, number: usize, (at, tenant): (Duration, &Arc<str>), deadline: Duration) {
        let came = self.began + at;
        let asking = Asking { came, deadline: Some(came + deadline), token: number };
        let now = self.now();
        self.given.extend(self.turns.ask(tenant, 1, asking, now));
    }
    fn go_on(&mut self) {
        while let Some(given) = self.turns.next(self.now()) {
            self.given.push_back(given);
        }
    }
}

/// Runs arrivals through; each is looked at when it comes, or when the core is done with what it has in hand.
fn simulate(arrivals: &[(Duration, Arc<str>)], deadline: Duration) -> Vec<End> {
    let began = Instant::now();
    let mut core = Core { turns: Turns::new(ROOM, 1), began, passed: Duration::ZERO, given: VecDeque::new() };
    let mut ends: Vec<Option<End>> = vec![None; arrivals.len()];
    let mut next = 0;
    loop {
        while next < arrivals.len() && arrivals[next].0 <= core.passed {
            core.ask(next, (arrivals[next].0, &arrivals[next].1), deadline);
            next += 1;
        }
        core.go_on();
        match core.given.pop_front() {
            Some((number, turn)) => {
                core.passed += match turn {
                    Turn::Full => FULL,
                    Turn::Default => DEFAULT,
                    Turn::Refused => REFUSAL,
                };
                if turn == Turn::Refused {
                    core.turns.refused_in(REFUSAL);
                }
                ends[number] = Some((turn, core.passed - arrivals[number].0));
            }
            None if next < arrivals.len() => core.passed = arrivals[next].0,
            // Whoever is owed an answer waits until there is time for it: somebody looks now and then.
            None if core.turns.waiting() != (0, 0) => core.passed += MS * 4,
            None => break,
        }
    }
    assert_eq!(core.turns.waiting(), (0, 0), "when nothing more comes nobody is left");
    ends.into_iter().map(|end| end.expect("everybody was told")).collect()
}

fn at_gaps(gaps_us: &[u64], tenant: impl Fn(usize) -> Arc<str>) -> Vec<(Duration, Arc<str>)> {
    let mut at = Duration::ZERO;
    let arrivals = gaps_us.iter().enumerate().map(|(number, gap_us)| {
        at += Duration::from_micros(*gap_us);
        (at, tenant(number))
    });
    arrivals.collect()
}

fn full(ends: &[End]) -> usize {
    ends.iter().filter(|(turn, _)| *turn == Turn::Full).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// At three times what can be decided: no verdict is late, and four fifths of what can be full is.
    #[test]
    fn at_three_times_saturation_four_fifths_are_full_and_no_verdict_is_late(
        gaps_us in proptest::collection::vec(0u64..667, 3_000),
        deadline_ms in 18u64..60,
    ) {
        let arrivals = at_gaps(&gaps_us, |_| "t".into());
        let deadline = MS * deadline_ms as u32;
        let ends = simulate(&arrivals, deadline);
        let late = ends.iter().find(|(turn, took)| *turn != Turn::Refused && *took > deadline);
        prop_assert!(late.is_none(), "{late:?} of {deadline:?}");
        let possible = arrivals.last().unwrap().0.as_millis() as f64;
        prop_assert!(full(&ends) as f64 >= 0.8 * possible, "{} of {possible}", full(&ends));
    }

    /// Just above saturation what has no time for a verdict has a default, since there is time for that.
    #[test]
    fn what_is_a_little_too_much_gets_defaults_and_hardly_a_refusal(
        gaps_us in proptest::collection::vec(945u64..1_000, 3_000),
    ) {
        let ends = simulate(&at_gaps(&gaps_us, |_| "t".into()), MS * 20);
        let refused = ends.iter().filter(|(turn, _)| *turn == Turn::Refused).count();
        prop_assert!(refused * 50 < ends.len(), "{refused} refused, {} full", full(&ends));
    }

    /// A tenant below its share has every verdict beside one far above, a few turns after it asked.
    #[test]
    fn a_modest_tenant_has_its_turn_next_beside_a_greedy_one(
        gaps_us in proptest::collection::vec(0u64..400, 3_000),
    ) {
        let modest: [Arc<str>; 2] = ["greedy".into(), "modest".into()];
        let is_modest = |number: usize| number.is_multiple_of(100);
        let arrivals = at_gaps(&gaps_us, |number| modest[usize::from(is_modest(number))].clone());
        let ends = simulate(&arrivals, MS * 60);
        for (_, (turn, took)) in ends.iter().enumerate().filter(|(number, _)| is_modest(*number)) {
            // What is inside, one that is in hand, one of the other's, refusals between, and its own.
            prop_assert!(*turn == Turn::Full && *took < FULL * (ROOM as u32 + 6), "{turn:?} {took:?}");
        }
        prop_assert!(full(&ends) < 2_000, "the greedy one is too much");
    }
}

#[test]
fn after_a_surge_every_verdict_is_full_at_once() {
    let every = |from: Duration, count: u32, gap: Duration| (0..count).map(move |n| from + gap * n);
    let mut at: Vec<Duration> = every(Duration::ZERO, 200, MS * 2).collect();
    at.extend(every(MS * 400, 2_000, MS / 5));
    at.extend(every(MS * 800, 400, MS * 2));
    let arrivals: Vec<(Duration, Arc<str>)> = at.into_iter().map(|at| (at, "t".into())).collect();
    let ends = simulate(&arrivals, MS * 20);
    assert_eq!(full(&ends[..200]), 200);
    // Who is owed an answer gets it as soon as nobody waits for a verdict, and is in nobody's way for long.
    assert_eq!(full(&ends[2_200 + 100..]), 300);
    let late = ends[2_200 + 100..].iter().find(|(_, took)| *took > MS * 5);
    assert_eq!(late, None);
}
