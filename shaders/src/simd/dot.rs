//! Vectors of 64 × `i8` by dot product: the largest k. Exact, ties by id.

use crate::kernel::{Kernel, with_kernel};
use crate::layout::{
    DotHit, LANES, Row, TOP_K_MAX, VECTOR_DIMS, VECTOR_WORDS, VectorBank, lanes_between, pack_vector,
};
use crate::simd::{insert_best, lanes_of};

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
