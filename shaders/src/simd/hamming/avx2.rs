//! Hamming distances in AVX2: eight fingerprints a register, set bits counted by nibbles in `pshufb`.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::HammingKernel;
use crate::kernel::Avx2;
use crate::layout::{FINGERPRINT_WORDS, LANES, Row};

impl HammingKernel for Avx2 {
    fn near(
        self,
        rows: &[Row; FINGERPRINT_WORDS],
        query: &[u32; FINGERPRINT_WORDS],
        distance_max: u32,
        distances: &mut [u32; LANES],
    ) -> u64 {
        // SAFETY: `self` is the proof that the machine has AVX2.
        unsafe { near(rows, query, distance_max, distances) }
    }
}

#[target_feature(enable = "avx2")]
fn near(
    rows: &[Row; FINGERPRINT_WORDS],
    query: &[u32; FINGERPRINT_WORDS],
    distance_max: u32,
    distances: &mut [u32; LANES],
) -> u64 {
    let counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let nibble = _mm256_set1_epi8(15);
    // A distance is at most 256 and a limit above that means the same; so the comparison can be signed.
    let limit = _mm256_set1_epi32(distance_max.min(crate::layout::HAMMING_MAX).cast_signed());
    let mut near = 0u64;
    for (eighth, distances) in distances.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        // A byte's count is at most 8 a row, 64 for the eight rows: sums of bytes do not overflow.
        let mut bytes = _mm256_setzero_si256();
        for (row, query) in rows.iter().zip(query) {
            let lanes = &row.0.as_chunks::<8>().0[eighth];
            // SAFETY: `lanes` is eight u32 at a multiple of 32 bytes, for a Row is aligned to 64.
            let lanes = unsafe { _mm256_load_si256(lanes.as_ptr().cast()) };
            let bits = _mm256_xor_si256(lanes, _mm256_set1_epi32(query.cast_signed()));
            let low = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, nibble));
            let high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), nibble));
            bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(low, high));
        }
        let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
        let sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        let beyond = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sums, limit)));
        near |= u64::from(!beyond.cast_unsigned() & 0xFF) << (8 * eighth);
        // SAFETY: `distances` is eight u32, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(distances.as_mut_ptr().cast(), sums) }
    }
    near
}
