//! Every available kernel against the plain twin: ties, partial blocks, caps.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::cpu;

fn bank_of(prints: &[(u64, [u64; 4])]) -> FingerprintBank {
    let mut bank = FingerprintBank::new();
    for (id, print) in prints {
        bank.push(*id, print).unwrap();
    }
    bank
}

fn check(bank: &FingerprintBank, query: &[u64; 4]) {
    let mut out = vec![HammingHit { distance: 1, id: 1 }];
    for kernel in Kernel::available() {
        for k in [0, 1, 3, 10, TOP_K_MAX] {
            hamming_topk(kernel, bank, query, k, &mut out);
            assert_eq!(out, cpu::hamming_topk::search(bank, query, k), "{} top {k}", kernel.name());
        }
        for distance_max in [0, 1, 20, 110, 128, 140, 255, 256, u32::MAX] {
            let expected = cpu::hamming_range::search(bank, query, distance_max);
            for cap in [usize::MAX, 1000, 70, 5, 1, 0] {
                let found = hamming_range(kernel, bank, query, distance_max, cap, &mut out);
                let all = expected.len();
                assert_eq!(found, RangeFound { found: all, truncated: all > cap });
                assert_eq!(out, expected[..cap.min(all)], "{} within {distance_max}", kernel.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Flips of few bits around one centre, ids that collide: many ties.
    #[test]
    fn kernels_agree_with_the_twin(
        centre in any::<[u64; 4]>(),
        query in any::<[u64; 4]>(),
        flips in proptest::collection::vec((0u64..60, any::<[u64; 4]>(), 0u32..6), 0..260),
    ) {
        let prints: Vec<(u64, [u64; 4])> = flips
            .iter()
            .map(|(id, noise, rounds)| {
                let mut print = centre;
                for round in 0..*rounds {
                    for (word, noise) in print.iter_mut().zip(noise) {
                        *word ^= 1 << (noise >> (6 * round) & 63);
                    }
                }
                (*id, if id % 5 == 0 { *noise } else { print })
            })
            .collect();
        let bank = bank_of(&prints);
        check(&bank, &centre);
        check(&bank, &query);
    }
}

#[test]
fn all_equal_and_all_opposite() {
    for count in [0u64, 1, 63, 64, 65, 300] {
        // Ids descend, so that every later one of the equal prints comes before those already held.
        let bank = bank_of(&(0..count).map(|id| (count - id, [u64::MAX; 4])).collect::<Vec<_>>());
        check(&bank, &[u64::MAX; 4]);
        check(&bank, &[0; 4]);
    }
}

#[test]
fn a_bank_grows_between_searches() {
    let mut bank = FingerprintBank::new();
    for id in 0..200u64 {
        bank.push(id, &[id.wrapping_mul(0x9E37_79B9_7F4A_7C15), id, !id, 7]).unwrap();
        if id % 17 == 0 {
            check(&bank, &[0, 5, !5, 7]);
        }
    }
}

#[test]
#[should_panic(expected = "k is 65, limit 64")]
fn too_many_neighbours_are_a_programmers_error() {
    hamming_topk(Kernel::Portable, &FingerprintBank::new(), &[0; 4], 65, &mut Vec::new());
}
