//! Every available kernel against the plain twin, pruned and exhaustive, on random and on adversarial banks.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::cpu;

type Names = Vec<(u32, Vec<u8>)>;

fn bank_of(names: &Names) -> NameBank {
    let names: Vec<(u32, &[u8])> = names.iter().map(|(id, name)| (*id, name.as_slice())).collect();
    NameBank::build(&names).unwrap()
}

/// Every kernel, pruned and not, finds what the twin finds.
fn check(names: &Names, query: &[u8], need: &Need) {
    let bank = bank_of(names);
    let expected = cpu::name_lcs::search(&bank, query, need);
    let scores: Vec<u8> = bank.iter().map(|(_, name)| cpu::name_lcs::lcs(query, &name)).collect();
    let query = NameQuery::new(query).unwrap();
    let (mut scratch, mut out, mut all) = (NameScratch::default(), vec![NameHit { id: 9, lcs: 9 }], vec![7]);
    for kernel in Kernel::available() {
        search_names(kernel, &bank, &query, need, &mut scratch, &mut out);
        assert_eq!(out, expected, "{} pruned, query of {}", kernel.name(), query.symbols_len());
        search_names_exhaustive(kernel, &bank, &query, need, &mut scratch, &mut out);
        assert_eq!(out, expected, "{} exhaustive, query of {}", kernel.name(), query.symbols_len());
        score_names(kernel, &bank, &query, &mut all);
        assert_eq!(all, scores, "{} scores, query of {}", kernel.name(), query.symbols_len());
    }
}

/// Cut-offs that are easy, hard, uneven, and never.
fn needs(query_len: u8) -> Vec<Need> {
    let mut needs: Vec<Need> =
        [0, 50, 70, 85, 100].iter().map(|percent| Need::indel_percent(query_len, *percent)).collect();
    needs.push(Need::per_length(|len| if len % 3 == 0 { Need::NEVER } else { len % 7 }));
    needs.push(Need::per_length(|_| Need::NEVER));
    needs.push(Need::per_length(|_| 64));
    needs
}

/// A letter as names have them: few make up most.
fn symbol() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 1u8..=5, 3 => 1u8..=26, 1 => 1u8..=31]
}

fn edited(name: &[u8], edits: &[(u8, usize, u8)]) -> Vec<u8> {
    let mut name = name.to_vec();
    for &(kind, place, symbol) in edits {
        let place = place % name.len();
        match kind {
            0 => name[place] = symbol,
            1 if name.len() < NAME_SYMBOLS_MAX => name.insert(place, symbol),
            2 if name.len() > 1 => drop(name.remove(place)),
            _ => {
                let next = (place + 1) % name.len();
                name.swap(place, next);
            }
        }
    }
    name
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn kernels_agree_with_the_twin(
        names in proptest::collection::vec(
            (0u32..400, proptest::collection::vec(symbol(), 1..=64)), 1..200),
        which in any::<proptest::sample::Index>(),
        edits in proptest::collection::vec((0u8..4, any::<usize>(), 1u8..=31), 0..6),
    ) {
        let query = edited(&names[which.index(names.len())].1, &edits);
        for need in needs(query.len() as u8) {
            check(&names, &query, &need);
        }
    }

    /// Many names of nearly one length and letters, so that blocks have many survivors and several lengths.
    #[test]
    fn kernels_agree_where_little_is_pruned(
        base in proptest::collection::vec(symbol(), 2..=63),
        variants in proptest::collection::vec(
            proptest::collection::vec((0u8..4, any::<usize>(), 1u8..=31), 0..4), 60..300),
        edits in proptest::collection::vec((0u8..4, any::<usize>(), 1u8..=31), 0..3),
    ) {
        let names: Names =
            variants.iter().enumerate().map(|(id, edits)| (id as u32 * 7 % 101, edited(&base, edits))).collect();
        let query = edited(&base, &edits);
        for percent in [60, 80, 90] {
            check(&names, &query, &Need::indel_percent(query.len() as u8, percent));
        }
    }
}

#[test]
fn all_lengths_against_all_lengths() {
    let text: Vec<u8> = (0..128usize).map(|place| 1 + (place * place % 97 % 31) as u8).collect();
    let names: Names = (1..=64usize)
        .flat_map(|len| [(len as u32, text[..len].to_vec()), (99, text[64 - len..64].to_vec())])
        .collect();
    for len in 1..=64usize {
        for need in [Need::per_length(|_| 1), Need::indel_percent(len as u8, 80)] {
            check(&names, &text[..len], &need);
            check(&names, &text[7..7 + len], &need);
        }
    }
}

#[test]
fn equal_letters_of_all_lengths() {
    // The signature's fields overflow, and every name of a length has the same score.
    let names: Names =
        (1..=64usize).flat_map(|len| [(len as u32, vec![1; len]), (len as u32, vec![17; len])]).collect();
    for len in [1, 2, 4, 31, 32, 33, 63, 64] {
        for need in needs(len as u8) {
            check(&names, &vec![1; len], &need);
        }
    }
}

#[test]
fn the_extremes_of_the_alphabet_and_the_last_places() {
    for len in [32usize, 33, 64] {
        // A match in the very last place carries out of the word.
        let mut query = vec![31; len];
        query[len - 1] = 16;
        let names: Names =
            vec![(1, vec![16]), (2, vec![31, 16]), (3, query.clone()), (4, vec![15]), (5, vec![16; 64])];
        check(&names, &query, &Need::per_length(|_| 1));
    }
}

#[test]
fn one_name_full_blocks_and_none() {
    check(&vec![], &[1, 2, 3], &Need::per_length(|_| 1));
    check(&vec![(7, vec![2])], &[2], &Need::per_length(|_| 1));
    check(&vec![(u32::MAX, vec![2; 64])], &[2; 64], &Need::indel_percent(64, 100));
    for count in [63u32, 64, 65, 128] {
        let names: Names = (0..count).map(|id| (count - id, vec![3, 1 + (id % 31) as u8, 4])).collect();
        check(&names, &[3, 4], &Need::per_length(|_| 2));
        check(&names, &[3, 9, 4], &Need::indel_percent(3, 100));
    }
}
