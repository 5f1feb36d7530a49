//! The inner loops over a block's lanes, three times: portable, AVX2, AVX-512, chosen once at start, with equal
//! bits. And the prefetch hint. The only unsafe code of the features is here.
#![allow(unsafe_code)]

/// Which set of inner loops runs. Made only by asking the processor, so that one that it cannot run is never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A range of lane values: `lo ..= lo + span`. Lanes never hold `u32::MAX`, which makes `EMPTY` empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Least value inside.
    pub lo: u32,
    /// Largest value inside, less `lo`.
    pub span: u32,
}

impl Range {
    /// No lane is in it.
    pub const EMPTY: Range = Range { lo: u32::MAX, span: 0 };

    /// The instants after `after_ms` up to `until_ms`, as offsets from `base_ms`.
    #[inline]
    pub fn of(base_ms: i64, after_ms: i64, until_ms: i64) -> Range {
        let until = until_ms.saturating_sub(base_ms);
        let from = after_ms.saturating_sub(base_ms).saturating_add(1).max(0);
        if until < from || from >= i64::from(u32::MAX) {
            return Range::EMPTY;
        }
        let until = until.min(i64::from(u32::MAX) - 1);
        Range { lo: from as u32, span: (until - from) as u32 }
    }
}

impl Kernel {
    /// The fastest that this processor runs.
    pub fn detect() -> Kernel {
        Self::available().pop().expect("the portable one always runs")
    }

    /// All that this processor runs, slowest first.
    pub fn available() -> Vec<Kernel> {
        let mut all = vec![Kernel(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Kernel(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Kernel(Set::Avx512));
            }
        }
        all
    }

    /// For each range, the bit mask of the lanes whose value is in it.
    ///
    /// # Panics
    /// When there are more than 64 lanes, or fewer masks than ranges.
    #[inline]
    pub fn masks(self, lanes: &[u32], ranges: &[Range], masks: &mut [u64]) {
        assert!(lanes.len() <= 64 && masks.len() >= ranges.len());
        match self.0 {
            // SAFETY: `available` alone makes a `Kernel`, of the sets that this processor runs.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(lanes, ranges, masks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 if lanes.len() >= 8 => unsafe { avx2(lanes, ranges, masks) },
            _ => portable(lanes, ranges, masks),
        }
    }
}

fn portable(lanes: &[u32], ranges: &[Range], masks: &mut [u64]) {
    for (range, mask) in ranges.iter().zip(masks) {
        *mask = 0;
        for (lane, value) in lanes.iter().enumerate() {
            *mask |= u64::from(value.wrapping_sub(range.lo) <= range.span) << lane;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(lanes: &[u32], ranges: &[Range], masks: &mut [u64]) {
    use std::arch::x86_64::*;
    masks[..ranges.len()].fill(0);
    let (eights, rest) = lanes.as_chunks::<8>();
    for (part, eight) in eights.iter().enumerate() {
        // SAFETY: `eight` is 32 readable bytes; the load needs no alignment.
        let values = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
        for (range, mask) in ranges.iter().zip(masks.iter_mut()) {
            let off = _mm256_sub_epi32(values, _mm256_set1_epi32(range.lo as i32));
            let inside = _mm256_cmpeq_epi32(_mm256_min_epu32(off, _mm256_set1_epi32(range.span as i32)), off);
            let bits = _mm256_movemask_ps(_mm256_castsi256_ps(inside)) as u32;
            *mask |= u64::from(bits) << (8 * part);
        }
    }
    let done = eights.len() * 8;
    for (range, mask) in ranges.iter().zip(masks) {
        for (lane, value) in rest.iter().enumerate() {
            *mask |= u64::from(value.wrapping_sub(range.lo) <= range.span) << (done + lane);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(lanes: &[u32], ranges: &[Range], masks: &mut [u64]) {
    use std::arch::x86_64::*;
    masks[..ranges.len()].fill(0);
    for (part, sixteen) in lanes.chunks(16).enumerate() {
        let there = (u32::MAX >> (32 - sixteen.len())) as __mmask16;
        // SAFETY: the mask lets only the lanes of `sixteen` be read.
        let values = unsafe { _mm512_maskz_loadu_epi32(there, sixteen.as_ptr().cast()) };
        for (range, mask) in ranges.iter().zip(masks.iter_mut()) {
            let off = _mm512_sub_epi32(values, _mm512_set1_epi32(range.lo as i32));
            let inside = _mm512_mask_cmple_epu32_mask(there, off, _mm512_set1_epi32(range.span as i32));
            *mask |= u64::from(inside) << (16 * part);
        }
    }
}

/// Asks for the cache lines of a value.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(value).cast::<i8>();
        for offset in (0..size_of_val(value)).step_by(64) {
            // SAFETY: a prefetch reads nothing, and the address lies inside `value`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_holds_what_lies_after_its_start_up_to_its_end() {
        let inside = |range: Range, value: u32| value.wrapping_sub(range.lo) <= range.span;
        let range = Range::of(1000, 1009, 1020);
        assert_eq!([9, 10, 20, 21].map(|value| inside(range, value)), [false, true, true, false]);
        assert_eq!(Range::of(1000, 2000, 2000), Range::EMPTY);
        assert_eq!(Range::of(1000, 0, 999), Range::EMPTY);
        assert!(inside(Range::of(1000, i64::MIN, i64::MAX), 0));
        assert!(!inside(Range::of(1000, i64::MIN, i64::MAX), u32::MAX));
        assert_eq!(Range::of(i64::MIN, i64::MAX - 1, i64::MAX), Range::EMPTY);
    }

    proptest! {
        #[test]
        fn all_kernels_give_the_same_bits(
            lanes in prop::collection::vec(prop_oneof![0u32..50, any::<u32>()], 0..=64),
            ranges in prop::collection::vec((prop_oneof![0u32..50, any::<u32>()], prop_oneof![0u32..50, any::<u32>()]), 0..17),
        ) {
            let ranges: Vec<Range> = ranges.into_iter().map(|(lo, span)| Range { lo, span }).collect();
            let mut expected = [0; 17];
            for (range, mask) in ranges.iter().zip(&mut expected) {
                for (lane, value) in lanes.iter().enumerate() {
                    let inside = value.wrapping_sub(range.lo) <= range.span;
                    *mask |= u64::from(inside) << lane;
                }
            }
            for kernel in Kernel::available() {
                let mut masks = [u64::MAX; 17];
                kernel.masks(&lanes, &ranges, &mut masks);
                prop_assert_eq!(&masks[..ranges.len()], &expected[..ranges.len()], "{:?}", kernel);
            }
        }
    }
}
