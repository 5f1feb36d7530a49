//! A group's slots for the current transaction: its windows' totals, and how long since the key was counted before.

use super::kernels::Kernel;
use super::plan::Group;
use super::space::{Key, Now, Place, Space};
use super::window::{Folded, Series, Total, accumulate, last_among, scan};
use crate::domain::Aggregate;
use crate::domain::record::Stamp;

/// Where a transaction's stamps go.
pub(crate) struct Stamps<'a> {
    out: &'a mut Vec<Stamp>,
    /// Where they begin in `out`.
    from: usize,
    /// Slots whose value is approximate.
    approximate: &'a mut Vec<u16>,
}

impl<'a> Stamps<'a> {
    pub fn new(out: &'a mut Vec<Stamp>, approximate: &'a mut Vec<u16>) -> Stamps<'a> {
        let from = out.len();
        Stamps { out, from, approximate }
    }
    pub fn push(&mut self, stamp: Stamp) {
        self.out.push(stamp);
    }
    pub fn undecided(&mut self, slots: usize) {
        self.out.extend(std::iter::repeat_n(None, slots));
    }
    fn push_approximate(&mut self, stamp: Stamp) {
        if stamp.is_some() {
            self.approximate.push((self.out.len() - self.from) as u16);
        }
        self.out.push(stamp);
    }
}

impl Space {
    /// Ms since the key's latest event up to the current one; asked before the current one is counted.
    pub(super) fn since_last(&self, now: &Now, key: Key<'_>, at: Option<u32>, cutoff_ms: i64) -> Stamp {
        let known = self.known(key, at, cutoff_ms);
        let latest_ms = match at.map(|number| self.headers.get(number).place) {
            _ if known.last_ms <= cutoff_ms => None,
            _ if known.last_ms <= now.time_ms => Some(known.last_ms),
            Some(Place::Block(block)) => self.blocks.view(block).latest(now.kernel, cutoff_ms, now.time_ms),
            Some(Place::Chunks(chunks)) => {
                self.chunks.get(chunks).latest(now.kernel, &self.blocks, cutoff_ms, now.time_ms)
            }
            Some(Place::Nowhere) | None => None,
        };
        latest_ms.filter(|latest| *latest >= known.lost_ms).map(|latest| now.time_ms.saturating_sub(latest))
    }

    /// The windows' values.
    pub(super) fn answer(
        &mut self,
        now: &Now,
        group: &Group,
        key: Key<'_>,
        at: Option<u32>,
        cutoff_ms: i64,
        out: &mut Stamps<'_>,
    ) {
        let known = self.known(key, at, cutoff_ms);
        let covered_ms = self.coverage_ms.map_or(i64::MAX, |from| from.saturating_sub(1));
        let from_ms = covered_ms.max(cutoff_ms).max(known.lost_ms);
        let place = at.map_or(Place::Nowhere, |number| self.headers.get(number).place);
        let late = known.last_ms > now.time_ms;
        let mut totals = std::mem::take(&mut self.totals);
        let delay_ms = group.spec.delay_ms;
        let mut folded = [Folded::NONE; 2];
        let ends = [(0, group.undelayed || delay_ms == 0), (delay_ms, group.delayed && delay_ms > 0)];
        for (at, (delay_ms, wanted)) in ends.into_iter().enumerate() {
            let totals = &mut totals[at];
            totals.clear();
            if !wanted {
                continue;
            }
            let end_ms = now.time_ms.saturating_sub(delay_ms);
            let starts = group.spec.windows.iter().map(|(_, window_ms)| end_ms.saturating_sub(*window_ms));
            let series = Series { starts_ms: starts.take_while(|start| *start >= from_ms).collect(), end_ms };
            totals.resize(series.starts_ms.len(), Total::default());
            let late = late && group.distinct.is_some() && at == 0;
            let amounts = group.amounts && at == 0;
            self.add(now.kernel, place, &series, (amounts, late), totals, &mut folded[at]);
        }
        for aggregate in &group.spec.aggregates {
            let labels = matches!(aggregate, Aggregate::FraudShare | Aggregate::FraudCount);
            let end = usize::from(labels && group.spec.delay_ms > 0);
            let (totals, folded) = (&totals[end], &folded[end]);
            for window in 0..group.spec.windows.len() {
                let total = totals.get(window);
                if window < folded.from {
                    out.push(total.and_then(|total| total.value(*aggregate)));
                } else {
                    let told = total.filter(|total| folded.tells(window, *aggregate, total));
                    out.push_approximate(told.and_then(|total| total.value(*aggregate)));
                }
            }
        }
        self.totals = totals;
    }
    fn add(
        &self,
        kernel: Kernel,
        place: Place,
        series: &Series,
        (amounts, late): (bool, bool),
        totals: &mut [Total],
        folded: &mut Folded,
    ) {
        match place {
            Place::Nowhere => {}
            Place::Block(block) => {
                let view = self.blocks.view(block);
                let last = match (late, series.starts_ms.last()) {
                    (true, Some(start)) => last_among(view, view.between(kernel, *start, series.end_ms)),
                    _ => view.head.last,
                };
                scan(kernel, view, series, last, amounts, totals);
            }
            Place::Chunks(chunks) => {
                let chunks = self.chunks.get(chunks);
                chunks.scan(kernel, &self.blocks, series, (amounts, late), totals, folded);
                if folded.from < totals.len() {
                    folded.accumulate();
                }
            }
        }
        accumulate(totals);
    }
}
