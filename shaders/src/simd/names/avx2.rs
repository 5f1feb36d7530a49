//! Names in AVX2. There is no 32-entry look-up of words, but one of bytes in `pshufb`: the match masks are cut into
//! byte planes, looked up for 32 symbols at once, and woven back into words. A gather took 4.1 ns a name, not 3.1.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::NameKernel;
use super::portable::score_wide;
use crate::kernel::Avx2;
use crate::layout::{LANES, NameBank, NameQuery, Row, blocks_of, lanes_between};

/// Byte `p` of the low half of the match mask of symbol `s` is `planes[p][s]`.
pub(crate) struct Planes {
    planes: [[u8; 32]; 4],
    /// The whole masks, for queries of more than 32 symbols: eight planes do not fit the registers, and were slower
    /// (7.6 ns a name) than plain 64-bit Rust (6.7).
    both: [u64; 32],
    len: u8,
}

impl NameKernel for Avx2 {
    const SINGLES_MAX: u32 = 5;
    type Table = Planes;

    fn prepare(self, query: &NameQuery) -> Planes {
        let mut planes = [[0; 32]; 4];
        for symbol in 0..32 {
            for (plane, byte) in planes.iter_mut().zip(query.low_masks()[symbol].to_le_bytes()) {
                plane[symbol] = byte;
            }
        }
        let both = std::array::from_fn(|symbol| query.mask(symbol as u32));
        Planes { planes, both, len: query.symbols_len() }
    }

    fn signature_masks(
        self,
        bank: &NameBank,
        query: &NameQuery,
        need: u8,
        names: std::ops::Range<usize>,
        masks: &mut [u64],
    ) {
        // SAFETY: `self` is the proof that the machine has AVX2.
        unsafe { signature_masks(bank, query, need, names, masks) }
    }

    fn score_block(self, table: &Planes, rows: &[Row], least: &[u8; LANES], lcs: &mut [u8; LANES]) -> u64 {
        // SAFETY: `self` is the proof that the machine has AVX2.
        unsafe {
            match table.len {
                0..=16 => score_narrow::<2>(table, rows, lcs),
                17..=32 => score_narrow::<4>(table, rows, lcs),
                _ => score_wide(&table.both, rows, lcs),
            }
            reached(lcs, least)
        }
    }
}

/// The set bits of each byte.
#[target_feature(enable = "avx2")]
fn popcount_bytes(bits: __m256i) -> __m256i {
    let counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let nibble = _mm256_set1_epi8(15);
    _mm256_add_epi8(
        _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, nibble)),
        _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), nibble)),
    )
}

/// The set bits of each 32-bit lane.
#[target_feature(enable = "avx2")]
fn popcount_words(bits: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(popcount_bytes(bits), _mm256_set1_epi8(1));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

#[target_feature(enable = "avx2")]
fn signature_masks(
    bank: &NameBank,
    query: &NameQuery,
    need: u8,
    names: std::ops::Range<usize>,
    masks: &mut [u64],
) {
    let bits = _mm256_set1_epi64x(query.signature().bits.cast_signed());
    let overflow = _mm256_set1_epi64x(i64::from(query.signature().overflow));
    let below = _mm256_set1_epi64x(i64::from(need) - 1);
    let (signatures, _) = bank.signatures().as_chunks::<LANES>();
    let (overflows, _) = bank.overflows().as_chunks::<LANES>();
    let full = query.signature().overflow == 0;
    for block in blocks_of(&names) {
        let mut lanes = 0u64;
        for (group, stored) in signatures[block].as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: `stored` is four u64, and the load needs no alignment.
            let stored = unsafe { _mm256_loadu_si256(stored.as_ptr().cast()) };
            let bytes = popcount_bytes(_mm256_and_si256(bits, stored));
            let mut bound = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
            if !full {
                let four = overflows[block].as_chunks::<4>().0[group];
                let stored = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(i32::from_le_bytes(four)));
                // Both are below 64, so the minimum of their bytes is that of the words.
                bound = _mm256_add_epi64(bound, _mm256_min_epu8(overflow, stored));
            }
            let reached = _mm256_castsi256_pd(_mm256_cmpgt_epi64(bound, below));
            lanes |= u64::from(_mm256_movemask_pd(reached).cast_unsigned()) << (4 * group);
        }
        masks[block] |= lanes & lanes_between(block, names.start, names.end);
    }
}

#[target_feature(enable = "avx2")]
fn reached(lcs: &[u8; LANES], least: &[u8; LANES]) -> u64 {
    let half = |first: usize| {
        let (lcs, least): (&[u8; 32], &[u8; 32]) = (
            lcs[first..].first_chunk().expect("first is at most 32 of 64"),
            least[first..].first_chunk().expect("first is at most 32 of 64"),
        );
        // SAFETY: both are 32 bytes, and the loads need no alignment.
        let (lcs, least) =
            unsafe { (_mm256_loadu_si256(lcs.as_ptr().cast()), _mm256_loadu_si256(least.as_ptr().cast())) };
        let at_least = _mm256_cmpeq_epi8(_mm256_max_epu8(lcs, least), lcs);
        u64::from(_mm256_movemask_epi8(at_least).cast_unsigned())
    };
    half(0) | half(32) << 32
}

/// The halves of a table of 32 bytes, each in both halves of a register as `pshufb` wants it.
#[target_feature(enable = "avx2")]
fn load_plane(plane: &[u8; 32]) -> [__m256i; 2] {
    // SAFETY: the two halves of 32 bytes are sixteen each, and the loads need no alignment.
    let (low, high) =
        unsafe { (_mm_loadu_si128(plane.as_ptr().cast()), _mm_loadu_si128(plane[16..].as_ptr().cast())) };
    [_mm256_broadcastsi128_si256(low), _mm256_broadcastsi128_si256(high)]
}

/// Eight lanes of a row.
#[target_feature(enable = "avx2")]
fn load(row: &Row, eighth: usize) -> __m256i {
    let lanes: &[u32; 8] = row.0[8 * eighth..].first_chunk().expect("eighth is below 8 of 64 lanes");
    // SAFETY: `lanes` is eight u32 at a multiple of 32 bytes, for a Row is aligned to 64.
    unsafe { _mm256_load_si256(lanes.as_ptr().cast()) }
}

/// The indices into the low and the high half of a 32-entry table for the 32 symbols of eight words, ordered symbol
/// by symbol. `pshufb` gives 0 where bit 7 of an index is set, so the two look-ups can be joined by OR.
#[target_feature(enable = "avx2")]
fn indices(words: __m256i) -> [__m256i; 2] {
    let by_symbol =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    let symbols = _mm256_shuffle_epi8(words, by_symbol);
    [_mm256_add_epi8(symbols, _mm256_set1_epi8(0x70)), _mm256_sub_epi8(symbols, _mm256_set1_epi8(16))]
}

#[target_feature(enable = "avx2")]
fn look_up(plane: [__m256i; 2], indices: [__m256i; 2]) -> __m256i {
    _mm256_or_si256(_mm256_shuffle_epi8(plane[0], indices[0]), _mm256_shuffle_epi8(plane[1], indices[1]))
}

/// Four planes of bytes as the 32-bit masks of the words' four symbols, the first symbol's first.
#[target_feature(enable = "avx2")]
fn weave(planes: [__m256i; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = planes;
    let (ab, ab_high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
    let (cd, cd_high) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
    [
        _mm256_unpacklo_epi16(ab, cd),
        _mm256_unpackhi_epi16(ab, cd),
        _mm256_unpacklo_epi16(ab_high, cd_high),
        _mm256_unpackhi_epi16(ab_high, cd_high),
    ]
}

/// Writes the low bytes of eight lanes.
#[target_feature(enable = "avx2")]
fn store_counts(counts: __m256i, lcs: &mut [u8; 8]) {
    let mut lanes = [0u32; 8];
    // SAFETY: `lanes` is eight u32, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), counts) }
    *lcs = lanes.map(|count| count as u8);
}

/// Queries of at most 8·`PLANES` symbols, 32 of them at most.
#[target_feature(enable = "avx2")]
fn score_narrow<const PLANES: usize>(table: &Planes, rows: &[Row], lcs: &mut [u8; LANES]) {
    let zero = _mm256_setzero_si256();
    let ones = _mm256_set1_epi8(-1);
    let mut planes = [[zero; 2]; PLANES];
    for (plane, bytes) in planes.iter_mut().zip(&table.planes) {
        *plane = load_plane(bytes);
    }
    for (pair, lcs) in lcs.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let mut places = [ones; 2];
        for row in rows {
            for (half, places) in places.iter_mut().enumerate() {
                let indices = indices(load(row, 2 * pair + half));
                let mut bytes = [zero; 4];
                for (bytes, plane) in bytes.iter_mut().zip(planes) {
                    *bytes = look_up(plane, indices);
                }
                for mask in weave(bytes) {
                    let sum = _mm256_add_epi32(*places, _mm256_and_si256(*places, mask));
                    *places = _mm256_or_si256(sum, _mm256_andnot_si256(mask, *places));
                }
            }
        }
        for (places, lcs) in places.iter().zip(lcs.as_chunks_mut::<8>().0) {
            store_counts(popcount_words(_mm256_xor_si256(*places, ones)), lcs);
        }
    }
}
