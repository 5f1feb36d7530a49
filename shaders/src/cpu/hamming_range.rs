//! Every fingerprint within a distance, one after another.

use crate::layout::{FingerprintBank, HammingHit};

/// Differing bits of two fingerprints.
#[must_use]
pub fn distance(left: &[u64; 4], right: &[u64; 4]) -> u32 {
    left.iter().zip(right).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The fingerprints within `distance_max` of `query`, sorted by (distance, id).
#[must_use]
pub fn search(bank: &FingerprintBank, query: &[u64; 4], distance_max: u32) -> Vec<HammingHit> {
    let mut hits: Vec<HammingHit> = (0..bank.len())
        .map(|index| HammingHit {
            distance: distance(query, &bank.fingerprint(index)),
            id: bank.ids()[index],
        })
        .filter(|hit| hit.distance <= distance_max)
        .collect();
    hits.sort();
    hits
}
