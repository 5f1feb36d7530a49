//! Fingerprints near a query by Hamming distance: all within a radius, or the nearest k. Exact, ties by id.

use crate::kernel::{Kernel, with_kernel};
use crate::layout::{
    FINGERPRINT_WORDS, FingerprintBank, HAMMING_MAX, HammingHit, LANES, Row, TOP_K_MAX, lanes_between,
    pack_fingerprint,
};
use crate::simd::{RangeFound, insert_best, keep_best, lanes_of};

mod portable;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// What an instruction set does with a block of fingerprints.
pub(crate) trait HammingKernel: Copy {
    /// Gives the lanes within `distance_max`, and writes the distances of all lanes if there is such a lane.
    fn near(
        self,
        rows: &[Row; FINGERPRINT_WORDS],
        query: &[u32; FINGERPRINT_WORDS],
        distance_max: u32,
        distances: &mut [u32; LANES],
    ) -> u64;
}

/// The fingerprints within `distance_max` bits of `query`, sorted by (distance, id); of more than `cap` of them the
/// first `cap` in that order, and `truncated` says so.
pub fn hamming_range(
    kernel: Kernel,
    bank: &FingerprintBank,
    query: &[u64; 4],
    distance_max: u32,
    cap: usize,
    out: &mut Vec<HammingHit>,
) -> RangeFound {
    let query = pack_fingerprint(query);
    with_kernel!(kernel, proof => range(proof, bank, &query, distance_max, cap, out))
}

/// The `k` fingerprints nearest to `query`, sorted by (distance, id); all of them where the bank holds fewer.
///
/// # Panics
/// When `k` is above [`TOP_K_MAX`].
pub fn hamming_topk(
    kernel: Kernel,
    bank: &FingerprintBank,
    query: &[u64; 4],
    k: usize,
    out: &mut Vec<HammingHit>,
) {
    assert!(k <= TOP_K_MAX, "k is {k}, limit {TOP_K_MAX}");
    let query = pack_fingerprint(query);
    with_kernel!(kernel, proof => topk(proof, bank, &query, k, out));
}

fn range<K: HammingKernel>(
    kernel: K,
    bank: &FingerprintBank,
    query: &[u32; FINGERPRINT_WORDS],
    distance_max: u32,
    cap: usize,
    out: &mut Vec<HammingHit>,
) -> RangeFound {
    out.clear();
    let mut found = 0;
    let mut distances = [0; LANES];
    // Once `cap` hits are held, only what is no farther than the farthest of them is kept.
    let mut farthest = distance_max;
    for block in 0..bank.blocks_len() {
        let lanes = kernel.near(bank.block_rows(block), query, distance_max, &mut distances)
            & lanes_between(block, 0, bank.len());
        found += lanes.count_ones() as usize;
        for lane in lanes_of(lanes) {
            if distances[lane] <= farthest {
                out.push(HammingHit { distance: distances[lane], id: bank.ids()[block * LANES + lane] });
            }
        }
        if out.len() > cap.saturating_mul(2).saturating_add(LANES) {
            farthest = keep_best(out, cap).map_or(0, |hit| hit.distance);
        }
    }
    keep_best(out, cap);
    out.sort_unstable();
    RangeFound { found, truncated: found > cap }
}

fn topk<K: HammingKernel>(
    kernel: K,
    bank: &FingerprintBank,
    query: &[u32; FINGERPRINT_WORDS],
    k: usize,
    out: &mut Vec<HammingHit>,
) {
    out.clear();
    if k == 0 {
        return;
    }
    let mut distances = [0; LANES];
    let mut farthest = HAMMING_MAX;
    for block in 0..bank.blocks_len() {
        let lanes = kernel.near(bank.block_rows(block), query, farthest, &mut distances)
            & lanes_between(block, 0, bank.len());
        for lane in lanes_of(lanes) {
            insert_best(
                out,
                k,
                HammingHit { distance: distances[lane], id: bank.ids()[block * LANES + lane] },
            );
        }
        if out.len() == k {
            farthest = out[k - 1].distance;
        }
    }
}

#[cfg(test)]
mod tests;
