//! Text → a folded name: NFKC, any script to ASCII letters, lower case, and tokens with a class each. Everything
//! after this file works on `a-z0-9` only. Joined, the tokens are the name without its spaces, so that the words
//! `n..n+2` joined are simply a longer slice.

use super::forms;
use crate::limits::{NAME_LETTERS_MAX, NAME_TOKENS_MAX, TEXT_BYTES_MAX, TOKEN_LETTERS_MAX};
use unicode_normalization::UnicodeNormalization;

/// Most names that one text with slashes writes beside its whole.
const PARTS_MAX: usize = 4;
/// Fewest letters of such a name.
const PART_LETTERS_MIN: usize = 5;

/// What part a token plays in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// A word that tells names apart.
    Strong,
    /// A very common name part or company word: evidence, but never the only evidence beside missing words.
    Common,
    /// Digits only: agrees or does not.
    Number,
    /// One letter.
    Initial,
    /// Sheikh, Dr, General: says nothing in a person's name, is a word of a company's.
    Title,
    /// Particles and stop words: al, bin, de, van, the, of.
    Noise,
    /// A word of a legal form: GmbH, "joint stock company".
    Legal,
}

/// One token: where it lies in the letters, its class, and its number or legal family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Offset of its first letter.
    pub start: u16,
    /// Letters, 1..=TOKEN_LETTERS_MAX.
    pub len: u8,
    /// Its class.
    pub class: Class,
    /// Legal forms: the family ([`forms::Family`] as number); else 0.
    pub family: u8,
    /// The number it writes (44, forty, VII), plus one; 0 when it writes none.
    pub value: u32,
}

impl Token {
    /// Offset past its last letter.
    pub fn end(&self) -> usize {
        usize::from(self.start) + usize::from(self.len)
    }
}

/// A folded name, borrowed: letters of all tokens without spaces, and the tokens in order.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// `a-z0-9`, no spaces.
    pub letters: &'a [u8],
    /// The first [`NAME_TOKENS_MAX`] tokens.
    pub tokens: &'a [Token],
}

impl<'a> View<'a> {
    /// The letters of `count` adjacent tokens from token `at`, joined.
    pub fn joined(&self, at: usize, count: usize) -> &'a [u8] {
        &self.letters[usize::from(self.tokens[at].start)..self.tokens[at + count - 1].end()]
    }
    /// The letters of token `at`.
    pub fn word(&self, at: usize) -> &'a [u8] {
        self.joined(at, 1)
    }
}

/// A folded name that owns its letters; reused from name to name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Folded {
    letters: Vec<u8>,
    tokens: Vec<Token>,
}

/// Says how long a name is, never the name.
impl std::fmt::Debug for Folded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Folded({} letters, {} tokens)", self.letters.len(), self.tokens.len())
    }
}

impl Folded {
    /// Folds one name.
    pub fn new(text: &str) -> Self {
        let mut folded = Folded::default();
        folded.set(text);
        folded
    }

    /// The folded name, borrowed.
    pub fn view(&self) -> View<'_> {
        View { letters: &self.letters, tokens: &self.tokens }
    }

    /// Folds another name into the same memory. Text past `TEXT_BYTES_MAX` and letters past `NAME_LETTERS_MAX` are
    /// left out; of tokens past `NAME_TOKENS_MAX` only the letters stay; a token past `TOKEN_LETTERS_MAX` is cut in
    /// two.
    pub fn set(&mut self, text: &str) {
        self.letters.clear();
        self.tokens.clear();
        let mut cutter = Cutter { folded: self, start: 0, single_dotted: false };
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut taken = text[..end].nfkc();
        while let Some(ch) = taken.next() {
            if ch == '.' {
                let mut next = taken.clone();
                let letter = next.next().is_some_and(char::is_alphabetic);
                cutter.dot(letter && !next.next().is_some_and(char::is_alphabetic));
            } else if is_joiner(ch) {
                continue;
            } else if ch.is_ascii() {
                cutter.push(ch as u8);
            } else {
                any_ascii::any_ascii_char(ch)
                    .bytes()
                    .filter(|byte| !is_joiner(char::from(*byte)))
                    .for_each(|b| cutter.push(b));
            }
        }
        cutter.cut();
        self.classify();
    }

    fn classify(&mut self) {
        forms::classify(&self.letters, &mut self.tokens);
        // A name of nothing but particles and legal forms is then made of words.
        if self.tokens.iter().all(|t| matches!(t.class, Class::Noise | Class::Legal | Class::Title)) {
            self.tokens.iter_mut().for_each(|t| t.class = Class::Common);
        }
    }
}

/// Apostrophes, primes and quotes inside words: they join what they stand between ("Qa'ida" is one word).
fn is_joiner(ch: char) -> bool {
    matches!(
        ch,
        '\'' | '`' | '\u{b4}' | '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2bb}'..='\u{2bf}' | '\u{5f3}' | '\u{200b}'..='\u{200f}'
    )
}

struct Cutter<'a> {
    folded: &'a mut Folded,
    start: usize,
    /// The token so far is letters that each had a dot after them ("g.m.b").
    single_dotted: bool,
}

impl Cutter<'_> {
    fn push(&mut self, byte: u8) {
        let length = self.folded.letters.len();
        match byte.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => {
                if length >= NAME_LETTERS_MAX {
                    return;
                }
                if length - self.start >= TOKEN_LETTERS_MAX {
                    self.cut();
                }
                self.folded.letters.push(letter);
            }
            _ => self.cut(),
        }
    }

    /// A dot after a single letter joins it to another single letter ("G.m.b.H." is "gmbh", "J.Smith" is two words).
    fn dot(&mut self, single_letter_follows: bool) {
        let length = self.folded.letters.len() - self.start;
        let joins = single_letter_follows && (length == 1 || self.single_dotted);
        if joins {
            self.single_dotted = true;
        } else {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let end = self.folded.letters.len();
        if end > self.start && self.folded.tokens.len() < NAME_TOKENS_MAX {
            self.folded.tokens.push(Token {
                start: self.start as u16,
                len: (end - self.start) as u8,
                class: Class::Strong,
                family: 0,
                value: 0,
            });
        }
        self.start = end;
        self.single_dotted = false;
    }
}

/// The names one text writes: itself, and, where slashes or semicolons part it into names of five letters and more
/// ("Al-Qa'ida/Islamic Army", but not "Novo A/S"), its parts, at most four.
pub fn written(text: &str) -> impl Iterator<Item = &str> {
    const SIGNS: [char; 2] = ['/', ';'];
    let is_name = |part: &str| part.chars().filter(|ch| ch.is_alphabetic()).count() >= PART_LETTERS_MIN;
    let parted = text.contains(SIGNS) && text.split(SIGNS).all(is_name);
    std::iter::once(text).chain(text.split(SIGNS).take(if parted { PARTS_MAX } else { 0 }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let folded = Folded::new(text);
        let view = folded.view();
        let words: Vec<_> =
            (0..view.tokens.len()).map(|i| std::str::from_utf8(view.word(i)).unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn folds_as_written_down() {
        for (text, expected) in [
            ("Recep Tayyip Erdoğan", "recep tayyip erdogan"),
            ("Al-Qa’ida", "al qaida"),
            ("Volkswagen Bank G.m.b.H.", "volkswagen bank gmbh"),
            ("J.-C. Juncker", "j c juncker"),
            ("A. Khamenei", "a khamenei"),
            ("L.L.C. \"Rosneft\"", "llc rosneft"),
            ("Amazon.com, Inc.", "amazon com inc"),
            ("St.Petersburg", "st petersburg"),
            ("J.Smith", "j smith"),
            ("Владимир Путин", "vladimir putin"),
            ("Ｆｕｌｌ Ｗｉｄｔｈ", "full width"),
            ("Straße 44", "strasse 44"),
            ("", ""),
            (" .'-, ", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn the_same_text_in_both_normal_forms_folds_alike() {
        for text in ["Erdoğan Şener", "김정은", "José Ñáñez"] {
            let decomposed: String = text.nfd().collect();
            assert_eq!(Folded::new(text), Folded::new(&decomposed));
        }
    }

    #[test]
    fn nothing_blows_up() {
        let long = "x".repeat(10_000);
        let many = "ab ".repeat(10_000);
        for text in [long.as_str(), &many, &"㎧㌔".repeat(5_000), &"ﷺ".repeat(5_000), "\0\u{ffff}\u{10ffff}"]
        {
            let folded = Folded::new(text);
            assert!(folded.letters.len() <= NAME_LETTERS_MAX && folded.tokens.len() <= NAME_TOKENS_MAX);
            assert!(folded.tokens.iter().all(|t| usize::from(t.len) <= TOKEN_LETTERS_MAX && t.len > 0));
        }
    }

    #[test]
    fn a_slash_parts_names() {
        let names: Vec<_> = written("Al-Qa'ida/Islamic Army").collect();
        assert_eq!(names, ["Al-Qa'ida/Islamic Army", "Al-Qa'ida", "Islamic Army"]);
        assert_eq!(written("Novo A/S").count(), 1);
        assert_eq!(written("Plain Name").count(), 1);
    }
}
