//! A Bloom filter whose four bits of a key lie in one 64-bit word, so that a look costs one load. Two uses: a
//! section of the snapshot, and in front of the overlay's map, where bits are only ever added and so may be shared by
//! all versions of it: a bit too many costs a look-up, never an answer.

use super::hash::below;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Filter words (64 bits) per key of a snapshot, as keys per word: 16 bits a key, under 1 % false positives.
pub(super) const KEYS_PER_WORD: u64 = 4;

/// How many words a snapshot's filter of `keys` keys has.
pub(super) const fn words_for(keys: u64) -> u64 {
    keys.div_ceil(KEYS_PER_WORD)
}

/// The word of a hash among `words`, and its four bits.
#[inline]
pub(super) fn place(hash: u64, words: u64) -> (u64, u64) {
    let bits =
        (1 << (hash & 63)) | (1 << (hash >> 6 & 63)) | (1 << (hash >> 12 & 63)) | (1 << (hash >> 18 & 63));
    (below(hash, words), bits)
}

/// Words of the overlay's filter: 512 KiB, so that it stays in the second-level cache; about 3 % false positives at
/// half a million subjects, which is as many as are added before the filter is made anew.
const SHARED_WORDS: u64 = 1 << 16;

/// The overlay's filter.
#[derive(Clone)]
pub(super) struct SharedFilter(Arc<[AtomicU64]>);

impl SharedFilter {
    pub(super) fn new() -> SharedFilter {
        SharedFilter((0..SHARED_WORDS).map(|_| AtomicU64::new(0)).collect())
    }
    /// Adds a hash. Relaxed is enough: whoever hands a version of the overlay to another thread orders it.
    pub(super) fn add(&self, hash: u64) {
        let (word, bits) = place(hash, SHARED_WORDS);
        self.0[word as usize].fetch_or(bits, Ordering::Relaxed);
    }
    /// Whether the hash may have been added.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (word, bits) = place(hash, SHARED_WORDS);
        self.0[word as usize].load(Ordering::Relaxed) & bits == bits
    }
    /// The word a hash looks at, for prefetching.
    #[inline]
    pub(super) fn word(&self, hash: u64) -> &AtomicU64 {
        &self.0[place(hash, SHARED_WORDS).0 as usize]
    }
}
