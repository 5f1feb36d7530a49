//! Names in AVX-512. The 32 match masks of a query are two registers, and a packed word is itself the index of
//! `vpermi2d` (which reads its low five bits), so that a shift by eight is all the unpacking there is.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::NameKernel;
use crate::kernel::Avx512;
use crate::layout::{LANES, NameBank, NameQuery, Row, blocks_of, lanes_between};

/// `places + matching | places & !matching` of (sum, places, mask): a | (b & !c).
const STEP: i32 = 0xF4;

impl NameKernel for Avx512 {
    const SINGLES_MAX: u32 = 2;
    type Table = NameQuery;

    fn prepare(self, query: &NameQuery) -> NameQuery {
        query.clone()
    }

    fn signature_masks(
        self,
        bank: &NameBank,
        query: &NameQuery,
        need: u8,
        names: std::ops::Range<usize>,
        masks: &mut [u64],
    ) {
        // SAFETY: `self` is the proof that the machine has these features.
        unsafe { signature_masks(bank, query, need, names, masks) }
    }

    fn score_block(self, table: &NameQuery, rows: &[Row], least: &[u8; LANES], lcs: &mut [u8; LANES]) -> u64 {
        // SAFETY: `self` is the proof that the machine has these features.
        unsafe {
            if table.is_narrow() {
                score_narrow(table, rows, least, lcs)
            } else {
                score_wide(table, rows, least, lcs)
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn signature_masks(
    bank: &NameBank,
    query: &NameQuery,
    need: u8,
    names: std::ops::Range<usize>,
    masks: &mut [u64],
) {
    let bits = _mm512_set1_epi64(query.signature().bits.cast_signed());
    let overflow = _mm512_set1_epi64(i64::from(query.signature().overflow));
    let need = _mm512_set1_epi64(i64::from(need));
    let (signatures, _) = bank.signatures().as_chunks::<LANES>();
    let (overflows, _) = bank.overflows().as_chunks::<LANES>();
    let full = query.signature().overflow == 0;
    for block in blocks_of(&names) {
        let mut lanes = 0u64;
        for (eighth, stored) in signatures[block].as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: `stored` is eight u64, and the load needs no alignment.
            let stored = unsafe { _mm512_loadu_si512(stored.as_ptr().cast()) };
            let mut bound = _mm512_popcnt_epi64(_mm512_and_si512(bits, stored));
            if !full {
                let eight = overflows[block].as_chunks::<8>().0[eighth];
                let stored = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(u64::from_le_bytes(eight).cast_signed()));
                bound = _mm512_add_epi64(bound, _mm512_min_epu64(overflow, stored));
            }
            lanes |= u64::from(_mm512_cmpge_epu64_mask(bound, need)) << (8 * eighth);
        }
        masks[block] |= lanes & lanes_between(block, names.start, names.end);
    }
}

/// The quarters of a row, sixteen lanes each.
#[target_feature(enable = "avx512f")]
fn load(row: &Row) -> [__m512i; 4] {
    let quarter = |first: usize| {
        let lanes: &[u32; 16] = row.0[first..].first_chunk().expect("first is at most 48 of 64 lanes");
        // SAFETY: `lanes` is sixteen u32 at a multiple of 64 bytes, for a Row is aligned to 64.
        unsafe { _mm512_load_si512(lanes.as_ptr().cast()) }
    };
    [quarter(0), quarter(16), quarter(32), quarter(48)]
}

/// 32 masks as the two registers of a `vpermi2d`.
#[target_feature(enable = "avx512f")]
fn load_masks(masks: &[u32; 32]) -> [__m512i; 2] {
    // SAFETY: the two halves of 32 u32 are sixteen each, and the loads need no alignment.
    unsafe { [_mm512_loadu_si512(masks.as_ptr().cast()), _mm512_loadu_si512(masks[16..].as_ptr().cast())] }
}

/// Sixteen counts as bytes.
#[target_feature(enable = "avx512f")]
fn store_counts(counts: __m512i, lcs: &mut [u8; 16]) {
    // SAFETY: `lcs` is sixteen bytes, and the store needs no alignment.
    unsafe { _mm_storeu_si128(lcs.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(counts)) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn reached(lcs: &[u8; LANES], least: &[u8; LANES]) -> u64 {
    // SAFETY: both are 64 bytes, and the loads need no alignment.
    unsafe {
        _mm512_cmpge_epu8_mask(
            _mm512_loadu_si512(lcs.as_ptr().cast()),
            _mm512_loadu_si512(least.as_ptr().cast()),
        )
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn score_narrow(query: &NameQuery, rows: &[Row], least: &[u8; LANES], lcs: &mut [u8; LANES]) -> u64 {
    let [first, second] = load_masks(query.low_masks());
    let ones = _mm512_set1_epi32(-1);
    let mut places = [ones; 4];
    for row in rows {
        let mut words = load(row);
        for _ in 0..4 {
            for (places, word) in places.iter_mut().zip(&mut words) {
                let mask = _mm512_permutex2var_epi32(first, *word, second);
                let sum = _mm512_add_epi32(*places, _mm512_and_si512(*places, mask));
                *places = _mm512_ternarylogic_epi32::<STEP>(sum, *places, mask);
                *word = _mm512_srli_epi32::<8>(*word);
            }
        }
    }
    for (places, lcs) in places.iter().zip(lcs.as_chunks_mut::<16>().0) {
        store_counts(_mm512_popcnt_epi32(_mm512_xor_si512(*places, ones)), lcs);
    }
    reached(lcs, least)
}

/// Queries of 33 to 64 symbols: the 64-bit word of places in two halves, the low one's carry into the high one being
/// `sum < addend`. Two look-ups in 32-bit tables cost less than one in 64-bit lanes, which would be four registers
/// of masks and twice the lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn score_wide(query: &NameQuery, rows: &[Row], least: &[u8; LANES], lcs: &mut [u8; LANES]) -> u64 {
    let low = load_masks(query.low_masks());
    let high = load_masks(query.high_masks());
    let ones = _mm512_set1_epi32(-1);
    let mut low_places = [ones; 4];
    let mut high_places = [ones; 4];
    for row in rows {
        let mut words = load(row);
        for _ in 0..4 {
            for ((places, above), word) in low_places.iter_mut().zip(&mut high_places).zip(&mut words) {
                let mask = _mm512_permutex2var_epi32(low[0], *word, low[1]);
                let mask_above = _mm512_permutex2var_epi32(high[0], *word, high[1]);
                let matching = _mm512_and_si512(*places, mask);
                let sum = _mm512_add_epi32(*places, matching);
                let carry = _mm512_cmplt_epu32_mask(sum, matching);
                let sum_above = _mm512_add_epi32(*above, _mm512_and_si512(*above, mask_above));
                let sum_above = _mm512_mask_sub_epi32(sum_above, carry, sum_above, ones);
                *places = _mm512_ternarylogic_epi32::<STEP>(sum, *places, mask);
                *above = _mm512_ternarylogic_epi32::<STEP>(sum_above, *above, mask_above);
                *word = _mm512_srli_epi32::<8>(*word);
            }
        }
    }
    for ((places, above), lcs) in low_places.iter().zip(&high_places).zip(lcs.as_chunks_mut::<16>().0) {
        let count = _mm512_add_epi32(
            _mm512_popcnt_epi32(_mm512_xor_si512(*places, ones)),
            _mm512_popcnt_epi32(_mm512_xor_si512(*above, ones)),
        );
        store_counts(count, lcs);
    }
    reached(lcs, least)
}
