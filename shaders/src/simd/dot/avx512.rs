//! Dot products in AVX-512 VNNI: sixteen vectors a register, four products a lane and step.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::DotKernel;
use crate::kernel::Avx512;
use crate::layout::{LANES, Row, VECTOR_WORDS};

/// The query's words, and 128 times the sum of its values.
///
/// `vpdpbusd` multiplies unsigned by signed bytes, so the stored values are taken plus 128, which flips their top
/// bit, and this is what that adds to every product.
pub(crate) struct Query {
    words: [u32; VECTOR_WORDS],
    excess: i32,
}

impl DotKernel for Avx512 {
    type Query = Query;

    fn prepare(self, query: &[u32; VECTOR_WORDS]) -> Query {
        let values = query.iter().flat_map(|word| word.to_le_bytes());
        let sum: i32 = values.map(|value| i32::from(value.cast_signed())).sum();
        Query { words: *query, excess: 128 * sum }
    }

    fn reach(self, rows: &[Row; VECTOR_WORDS], query: &Query, least: i32, dots: &mut [i32; LANES]) -> u64 {
        // SAFETY: `self` is the proof that the machine has these features.
        unsafe { reach(rows, query, least, dots) }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn reach(rows: &[Row; VECTOR_WORDS], query: &Query, least: i32, dots: &mut [i32; LANES]) -> u64 {
    let top_bits = _mm512_set1_epi32(0x8080_8080u32.cast_signed());
    let mut sums = [_mm512_set1_epi32(-query.excess); 4];
    for (row, query) in rows.iter().zip(&query.words) {
        let query = _mm512_set1_epi32(query.cast_signed());
        for (sum, lanes) in sums.iter_mut().zip(row.0.as_chunks::<16>().0) {
            // SAFETY: `lanes` is sixteen u32 at a multiple of 64 bytes, for a Row is aligned to 64.
            let lanes = unsafe { _mm512_load_si512(lanes.as_ptr().cast()) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(lanes, top_bits), query);
        }
    }
    let least = _mm512_set1_epi32(least);
    let mut reached = 0;
    for (quarter, sum) in sums.iter().enumerate() {
        reached |= u64::from(_mm512_cmpge_epi32_mask(*sum, least)) << (16 * quarter);
    }
    if reached != 0 {
        for (sum, dots) in sums.iter().zip(dots.as_chunks_mut::<16>().0) {
            // SAFETY: `dots` is sixteen i32, and the store needs no alignment.
            unsafe { _mm512_storeu_si512(dots.as_mut_ptr().cast(), *sum) }
        }
    }
    reached
}
