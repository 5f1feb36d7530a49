//! How wide a pane may be: at most a sixtieth of every window that will yet begin or end in it. As it ages the short
//! windows pass it by and it may grow, so a key's panes are some hundreds however many events they stand for.

use super::figures::StateLimits;
use super::plan::Group;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::{FEATURE_PANES_MAX, FEATURE_PANES_PER_WINDOW};

/// The instants after `from_ms` up to `from_ms + 2^log2`. Widths are powers of two and intervals begin at multiples
/// of them, so that two of them are apart or one lies in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub from_ms: i64,
    pub log2: u8,
}

impl Interval {
    /// One that was written.
    pub fn load(from_ms: i64, log2: u8) -> Result<Interval, Error> {
        if log2 < 63 { Ok(Interval { from_ms, log2 }) } else { Err(senseless("a pane without end")) }
    }
    /// The interval of a width that holds an instant.
    fn of(time_ms: i64, log2: u8) -> Interval {
        Interval { from_ms: time_ms.saturating_sub(1) >> log2 << log2, log2 }
    }
    pub fn width_ms(&self) -> i64 {
        1 << self.log2
    }
    pub fn until_ms(&self) -> i64 {
        self.from_ms.saturating_add(self.width_ms())
    }
    pub fn holds(&self, time_ms: i64) -> bool {
        self.from_ms < time_ms && time_ms <= self.until_ms()
    }
    /// The older half, or the newer, whichever holds an instant of this interval.
    pub fn half(&self, time_ms: i64) -> Interval {
        Interval::of(time_ms, self.log2.saturating_sub(1))
    }
}

/// The widths of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Widths {
    /// Ages in ms, ascending, each with the width (its logarithm to base 2) allowed up to it; widths ascend too.
    steps: Vec<(i64, u8)>,
}

/// Panes that the widths are planned for. The bound is twice that, for what lies ahead of time or waits for the next
/// merging.
const PLANNED: i64 = FEATURE_PANES_MAX as i64 / 2;
/// Logarithm of a width where no window asks for one: 17 minutes.
const ANY: u8 = 20;

impl Widths {
    /// Writes them: a group that a newer plan has taken over keeps those that it was made with.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.count(self.steps.len());
        for (age_ms, log2) in &self.steps {
            to.i64(*age_ms);
            to.u8(*log2);
        }
    }
    /// What [`Widths::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Widths, Error> {
        let mut steps = Vec::new();
        for _ in 0..from.count(1 << 10)? {
            steps.push((from.i64()?, from.u8()?));
        }
        if steps.is_empty() || steps.iter().any(|(_, log2)| *log2 >= 63) {
            return Err(senseless("widths of panes that are none"));
        }
        Ok(Widths { steps })
    }
    pub fn of(group: &Group, limits: &StateLimits) -> Widths {
        let delay_ms = group.spec.delay_ms;
        let mut ends = Vec::new();
        if group.undelayed || delay_ms == 0 {
            ends.push(0);
        }
        if group.delayed && delay_ms > 0 {
            ends.push(delay_ms);
        }
        let windows = || group.spec.windows.iter().map(|(_, window_ms)| *window_ms);
        let mut edges: Vec<(i64, i64)> = Vec::new();
        for end_ms in ends {
            // The end of all of them, then each one's start; a late transaction has them that much further back.
            let cuts = windows().take(1).map(|shortest| (0, shortest)).chain(windows().map(|ms| (ms, ms)));
            edges.extend(cuts.map(|(before_ms, window_ms)| {
                let age_ms = end_ms + before_ms + limits.lateness_ms.max(0);
                (age_ms, window_ms / FEATURE_PANES_PER_WINDOW)
            }));
        }
        Widths::plan(edges)
    }
    /// From the ages at which windows are cut, each with the widest pane that may be cut there.
    fn plan(mut edges: Vec<(i64, i64)>) -> Widths {
        edges.sort_unstable();
        let mut least_ms = i64::MAX;
        for (_, width_ms) in edges.iter_mut().rev() {
            least_ms = least_ms.min(*width_ms);
            *width_ms = least_ms;
        }
        let mut steps: Vec<(i64, u8)> =
            edges.into_iter().map(|(age_ms, width_ms)| (age_ms, width_ms.max(1).ilog2() as u8)).collect();
        if steps.is_empty() {
            steps.push((0, ANY));
        }
        // Past the bound the finest become coarser: windows too short for them are undecided where they are cut.
        while planned(&steps) > PLANNED {
            let finest = steps[0].1;
            steps.iter_mut().filter(|(_, log2)| *log2 == finest).for_each(|(_, log2)| *log2 += 1);
        }
        Widths { steps }
    }
    fn allowed(&self, age_ms: i64) -> u8 {
        let step = self.steps.iter().find(|(until_ms, _)| age_ms <= *until_ms);
        step.map_or(self.widest(), |(_, log2)| *log2)
    }
    fn widest(&self) -> u8 {
        self.steps.last().map_or(ANY, |(_, log2)| *log2)
    }
    /// The widest interval around an instant that is allowed when the latest event time is `high_ms`.
    pub fn around(&self, time_ms: i64, high_ms: i64) -> Interval {
        let mut interval = Interval::of(time_ms, self.steps[0].1);
        while interval.log2 < self.widest() {
            let wider = Interval::of(time_ms, interval.log2 + 1);
            if wider.log2 > self.allowed(high_ms.saturating_sub(wider.until_ms())) {
                break;
            }
            interval = wider;
        }
        interval
    }
}

fn planned(steps: &[(i64, u8)]) -> i64 {
    let mut from_ms = 0;
    steps.iter().fold(0, |panes, (until_ms, log2)| {
        let span_ms = until_ms - from_ms;
        from_ms = *until_ms;
        panes + (span_ms >> log2) + 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    #[test]
    fn a_pane_is_as_wide_as_the_windows_that_are_still_to_cut_it_let_it_be() {
        let windows = [1, 24, 30 * 24].map(|hours| hours * HOUR_MS);
        let widths = Widths::plan(windows.map(|ms| (ms + HOUR_MS, ms / 60)).to_vec());
        // A minute, 24 minutes, 12 hours: the powers of two below.
        assert_eq!([15, 20, 25], [0, 1, 2].map(|at| widths.steps[at].1));
        let high_ms = 1_700_000_000_000;
        for hours in [0, 1, 2, 3, 20, 26, 48, 300, 700, 800] {
            let interval = widths.around(high_ms - hours * HOUR_MS, high_ms);
            assert!(interval.holds(high_ms - hours * HOUR_MS));
            let age_ms = high_ms - interval.until_ms();
            for window_ms in windows.into_iter().filter(|ms| ms + HOUR_MS >= age_ms) {
                assert!(interval.width_ms() * 60 <= window_ms, "{hours} h: {interval:?}");
            }
        }
        // The widest are used where only the longest window reaches.
        assert_eq!(widths.around(high_ms - 300 * HOUR_MS, high_ms).log2, 25);
    }

    proptest! {
        #[test]
        fn intervals_nest_and_their_number_is_bounded(
            edges in prop::collection::vec((0..45 * 24 * HOUR_MS, 0..24 * HOUR_MS), 0..34),
            high_ms in -1_000_000_000_000i64..2_000_000_000_000,
        ) {
            let longest_ms = edges.iter().map(|(age_ms, _)| *age_ms).max().unwrap_or(0);
            let widths = Widths::plan(edges);
            let (mut time_ms, mut count, mut before) = (high_ms, 0, i64::MAX);
            while time_ms > high_ms - longest_ms {
                let interval = widths.around(time_ms, high_ms);
                prop_assert!(interval.holds(time_ms) && interval.until_ms() <= before.max(time_ms));
                prop_assert_eq!(interval, widths.around(interval.from_ms + 1, high_ms));
                prop_assert_eq!(interval, widths.around(interval.until_ms(), high_ms));
                (before, time_ms, count) = (interval.from_ms, interval.from_ms, count + 1);
            }
            prop_assert!(count <= FEATURE_PANES_MAX - 512, "{count} panes");
        }
    }
}
