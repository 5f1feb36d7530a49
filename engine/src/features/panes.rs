//! What a key has counted before its exact events: sums over intervals of time. A window takes every pane it touches,
//! whole, so it begins (and, where a delay or a late transaction puts its end among panes, ends) at most one pane
//! beyond what it says; where that is more than a sixtieth of it, it is undecided. So is `distinct`: a pane has no
//! values to tell apart.

use super::block::Lane;
use super::change::{Change, Target};
use super::widths::{Interval, Widths};
use super::window::{Folded, Series, Total};
use crate::error::Error;
use crate::image::{Reader, Writer};
use crate::limits::{FEATURE_PANES_MAX, FEATURE_PANES_PER_WINDOW};
use std::collections::VecDeque;

/// Events of one key in one interval.
#[derive(Debug, Clone, Copy)]
struct Pane {
    interval: Interval,
    min_ms: i64,
    max_ms: i64,
    total: Total,
    /// The largest was reduced by a reversal: `total.max` is only an upper bound.
    is_bound: bool,
}

/// What the folding of an event needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold<'a> {
    pub widths: &'a Widths,
    /// The tenant's latest event time, ms.
    pub high_ms: i64,
    /// The current transaction's.
    pub sequence: u64,
}

/// A key's panes, oldest first; no two overlap.
#[derive(Debug)]
pub(crate) struct Panes {
    list: VecDeque<Pane>,
    /// Least sequence of all that was folded. What is older was counted under another key, which had this one's number.
    first_sequence: u64,
    /// Number of panes at which neighbours are merged again.
    settle_at: usize,
}

/// Merging waits for so many new panes, so that it costs next to nothing an event.
const SETTLE_EVERY: usize = 64;

impl Pane {
    fn empty(interval: Interval) -> Pane {
        Pane { interval, min_ms: i64::MAX, max_ms: i64::MIN, total: Total::default(), is_bound: false }
    }
    fn add(&mut self, lane: &Lane) {
        let time_ms = lane.event.time_ms;
        let amount = lane.event.amount.unwrap_or(0);
        let one = Total {
            count: 1,
            unknown: u64::from(lane.event.amount.is_none()),
            fraud: u64::from(lane.fraud),
            sum: i128::from(amount),
            max: amount,
            ..Total::default()
        };
        self.merge(&Pane { min_ms: time_ms, max_ms: time_ms, total: one, ..Pane::empty(self.interval) });
    }
    fn merge(&mut self, other: &Pane) {
        let sure = |pane: &Pane| if pane.is_bound { i64::MIN } else { pane.total.max };
        let sure = sure(self).max(sure(other));
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
        self.total.add(&other.total);
        self.is_bound = self.total.max > sure;
    }
    fn change(&mut self, change: &Change) {
        let total = &mut self.total;
        match *change {
            Change::Fraud { was, is } => {
                total.fraud = (total.fraud + u64::from(is)).saturating_sub(u64::from(was));
            }
            // An amount that was never known stays unknown, and with it the sum.
            Change::Amount { before: None, .. } => {}
            Change::Amount { before: Some(before), after } => {
                total.unknown += u64::from(after.is_none());
                let after = after.unwrap_or(0);
                total.sum += i128::from(after) - i128::from(before);
                if total.count == 1 || after > total.max {
                    (total.max, self.is_bound) = (after, false);
                } else if before >= total.max && after < before {
                    self.is_bound = true;
                }
            }
        }
    }
}

impl Panes {
    /// Writes them.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u64(self.first_sequence);
        to.count(self.settle_at);
        to.count(self.list.len());
        for Pane { interval, min_ms, max_ms, total, is_bound } in &self.list {
            to.i64s(&[interval.from_ms, *min_ms, *max_ms]);
            to.u8(interval.log2);
            to.bool(*is_bound);
            total.save(to);
        }
    }
    /// What [`Panes::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Panes, Error> {
        let (first_sequence, settle_at) = (from.u64()?, from.count(usize::MAX)?);
        let mut list = VecDeque::new();
        for _ in 0..from.count(FEATURE_PANES_MAX + SETTLE_EVERY)? {
            let mut times = [0; 3];
            from.i64s(&mut times)?;
            let [from_ms, min_ms, max_ms] = times;
            let interval = Interval::load(from_ms, from.u8()?)?;
            let is_bound = from.bool()?;
            list.push_back(Pane { interval, min_ms, max_ms, total: Total::load(from)?, is_bound });
        }
        Ok(Panes { list, first_sequence, settle_at })
    }
    pub fn new() -> Panes {
        Panes { list: VecDeque::new(), first_sequence: u64::MAX, settle_at: SETTLE_EVERY }
    }
    /// Latest event, ms: no exact event is before it.
    pub fn newest_ms(&self) -> Option<i64> {
        self.list.back().map(|pane| pane.max_ms)
    }
    pub fn bytes(&self) -> usize {
        self.list.len() * size_of::<Pane>()
    }

    /// Adds an event.
    pub fn add(&mut self, fold: &Fold<'_>, lane: &Lane) {
        // Lanes keep the low half; what is folded was counted within the last 2^32.
        let age = (fold.sequence as u32).wrapping_sub(lane.event.sequence);
        self.first_sequence = self.first_sequence.min(fold.sequence.saturating_sub(u64::from(age)));
        let time_ms = lane.event.time_ms;
        let at = self.list.partition_point(|pane| pane.interval.until_ms() < time_ms);
        if self.list.get(at).is_none_or(|pane| !pane.interval.holds(time_ms)) {
            let mut interval = fold.widths.around(time_ms, fold.high_ms);
            // Narrower than its neighbours where those were made when they had to be.
            while at
                .checked_sub(1)
                .is_some_and(|before| interval.holds(self.list[before].interval.until_ms()))
                || self.list.get(at).is_some_and(|after| interval.until_ms() > after.interval.from_ms)
            {
                interval = interval.half(time_ms);
            }
            self.list.insert(at, Pane::empty(interval));
        }
        self.list[at].add(lane);
    }
    /// Merges what may be merged now, and drops the oldest past the bound; gives the time of the latest event dropped.
    pub fn settle(&mut self, fold: &Fold<'_>) -> Option<i64> {
        if self.list.len() < self.settle_at {
            return None;
        }
        let mut merged: VecDeque<Pane> = VecDeque::with_capacity(self.list.len());
        for pane in self.list.drain(..) {
            match merged.back_mut() {
                Some(last) if last.interval.holds(pane.interval.until_ms()) => last.merge(&pane),
                _ => {
                    let wider = fold.widths.around(pane.max_ms, fold.high_ms);
                    let free = merged.back().is_none_or(|last| last.interval.until_ms() <= wider.from_ms);
                    let interval =
                        if free && wider.log2 > pane.interval.log2 { wider } else { pane.interval };
                    merged.push_back(Pane { interval, ..pane });
                }
            }
        }
        self.list = merged;
        let mut lost_ms = None;
        while self.list.len() > FEATURE_PANES_MAX - SETTLE_EVERY {
            lost_ms = self.list.pop_front().map(|pane| pane.max_ms);
        }
        self.settle_at = self.list.len() + SETTLE_EVERY;
        lost_ms
    }
    /// Lets go of the panes that hold nothing after the cutoff.
    pub fn expire(&mut self, cutoff_ms: i64) {
        while self.list.front().is_some_and(|pane| pane.max_ms <= cutoff_ms) {
            self.list.pop_front();
        }
    }

    /// Changes what an event adds to its pane, where it was folded. Nothing else of a key is where its panes are: what
    /// has no lane there and was not let go by the cutoff is in the pane of its time.
    pub fn change(&mut self, target: &Target, change: &Change) {
        let time_ms = target.time_ms;
        if target.sequence < self.first_sequence || time_ms <= target.cutoff_ms {
            return;
        }
        let at = self.list.partition_point(|pane| pane.max_ms < time_ms);
        if let Some(pane) = self.list.get_mut(at).filter(|pane| pane.min_ms <= time_ms) {
            pane.change(change);
        }
    }

    /// The latest event in (after, until]; `None` also where a pane does not tell.
    pub fn latest(&self, after_ms: i64, until_ms: i64) -> Option<i64> {
        let end = self.list.partition_point(|pane| pane.min_ms <= until_ms);
        let pane = self.list.range(..end).next_back()?;
        (pane.max_ms <= until_ms && pane.max_ms > after_ms).then_some(pane.max_ms)
    }

    /// Adds the panes to the windows, each to the shortest that touches it, and says which windows touch any, which
    /// are cut too coarsely, and what their largest may be.
    pub fn scan(&self, series: &Series, totals: &mut [Total], folded: &mut Folded) {
        let Some(longest_ms) = series.starts_ms.last().copied() else { return };
        let end = self.list.partition_point(|pane| pane.min_ms <= series.end_ms);
        for pane in self.list.range(..end).rev() {
            if pane.max_ms <= longest_ms {
                break;
            }
            let touches = series.starts_ms.partition_point(|start| *start >= pane.max_ms);
            let holds = match pane.max_ms > series.end_ms {
                // Cut by the end of them all.
                true => series.starts_ms.len(),
                false => series.starts_ms.partition_point(|start| *start >= pane.min_ms),
            };
            folded.from = folded.from.min(touches);
            for window in touches..holds {
                let window_ms = series.end_ms.saturating_sub(series.starts_ms[window]);
                let is_coarse = pane.interval.width_ms() > window_ms / FEATURE_PANES_PER_WINDOW;
                folded.coarse |= u32::from(is_coarse) << window;
            }
            let mut total = pane.total;
            if pane.is_bound {
                folded.max[touches] = folded.max[touches].max(total.max);
                total.max = i64::MIN;
            }
            totals[touches].add(&total);
        }
    }
}
