//! Dot products in AVX2: eight vectors a register. The bytes are widened to 16 bits by shifts, even and odd apart,
//! because the byte multiply of AVX2 saturates.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::DotKernel;
use crate::kernel::Avx2;
use crate::layout::{LANES, Row, VECTOR_WORDS};

/// Each word's values 0 and 2, and its values 1 and 3, as pairs of 16 bits.
pub(crate) struct Query {
    even: [i32; VECTOR_WORDS],
    odd: [i32; VECTOR_WORDS],
}

impl DotKernel for Avx2 {
    type Query = Query;

    fn prepare(self, query: &[u32; VECTOR_WORDS]) -> Query {
        let pair = |low: u8, high: u8| {
            let wide = |value: u8| i16::from(value.cast_signed()).cast_unsigned();
            (u32::from(wide(high)) << 16 | u32::from(wide(low))).cast_signed()
        };
        let bytes = query.map(u32::to_le_bytes);
        Query {
            even: bytes.map(|[first, _, third, _]| pair(first, third)),
            odd: bytes.map(|[_, second, _, fourth]| pair(second, fourth)),
        }
    }

    fn reach(self, rows: &[Row; VECTOR_WORDS], query: &Query, least: i32, dots: &mut [i32; LANES]) -> u64 {
        // SAFETY: `self` is the proof that the machine has AVX2.
        unsafe { reach(rows, query, least, dots) }
    }
}

#[target_feature(enable = "avx2")]
fn reach(rows: &[Row; VECTOR_WORDS], query: &Query, least: i32, dots: &mut [i32; LANES]) -> u64 {
    let limit = _mm256_set1_epi32(least);
    let mut reached = 0u64;
    for (eighth, dots) in dots.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut sums = _mm256_setzero_si256();
        for ((row, even), odd) in rows.iter().zip(&query.even).zip(&query.odd) {
            let lanes = &row.0.as_chunks::<8>().0[eighth];
            // SAFETY: `lanes` is eight u32 at a multiple of 32 bytes, for a Row is aligned to 64.
            let lanes = unsafe { _mm256_load_si256(lanes.as_ptr().cast()) };
            let stored_even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(lanes));
            let stored_odd = _mm256_srai_epi16::<8>(lanes);
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(stored_even, _mm256_set1_epi32(*even)));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(stored_odd, _mm256_set1_epi32(*odd)));
        }
        let below = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, sums)));
        reached |= u64::from(!below.cast_unsigned() & 0xFF) << (8 * eighth);
        // SAFETY: `dots` is eight i32, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(dots.as_mut_ptr().cast(), sums) }
    }
    reached
}
