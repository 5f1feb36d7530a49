//! The scan in plain Rust: on every machine, and for the values that fill no register.

use super::filter::{Filter, Kind};

/// Values whose answers are collected before anybody looks at them.
const BLOCK: usize = 64;

/// Appends the places (the first value is at `first`) of all values that the filter lets pass.
pub(super) fn find(filter: &Filter, values: &[u32], first: u32, found: &mut Vec<u32>) {
    match &filter.0 {
        Kind::Nothing => {}
        Kind::Few(few) => {
            each(values, first, found, |value| few.iter().fold(false, |any, one| any | (*one == value)))
        }
        Kind::Bloom(bloom) => each(values, first, found, |value| bloom.may_have(value)),
    }
}

fn each(values: &[u32], first: u32, found: &mut Vec<u32>, passes: impl Fn(u32) -> bool) {
    for (block, at) in values.chunks(BLOCK).zip((first..).step_by(BLOCK)) {
        let bits = block.iter().rev().fold(0, |bits: u64, value| bits << 1 | u64::from(passes(*value)));
        push(bits, at, found);
    }
}

/// Appends the places of the bits that are set.
#[inline]
pub(super) fn push(mut bits: u64, at: u32, found: &mut Vec<u32>) {
    while bits != 0 {
        found.push(at + bits.trailing_zeros());
        bits &= bits - 1;
    }
}
