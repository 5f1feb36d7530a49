//! Every available kernel against the plain twin: extremes of i8, ties, partial blocks.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::cpu;

fn check(vectors: &[(u64, [i8; 64])], query: &[i8; 64]) {
    let mut bank = VectorBank::new();
    for (id, vector) in vectors {
        bank.push(*id, vector).unwrap();
    }
    let mut out = vec![DotHit { dot: 1, id: 1 }];
    for kernel in Kernel::available() {
        for k in [0, 1, 4, 10, TOP_K_MAX] {
            dot_topk(kernel, &bank, query, k, &mut out);
            assert_eq!(out, cpu::dot_topk::search(&bank, query, k), "{} top {k}", kernel.name());
        }
        for at_least in [i32::MIN, -1_000_000, -1, 0, 1, 64, 8_128, 1_032_256, 1_048_576, i32::MAX] {
            let expected = cpu::dot_range::search(&bank, query, at_least);
            for cap in [usize::MAX, 70, 5, 1, 0] {
                let found = dot_range(kernel, &bank, query, at_least, cap, &mut out);
                let all = expected.len();
                assert_eq!(found, RangeFound { found: all, truncated: all > cap });
                assert_eq!(out, expected[..cap.min(all)], "{} at least {at_least}", kernel.name());
            }
        }
    }
}

fn value() -> impl Strategy<Value = i8> {
    prop_oneof![any::<i8>(), Just(i8::MIN), Just(i8::MAX), Just(0), -1i8..=1]
}

fn vector() -> impl Strategy<Value = [i8; 64]> {
    // Built on the heap: the shrinking state of 64 values in an array overflows a test's stack.
    let values = || proptest::collection::vec(value(), 64);
    prop_oneof![
        values().prop_map(|values| std::array::from_fn(|dim| values[dim])),
        values().prop_map(|values| std::array::from_fn(|dim| values[dim / 2])),
        value().prop_map(|value| [value; 64]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn kernels_agree_with_the_twin(
        vectors in proptest::collection::vec((0u64..90, vector()), 0..200),
        query in vector(),
    ) {
        check(&vectors, &query);
    }
}

#[test]
fn extremes_and_ties() {
    for stored in [i8::MIN, -1, 0, 1, i8::MAX] {
        for query in [i8::MIN, -1, 0, 1, i8::MAX] {
            for count in [0u64, 1, 64, 65, 130] {
                let vectors: Vec<_> = (0..count).map(|id| (1000 - id, [stored; 64])).collect();
                check(&vectors, &[query; 64]);
            }
        }
    }
}

#[test]
fn each_value_counts_in_its_own_place() {
    let query: [i8; 64] = std::array::from_fn(|dim| dim as i8 - 32);
    let vectors: Vec<(u64, [i8; 64])> = (0..64u64)
        .map(|place| (place, std::array::from_fn(|dim| if dim as u64 == place { 3 } else { 0 })))
        .collect();
    check(&vectors, &query);
}
