//! How alike two names are, 0..=1000, in integers and the same both ways round. Two readings, the better counts:
//! the *whole* (letters without spaces, a few edits) and the *words* (aligned in any order, weighed by what they
//! prove). 1000 only for equal folded names, so that scores rank.

use super::CUTOFF_DEFAULT;
use super::align::{Alignment, INITIAL, SAME};
use super::bank::Kind;
use super::edits::within;
use super::fold::{Class, Folded, Token, View, written};

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
const TWO_EDITS_LETTERS_MIN: usize = 11;
/// What an edit in every letter of the whole would cost.
const WHOLE_EDIT_COST: usize = 900;
/// What it costs a person's name when all its weight is missing from the other.
const MISSING_COST: u32 = 400;
/// Letters of a person's name that stand for each edit, when there are several.
const LETTERS_PER_EDIT_PERSON: u32 = 6;
/// The same of a company's or vessel's.
const LETTERS_PER_EDIT: u32 = 7;
/// Letters of a lone word that may have a slip and something beside it ("Faberlick", "Faberlic LLC").
const LONE_LETTERS_MIN: u32 = 8;
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
    let ends =
        |view: View<'_>| view.tokens.iter().map(Token::end).collect::<smallvec::SmallVec<[usize; 32]>>();
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
    let digits = |view: View<'_>| {
        view.letters.iter().copied().filter(u8::is_ascii_digit).collect::<smallvec::SmallVec<[u8; 32]>>()
    };
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
    strong: u32,
    initials: u32,
    loose: u32,
    legal: u32,
}

fn left(name: View<'_>, bits: u32, other: View<'_>, kind: Kind) -> Left {
    let mut left = Left::default();
    for (at, token) in name.tokens.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1) {
        // A word written twice ("Aziz Aziz") is answered by its one copy.
        let repeated =
            is_content(token, kind) && (0..other.tokens.len()).any(|j| other.word(j) == name.word(at));
        match token.class {
            _ if repeated => left.loose += 1,
            Class::Initial => left.initials += 1,
            Class::Legal => left.legal += 1,
            _ if is_content(token, kind) => {
                left.content += weight(token, kind);
                left.strong += u32::from(token.class != Class::Common);
            }
            _ => left.loose += 1,
        }
    }
    left
}

/// What the words that answer each other prove, all told.
struct Proof {
    /// Pairs of words proper, and those of strong words.
    evidence: u32,
    strong: u32,
    /// Initials standing for words.
    initials: u32,
    /// Edits in all pairs, and their letters.
    edits: u32,
    letters: u32,
    /// Weight of the words missing from either name, and how many of them are not common.
    missing: u32,
    missing_strong: u32,
    /// Particles, titles, initials and legal forms that nothing answers.
    loose: u32,
    /// Those of them that are no legal forms; of a person no form is one ("Sá" is a surname).
    beside: u32,
}

impl Proof {
    /// Whether it can carry a match. Each rule guards one way in which different names look alike.
    fn suffices(&self, kind: Kind) -> bool {
        let person = matches!(kind, Kind::Person | Kind::Other);
        // Several slips need letters to stand on.
        let letters_per_edit = if person { LETTERS_PER_EDIT_PERSON } else { LETTERS_PER_EDIT };
        if self.edits > 1 && self.edits * letters_per_edit > self.letters {
            return false;
        }
        // A single word with a slip is not a longer name with anything beside it.
        if self.evidence < 2
            && self.edits > 0
            && self.loose + self.initials > 0
            && self.letters < LONE_LETTERS_MIN
        {
            return false;
        }
        // Nor is a person's single word, slip or none, a name with a particle, a title or itself again beside it; nor a
        // company's, when it is short.
        if self.evidence < 2 && self.beside > 0 && (person || self.letters < LONE_LETTERS_MIN) {
            return false;
        }
        // A slip among common words needs them to be the whole name.
        if self.edits > 0 && self.strong == 0 && self.loose > 0 {
            return false;
        }
        // An initial beside nothing but a common word is nobody's name.
        if self.initials > 0 && self.strong == 0 {
            return false;
        }
        if self.missing == 0 {
            return true;
        }
        // A company is named whole; a person may leave out names, if what is left tells who it is.
        let tells = self.evidence > 1
            && match self.missing_strong {
                0 => self.strong > 0,
                _ => self.strong > 1 || (self.strong > 0 && self.evidence > 2),
            };
        let slipped = self.edits > 1 || (self.edits == 1 && (self.missing_strong > 0 || self.strong < 2));
        person && tells && !slipped
    }
}

/// The words' reading: 0 unless a word proper answers one.
fn words(a: View<'_>, b: View<'_>, kind: Kind, alignment: &mut Alignment) -> u16 {
    alignment.align(a, b, matches!(kind, Kind::Person | Kind::Other));
    let (mut matched, mut alike, mut evidence, mut strong) = (0, 0, 0, 0);
    let (mut edits, mut letters, mut stands) = (0, 0, 0);
    let (mut reordered, mut last) = (false, 0);
    for pair in &alignment.pairs {
        let ours = &a.tokens[usize::from(pair.a.0)..usize::from(pair.a.0 + pair.a.1)];
        let theirs = &b.tokens[usize::from(pair.b.0)..usize::from(pair.b.0 + pair.b.1)];
        let weight: u32 = ours.iter().chain(theirs).map(|token| weight(token, kind)).sum();
        matched += weight;
        alike += weight * u32::from(pair.alike);
        let content = |tokens: &[Token]| tokens.iter().any(|token| is_content(token, kind));
        let is_strong = |tokens: &[Token]| tokens.iter().any(|token| token.class == Class::Strong);
        edits += u32::from(pair.edits);
        stands += u32::from(pair.alike == INITIAL);
        letters += u32::from(pair.letters);
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
    let proof = Proof {
        evidence,
        strong,
        initials: stands,
        edits,
        letters,
        missing,
        missing_strong: mine.strong + other.strong,
        loose: mine.loose + other.loose + mine.initials + other.initials + mine.legal + other.legal,
        beside: mine.loose
            + other.loose
            + mine.initials
            + other.initials
            + if kind == Kind::Person { mine.legal + other.legal } else { 0 },
    };
    if !proof.suffices(kind) {
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
