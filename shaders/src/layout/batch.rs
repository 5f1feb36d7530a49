//! What a batch of queries looks like to WGSL: the same sizes and offsets as the structs in `wgsl/`, which a test
//! compares through naga's own layout.

use bytemuck::{Pod, Zeroable};

use super::{
    FINGERPRINT_WORDS, HAMMING_MAX, NAME_SYMBOLS_MAX, NameBank, NameQuery, Need, VECTOR_DIMS, VECTOR_WORDS,
    pack_fingerprint, pack_vector,
};

/// Most queries of one batch.
pub const QUERIES_MAX: usize = 64;
/// Queries that one thread scores side by side (`TILE` in WGSL).
pub const TILE: usize = 4;
/// Threads of one workgroup (`THREADS` in WGSL).
pub const THREADS: usize = 256;
/// Bins of one query's histogram (`BINS` in WGSL).
pub const BINS: usize = 1024;
/// Hits that a batch keeps for each query; a query that has more is answered by the CPU.
pub const HITS_MAX: usize = 1024;

/// A part of a bank that fits one binding (`Shard` in WGSL).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Shard {
    /// Index in the bank of the shard's first lane: a multiple of 64.
    pub first: u32,
    /// Live lanes.
    pub count: u32,
    /// Blocks of 64 lanes, the last may be partial.
    pub blocks: u32,
    /// Index in the bank's words of the shard's first word.
    pub first_word: u32,
}

/// What stands before a batch's queries (`Batch` in WGSL, less its items).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct BatchHead {
    /// Queries of the batch (1 to 64).
    pub queries: u32,
    /// Hits kept for each query.
    pub cap: u32,
    /// Not 0: a name query is longer than 32 symbols.
    pub wide: u32,
    /// First block of names whose lengths any query wants.
    pub block_low: u32,
    /// And the first block behind the last.
    pub block_high: u32,
    /// Vectors in the bank, if their ids rise with their places; else 0.
    pub ordered: u32,
    /// Nothing.
    pub reserved: [u32; 2],
}

/// A hit as the GPU appends it (`Hit` in WGSL).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct RawHit {
    /// Index in the bank.
    pub index: u32,
    /// LCS, distance, or the bits of an `i32` dot product.
    pub score: u32,
}

/// A name query (`Query` in name_lcs.wgsl).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct NameItem {
    low: [u32; 32],
    high: [u32; 32],
    need: [u32; NAME_SYMBOLS_MAX + 1],
}

impl NameItem {
    /// The query with its needs.
    #[must_use]
    pub fn new(query: &NameQuery, need: &Need) -> Self {
        Self { low: *query.low_masks(), high: *query.high_masks(), need: need.table().map(u32::from) }
    }
}

/// The blocks of `bank` that hold names of the lengths that a query of `query_len` symbols wants.
pub(crate) fn window(bank: &NameBank, query_len: u8, need: &Need) -> std::ops::Range<u32> {
    let mut wanted = (1..=NAME_SYMBOLS_MAX as u8)
        .filter(|len| need.least(*len) <= (*len).min(query_len))
        .map(|len| super::blocks_of(&bank.range_of_length(len)))
        .filter(|blocks| !blocks.is_empty());
    let Some(first) = wanted.next() else { return 0..0 };
    let end = wanted.next_back().map_or(first.end, |last| last.end);
    first.start as u32..end as u32
}

/// A fingerprint query (`Query` in shared/fingerprints.wgsl).
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct FingerprintItem {
    words: [u32; FINGERPRINT_WORDS],
    reach: u32,
    reserved: [u32; 3],
}

impl FingerprintItem {
    /// The query with its greatest distance (range) or its k (top-k).
    #[must_use]
    pub fn new(query: &[u64; 4], reach: u32) -> Self {
        Self { words: pack_fingerprint(query), reach, reserved: [0; 3] }
    }

    /// A range query; every distance above 256 reaches as far as 256.
    pub(crate) fn range(query: &[u64; 4], distance_max: u32) -> Self {
        Self::new(query, distance_max.min(HAMMING_MAX))
    }
}

/// A dot product's query (`Query` in shared/vectors.wgsl).
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct VectorItem {
    words: [u32; VECTOR_WORDS],
    k: u32,
    at_least: i32,
    top: i32,
    shift: u32,
}

impl VectorItem {
    /// A range query.
    #[must_use]
    pub fn range(query: &[i8; VECTOR_DIMS], at_least: i32) -> Self {
        Self { words: pack_vector(query), k: 0, at_least, top: 0, shift: 0 }
    }

    /// A top-k query against a bank whose values lie in `-largest..=largest` (0 to 128). The products lie in
    /// `-top..=top`, and the bins are as narrow as 1,024 of them allow, so that few vectors share the last one.
    #[must_use]
    pub fn topk(query: &[i8; VECTOR_DIMS], k: u32, largest: u32) -> Self {
        let sum: u32 = query.iter().map(|value| u32::from(value.unsigned_abs())).sum();
        let top = sum * largest;
        let mut shift = 0;
        while (2 * top) >> shift >= BINS as u32 {
            shift += 1;
        }
        Self { words: pack_vector(query), k, at_least: 0, top: top as i32, shift }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_a_bin() {
        for value in [i8::MIN, -3, 0, 1, i8::MAX] {
            for largest in [0, 1, 7, 128] {
                let item = VectorItem::topk(&[value; 64], 5, largest);
                let top = item.top as u32;
                assert!(top <= 1 << 20, "{top}");
                assert!((2 * top) >> item.shift < BINS as u32);
                assert!(item.shift == 0 || (2 * top) >> (item.shift - 1) >= BINS as u32);
            }
        }
    }
}
