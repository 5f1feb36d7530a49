//! The scan in AVX2: eight fingerprints a register, one gathered load each. There is none in AVX-512: comparing is as
//! fast as memory either way, and its gathers take twice as long on an EPYC (55 ms for 60 M values, these 27) and as long
//! on a Xeon (0.73 ns a value, these 0.76).
#![allow(unsafe_code)]

use super::filter::{Bloom, FEW, Filter, Kind};
use super::portable;
use std::arch::x86_64::*;

/// Proof that this machine has AVX2: made by [`Proof::detect`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof(());

impl Proof {
    pub(super) fn detect() -> Option<Proof> {
        is_x86_feature_detected!("avx2").then_some(Proof(()))
    }
}

pub(super) fn find(_: Proof, filter: &Filter, values: &[u32], found: &mut Vec<u32>) {
    let (blocks, rest) = values.as_chunks::<64>();
    match &filter.0 {
        Kind::Nothing => {}
        // SAFETY: the proof says that the machine has these instructions.
        Kind::Few(few) => unsafe { compare(few, blocks, found) },
        // SAFETY: as above.
        Kind::Bloom(bloom) => unsafe { probe(bloom, blocks, found) },
    }
    portable::find(filter, rest, (values.len() - rest.len()) as u32, found);
}

/// One bit a lane: its highest.
#[inline]
#[target_feature(enable = "avx2")]
fn highest(lanes: __m256i) -> u64 {
    u64::from(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)).cast_unsigned())
}

#[target_feature(enable = "avx2")]
fn compare(few: &[u32; FEW], blocks: &[[u32; 64]], found: &mut Vec<u32>) {
    let few = few.map(|one| _mm256_set1_epi32(one.cast_signed()));
    for (block, at) in blocks.iter().zip((0..).step_by(64)) {
        let mut bits = 0;
        for (part, lanes) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: `lanes` is 32 readable bytes; the load needs no alignment.
            let lanes = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
            let none = _mm256_setzero_si256();
            let same =
                few.iter().fold(none, |same, one| _mm256_or_si256(same, _mm256_cmpeq_epi32(lanes, *one)));
            bits |= highest(same) << (8 * part);
        }
        portable::push(bits, at, found);
    }
}

#[target_feature(enable = "avx2")]
fn probe(bloom: &Bloom, blocks: &[[u32; 64]], found: &mut Vec<u32>) {
    let words: *const i32 = bloom.words.as_ptr().cast();
    let shift = _mm_cvtsi32_si128(bloom.shift.cast_signed());
    let last = _mm256_set1_epi32(31);
    // Shifted left by 31 less the bit's number, the bit is the highest: 31 - n is n's complement in five bits.
    for (block, at) in blocks.iter().zip((0..).step_by(64)) {
        let mut bits = 0;
        for (part, lanes) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: `lanes` is 32 readable bytes; the load needs no alignment.
            let lanes = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
            let place = _mm256_srl_epi32(lanes, shift);
            // SAFETY: a value shifted so is below the number of words (`Bloom::shift`), which is far below 2^31.
            let word = unsafe { _mm256_i32gather_epi32::<4>(words, place) };
            let up = |value: __m256i| _mm256_sllv_epi32(word, _mm256_andnot_si256(value, last));
            let first = up(lanes);
            let second = up(_mm256_srli_epi32::<5>(lanes));
            let third = up(_mm256_srli_epi32::<10>(lanes));
            bits |= highest(_mm256_and_si256(_mm256_and_si256(first, second), third)) << (8 * part);
        }
        portable::push(bits, at, found);
    }
}
