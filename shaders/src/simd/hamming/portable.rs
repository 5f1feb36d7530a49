//! Hamming distances in plain Rust, lanes innermost.

use super::HammingKernel;
use crate::kernel::Portable;
use crate::layout::{FINGERPRINT_WORDS, LANES, Row};

impl HammingKernel for Portable {
    fn near(
        self,
        rows: &[Row; FINGERPRINT_WORDS],
        query: &[u32; FINGERPRINT_WORDS],
        distance_max: u32,
        distances: &mut [u32; LANES],
    ) -> u64 {
        *distances = [0; LANES];
        for (row, query) in rows.iter().zip(query) {
            for (distance, word) in distances.iter_mut().zip(&row.0) {
                *distance += (word ^ query).count_ones();
            }
        }
        let mut lanes = 0;
        for (lane, distance) in distances.iter().enumerate() {
            lanes |= u64::from(*distance <= distance_max) << lane;
        }
        lanes
    }
}
