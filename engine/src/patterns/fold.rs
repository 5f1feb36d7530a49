//! One character of the folded view: no case, no accents, compatibility forms and Latin look-alikes as the letters they
//! pass for. Context-free, so that a pattern's characters fold exactly as a text's do.

use smallvec::SmallVec;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

type Chars = SmallVec<[char; 24]>;

/// Rounds after which a character must have come to rest; a test walks all of them.
const ROUNDS_MAX: usize = 6;

/// Appends the fold of a character: nothing for what is invisible, a space for any white space.
pub(super) fn fold_char(c: char, out: &mut String) {
    if c.is_ascii() {
        match ASCII[c as usize] {
            0 => {}
            byte => out.push(char::from(byte)),
        }
        return;
    }
    TABLE.fold(c, out);
}

/// Folds a pattern's literal: its characters, with runs of white space as one space, as in texts.
pub(super) fn fold_literal(text: &str, out: &mut String) {
    for c in text.chars() {
        let before = out.len();
        fold_char(c, out);
        if out[before..] == *" " && out[..before].ends_with(' ') {
            out.pop();
        }
    }
}

/// Makes the table now rather than at the first scan.
pub(super) fn warm() {
    LazyLock::force(&TABLE);
}

/// ASCII's folds; 0 for control characters, which nobody sees.
pub(super) const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = match b {
            b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => b' ',
            0..=0x1f | 0x7f => 0,
            _ => b.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};

/// The folds of the characters that texts are made of, worked out once: 1 to 2 µs each, 30 ns from here.
struct Table {
    /// Where in `arena` a fold lies (offset × 256 + bytes); `SAME` for a character that is its own fold.
    at: Vec<u32>,
    arena: String,
}

const SAME: u32 = u32::MAX;
/// Blocks in the table: the basic plane, mathematical letters, letters in circles and squares.
const BLOCKS: [std::ops::Range<u32>; 3] = [0x80..0x1_0000, 0x1_d400..0x1_d800, 0x1_f100..0x1_f200];

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Table {
        let (mut at, mut arena) = (Vec::new(), String::new());
        for point in BLOCKS.into_iter().flatten() {
            let entry = match char::from_u32(point) {
                // Half of the plane, and each syllable is its own fold.
                Some('\u{ac00}'..='\u{d7a3}') | None => SAME,
                Some(c) => match compute(c)[..] {
                    [only] if only == c => SAME,
                    ref fold => {
                        let from = arena.len();
                        arena.extend(fold);
                        (from as u32) << 8 | (arena.len() - from) as u32
                    }
                },
            };
            at.push(entry);
        }
        Table { at, arena }
    }

    fn fold(&self, c: char, out: &mut String) {
        let mut first = 0;
        for block in BLOCKS {
            if block.contains(&(c as u32)) {
                match self.at[(first + (c as u32 - block.start)) as usize] {
                    SAME => out.push(c),
                    entry => out.push_str(&self.arena[(entry >> 8) as usize..][..(entry & 255) as usize]),
                }
                return;
            }
            first += block.len() as u32;
        }
        out.extend(compute(c));
    }
}

/// The fold of a character, from the Unicode tables.
fn compute(c: char) -> Chars {
    let mut chars: Chars = step(c);
    for _ in 0..ROUNDS_MAX {
        let next: Chars = chars.iter().flat_map(|c| step(*c)).collect();
        if next == chars {
            break;
        }
        chars = next;
    }
    chars
}

/// Accents and other marks that sit on Latin, Greek and Cyrillic letters. Marks of other scripts are letters' parts.
fn is_accent(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

fn step(c: char) -> Chars {
    if c.is_ascii() {
        return (ASCII[c as usize] != 0).then_some(char::from(ASCII[c as usize])).into_iter().collect();
    }
    if c.is_whitespace() {
        return Chars::from_slice(&[' ']);
    }
    // The one letter whose capital form is written as two; names come in capitals.
    if matches!(c, 'ß' | 'ẞ') {
        return Chars::from_slice(&['s', 's']);
    }
    let bare = std::iter::once(c).nfkd().filter(|c| !is_accent(*c)).nfc();
    let of = |c: char| match digit(c) {
        Some(digit) => Chars::from_slice(&[digit]),
        None if c.is_ascii() || c.is_whitespace() => Chars::from_slice(&[c]),
        None => look_alike(c),
    };
    bare.flat_map(of).collect()
}

/// The digit that a decimal digit of another script is. Many look like a letter (Arabic five like o), but a pattern's
/// `\d` must not come to mean letters; where 0 is read as o, so is theirs.
fn digit(c: char) -> Option<char> {
    let ascii = if !c.is_ascii() && c.is_numeric() { any_ascii::any_ascii_char(c) } else { "" };
    let mut chars = ascii.chars();
    chars.next().filter(|first| first.is_ascii_digit() && chars.next().is_none())
}

/// What a character is taken for: the Latin letters of its prototype (Unicode TS 39), else its lower case.
fn look_alike(c: char) -> Chars {
    let mut lower = c.to_lowercase();
    let lower = match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => c,
    };
    match (prototype(c), prototype(lower)) {
        (Some(seen), _) if seen.is_empty() => seen,
        // Capital I-likes have the prototype l, but their small letters look like i.
        (Some(seen), Some(small)) if seen[..] == ['l'] && small[..] == ['i'] => small,
        (Some(seen), _) | (None, Some(seen)) => seen,
        (None, None) => Chars::from_slice(&[lower]),
    }
}

/// A character's prototype where that is invisible, or Latin letters, or punctuation for what is no letter.
fn prototype(c: char) -> Option<Chars> {
    let mut text = [0; 4];
    let seen = unicode_security::skeleton(c.encode_utf8(&mut text)).filter(|c| !is_accent(*c));
    let seen: Chars = seen.map(|c| c.to_ascii_lowercase()).collect();
    let reads = |s: char| s.is_ascii_alphabetic() || (s.is_ascii() && !c.is_alphanumeric());
    seen.iter().all(|s| reads(*s)).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = String::new();
        text.chars().for_each(|c| fold_char(c, &mut out));
        out
    }

    #[test]
    fn look_alikes_read_as_what_they_pass_for() {
        for text in ["ＧＩＦＴ", "𝗴𝗶𝗳𝘁", "Ⓖⓘⓕⓣ", "gïft", "GІFT", "g\u{200b}i\u{ad}ft", "𝕘𝕚𝕗𝕥", "🄶🄸🄵🅃"]
        {
            assert_eq!(folded(text), "gift", "{text}");
        }
        assert_eq!(folded("РАУРАL ΝΙΚΕ Вank ﬁrst №1"), "paypal nike bank first no1");
        assert_eq!(folded("a\u{a0}b\tc\0d"), "a b cd");
    }

    #[test]
    fn digits_of_any_script_are_digits_and_no_letters() {
        assert_eq!(folded("٥٠ ০१ ５𝟎 ²"), "50 01 50 2");
        let class = regex_syntax::parse("\\d").expect("a class");
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = class.kind() else {
            panic!("a class of characters")
        };
        for c in class.ranges().iter().flat_map(|range| range.start()..=range.end()) {
            let fold = folded(&c.to_string());
            assert!(fold.chars().all(char::is_numeric), "{c:?} folds to {fold:?}");
        }
    }

    #[test]
    fn other_scripts_keep_their_letters() {
        assert_eq!(folded("Загрузка"), folded("загрузка"));
        assert_eq!(folded("银行卡 한글 कुल"), "银行卡 한글 कुल");
    }

    #[test]
    fn every_character_comes_to_rest() {
        for c in ('\0'..=char::MAX).filter(|c| !('\u{ac00}'..='\u{d7a3}').contains(c)) {
            let once = compute(c);
            let twice: Chars = once.iter().flat_map(|c| step(*c)).collect();
            assert_eq!(once, twice, "{c:?}");
        }
        for c in ['\u{ac00}', '\u{b098}', '\u{d7a3}'] {
            assert_eq!(compute(c)[..], [c], "a syllable is its own fold");
        }
    }

    #[test]
    fn the_table_says_what_the_computation_says() {
        for c in ('\u{80}'..='\u{3400}').chain('\u{fb00}'..='\u{ffff}').chain('\u{1d400}'..='\u{1f250}') {
            let (mut out, computed) = (String::new(), compute(c).iter().collect::<String>());
            fold_char(c, &mut out);
            assert_eq!(out, computed, "{c:?}");
        }
    }
}
