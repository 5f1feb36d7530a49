//! What is built of a watchlist at load: every folded name, the kernel's bank of whole names, and the vocabulary of
//! words and adjacent joined words with the names that have them. Read-only, shared by all lanes.

use super::align::{JOINED_MAX, is_word, joinable};
use super::bank::{Bank, Kind, Quality};
use super::fold::{Folded, Token, View, written};
use super::forms::joined_number;
use super::rescore::words_of;
use crate::error::{Error, ErrorKind};
use crate::limits::TOKEN_LETTERS_MAX;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use interdict_shaders::NameBank;
use std::hash::BuildHasher;

/// A name that can be found: where its letters and tokens lie, and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    letters: (u32, u16),
    tokens: (u32, u8),
    /// The entry's number in the bank.
    pub entry: u32,
    /// The name's number in the entry.
    pub name: u16,
    /// The entry's kind.
    pub kind: Kind,
    /// The name's quality.
    pub quality: Quality,
}

/// That a name has a word, and at which of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    /// The surface's number.
    pub surface: u32,
    /// Its tokens, as bits.
    pub bits: u32,
}

/// The index of one watchlist.
pub struct Index {
    letters: Vec<u8>,
    tokens: Vec<Token>,
    surfaces: Vec<Surface>,
    /// Whole names of up to 64 letters; ids are surfaces.
    pub whole: NameBank,
    /// Surfaces of 62 letters and more, by length: those near or past the kernel's longest.
    long: Vec<(u16, u32)>,
    /// Words and joined words; ids are word numbers.
    pub vocabulary: NameBank,
    word_letters: Vec<u8>,
    /// Per word number: end of its letters, end of its postings.
    word_ends: Vec<(u32, u32)>,
    postings: Vec<Posting>,
    /// Names by the numbers they write, sorted.
    numbers: Vec<(u32, Posting)>,
    /// Names by the hash of their sorted words, sorted.
    bags: Vec<(u64, u32)>,
}

/// A letter's symbol for the kernels: a to z are 1 to 26, digits fall into five classes. Folding digits together can
/// only raise an LCS, so it loses nobody.
pub fn symbol(letter: u8) -> u8 {
    match letter {
        b'a'..=b'z' => letter - b'a' + 1,
        digit => 27 + digit % 5,
    }
}

/// The hash under which a name is found whatever the order of its words.
pub fn bag_hash(view: View<'_>) -> u64 {
    let mut words = words_of(view);
    words.sort_unstable();
    FixedState::with_seed(0).hash_one(words)
}

fn symbols(letters: &[u8]) -> Vec<u8> {
    letters.iter().map(|&letter| symbol(letter)).collect()
}

fn too_large(what: &str) -> Error {
    Error::new(ErrorKind::TooLarge, format!("watchlist has too many {what} for one index"))
}

impl Index {
    /// Builds the index of a bank.
    ///
    /// # Errors
    /// `TooLarge` when the bank has more names or words than the kernels address (2^24), or 4 GiB of letters.
    pub fn build(bank: &Bank) -> Result<Index, Error> {
        let mut index = Index {
            letters: Vec::new(),
            tokens: Vec::new(),
            surfaces: Vec::new(),
            whole: NameBank::build(&[]).expect("an empty bank is within bounds"),
            long: Vec::new(),
            vocabulary: NameBank::build(&[]).expect("an empty bank is within bounds"),
            word_letters: Vec::new(),
            word_ends: Vec::new(),
            postings: Vec::new(),
            numbers: Vec::new(),
            bags: Vec::new(),
        };
        index.add_surfaces(bank)?;
        index.add_whole()?;
        index.add_words()?;
        Ok(index)
    }

    fn add_surfaces(&mut self, bank: &Bank) -> Result<(), Error> {
        let mut folded = Folded::default();
        for (entry, listed) in (0u32..).zip(bank.entries()) {
            for (name, alias) in (0u16..).zip(&listed.names) {
                for text in written(&alias.name) {
                    folded.set(text);
                    let view = folded.view();
                    if view.tokens.is_empty() {
                        continue;
                    }
                    let start = |at: usize| u32::try_from(at).map_err(|_| too_large("letters"));
                    self.surfaces.push(Surface {
                        letters: (start(self.letters.len())?, view.letters.len() as u16),
                        tokens: (start(self.tokens.len())?, view.tokens.len() as u8),
                        entry,
                        name,
                        kind: listed.kind,
                        quality: alias.quality,
                    });
                    self.letters.extend_from_slice(view.letters);
                    self.tokens.extend_from_slice(view.tokens);
                }
            }
        }
        Ok(())
    }

    fn add_whole(&mut self) -> Result<(), Error> {
        let (mut short, mut long, mut bags) = (Vec::new(), Vec::new(), Vec::new());
        for surface in 0..self.surfaces.len() as u32 {
            let view = self.view(surface);
            let letters = view.letters.len();
            bags.push((bag_hash(view), surface));
            if letters <= TOKEN_LETTERS_MAX {
                short.push((surface, symbols(view.letters)));
            }
            if letters + 2 >= TOKEN_LETTERS_MAX {
                long.push((letters as u16, surface));
            }
        }
        long.sort_unstable();
        bags.sort_unstable();
        let names: Vec<_> = short.iter().map(|(id, symbols)| (*id, symbols.as_slice())).collect();
        self.whole = NameBank::build(&names).map_err(|_| too_large("names"))?;
        (self.long, self.bags) = (long, bags);
        Ok(())
    }

    fn add_words(&mut self) -> Result<(), Error> {
        let mut words: HashMap<&[u8], Vec<Posting>, FixedState> = HashMap::default();
        let mut numbers = Vec::new();
        for surface in 0..self.surfaces.len() as u32 {
            let view = self.view(surface);
            for at in 0..view.tokens.len() {
                let token = &view.tokens[at];
                if token.value != 0 {
                    numbers.push((token.value, Posting { surface, bits: 1 << at }));
                }
                if let Some(next) = view.tokens.get(at + 1)
                    && let Some(value) = joined_number(token, next)
                {
                    numbers.push((value + 1, Posting { surface, bits: 3 << at }));
                }
                for count in 1..=JOINED_MAX.min(view.tokens.len() - at) {
                    let parts = &view.tokens[at..at + count];
                    let letters = view.joined(at, count);
                    let seeds = if count == 1 { is_word(token) } else { joinable(parts) };
                    if seeds && letters.len() <= TOKEN_LETTERS_MAX {
                        let bits = (((1u64 << count) - 1) << at) as u32;
                        words.entry(letters).or_default().push(Posting { surface, bits });
                    }
                }
            }
        }
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_unstable();
        let bank: Vec<(u32, Vec<u8>)> = (0u32..).zip(words.iter().map(|(word, _)| symbols(word))).collect();
        let bank: Vec<_> = bank.iter().map(|(id, symbols)| (*id, symbols.as_slice())).collect();
        let vocabulary = NameBank::build(&bank).map_err(|_| too_large("words"))?;
        let (mut word_letters, mut word_ends, mut postings) = (Vec::new(), Vec::new(), Vec::new());
        for (word, found) in &words {
            word_letters.extend_from_slice(word);
            postings.extend_from_slice(found);
            let letters = u32::try_from(word_letters.len()).map_err(|_| too_large("letters"))?;
            word_ends.push((letters, u32::try_from(postings.len()).map_err(|_| too_large("words"))?));
        }
        numbers.sort_unstable();
        (self.vocabulary, self.numbers) = (vocabulary, numbers);
        (self.word_letters, self.word_ends, self.postings) = (word_letters, word_ends, postings);
        Ok(())
    }

    /// The names that can be found: one for each name of each entry, and one more for each part of a name with
    /// slashes.
    pub fn surfaces(&self) -> &[Surface] {
        &self.surfaces
    }

    /// The folded name of a surface.
    pub fn view(&self, surface: u32) -> View<'_> {
        let Surface { letters, tokens, .. } = self.surfaces[surface as usize];
        View {
            letters: &self.letters[letters.0 as usize..][..usize::from(letters.1)],
            tokens: &self.tokens[tokens.0 as usize..][..usize::from(tokens.1)],
        }
    }

    /// Surfaces of 62 letters and more whose letters number `least` to `most`.
    pub fn long(&self, least: usize, most: usize) -> impl Iterator<Item = u32> + '_ {
        let from = self.long.partition_point(|(letters, _)| usize::from(*letters) < least);
        self.long[from..]
            .iter()
            .take_while(move |(letters, _)| usize::from(*letters) <= most)
            .map(|(_, id)| *id)
    }

    /// A word's letters, and the names that have it.
    pub fn word(&self, word: u32) -> (&[u8], &[Posting]) {
        let before = (word as usize).checked_sub(1).map_or((0, 0), |at| self.word_ends[at]);
        let ends = self.word_ends[word as usize];
        (
            &self.word_letters[before.0 as usize..ends.0 as usize],
            &self.postings[before.1 as usize..ends.1 as usize],
        )
    }

    /// The names that write a number; `value` is the token's (the number plus one).
    pub fn number(&self, value: u32) -> impl Iterator<Item = Posting> + '_ {
        let from = self.numbers.partition_point(|(number, _)| *number < value);
        self.numbers[from..].iter().take_while(move |(number, _)| *number == value).map(|(_, found)| *found)
    }

    /// The names whose sorted words hash so.
    pub fn bag(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let from = self.bags.partition_point(|(bag, _)| *bag < hash);
        self.bags[from..].iter().take_while(move |(bag, _)| *bag == hash).map(|(_, surface)| *surface)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("surfaces", &self.surfaces.len())
            .field("words", &self.word_ends.len())
            .finish_non_exhaustive()
    }
}
