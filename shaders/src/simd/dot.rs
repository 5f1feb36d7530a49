//! Vectors of 64 × `i8` by dot product: all of a least product, or the largest k. Exact, ties by id.

use crate::kernel::{Kernel, with_kernel};
use crate::layout::{
    DotHit, LANES, Row, TOP_K_MAX, VECTOR_DIMS, VECTOR_WORDS, VectorBank, lanes_between, pack_vector,
};
use crate::simd::{RangeFound, insert_best, keep_best, lanes_of};

mod portable;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// What an instruction set does with a block of vectors.
pub(crate) trait DotKernel: Copy {
    /// The query as this instruction set wants it.
    type Query;

    /// Prepares the query's packed words, once a search.
    fn prepare(self, query: &[u32; VECTOR_WORDS]) -> Self::Query;

    /// Gives the lanes whose dot product is `least` or more, and writes those of all lanes if there is such a lane.
    fn reach(
        self,
        rows: &[Row; VECTOR_WORDS],
        query: &Self::Query,
        least: i32,
        dots: &mut [i32; LANES],
    ) -> u64;
}

/// The `k` vectors with the largest dot product with `query`, sorted by (dot descending, id ascending); all of them
/// where the bank holds fewer.
///
/// # Panics
/// When `k` is above [`TOP_K_MAX`].
pub fn dot_topk(
    kernel: Kernel,
    bank: &VectorBank,
    query: &[i8; VECTOR_DIMS],
    k: usize,
    out: &mut Vec<DotHit>,
) {
    assert!(k <= TOP_K_MAX, "k is {k}, limit {TOP_K_MAX}");
    let query = pack_vector(query);
    with_kernel!(kernel, proof => topk(proof, bank, &query, k, out));
}

/// The vectors whose dot product with `query` is `at_least` or more, sorted by (dot descending, id ascending); of
/// more than `cap` of them the first `cap` in that order, and `truncated` says so.
pub fn dot_range(
    kernel: Kernel,
    bank: &VectorBank,
    query: &[i8; VECTOR_DIMS],
    at_least: i32,
    cap: usize,
    out: &mut Vec<DotHit>,
) -> RangeFound {
    let query = pack_vector(query);
    with_kernel!(kernel, proof => range(proof, bank, &query, at_least, cap, out))
}

fn range<K: DotKernel>(
    kernel: K,
    bank: &VectorBank,
    query: &[u32; VECTOR_WORDS],
    at_least: i32,
    cap: usize,
    out: &mut Vec<DotHit>,
) -> RangeFound {
    out.clear();
    let query = kernel.prepare(query);
    let mut found = 0;
    let mut dots = [0; LANES];
    // Once `cap` hits are held, only what is no smaller than the smallest of them is kept.
    let mut smallest = at_least;
    for block in 0..bank.blocks_len() {
        let lanes = kernel.reach(bank.block_rows(block), &query, at_least, &mut dots)
            & lanes_between(block, 0, bank.len());
        found += lanes.count_ones() as usize;
        for lane in lanes_of(lanes) {
            if dots[lane] >= smallest {
                out.push(DotHit { dot: dots[lane], id: bank.ids()[block * LANES + lane] });
            }
        }
        if out.len() > cap.saturating_mul(2).saturating_add(LANES) {
            smallest = keep_best(out, cap).map_or(i32::MAX, |hit| hit.dot);
        }
    }
    keep_best(out, cap);
    out.sort_unstable();
    RangeFound { found, truncated: found > cap }
}

fn topk<K: DotKernel>(
    kernel: K,
    bank: &VectorBank,
    query: &[u32; VECTOR_WORDS],
    k: usize,
    out: &mut Vec<DotHit>,
) {
    out.clear();
    if k == 0 {
        return;
    }
    let query = kernel.prepare(query);
    let mut dots = [0; LANES];
    let mut least = i32::MIN;
    for block in 0..bank.blocks_len() {
        let lanes = kernel.reach(bank.block_rows(block), &query, least, &mut dots)
            & lanes_between(block, 0, bank.len());
        for lane in lanes_of(lanes) {
            insert_best(out, k, DotHit { dot: dots[lane], id: bank.ids()[block * LANES + lane] });
        }
        if out.len() == k {
            least = out[k - 1].dot;
        }
    }
}

#[cfg(test)]
mod tests;
