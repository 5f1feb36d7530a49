//! Which words of one name answer which words of another, in any order: equal, alike within a few edits, written
//! joined or split, as an initial, as a number. Greedy over all pairs, best first, each word used once.

use super::edits::{allowed, within};
use super::fold::{Class, Token, View};
use super::forms::joined_number;
use crate::limits::TOKEN_LETTERS_MAX;

/// Most adjacent words that one word may join.
pub const JOINED_MAX: usize = 3;
/// Fewest letters of a join that may differ from the joined word by an edit.
const JOINED_EDIT_LETTERS_MIN: usize = 5;

/// How alike: equal words.
pub const SAME: u16 = 1000;
/// Equal once joined.
const JOINED: u16 = 990;
/// The same number written otherwise.
const NUMBER: u16 = 985;
/// An initial of the word.
pub const INITIAL: u16 = 850;
/// What an edit in every letter would cost; one edit in `n` letters costs an `n`-th of it.
const EDIT_COST: usize = 600;

/// One group of words answering another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// How alike, 0..=1000.
    pub alike: u16,
    /// Edits between them.
    pub edits: u8,
    /// Letters of the longer side.
    pub letters: u8,
    /// First word and words of the one name.
    pub a: (u8, u8),
    /// First word and words of the other.
    pub b: (u8, u8),
}

/// What an alignment found; reused from pair to pair.
#[derive(Debug, Default)]
pub struct Alignment {
    tried: Vec<Pair>,
    /// The chosen pairs, by place in the one name.
    pub pairs: Vec<Pair>,
    /// Words of the one name that nothing answers, as bits.
    pub a_left: u32,
    /// Words of the other name that nothing answers, as bits.
    pub b_left: u32,
}

/// How alike two words are, before their places are known.
struct Alike {
    alike: u16,
    edits: u8,
    letters: u8,
}

impl Alike {
    fn equal(alike: u16, letters: u8) -> Option<Alike> {
        Some(Alike { alike, edits: 0, letters })
    }

    fn edited(best: u16, edits: usize, letters: usize) -> Option<Alike> {
        let alike = best - (EDIT_COST * edits / letters) as u16;
        Some(Alike { alike, edits: edits as u8, letters: letters as u8 })
    }

    fn at(self, a: (u8, u8), b: (u8, u8)) -> Pair {
        Pair { alike: self.alike, edits: self.edits, letters: self.letters, a, b }
    }
}

fn bits(at: u8, count: u8) -> u32 {
    (((1u64 << count) - 1) << at) as u32
}

fn all(count: usize) -> u32 {
    ((1u64 << count) - 1) as u32
}

impl Alignment {
    /// Aligns two names. `initials`: whether a single letter may stand for a word.
    pub fn align(&mut self, a: View<'_>, b: View<'_>, initials: bool) {
        self.tried.clear();
        for i in 0..a.tokens.len() {
            for j in 0..b.tokens.len() {
                if let Some(found) = words_alike(a, i, b, j, initials) {
                    self.tried.push(found.at((i as u8, 1), (j as u8, 1)));
                }
                for count in 2..=JOINED_MAX {
                    if let Some(found) = join_alike(a, i, count, b, j) {
                        self.tried.push(found.at((i as u8, count as u8), (j as u8, 1)));
                    }
                    if let Some(found) = join_alike(b, j, count, a, i) {
                        self.tried.push(found.at((i as u8, 1), (j as u8, count as u8)));
                    }
                }
            }
        }
        // Best first; of equals the longer, then what keeps the order of words.
        self.tried.sort_unstable_by_key(|pair| {
            let (i, j) = (pair.a.0, pair.b.0);
            (u16::MAX - pair.alike, u8::MAX - pair.letters, i.abs_diff(j), i, j, pair.a.1, pair.b.1)
        });
        self.pairs.clear();
        (self.a_left, self.b_left) = (all(a.tokens.len()), all(b.tokens.len()));
        for pair in &self.tried {
            let (in_a, in_b) = (bits(pair.a.0, pair.a.1), bits(pair.b.0, pair.b.1));
            if self.a_left & in_a == in_a && self.b_left & in_b == in_b {
                self.a_left &= !in_a;
                self.b_left &= !in_b;
                self.pairs.push(*pair);
            }
        }
        self.pairs.sort_unstable_by_key(|pair| pair.a.0);
    }
}

/// How alike two words are (and the longer one's letters), if they may be one word.
fn words_alike(a: View<'_>, i: usize, b: View<'_>, j: usize, initials: bool) -> Option<Alike> {
    let (s, t) = (&a.tokens[i], &b.tokens[j]);
    let (x, y) = (a.word(i), b.word(j));
    let letters = s.len.max(t.len);
    // A particle answers a particle and a legal form a legal form, however alike they are to a word.
    if is_word(s) != is_word(t) && s.class != Class::Initial && t.class != Class::Initial {
        return None;
    }
    if x == y {
        return Alike::equal(SAME, letters);
    }
    if s.value != 0 && s.value == t.value {
        return Alike::equal(NUMBER, letters);
    }
    if s.class == Class::Initial || t.class == Class::Initial {
        let one_is_a_word = is_word(s) || is_word(t);
        return if initials && one_is_a_word && x[0] == y[0] { Alike::equal(INITIAL, 1) } else { None };
    }
    if s.class == Class::Number || t.class == Class::Number {
        return None;
    }
    let edits = within(x, y, allowed(usize::from(letters)))?;
    // Two edits of which one is in the first letter make another word more often than a slip of the same.
    if edits > 1 && x[0] != y[0] {
        return None;
    }
    Alike::edited(SAME, edits, usize::from(letters))
}

/// How alike `count` adjacent words of one name, joined, and a word of the other are.
fn join_alike(joined: View<'_>, at: usize, count: usize, single: View<'_>, j: usize) -> Option<Alike> {
    let parts = joined.tokens.get(at..at + count)?;
    let word = &single.tokens[j];
    let letters = parts[count - 1].end() - usize::from(parts[0].start);
    if letters.abs_diff(usize::from(word.len)) > 1 {
        return number_alike(parts, word);
    }
    if letters > TOKEN_LETTERS_MAX || !joinable(parts) || !is_word(word) || word.class == Class::Number {
        return None;
    }
    let longer = letters.max(usize::from(word.len));
    let limit = usize::from(longer >= JOINED_EDIT_LETTERS_MIN);
    let edits = within(joined.joined(at, count), single.word(j), limit)?;
    Alike::edited(JOINED, edits, longer)
}

fn number_alike(parts: &[Token], word: &Token) -> Option<Alike> {
    let [tens, ones] = parts else { return None };
    let written = joined_number(tens, ones).map(|number| number + 1);
    if written == Some(word.value) { Alike::equal(NUMBER, word.len) } else { None }
}

/// A word proper, neither an initial nor a particle nor of a legal form.
pub fn is_word(token: &Token) -> bool {
    matches!(token.class, Class::Strong | Class::Common | Class::Number | Class::Title)
}

/// Adjacent words of which one is a word proper and none a number in digits.
pub fn joinable(parts: &[Token]) -> bool {
    parts.iter().any(is_word) && parts.iter().all(|part| part.class != Class::Number)
}
