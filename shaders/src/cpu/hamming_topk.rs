//! The nearest fingerprints by a full sort.

use super::hamming_range;
use crate::layout::{FingerprintBank, HAMMING_MAX, HammingHit};

/// The `k` fingerprints nearest to `query`, sorted by (distance, id).
#[must_use]
pub fn search(bank: &FingerprintBank, query: &[u64; 4], k: usize) -> Vec<HammingHit> {
    let mut hits = hamming_range::search(bank, query, HAMMING_MAX);
    hits.truncate(k);
    hits
}
