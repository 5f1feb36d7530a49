//! From lanes to values: windows that end at the same instant are nested, so each event is added once, to the
//! shortest window that holds it, and the longer ones follow by adding up.

use super::block::{View, lanes_of};
use super::kernels::{Kernel, Range};
use crate::domain::Aggregate;
use crate::domain::record::Stamp;
use crate::error::Error;
use crate::image::{Reader, Writer};
use crate::limits::WINDOWS_PER_SPACE_MAX;
use smallvec::SmallVec;

/// Windows with one end, shortest first.
pub(crate) struct Series {
    /// Windows hold what lies after their start …
    pub starts_ms: SmallVec<[i64; WINDOWS_PER_SPACE_MAX]>,
    /// … up to this.
    pub end_ms: i64,
}

/// What a set of events adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Total {
    pub count: u64,
    pub unknown: u64,
    pub fraud: u64,
    pub distinct: u64,
    /// 64 Ki events of up to 2^56 pass an i64.
    pub sum: i128,
    pub max: i64,
}

impl Default for Total {
    fn default() -> Self {
        Total { count: 0, unknown: 0, fraud: 0, distinct: 0, sum: 0, max: i64::MIN }
    }
}

/// What panes have to do with the windows of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folded {
    /// The first window that takes anything from a pane; the longer ones do too.
    pub from: usize,
    /// One bit a window: a pane that it cuts is too wide for it.
    pub coarse: u32,
    /// What a window's largest may be beside `Total::max`.
    pub max: [i64; WINDOWS_PER_SPACE_MAX],
}

impl Folded {
    /// No panes.
    pub const NONE: Folded = Folded { from: usize::MAX, coarse: 0, max: [i64::MIN; WINDOWS_PER_SPACE_MAX] };

    /// Makes each window's bound include the shorter ones'.
    pub fn accumulate(&mut self) {
        for at in 1..self.max.len() {
            self.max[at] = self.max[at].max(self.max[at - 1]);
        }
    }
    /// Whether a window's aggregate can be told, given that it takes from panes.
    pub fn tells(&self, window: usize, aggregate: Aggregate, total: &Total) -> bool {
        self.coarse >> window & 1 == 0
            && match aggregate {
                Aggregate::Distinct => false,
                Aggregate::Max => self.max[window] <= total.max,
                _ => true,
            }
    }
}

impl Total {
    /// Writes it.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u64s(&[self.count, self.unknown, self.fraud, self.distinct]);
        to.i128(self.sum);
        to.i64(self.max);
    }
    /// What [`Total::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Total, Error> {
        let mut counts = [0; 4];
        from.u64s(&mut counts)?;
        let [count, unknown, fraud, distinct] = counts;
        Ok(Total { count, unknown, fraud, distinct, sum: from.i128()?, max: from.i64()? })
    }
    #[inline]
    pub fn add(&mut self, other: &Total) {
        self.count += other.count;
        self.unknown += other.unknown;
        self.fraud += other.fraud;
        self.distinct += other.distinct;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }
    /// Adds some live lanes of a block; `last` says which of them are the last of their value.
    #[inline]
    pub fn add_lanes(&mut self, view: View<'_>, lanes: u64, last: u64, amounts: bool) {
        self.count += u64::from(lanes.count_ones());
        self.fraud += u64::from((lanes & view.head.fraud).count_ones());
        self.distinct += u64::from((lanes & last).count_ones());
        if amounts {
            self.unknown += u64::from((lanes & view.head.unknown).count_ones());
            let mut sum = 0;
            for lane in lanes_of(lanes) {
                sum += view.amounts[lane];
                self.max = self.max.max(view.amounts[lane]);
            }
            self.sum += i128::from(sum);
        }
    }

    /// An aggregate's value.
    pub fn value(&self, aggregate: Aggregate) -> Stamp {
        let count = self.count as i64;
        match aggregate {
            Aggregate::Count => Some(count),
            Aggregate::Distinct => Some(self.distinct as i64),
            Aggregate::FraudCount => Some(self.fraud as i64),
            Aggregate::FraudShare => (count > 0).then(|| self.fraud as i64 * 1000 / count),
            _ if self.unknown > 0 => None,
            Aggregate::Sum => Some(self.sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64),
            Aggregate::Max => (count > 0).then_some(self.max),
            Aggregate::Mean => (count > 0).then(|| (self.sum / i128::from(count)) as i64),
        }
    }
}

/// Adds a block's events to the windows, each to the shortest that holds it.
#[inline]
pub(crate) fn scan(
    kernel: Kernel,
    view: View<'_>,
    series: &Series,
    last: u64,
    amounts: bool,
    totals: &mut [Total],
) {
    let windows = series.starts_ms.len();
    let mut ranges = [Range::EMPTY; WINDOWS_PER_SPACE_MAX];
    let mut masks = [0; WINDOWS_PER_SPACE_MAX];
    for (range, start_ms) in ranges.iter_mut().zip(&series.starts_ms) {
        *range = Range::of(view.head.base_ms, *start_ms, series.end_ms);
    }
    kernel.masks(view.times, &ranges[..windows], &mut masks[..windows]);
    let mut shorter = 0;
    for (total, mask) in totals.iter_mut().zip(&masks[..windows]) {
        let inside = mask & view.head.live;
        let new = inside & !shorter;
        if new != 0 {
            total.add_lanes(view, new, last, amounts);
        }
        shorter = inside;
    }
}

/// The marks of the last of each value among some lanes of one block: what `Head::last` would be had the other lanes
/// not come yet.
pub(crate) fn last_among(view: View<'_>, lanes: u64) -> u64 {
    let mut order: SmallVec<[(u32, u32, u32, u8); 64]> = lanes_of(lanes & view.head.value)
        .map(|lane| (view.values[lane], view.times[lane], view.sequences[lane], lane as u8))
        .collect();
    order.sort_unstable();
    let mut last = 0;
    for (at, (value, _, _, lane)) in order.iter().enumerate() {
        if order.get(at + 1).is_none_or(|next| next.0 != *value) {
            last |= 1 << lane;
        }
    }
    last
}

/// Makes each window's total include the shorter ones'.
pub(crate) fn accumulate(totals: &mut [Total]) {
    for at in 1..totals.len() {
        let shorter = totals[at - 1];
        totals[at].add(&shorter);
    }
}
