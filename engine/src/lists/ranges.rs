//! Prefixes that cover a value: IP prefixes and BIN prefixes of all lists of a generation. Prefixes nest or are
//! disjoint, so one binary search finds the innermost candidate, and all others that cover are its ancestors.

use std::cmp::Reverse;

const NO_PARENT: u32 = u32::MAX;

/// Intervals of which any two nest or are disjoint, each with the rows that have it.
pub(super) struct Ranges<K> {
    starts: Vec<K>,
    ends: Vec<K>,
    /// The smallest interval around each.
    parents: Vec<u32>,
    /// Where each interval's rows begin in `rows`; one more than there are intervals.
    firsts: Vec<u32>,
    rows: Vec<u32>,
}

impl<K: Copy + Ord> Ranges<K> {
    /// Of intervals (first value, last value, row).
    pub fn new(mut intervals: Vec<(K, K, u32)>) -> Ranges<K> {
        intervals.sort_unstable_by_key(|&(start, end, row)| (start, Reverse(end), row));
        let mut out = Ranges { starts: vec![], ends: vec![], parents: vec![], firsts: vec![], rows: vec![] };
        let mut around: Vec<u32> = Vec::new();
        for (start, end, row) in intervals {
            if out.starts.last() != Some(&start) || out.ends.last() != Some(&end) {
                while around.last().is_some_and(|&at| out.ends[at as usize] < start) {
                    around.pop();
                }
                out.parents.push(around.last().copied().unwrap_or(NO_PARENT));
                around.push(out.starts.len() as u32);
                out.starts.push(start);
                out.ends.push(end);
                out.firsts.push(out.rows.len() as u32);
            }
            out.rows.push(row);
        }
        out.firsts.push(out.rows.len() as u32);
        out
    }
    /// Calls `each` with the row of every interval that covers all of `first..=last`, innermost first.
    #[inline]
    pub fn covering(&self, first: K, last: K, mut each: impl FnMut(u32)) {
        let after = self.starts.partition_point(|start| *start <= first);
        let Some(mut at) = after.checked_sub(1) else { return };
        loop {
            if self.ends[at] >= last {
                self.rows[self.firsts[at] as usize..self.firsts[at + 1] as usize]
                    .iter()
                    .for_each(|row| each(*row));
            }
            match self.parents[at] {
                NO_PARENT => return,
                parent => at = parent as usize,
            }
        }
    }
    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.starts.len() * (2 * size_of::<K>() + 8) + self.rows.len() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covering(ranges: &Ranges<u32>, first: u32, last: u32) -> Vec<u32> {
        let mut out = Vec::new();
        ranges.covering(first, last, |row| out.push(row));
        out.sort_unstable();
        out
    }

    proptest! {
        #[test]
        fn exactly_the_covering_prefixes_are_found(
            prefixes in prop::collection::vec((any::<u8>(), 0u32..=8), 0..40),
            asked in any::<u8>(), width in 0u32..=3,
        ) {
            // An 8-bit address space, so that prefixes nest and coincide often.
            let interval = |value: u8, bits: u32| {
                let span = 1u32 << (8 - bits);
                let start = u32::from(value) / span * span;
                (start, start + span - 1)
            };
            let intervals: Vec<(u32, u32, u32)> = (0..).zip(&prefixes)
                .map(|(row, &(value, bits))| { let (start, end) = interval(value, bits); (start, end, row) })
                .collect();
            let (first, last) = interval(asked, 8 - width);
            let expected: Vec<u32> =
                intervals.iter().filter(|(s, e, _)| *s <= first && last <= *e).map(|(_, _, row)| *row).collect();
            prop_assert_eq!(covering(&Ranges::new(intervals), first, last), expected);
        }
    }
}
