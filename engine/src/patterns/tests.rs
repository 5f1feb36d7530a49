//! The stage against oracles: the `regex` crate on the author's own text, substrings tried one by one for extended
//! parameters, an edit matrix for approximate ones.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::Field;
use crate::error::Place;
use crate::rules::Source;
use proptest::prelude::*;
use regex::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::collections::HashMap;

fn source(id: &str, text: &str, view: View) -> PatternSource {
    PatternSource {
        id: id.into(),
        fields: vec![Field::Text],
        text: Source::new(text, Place::at("patterns/p.yaml", 7, 5)),
        literal: false,
        view,
        case_sensitive: view == View::Raw,
        extended: Extended::default(),
    }
}

fn hits(set: &PatternSet, text: &str) -> Vec<u32> {
    let (mut scratch, mut hits) = (PatternScratch::default(), PatternHits::default());
    set.scan_fields(&|field| (field == Field::Text).then_some(text), &mut scratch, &mut hits).unwrap();
    let numbers: Vec<u32> = set.hits(&hits).collect();
    assert_eq!(set.any_hit(&hits), !numbers.is_empty());
    numbers
}

fn set(sources: &[PatternSource]) -> PatternSet {
    PatternSet::compile(sources, &[], None).unwrap()
}

/// Patterns of the syntax that both libraries know, over letters whose case and boundaries are easy to get wrong.
fn pattern(letters: &'static [&'static str]) -> impl Strategy<Value = String> {
    const CLASS: &[&str] = &[".", "\\w", "\\d", "\\s", "\\W", "[ab]", "[^a]", "[a-ké]", "[[:alpha:]]", "\\n"];
    const LOOK: &[&str] = &["\\b", "\\B", "^", "$", "\\z", "(?m:^)", "(?m:$)", "(?-u:\\b)"];
    let atom = prop_oneof![
        6 => prop::sample::select(letters).prop_map(String::from),
        2 => prop::sample::select(CLASS).prop_map(String::from),
        1 => prop::sample::select(LOOK).prop_map(String::from),
    ];
    atom.prop_recursive(4, 16, 4, |inner| {
        let repeat = prop::sample::select(&["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"][..]);
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
            1 => (inner, repeat).prop_map(|(a, r)| format!("({a}){r}")),
        ]
    })
}

const LETTERS: &[&str] = &["a", "b", "k", "S", "é", "1", "_", " ", "ab", "\\."];
// No space: a pattern's runs of them are folded to one, as a text's are.
const ASCII: &[&str] = &["a", "b", "k", "S", "1", "_", "ab", "\\."];
const TEXT: &str = "([abkKsS1_ .\né\u{212a}\u{17f}ж]|ab){0,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn raw_patterns_hit_where_the_regex_crate_matches(
        texts in prop::collection::vec(pattern(LETTERS), 1..4),
        sensitive in any::<bool>(),
        inputs in prop::collection::vec(TEXT, 8),
    ) {
        let mut sources: Vec<PatternSource> = texts.iter().map(|t| source("p", t, View::Raw)).collect();
        sources.iter_mut().for_each(|s| s.case_sensitive = sensitive);
        sources.retain(|s| PatternSet::check(s).is_ok());
        let set = set(&sources);
        for input in &inputs {
            let matching = |s: &PatternSource| {
                RegexBuilder::new(s.text.text()).case_insensitive(!sensitive).build().unwrap().is_match(input)
            };
            let expected = (0..sources.len() as u32).filter(|n| matching(&sources[*n as usize]));
            prop_assert_eq!(hits(&set, input), expected.collect::<Vec<_>>(), "{:?} {:?}", texts, input);
        }
    }

    #[test]
    fn folded_patterns_hit_where_the_regex_crate_matches_a_reading(
        text in pattern(ASCII),
        inputs in prop::collection::vec("([abkKsS1_ .\né\u{212a}ａЅ!]|a b k|4b){0,10}", 8),
    ) {
        let one = source("p", &text, View::Folded);
        prop_assume!(PatternSet::check(&one).is_ok());
        let set = set(std::slice::from_ref(&one));
        let regex = RegexBuilder::new(&text).case_insensitive(true).build().unwrap();
        for input in &inputs {
            // Folding maps \n to a space, so what looks for it looks for a space.
            prop_assume!(!text.contains('n') && !text.contains("(?m") && !text.contains("a-k"));
            let expected = fold(input).iter().any(|reading| regex.is_match(reading));
            prop_assert_eq!(hits(&set, input) == [0], expected, "{:?} {:?} {:?}", text, input, fold(input));
            let places = set.positions(0, input);
            prop_assert_eq!(!places.is_empty(), expected);
            prop_assert!(places.iter().all(|range| input.get(range.clone()).is_some()));
        }
    }

    #[test]
    fn a_lift_answers_what_the_regex_crate_does(
        text in pattern(LETTERS),
        inputs in prop::collection::vec(TEXT, 8),
    ) {
        let Some(lift) = Lift::of(Field::Text, &text) else { return Ok(()) };
        let set = PatternSet::compile(&[source("other", "zz", View::Raw)], &[lift], None).unwrap();
        let regex = Regex::new(&text).unwrap();
        let (mut scratch, mut found) = (PatternScratch::default(), PatternHits::default());
        for input in &inputs {
            let text_of = |field| (field == Field::Text).then_some(input.as_str());
            set.scan_fields(&text_of, &mut scratch, &mut found).unwrap();
            if let Some(answer) = set.lifted(&found, 0) {
                prop_assert_eq!(answer, regex.is_match(input), "{:?} {:?}", text, input);
            }
            prop_assert_eq!(set.lifted(&found, 1), None);
            prop_assert_eq!(set.hits(&found).count(), 0, "lifts are not declared patterns");
            prop_assert!(!set.any_hit(&found));
        }
    }

    #[test]
    fn offsets_and_lengths_are_those_of_some_substring(
        text in "[ab]{1,3}(a\\+|b\\?|\\(ab\\|b\\))?[ab]",
        min_offset in prop::option::of(0u32..8),
        max_offset in prop::option::of(3u32..9),
        min_length in prop::option::of(1u32..5),
        inputs in prop::collection::vec("[abc]{0,9}", 8),
    ) {
        let text = text.replace("\\", "");
        let mut one = source("p", &text, View::Raw);
        one.extended = Extended { min_offset, max_offset, min_length, ..Extended::default() };
        prop_assume!(PatternSet::check(&one).is_ok());
        let set = set(std::slice::from_ref(&one));
        let whole = Regex::new(&format!("^(?:{text})$")).unwrap();
        for input in &inputs {
            let fits = |start: usize, end: usize| {
                (end - start) as u32 >= min_length.unwrap_or(0)
                    && (min_offset.unwrap_or(0)..=max_offset.unwrap_or(99)).contains(&(end as u32))
                    && whole.is_match(&input[start..end])
            };
            let n = input.len();
            let expected = (0..=n).any(|start| (start..=n).any(|end| fits(start, end)));
            prop_assert_eq!(hits(&set, input) == [0], expected, "{:?} {:?} {:?}", text, one.extended, input);
        }
    }

    #[test]
    fn distances_are_those_of_the_nearest_substring(
        word in "[ab]{3,6}",
        distance in 1u8..=2,
        edit in any::<bool>(),
        inputs in prop::collection::vec("[abc]{0,12}", 8),
    ) {
        let mut one = source("p", &word, View::Raw);
        one.literal = true;
        let distance_of = if edit { edit_distance } else { hamming_distance };
        match edit {
            true => one.extended.edit_distance = Some(distance),
            false => one.extended.hamming_distance = Some(distance),
        }
        let set = set(std::slice::from_ref(&one));
        for input in &inputs {
            let expected = distance_of(word.as_bytes(), input.as_bytes()) <= usize::from(distance);
            prop_assert_eq!(hits(&set, input) == [0], expected, "{:?} {:?}", word, input);
            prop_assert_eq!(!set.positions(0, input).is_empty(), expected);
        }
    }
}

/// The least edit distance of a word to any substring: the matrix whose first row is free (Sellers).
fn edit_distance(word: &[u8], text: &[u8]) -> usize {
    let mut column: Vec<usize> = (0..=word.len()).collect();
    let mut best = word.len();
    for byte in text {
        let mut diagonal = column[0];
        for row in 1..column.len() {
            let substituted = diagonal + usize::from(word[row - 1] != *byte);
            diagonal = column[row];
            column[row] = substituted.min(column[row] + 1).min(column[row - 1] + 1);
        }
        best = best.min(column[word.len()]);
    }
    best
}

/// The least number of differing bytes to any substring as long as the word.
fn hamming_distance(word: &[u8], text: &[u8]) -> usize {
    let windows = text.windows(word.len());
    windows.map(|w| w.iter().zip(word).filter(|(a, b)| a != b).count()).min().unwrap_or(usize::MAX)
}

#[test]
fn folded_patterns_find_what_was_disguised() {
    let texts = ["\\bGift ?Card\\b", "café", "подарочн\\w+ карт", "straße [éß]x", "\\d{4}"];
    let set = set(&texts.map(|text| source("p", text, View::Folded)));
    for (text, expected) in [
        ("ｇｉｆｔ  CARD", vec![0]),
        ("G!FT C@RD", vec![0]),
        ("g-i-f-t-c-a-r-d", vec![0]),
        ("giftcards", vec![]),
        ("CAFÉ cafe\u{301}", vec![1]),
        ("ПОДАРОЧНУЮ карту", vec![2]),
        ("STRASSE SSx", vec![3]),
        ("strasse ex", vec![3]),
        ("in 2024 g1ft", vec![4]),
    ] {
        assert_eq!(hits(&set, text), expected, "{text}");
    }
    let spaced = "x, g i f t  c a r d!";
    let shown: Vec<&str> = set.positions(0, spaced).into_iter().map(|range| &spaced[range]).collect();
    assert_eq!(shown, ["g i f t  c a r d"]);
    assert_eq!(set.positions(1, "un CAFÉ, un café"), [3..8, 13..18]);
    assert!(set.positions(0, "nothing").is_empty());
}

#[test]
fn one_of_several_fields_is_enough_and_absent_ones_are_false() {
    let mut one = source("p", "gift", View::Folded);
    one.fields = vec![Field::Text, Field::MerchantName];
    let set = set(&[one, source("q", "gift", View::Raw)]);
    let (mut scratch, mut found) = (PatternScratch::default(), PatternHits::default());
    assert_eq!(set.hit(&found, 0), None, "the stage did not run");
    for (field, expected) in [(Field::MerchantName, [true, false]), (Field::Qr, [false, false])] {
        set.scan_fields(&|of| (of == field).then_some("gift"), &mut scratch, &mut found).unwrap();
        assert_eq!([0, 1].map(|n| set.hit(&found, n).unwrap()), expected);
    }
    assert_eq!(set.databases().0, 3);
    let other = PatternSet::default();
    assert_eq!((other.hit(&found, 0), other.lifted(&found, 0)), (None, None), "hits are of one set");
}

#[derive(Default)]
struct Memory(RefCell<HashMap<String, Vec<u8>>>, RefCell<usize>);
impl DatabaseCache for Memory {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(key).cloned()
    }
    fn put(&self, key: &str, bytes: &[u8]) {
        *self.1.borrow_mut() += 1;
        self.0.borrow_mut().insert(key.into(), bytes.into());
    }
}

#[test]
fn a_kept_database_is_loaded_and_a_damaged_one_compiled_anew() {
    let cache = Memory::default();
    let sources = [source("p", "gift ?card", View::Folded), source("q", "Gift", View::Raw)];
    let compile = || PatternSet::compile(&sources, &[], Some(&cache)).unwrap();
    assert_eq!(hits(&compile(), "Gift card"), [0, 1]);
    assert_eq!((cache.0.borrow().len(), *cache.1.borrow()), (2, 2));
    assert!(cache.0.borrow().keys().all(|key| key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit())));
    compile();
    assert_eq!(*cache.1.borrow(), 2, "loaded, not compiled");
    let sound = cache.0.borrow().clone();
    let [a, b] = sound.keys().collect::<Vec<_>>()[..] else { panic!("two databases") };
    for at in [0, 9, 45, 80, 300] {
        cache.0.borrow_mut().values_mut().for_each(|bytes| bytes[at] ^= 4);
        let before = *cache.1.borrow();
        assert_eq!(hits(&compile(), "Gift card"), [0, 1]);
        assert_eq!((*cache.1.borrow(), &*cache.0.borrow()), (before + 2, &sound), "byte {at}");
    }
    // Cut short, empty, and each under the other's name.
    let cut = sound[a][..100].to_vec();
    for (first, second) in [(cut, Vec::new()), (sound[b].clone(), sound[a].clone())] {
        cache.0.borrow_mut().extend([(a.clone(), first), (b.clone(), second)]);
        assert_eq!(hits(&compile(), "Gift card"), [0, 1]);
        assert_eq!(*cache.0.borrow(), sound);
    }
}

#[test]
fn a_broken_pattern_says_where_and_why() {
    let told = |text: &str| {
        let errors = PatternSet::check(&source("p", text, View::Raw)).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (text, place, why) in [
        ("gift(card", "patterns/p.yaml:7:9", "unclosed group"),
        ("é)", "patterns/p.yaml:7:6", "unopened group"),
        ("a(?=b)", "patterns/p.yaml:7:6", "look-around"),
        ("(a)\\1", "patterns/p.yaml:7:8", "backreferences"),
        ("a*", "patterns/p.yaml:7:5", "empty text"),
        ("a{1,900}{1,900}", "patterns/p.yaml:7:5", "limit 16000"),
        ("[a&&b]", "patterns/p.yaml:7:5", "never match"),
        (&"x".repeat(3000), "patterns/p.yaml:7:5", "limit 2048"),
    ] {
        let told = told(text);
        assert!(told.starts_with(place) && told.contains(why) && told.contains("\"p\""), "{told}");
    }
    let deep = format!("{}a{}", "(".repeat(500), ")".repeat(500));
    assert!(told(&deep).contains("nest"), "{}", told(&deep));
    let mut several =
        [source("p", "a(", View::Raw), source("q", "fine", View::Raw), source("r", "b)", View::Raw)];
    assert_eq!(PatternSet::compile(&several, &[], None).unwrap_err().len(), 2);
    // What only Hyperscan refuses, in its words.
    several = [
        source("p", "a", View::Raw),
        source("q", "(.{8,9}){900}[^b]", View::Raw),
        source("r", "b", View::Raw),
    ];
    if let Err(errors) = PatternSet::compile(&several, &[], None) {
        assert!(errors.len() == 1 && errors[0].message.contains("\"q\": hyperscan: "), "{errors:?}");
    }
}

#[test]
fn parameters_that_make_no_sense_together_are_refused() {
    let check = |text: &str, change: &dyn Fn(&mut PatternSource)| {
        let mut one = source("p", text, View::Raw);
        change(&mut one);
        PatternSet::check(&one).unwrap_err()[0].message.clone()
    };
    assert!(check("abc", &|p| p.fields.clear()).contains("no field"));
    assert!(check("abc", &|p| p.fields = vec![Field::Card]).contains("card.tag"));
    assert!(check("abc", &|p| p.view = View::Folded).contains("case_sensitive"));
    assert!(check("ab", &|p| p.extended.edit_distance = Some(2)).contains("every text"));
    assert!(check("abcdef", &|p| p.extended.edit_distance = Some(5)).contains("limit 1 to 4"));
    assert!(check("abc.d", &|p| p.extended.hamming_distance = Some(1)).contains("ASCII only"));
    assert!(check("\\w+x", &|p| p.extended.max_offset = Some(9)).contains("extended parameters"));
    let swapped = |p: &mut PatternSource| {
        (p.extended.min_offset, p.extended.max_offset) = (Some(9), Some(3));
    };
    assert!(check("abc", &swapped).contains("above max_offset"));
}

#[test]
fn shapes_that_cost_are_pointed_out() {
    let heads = (0..60).map(|n| source(&format!("h{n}"), &format!("android [4-9]; sm-{n}x"), View::Folded));
    let mut sources: Vec<PatternSource> = heads.collect();
    sources.push(source("wide", "gift.{0,200}card", View::Folded));
    sources.push(source("weak", "[a-z]+[0-9]+", View::Folded));
    sources.push(source("good", "(?:steam|itunes) ?(?:gift)? ?cards?", View::Folded));
    let told: Vec<String> = lint(&sources).iter().map(|warning| warning.message.clone()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("\"wide\"") && told[0].contains("200"));
    assert!(told[1].contains("\"weak\"") && told[1].contains("every character"));
    assert!(told[2].contains("60 patterns over text begin with \"android \""), "{}", told[2]);
    let costs = set(&sources).costs_ps(&crate::calibration::Calibration::default());
    assert!(costs[61] > 10 * costs[62], "what has no literal costs most");
}

#[test]
fn nothing_shown_holds_a_text() {
    let set = set(&[source("p", "secret", View::Folded)]);
    let (mut scratch, mut found) = (PatternScratch::default(), PatternHits::default());
    set.scan_fields(&|_| Some("a secret name"), &mut scratch, &mut found).unwrap();
    assert!(!format!("{scratch:?} {found:?}").contains("name"));
}
