//! The production path on CPUs: each kernel three times over, chosen by [`Kernel`](crate::Kernel). The searches
//! around the kernels (windows, pruning, selection, order) are written once and are generic over them.

pub mod names;
pub mod hamming;
pub mod dot;

/// What a range search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeFound {
    /// Vectors in range, those that were left out included.
    pub found: usize,
    /// More were found than the cap: `out` holds the nearest of them.
    pub truncated: bool,
}

/// The places of the set bits, lowest first.
fn lanes_of(mut lanes: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = lanes.trailing_zeros() as usize;
        (lanes != 0).then(|| {
            lanes &= lanes - 1;
            lane
        })
    })
}

/// Puts `hit` in its place among the first `k` in order. `k` is at most 64, so a shift of the array costs less than
/// a heap would.
fn insert_best<H: Ord>(best: &mut Vec<H>, k: usize, hit: H) {
    if best.len() == k {
        if best.last().is_some_and(|last| *last <= hit) {
            return;
        }
        best.pop();
    }
    let place = best.partition_point(|held| *held <= hit);
    best.insert(place, hit);
}

/// Cuts `hits` to the first `cap` in order, which stay unsorted; the last of those in order, if any was cut.
fn keep_best<H: Ord + Copy>(hits: &mut Vec<H>, cap: usize) -> Option<H> {
    if hits.len() <= cap {
        return None;
    }
    let last = cap.checked_sub(1).map(|last| *hits.select_nth_unstable(last).1);
    hits.truncate(cap);
    last
}
