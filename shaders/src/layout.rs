//! The memory layouts that WGSL and SIMD read alike: blocks of 64 lanes, one `u32` a lane, a row of 64 lanes for
//! each word. A row is 256 bytes, aligned to a cache line, so that one load is one coalesced read on either side.

use bytemuck::{Pod, Zeroable};

pub mod batch;
mod names;
mod query;
mod signature;
mod vectors;

pub use names::{NameBank, NameBankError};
pub use query::{NameQuery, Need};
pub use signature::{SIGNATURE_BITS, Signature};
pub use vectors::{Columns, FingerprintBank, VectorBank, VectorBankError, pack_fingerprint, pack_vector};

/// Lanes of one block: names or vectors that are read side by side.
pub const LANES: usize = 64;
/// Symbols packed in one word of a name, 8 bits each, the first in the lowest byte.
pub const SYMBOLS_PER_WORD: usize = 4;
/// Longest name or query, in symbols; a longer one is refused.
pub const NAME_SYMBOLS_MAX: usize = 64;
/// Largest symbol; 0 is the pad and occurs in no name.
pub const SYMBOL_MAX: u8 = 31;
/// Most names in one bank (16 M, 1 GiB of words at the longest); more are refused.
pub const NAMES_MAX: usize = 1 << 24;
/// Most vectors in one bank (2^26, 2 GiB of fingerprints); a push past it is refused.
pub const VECTORS_MAX: usize = 1 << 26;
/// Words of one fingerprint of 256 bits.
pub const FINGERPRINT_WORDS: usize = 8;
/// Largest Hamming distance of two fingerprints.
pub const HAMMING_MAX: u32 = 256;
/// Values of one vector, each an `i8`.
pub const VECTOR_DIMS: usize = 64;
/// Words of one vector, four `i8` each, the first in the lowest byte (WGSL's `dot4I8Packed`).
pub const VECTOR_WORDS: usize = VECTOR_DIMS / 4;
/// Most neighbours that a top-k search gives; asking for more is a programmer's error.
pub const TOP_K_MAX: usize = 64;

/// One word of each of a block's 64 lanes.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Row(pub [u32; LANES]);

impl Row {
    /// A row of pads.
    pub const ZERO: Self = Self([0; LANES]);
}

/// Where a block of names lies. Two `u32` in WGSL.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct NameBlock {
    /// Index of the block's first word in [`NameBank::words`]: a multiple of 64.
    pub word_offset: u32,
    /// Rows of the block, of four symbols each: enough for its longest name, 1 to 16.
    pub chunks: u32,
}

/// A name that reached its least LCS. Two `u32` in WGSL.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
pub struct NameHit {
    /// The caller's id of the name.
    pub id: u32,
    /// Length of the longest common subsequence of query and name, in symbols (1 to 64).
    pub lcs: u32,
}

/// A fingerprint within reach. Ordered by (distance, id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HammingHit {
    /// Differing bits (0 to 256).
    pub distance: u32,
    /// The caller's id of the fingerprint.
    pub id: u64,
}

/// A vector and its dot product with the query. Ordered by (dot descending, id ascending).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotHit {
    /// The dot product (−1,040,384 to 1,048,576).
    pub dot: i32,
    /// The caller's id of the vector.
    pub id: u64,
}

impl Ord for DotHit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.dot.cmp(&self.dot).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for DotHit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The blocks that hold the names or vectors `indices`.
pub(crate) fn blocks_of(indices: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    indices.start / LANES..indices.end.div_ceil(LANES)
}

/// The lanes of block `block` whose index lies in `low..high`, one bit a lane.
pub(crate) fn lanes_between(block: usize, low: usize, high: usize) -> u64 {
    let base = block * LANES;
    let low = low.clamp(base, base + LANES) - base;
    let high = high.clamp(base, base + LANES) - base;
    below(high) & !below(low)
}

/// The lowest `count` bits (0 to 64).
fn below(count: usize) -> u64 {
    if count >= LANES { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_those_of_the_range() {
        for (low, high) in [(0, 0), (0, 64), (3, 70), (64, 128), (65, 66), (130, 131), (10, 200)] {
            for block in 0..4 {
                let expected = (0..LANES)
                    .filter(|lane| (low..high).contains(&(block * LANES + lane)))
                    .fold(0u64, |mask, lane| mask | 1 << lane);
                assert_eq!(lanes_between(block, low, high), expected, "block {block} of {low}..{high}");
            }
        }
    }

    #[test]
    fn a_row_is_four_cache_lines() {
        assert_eq!((size_of::<Row>(), align_of::<Row>()), (256, 64));
        assert_eq!((size_of::<NameBlock>(), size_of::<NameHit>()), (8, 8));
    }

    #[test]
    fn a_larger_dot_and_then_a_smaller_id_comes_first() {
        let mut hits = [DotHit { dot: 1, id: 1 }, DotHit { dot: 5, id: 9 }, DotHit { dot: 5, id: 2 }];
        hits.sort_unstable();
        assert_eq!(hits.map(|hit| hit.id), [2, 9, 1]);
    }
}
