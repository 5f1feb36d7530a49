//! How alike two names are, 0..=1000, in integers and the same both ways round. Two readings, the better counts:
//! the *whole* (letters without spaces, a few edits) and the *words* (aligned in any order, weighed by what they
//! prove). 1000 only for equal folded names, so that scores rank.

use super::align::{Alignment, SAME};
use super::bank::Kind;
use super::edits::within;
use super::fold::{Class, Folded, Token, View, written};
use super::CUTOFF_DEFAULT;

/// Most that names with words against each other reach: below every sensible cut-off, above noise.
pub const CONTRADICTED_MAX: u16 = 780;
/// Highest score of names that are not equal.
const UNEQUAL_MAX: u16 = 999;
/// Equal letters, other spaces.
const RESPACED: u16 = 990;
/// The same words in another order.
const REORDERED: u16 = 985;
/// Least score of one edit in a whole name of [`WHOLE_LETTERS_MIN`] letters or more: just over the default cut-off.
const ONE_EDIT_MIN: u16 = CUTOFF_DEFAULT + 5;
/// Fewest letters of a name that may differ by one edit.
const WHOLE_LETTERS_MIN: usize = 4;
/// Fewest letters of a person's name that may differ by two edits.
const TWO_EDITS_LETTERS_MIN: usize = 9;
/// What an edit in every letter of the whole would cost.
const WHOLE_EDIT_COST: usize = 900;
/// What it costs a person's name when all its weight is missing from the other.
const MISSING_COST: u32 = 400;
const REORDERED_COST: u16 = 15;
const LOOSE_WORD_COST: u16 = 4;
const LOOSE_WORDS_MAX: u32 = 5;
const LEGAL_FAMILY_COST: u16 = 40;

/// Edits within which two whole names (letters of the longer) may be one name.
pub fn whole_edits(letters: usize, kind: Kind) -> usize {
    match letters {
        0..WHOLE_LETTERS_MIN => 0,
        TWO_EDITS_LETTERS_MIN.. if kind == Kind::Person || kind == Kind::Other => 2,
        _ => 1,
    }
}

/// How alike two names are as texts: the best over the names each of them writes (see [`written`]).
pub fn score_pair(name1: &str, name2: &str, kind: Kind) -> u16 {
    let mut alignment = Alignment::default();
    let theirs: Vec<Folded> = written(name2).map(Folded::new).collect();
    let mut best = 0;
    for mine in written(name1).map(Folded::new) {
        for other in &theirs {
            best = best.max(score(mine.view(), other.view(), kind, &mut alignment));
        }
    }
    best
}

/// How alike two folded names are. `kind` is what they name.
pub fn score(a: View<'_>, b: View<'_>, kind: Kind, alignment: &mut Alignment) -> u16 {
    if a.tokens.is_empty() || b.tokens.is_empty() {
        return 0;
    }
    let ends = |view: View<'_>| view.tokens.iter().map(Token::end).collect::<smallvec::SmallVec<[usize; 32]>>();
    if a.letters == b.letters && ends(a) == ends(b) {
        return SAME;
    }
    // One order for both directions, so that the greedy alignment cannot tell them apart.
    let (a, b) = if (a.letters, a.tokens.len()) <= (b.letters, b.tokens.len()) { (a, b) } else { (b, a) };
    let bag = if same_words(a, b) { REORDERED } else { 0 };
    whole(a, b, kind).max(bag).max(words(a, b, kind, alignment)).min(UNEQUAL_MAX)
}

fn whole(a: View<'_>, b: View<'_>, kind: Kind) -> u16 {
    let letters = a.letters.len().max(b.letters.len());
    let Some(edits) = within(a.letters, b.letters, whole_edits(letters, kind)) else { return 0 };
    if edits == 0 {
        return RESPACED;
    }
    let digits = |view: View<'_>| view.letters.iter().copied().filter(u8::is_ascii_digit).collect::<smallvec::SmallVec<[u8; 32]>>();
    if digits(a) != digits(b) {
        return ONE_EDIT_MIN;
    }
    let score = 1000 - (WHOLE_EDIT_COST * edits / letters) as u16;
    if edits == 1 { score.max(ONE_EDIT_MIN) } else { score }
}

/// Whether both names have the same words, as often, in any order. Legal forms of several words are one only in their
/// order, so that the alignment alone would not see it.
fn same_words(a: View<'_>, b: View<'_>) -> bool {
    let sorted = |view| {
        let mut words = words_of(view);
        words.sort_unstable();
        words
    };
    a.letters.len() == b.letters.len() && a.tokens.len() == b.tokens.len() && sorted(a) == sorted(b)
}

/// A name's words, and last the letters past its last token.
pub fn words_of(view: View<'_>) -> smallvec::SmallVec<[&[u8]; 16]> {
    let rest = &view.letters[view.tokens.last().map_or(0, Token::end)..];
    (0..view.tokens.len()).map(|at| view.word(at)).chain([rest]).collect()
}

/// What a word proves, by its class; an ordinary word by its length.
fn weight(token: &Token, kind: Kind) -> u32 {
    match token.class {
        Class::Strong => 4 + u32::from(token.len).min(10),
        Class::Number => 8,
        Class::Common => 5,
        Class::Title if kind != Kind::Person => 5,
        Class::Initial => 2,
        Class::Title | Class::Noise | Class::Legal => 1,
    }
}

/// Whether a word tells who is meant.
pub fn is_content(token: &Token, kind: Kind) -> bool {
    match token.class {
        Class::Strong | Class::Common | Class::Number => true,
        Class::Title => kind != Kind::Person,
        Class::Initial | Class::Noise | Class::Legal => false,
    }
}

/// What one name has that nothing in the other answers.
#[derive(Default)]
struct Left {
    content: u32,
    initials: u32,
    loose: u32,
}

fn left(name: View<'_>, bits: u32, other: View<'_>, kind: Kind) -> Left {
    let mut left = Left::default();
    for (at, token) in name.tokens.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
        // A word written twice ("Aziz Aziz") is answered by its one copy.
        let repeated = is_content(token, kind) && (0..other.tokens.len()).any(|j| other.word(j) == name.word(at));
        match token.class {
            _ if repeated => left.loose += 1,
            Class::Initial => left.initials += 1,
            Class::Legal => {}
            _ if is_content(token, kind) => left.content += weight(token, kind),
            _ => left.loose += 1,
        }
    }
    left
}

/// The words' reading: 0 unless a word proper answers one.
fn words(a: View<'_>, b: View<'_>, kind: Kind, alignment: &mut Alignment) -> u16 {
    alignment.align(a, b, matches!(kind, Kind::Person | Kind::Other));
    let (mut matched, mut alike, mut evidence, mut strong) = (0, 0, 0, 0);
    let (mut reordered, mut last) = (false, 0);
    for pair in &alignment.pairs {
        let ours = &a.tokens[usize::from(pair.a.0)..usize::from(pair.a.0 + pair.a.1)];
        let theirs = &b.tokens[usize::from(pair.b.0)..usize::from(pair.b.0 + pair.b.1)];
        let weight: u32 = ours.iter().chain(theirs).map(|token| weight(token, kind)).sum();
        matched += weight;
        alike += weight * u32::from(pair.alike);
        let content = |tokens: &[Token]| tokens.iter().any(|token| is_content(token, kind));
        let is_strong = |tokens: &[Token]| tokens.iter().any(|token| token.class == Class::Strong);
        evidence += u32::from(content(ours) && content(theirs));
        strong += u32::from(is_strong(ours) && is_strong(theirs));
        reordered |= pair.b.0 < last;
        last = pair.b.0;
    }
    if evidence == 0 {
        return 0;
    }
    let quality = alike / matched;
    let (mine, other) = (left(a, alignment.a_left, b, kind), left(b, alignment.b_left, a, kind));
    let missing = mine.content + other.content;
    let total = matched + missing;
    let against = (mine.content > 0 && other.content > 0)
        || (mine.initials > 0 && other.content + other.initials > 0)
        || (other.initials > 0 && mine.content > 0);
    if against {
        return (quality * matched / total).min(u32::from(CONTRADICTED_MAX)) as u16;
    }
    let mut score = quality - (MISSING_COST * missing / total).min(quality);
    let alone = evidence < 2 || strong == 0;
    if missing > 0 && (alone || kind == Kind::Company || kind == Kind::Vessel) {
        score = score.min(u32::from(CONTRADICTED_MAX));
    }
    let loose = (mine.loose + other.loose + mine.initials + other.initials).min(LOOSE_WORDS_MAX) as u16;
    let cost = loose * LOOSE_WORD_COST
        + u16::from(reordered) * REORDERED_COST
        + u16::from(families_differ(a, b)) * LEGAL_FAMILY_COST;
    (score as u16).saturating_sub(cost)
}

/// Whether both names state a legal form and no family is common to them.
fn families_differ(a: View<'_>, b: View<'_>) -> bool {
    const ANY: u32 = 1 << super::forms::Family::Any as u32;
    let families = |view: View<'_>| {
        view.tokens.iter().filter(|t| t.class == Class::Legal).fold(0u32, |set, t| set | 1 << t.family)
    };
    let (mine, theirs) = (families(a) & !ANY, families(b) & !ANY);
    mine != 0 && theirs != 0 && mine & theirs == 0
}
