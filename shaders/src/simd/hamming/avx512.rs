//! Hamming distances in AVX-512: sixteen fingerprints a register, `vpopcntd`, no horizontal sums.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::HammingKernel;
use crate::kernel::Avx512;
use crate::layout::{FINGERPRINT_WORDS, LANES, Row};

impl HammingKernel for Avx512 {
    fn near(
        self,
        rows: &[Row; FINGERPRINT_WORDS],
        query: &[u32; FINGERPRINT_WORDS],
        distance_max: u32,
        distances: &mut [u32; LANES],
    ) -> u64 {
        // SAFETY: `self` is the proof that the machine has these features.
        unsafe { near(rows, query, distance_max, distances) }
    }
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn near(
    rows: &[Row; FINGERPRINT_WORDS],
    query: &[u32; FINGERPRINT_WORDS],
    distance_max: u32,
    distances: &mut [u32; LANES],
) -> u64 {
    let mut sums = [_mm512_setzero_si512(); 4];
    for (row, query) in rows.iter().zip(query) {
        let query = _mm512_set1_epi32(query.cast_signed());
        for (sum, lanes) in sums.iter_mut().zip(row.0.as_chunks::<16>().0) {
            // SAFETY: `lanes` is sixteen u32 at a multiple of 64 bytes, for a Row is aligned to 64.
            let lanes = unsafe { _mm512_load_si512(lanes.as_ptr().cast()) };
            *sum = _mm512_add_epi32(*sum, _mm512_popcnt_epi32(_mm512_xor_si512(lanes, query)));
        }
    }
    let limit = _mm512_set1_epi32(distance_max.cast_signed());
    let mut near = 0;
    for (quarter, sum) in sums.iter().enumerate() {
        near |= u64::from(_mm512_cmple_epu32_mask(*sum, limit)) << (16 * quarter);
    }
    if near != 0 {
        for (sum, distances) in sums.iter().zip(distances.as_chunks_mut::<16>().0) {
            // SAFETY: `distances` is sixteen u32, and the store needs no alignment.
            unsafe { _mm512_storeu_si512(distances.as_mut_ptr().cast(), *sum) }
        }
    }
    near
}
