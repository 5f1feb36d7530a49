//! Asks the cache for a line before it is needed: a micro-batch's probes are then one wait, not one wait each.
//! `core::hint` has no stable prefetch yet, so this is one of the engine's few unsafe modules.
#![allow(unsafe_code)]

/// Prefetches the line at `at` for reading. A hint: it changes nothing that a program could see.
#[inline(always)]
pub(super) fn read<T>(at: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch neither faults nor writes, and SSE is in x86_64's baseline.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_prefetch_changes_nothing() {
        let lines = vec![7u64; 64];
        lines.iter().for_each(super::read);
        assert_eq!(lines, vec![7u64; 64]);
    }
}
