//! The scan in AVX-512: sixteen fingerprints a register, one gathered load each, rotations instead of masks.
#![allow(unsafe_code)]

use super::filter::{Bloom, FEW, Filter, Kind};
use super::portable;
use std::arch::x86_64::*;

/// Proof that this machine has AVX-512 F: made by [`Proof::detect`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof(());

impl Proof {
    pub(super) fn detect() -> Option<Proof> {
        is_x86_feature_detected!("avx512f").then_some(Proof(()))
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

#[target_feature(enable = "avx512f")]
fn compare(few: &[u32; FEW], blocks: &[[u32; 64]], found: &mut Vec<u32>) {
    let few = few.map(|one| _mm512_set1_epi32(one.cast_signed()));
    for (block, at) in blocks.iter().zip((0..).step_by(64)) {
        let mut bits = 0;
        for (part, lanes) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: `lanes` is 64 readable bytes; the load needs no alignment.
            let lanes = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
            let same = few.iter().fold(0, |same, one| same | _mm512_cmpeq_epi32_mask(lanes, *one));
            bits |= u64::from(same) << (16 * part);
        }
        portable::push(bits, at, found);
    }
}

#[target_feature(enable = "avx512f")]
fn probe(bloom: &Bloom, blocks: &[[u32; 64]], found: &mut Vec<u32>) {
    let words: *const i32 = bloom.words.as_ptr().cast();
    let shift = _mm_cvtsi32_si128(bloom.shift.cast_signed());
    let one = _mm512_set1_epi32(1);
    for (block, at) in blocks.iter().zip((0..).step_by(64)) {
        let mut bits = 0;
        for (part, lanes) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: `lanes` is 64 readable bytes; the load needs no alignment.
            let lanes = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
            let place = _mm512_srl_epi32(lanes, shift);
            // SAFETY: a value shifted so is below the number of words (`Bloom::shift`), which is far below 2^31.
            let word = unsafe { _mm512_i32gather_epi32::<4>(place, words) };
            let first = _mm512_rorv_epi32(word, lanes);
            let second = _mm512_rorv_epi32(word, _mm512_srli_epi32::<5>(lanes));
            let third = _mm512_rorv_epi32(word, _mm512_srli_epi32::<10>(lanes));
            // 0x80: all three.
            let all = _mm512_ternarylogic_epi32::<0x80>(first, second, third);
            bits |= u64::from(_mm512_test_epi32_mask(all, one)) << (16 * part);
        }
        portable::push(bits, at, found);
    }
}
