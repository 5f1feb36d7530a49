//! The folded view of a text: one reading as it stands, and, where the text spaces its letters out (`g i f t`) or writes
//! digits for letters (`g1ft`), one or two readings that undo that. A pattern hits when it matches any of them, so
//! undoing never hides what stands there plainly.

use super::fold::{ASCII, fold_char};
use std::ops::Range;

/// A folded text. `map` holds, for each byte, where in the original its character begins; empty when not asked for.
#[derive(Clone, Default)]
struct Reading {
    bytes: Vec<u8>,
    map: Vec<u32>,
}

impl Reading {
    fn clear(&mut self) {
        self.bytes.clear();
        self.map.clear();
    }
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("folding keeps characters whole and replaces ASCII by ASCII")
    }
    /// Appends bytes `range` of `from`.
    fn take<const MAP: bool>(&mut self, from: &Reading, range: Range<usize>) {
        self.bytes.extend_from_slice(&from.bytes[range.clone()]);
        if MAP {
            self.map.extend_from_slice(&from.map[range]);
        }
    }
    fn copy<const MAP: bool>(&mut self, from: &Reading) {
        self.clear();
        self.take::<MAP>(from, 0..from.bytes.len());
    }
}

/// Makes folded views; its buffers are used again and grow to the longest text met.
#[derive(Clone, Default)]
pub struct Folder {
    wide: Reading,
    readings: [Reading; 3],
    count: usize,
    one: String,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Folder of {} readings", self.count)
    }
}

/// The readings of a text, for messages and tests: the plain one first.
pub fn fold(text: &str) -> Vec<String> {
    let mut folder = Folder::default();
    folder.fold(text);
    folder.readings().map(String::from).collect()
}

impl Folder {
    /// Folds a text; what was folded before is gone.
    pub fn fold(&mut self, text: &str) {
        self.run::<false>(text);
    }
    /// Folds a text and keeps where each byte came from.
    pub(super) fn fold_mapped(&mut self, text: &str) {
        self.run::<true>(text);
    }
    /// The readings of the text folded last: one to three, the plain one first, no two equal.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        self.readings[..self.count].iter().map(Reading::text)
    }
    /// The bytes of the original that bytes of a reading came from; `original` is the text given to `fold_mapped`.
    pub(super) fn original(&self, reading: usize, range: Range<usize>, original: &str) -> Range<usize> {
        let map = &self.readings[reading].map;
        if range.is_empty() {
            let at = map.get(range.start).map_or(original.len(), |at| *at as usize);
            return at..at;
        }
        let (first, last) = (map[range.start] as usize, map[range.end - 1] as usize);
        let width = original[last..].chars().next().map_or(0, char::len_utf8);
        first..last + width
    }

    fn run<const MAP: bool>(&mut self, text: &str) {
        let Folder { wide, readings: [plain, read, other], one, .. } = self;
        widen::<MAP>(text, wide, one);
        plain.clear();
        collapse::<MAP>(wide, plain, 0..wide.bytes.len());
        self.count = 1;
        let joined = may_be_spaced(&wide.bytes) && join_letters::<MAP>(wide, read);
        if !joined && !may_hold_leet(&plain.bytes) {
            return;
        }
        if !joined {
            read.copy::<MAP>(plain);
        }
        other.copy::<MAP>(read);
        let leet = read_leet(&mut read.bytes, b'i');
        if joined || leet {
            self.count = 2;
        }
        if leet && other.bytes.iter().any(|byte| matches!(byte, b'1' | b'!' | b'|')) {
            read_leet(&mut other.bytes, b'l');
            self.count += usize::from(other.bytes != read.bytes);
        }
    }
}

/// Folds every character; white space stays as wide as it was.
fn widen<const MAP: bool>(text: &str, wide: &mut Reading, one: &mut String) {
    wide.clear();
    if !MAP && text.is_ascii() {
        wide.bytes.extend(text.bytes().map(|byte| ASCII[usize::from(byte & 127)]));
        if wide.bytes.contains(&0) {
            wide.bytes.retain(|byte| *byte != 0);
        }
        return;
    }
    for (at, c) in text.char_indices() {
        let before = wide.bytes.len();
        if c.is_ascii() {
            let byte = ASCII[c as usize];
            if byte != 0 {
                wide.bytes.push(byte);
            }
        } else {
            one.clear();
            fold_char(c, one);
            wide.bytes.extend_from_slice(one.as_bytes());
        }
        if MAP {
            wide.map.resize(wide.map.len() + wide.bytes.len() - before, at as u32);
        }
    }
}

/// Appends bytes of `from` with each run of spaces as one.
fn collapse<const MAP: bool>(from: &Reading, to: &mut Reading, range: Range<usize>) {
    let bytes = &from.bytes[range.clone()];
    let spaces = |a: &u8, b: &u8| *a == b' ' && *b == b' ';
    let doubled = bytes.iter().zip(bytes.iter().skip(1)).fold(false, |any, (a, b)| any | spaces(a, b));
    if !doubled && to.bytes.last() != Some(&b' ') {
        to.take::<MAP>(from, range);
        return;
    }
    for at in range {
        if from.bytes[at] == b' ' && to.bytes.last() == Some(&b' ') {
            continue;
        }
        to.bytes.push(from.bytes[at]);
        if MAP {
            to.map.push(from.map[at]);
        }
    }
}

/// Fewest letters that, spaced out, are taken for a word.
const SPACED_MIN: usize = 3;

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b',' | b'-' | b'_' | b'*' | b'/' | b'+' | b'~' | b':' | b'\'')
}

/// What each byte may be in a spaced-out word: 1 (part of) a letter, 2 a separator, 4 stands for a letter.
const KIND: [u8; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let byte = n as u8;
        table[n] = (byte.is_ascii_alphanumeric()
            || !byte.is_ascii()
            || matches!(byte, b'@' | b'$' | b'!' | b'|')) as u8
            | (is_separator(byte) as u8) << 1
            | (leet(byte, b'i').is_some() as u8) << 2;
        n += 1;
    }
    table
};

/// Whether the middle of three spaced-out letters may be there: a separator, one letter, a separator. Cheap, and never
/// wrong about there being none.
fn may_be_spaced(bytes: &[u8]) -> bool {
    let kind = |at: usize| KIND[usize::from(bytes[at])];
    let single = |at: usize| kind(at) & 2 != 0 && kind(at + 1) & 1 != 0 && kind(at + 2) & 2 != 0;
    // One beyond ASCII has up to four bytes.
    !bytes.is_ascii() || (0..bytes.len().saturating_sub(2)).fold(false, |any, at| any | single(at))
}

/// The bytes of the letter, digit or letter's stand-in that begins at `at`; 0 for none.
fn letter_at(bytes: &[u8], at: usize) -> usize {
    let Some(first) = bytes.get(at) else { return 0 };
    if first.is_ascii() {
        return usize::from(first.is_ascii_alphanumeric() || matches!(first, b'@' | b'$' | b'!' | b'|'));
    }
    // Folding left valid UTF-8; the width of a character stands in its first byte.
    let width = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0.. => 4,
        _ => return 0,
    };
    let c = std::str::from_utf8(&bytes[at..at + width]).ok().and_then(|text| text.chars().next());
    if c.is_some_and(char::is_alphanumeric) { width } else { 0 }
}

/// Where a run of single letters that begins at `at` ends, and how many they are. One separator throughout.
fn spaced_run(bytes: &[u8], at: usize) -> (usize, usize) {
    let (mut end, mut letters, mut separator) = (at, 0, None);
    let mut next = at;
    loop {
        let width = letter_at(bytes, next);
        // A sign after a letter may be punctuation (`c a r d!`); a letter or digit makes it a word of two.
        let after =
            bytes.get(next + width).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        if width == 0 || (after && letter_at(bytes, next + width) != 0) {
            return (end, letters);
        }
        (end, letters) = (next + width, letters + 1);
        match bytes.get(end) {
            Some(byte) if is_separator(*byte) && separator.is_none_or(|known| known == *byte) => {
                separator = Some(*byte);
                next = end + 1;
            }
            _ => return (end, letters),
        }
    }
}

/// The text with spaced-out words joined and white space collapsed. `false`: there are none, and `to` holds nothing.
fn join_letters<const MAP: bool>(from: &Reading, to: &mut Reading) -> bool {
    to.clear();
    let bytes = &from.bytes;
    let (mut at, mut done) = (0, 0);
    while at < bytes.len() {
        let width = letter_at(bytes, at);
        if width == 0 {
            at += 1;
            continue;
        }
        let (end, letters) = spaced_run(bytes, at);
        if letters >= SPACED_MIN {
            collapse::<MAP>(from, to, done..at);
            let mut letter = at;
            while letter < end {
                let width = letter_at(bytes, letter);
                to.take::<MAP>(from, letter..letter + width);
                letter += width + 1;
            }
            (at, done) = (end, end);
            continue;
        }
        // Past the word: what follows it may begin a run.
        while letter_at(bytes, at) != 0 {
            at += letter_at(bytes, at);
        }
    }
    if done == 0 {
        return false;
    }
    collapse::<MAP>(from, to, done..bytes.len());
    true
}

/// The letter that a digit or sign stands for; `one`: what 1, ! and | are.
const fn leet(byte: u8, one: u8) -> Option<u8> {
    Some(match byte {
        b'0' => b'o',
        b'1' | b'!' | b'|' => one,
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        b'8' => b'b',
        b'9' => b'g',
        _ => return None,
    })
}

fn may_hold_leet(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | KIND[usize::from(*byte)]) & 4 != 0
}

/// Reads the digits and signs of words that hold a letter as letters; whether there were any. A sign that ends a word
/// is punctuation.
fn read_leet(bytes: &mut [u8], one: u8) -> bool {
    let in_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'$' | b'!' | b'|');
    let (mut at, mut changed) = (0, false);
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| !in_word(*byte)).map_or(bytes.len(), |n| at + n);
        let word = &mut bytes[at..end];
        if word.iter().any(u8::is_ascii_alphabetic) {
            let last = word.len() - 1;
            for (n, byte) in word.iter_mut().enumerate() {
                if let Some(letter) = leet(*byte, one).filter(|_| n < last || byte.is_ascii_digit()) {
                    (*byte, changed) = (letter, true);
                }
            }
        }
        at = end + 1;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(text: &str, reading: &str) -> bool {
        fold(text).iter().any(|known| known == reading)
    }

    #[test]
    fn readings_undo_spacing_and_leetspeak_and_keep_the_plain_one() {
        assert_eq!(fold("Gift   Card"), ["gift card"]);
        assert_eq!(fold("g i f t  c a r d now"), ["g i f t c a r d now", "gift card now"]);
        assert!(has("G.I.F.T c-a-r-d", "gift card"));
        assert_eq!(fold("g1ft"), ["g1ft", "gift", "glft"]);
        assert!(has("pay 5teamC4rd", "pay steamcard") && has("1ogin", "login") && has("ca$h", "cash"));
        assert!(has("g 1 f t", "gift"));
        assert!(has("к а р т а", "кapтa"), "{:?}", fold("к а р т а"));
        assert_eq!(fold("wow! 24 100,00 a b"), ["wow! 24 100,00 a b"]);
        assert_eq!(fold("24h"), ["24h", "2ah"]);
        assert_eq!(fold(""), [""]);
    }

    #[test]
    fn a_folder_forgets_the_text_before() {
        let mut folder = Folder::default();
        for text in ["g 1 f t", "x", "l0ng  one", ""] {
            folder.fold(text);
            assert!(folder.readings().eq(fold(text).iter()));
        }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let text = "Pay Ｇ １ ｆ t now";
        let mut folder = Folder::default();
        folder.fold_mapped(text);
        let (number, reading) =
            folder.readings().enumerate().find(|(_, r)| r.contains("gift")).expect("joined");
        let at = reading.find("gift").expect("is there");
        assert_eq!(&text[folder.original(number, at..at + 4, text)], "Ｇ １ ｆ t");
    }

    proptest! {
        #[test]
        fn any_text_folds_to_texts_that_fold_to_themselves(text in "(\\PC|[g1i! .\u{200b}é\t]){0,40}") {
            let mut folder = Folder::default();
            folder.fold_mapped(&text);
            let readings: Vec<String> = folder.readings().map(String::from).collect();
            prop_assert_eq!(&readings, &fold(&text), "the map changes nothing");
            prop_assert_eq!(&fold(&readings[0])[0], &readings[0]);
            for (number, reading) in readings.iter().enumerate() {
                prop_assert!(readings[..number].iter().all(|other| other != reading));
                for (at, c) in reading.char_indices() {
                    let range = folder.original(number, at..at + c.len_utf8(), &text);
                    prop_assert!(text.get(range.clone()).is_some_and(|part| part.chars().count() == 1));
                }
            }
        }

        #[test]
        fn shortcuts_change_nothing(text in "[a-c1!. \t-]{0,24}") {
            let mut wide = Reading::default();
            widen::<false>(&text, &mut wide, &mut String::new());
            let mut joined = Reading::default();
            prop_assert!(!join_letters::<false>(&wide, &mut joined) || may_be_spaced(&wide.bytes));
            let mut plain = wide.bytes.clone();
            plain.dedup_by(|a, b| (*a, *b) == (b' ', b' '));
            let readings = fold(&text);
            prop_assert_eq!(readings[0].as_bytes(), &plain[..]);
        }

        #[test]
        fn spacing_out_any_word_is_undone(word in "[a-z]{3,12}", separator in "[ .\\-_*]") {
            let spaced: Vec<String> = word.chars().map(String::from).collect();
            prop_assert!(has(&spaced.join(&separator), &word));
        }
    }
}
