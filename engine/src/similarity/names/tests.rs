//! Nobody is lost: what screening finds equals what scoring every listed name would find, on every kernel; and names
//! disturbed in the ways that data entry disturbs them stay over the default cut-off.
#![allow(clippy::unwrap_used)]

use super::align::Alignment;
use super::candidates::scored_as;
use super::fold::{Folded, written};
use super::rescore::score;
use super::*;
use interdict_shaders::Kernel;
use proptest::prelude::*;

/// Few words and few letters, so that names collide, join, split and contradict each other all the time.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[abk]{1,7}",
        3 => prop::sample::select(vec![
            "mohammad", "ali", "hassan", "putin", "vladimir", "vladimirovich", "al", "bin", "de", "sheikh", "co", "ltd",
            "joint", "stock", "company", "trading", "gazprom", "kim", "jong", "un", "44", "45", "forty", "four", "vii",
            "ao", "j", "k", "general", "motors", "bank", "rosneft", "a/s", "/",
        ]).prop_map(str::to_owned),
        1 => "[a-e]{58,66}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    (prop::collection::vec(word(), 1..6), prop::sample::select(vec![" ", "-", ", ", " "]))
        .prop_map(|(words, gap)| words.join(gap))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Person, Kind::Company, Kind::Vessel, Kind::Other])
}

fn bank() -> impl Strategy<Value = Bank> {
    let alias = (name(), any::<bool>())
        .prop_map(|(name, weak)| Alias { name, quality: if weak { Quality::Weak } else { Quality::Strong } });
    let entry = (kind(), prop::collection::vec(alias, 1..4)).prop_map(|(kind, names)| Entry {
        id: String::new(),
        kind,
        names,
    });
    prop::collection::vec(entry, 1..30).prop_map(|entries| Bank::new(entries).unwrap())
}

/// Every name scored, nothing looked up.
fn exhaustive(bank: &Bank, query: &str, kind: Option<Kind>, cutoff: u16) -> Vec<Match> {
    let mut alignment = Alignment::default();
    let mut best: Vec<Match> = Vec::new();
    for (entry, listed) in (0u32..).zip(bank.entries()) {
        let mut of_entry: Option<Match> = None;
        for (name, alias) in (0u16..).zip(&listed.names) {
            if kind.is_some_and(|kind| !kind.may_be(listed.kind)) {
                continue;
            }
            for (theirs, ours) in written(&alias.name).flat_map(|t| written(query).map(move |q| (t, q))) {
                let (theirs, ours) = (Folded::new(theirs), Folded::new(ours));
                let raw = score(ours.view(), theirs.view(), scored_as(listed.kind, kind), &mut alignment);
                let weak = alias.quality == Quality::Weak && raw > CUTOFF_DEFAULT;
                let score = if weak { CUTOFF_DEFAULT + (raw - CUTOFF_DEFAULT) / 2 } else { raw };
                if score >= cutoff && of_entry.is_none_or(|hit| score > hit.score) {
                    of_entry = Some(Match { entry, name, score });
                }
            }
        }
        best.extend(of_entry);
    }
    best.sort_by_key(|hit| (u16::MAX - hit.score, hit.entry));
    best
}

fn one_entry(name: &str, kind: Kind) -> Bank {
    let alias = Alias { name: name.to_owned(), quality: Quality::Weak };
    Bank::new(vec![Entry { id: "1".into(), kind, names: vec![alias] }]).unwrap()
}

fn finds(listed: &str, kind: Kind, query: &str) -> bool {
    let screener = Screener::new(&one_entry(listed, kind), Kernel::best()).unwrap();
    let mut out = Vec::new();
    screener.screen(query, None, CUTOFF_DEFAULT, &mut Scratch::default(), &mut out);
    out.len() == 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn screening_equals_scoring_everybody(
        bank in bank(),
        queries in prop::collection::vec(name(), 1..6),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[abk ]"), 6),
        kind in prop::option::of(kind()),
        cutoff in prop::sample::select(vec![1, 400, 700, 780, 781, 800, 900, 985, 1000]),
    ) {
        // Listed names with one letter put in or changed, beside names that are nobody's.
        let near = picks.iter().map(|(entry, at, letter)| {
            let mut letters: Vec<char> = bank.entries()[entry.index(bank.entries().len())].names[0].name.chars().collect();
            let at = at.index(letters.len());
            letters[at] = letter.chars().next().unwrap();
            letters.into_iter().collect::<String>()
        });
        let mut scratch = Scratch::default();
        let mut out = Vec::new();
        for query in queries.iter().cloned().chain(near.collect::<Vec<_>>()) {
            let expected = exhaustive(&bank, &query, kind, cutoff);
            for kernel in Kernel::available() {
                let screener = Screener::new(&bank, kernel).unwrap();
                screener.screen(&query, kind, cutoff, &mut scratch, &mut out);
                prop_assert_eq!(&out, &expected, "{} {}", query, kernel.name());
            }
        }
    }

    #[test]
    fn scores_are_the_same_both_ways(a in name(), b in name(), kind in kind()) {
        let score = score_pair(&a, &b, kind);
        prop_assert_eq!(score, score_pair(&b, &a, kind));
        prop_assert!(score <= 1000);
    }

    #[test]
    fn only_equal_names_score_1000(a in name(), b in name(), kind in kind()) {
        let equal = written(&a).any(|x| written(&b).any(|y| {
            let (x, y) = (Folded::new(x), Folded::new(y));
            x == y && !x.view().tokens.is_empty()
        }));
        prop_assert_eq!(score_pair(&a, &b, kind) == 1000, equal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn one_edit_or_transposition_is_never_lost(
        name in prop::collection::vec(word(), 1..6).prop_map(|words| words.join(" ")),
        kind in kind(),
        at in any::<prop::sample::Index>(),
        letter in "[a-z0-9]",
        how in 0..4,
    ) {
        let folded = Folded::new(&name);
        prop_assume!(folded.view().letters.len() >= 4);
        let mut letters: Vec<char> = name.chars().collect();
        let at = at.index(letters.len());
        match how {
            0 => letters[at] = letter.chars().next().unwrap(),
            1 => letters.insert(at, letter.chars().next().unwrap()),
            2 => { letters.remove(at); }
            _ => letters.swap(at, (at + 1).min(name.len() - 1)),
        }
        let disturbed: String = letters.into_iter().collect();
        prop_assert!(finds(&name, kind, &disturbed), "{name:?} as {disturbed:?}");
        prop_assert!(finds(&disturbed, kind, &name) || Folded::new(&disturbed).view().letters.len() < 4);
    }

    #[test]
    fn order_joins_and_splits_are_never_lost(
        words in prop::collection::vec(word(), 1..6),
        kind in kind(),
        turn in any::<prop::sample::Index>(),
        shuffle in any::<u64>(),
    ) {
        let name = words.join(" ");
        prop_assume!(!Folded::new(&name).view().tokens.is_empty());
        let mut shuffled = words.clone();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, (shuffle.rotate_left(7 * i as u32) % (i as u64 + 1)) as usize);
        }
        prop_assert!(finds(&name, kind, &shuffled.join(" ")));
        let mut turned = words.clone();
        turned.rotate_left(turn.index(words.len()));
        prop_assert!(finds(&name, kind, &turned.join(", ")));
        prop_assert!(finds(&name, kind, &words.concat()));
        let at = turn.index(name.len());
        let split = [&name[..at], " ", &name[at..]].concat();
        prop_assert!(finds(&name, kind, &split));
    }
}

#[test]
fn long_names_and_noise_do_no_harm() {
    let long = "abdul ".repeat(700);
    let bank = one_entry(&"x y".repeat(1000), Kind::Other);
    let screener = Screener::new(&bank, Kernel::best()).unwrap();
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for query in
        [long.as_str(), "", " / / ; ", "'", &"/abcde".repeat(600), &"x y".repeat(1000), &"a ".repeat(5000)]
    {
        screener.screen(query, None, 1, &mut scratch, &mut out);
    }
    // Equal, by a weak name: half of what is above the cut-off.
    screener.screen(&"x y".repeat(1000), None, 900, &mut scratch, &mut out);
    assert_eq!(out, [Match { entry: 0, name: 0, score: 900 }]);
    let empty = Screener::new(&Bank::default(), Kernel::best()).unwrap();
    empty.screen("anybody", None, 1, &mut scratch, &mut out);
    assert!(out.is_empty());
}
