//! The class of each word of a name: how much it proves. Nothing here drops a word.

use super::fold::{Class, Token};
use super::words::{COMMON_COMPANY, COMMON_PERSON, LEGAL, NOISE, NUMBERS, TITLE};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::sync::OnceLock;

/// Most words of one legal form ("societate cu raspundere limitata" has four, "sp z o o" too).
const PHRASE_TOKENS_MAX: usize = 6;

/// Kinds of legal form that are told apart when both names state one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// Says only "a business": company, corporation, enterprise.
    Any = 1,
    /// Closely held: Ltd, LLC, GmbH, OOO, SARL.
    Closed = 2,
    /// Joint stock: JSC, AG, PLC, SA.
    Stock = 3,
    /// Partnerships: LP, LLP, KG.
    Partners = 4,
}

struct Known {
    words: HashMap<&'static [u8], (Option<Class>, Option<Family>), FixedState>,
    legal_letters_max: usize,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut words: HashMap<&'static [u8], (Option<Class>, Option<Family>), FixedState> =
            HashMap::default();
        let classes = [
            (Class::Noise, NOISE),
            (Class::Title, TITLE),
            (Class::Common, COMMON_PERSON),
            (Class::Common, COMMON_COMPANY),
        ];
        for (class, table) in classes {
            for word in table.split_ascii_whitespace() {
                words.entry(word.as_bytes()).or_insert((Some(class), None));
            }
        }
        let mut legal_letters_max = 0;
        for &(family, table) in LEGAL {
            for word in table.split_ascii_whitespace() {
                words.entry(word.as_bytes()).or_insert((None, None)).1.get_or_insert(family);
                legal_letters_max = legal_letters_max.max(word.len());
            }
        }
        Known { words, legal_letters_max }
    })
}

/// Gives every token of a name its class, legal family and number.
pub fn classify(letters: &[u8], tokens: &mut [Token]) {
    let known = known();
    for token in tokens.iter_mut() {
        let word = &letters[usize::from(token.start)..token.end()];
        token.value = number(word).map_or(0, |value| value + 1);
        token.class = if word.len() == 1 && !word[0].is_ascii_digit() {
            Class::Initial
        } else if word.iter().all(u8::is_ascii_digit) {
            Class::Number
        } else {
            let of_table = known.words.get(word).and_then(|entry| entry.0);
            of_table.unwrap_or(if is_patronymic(word) { Class::Common } else { Class::Strong })
        };
    }
    let mut at = 0;
    while at < tokens.len() {
        match legal_at(known, letters, tokens, at) {
            Some((count, family)) => {
                for token in &mut tokens[at..at + count] {
                    (token.class, token.family, token.value) = (Class::Legal, family as u8, 0);
                }
                at += count;
            }
            None => at += 1,
        }
    }
}

/// East Slavic father's names, as they end.
fn is_patronymic(word: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 8] =
        [b"ovich", b"evich", b"ovych", b"evych", b"ovna", b"evna", b"ivna", b"ovitch"];
    word.len() >= 7 && ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// The longest legal form that begins at token `at`: its tokens and family. One of two letters counts only at
/// either end of the name or after another, since such words are also names (Ao, Sa, As).
fn legal_at(known: &Known, letters: &[u8], tokens: &[Token], at: usize) -> Option<(usize, Family)> {
    let start = usize::from(tokens[at].start);
    (1..=tokens.len().min(at + PHRASE_TOKENS_MAX) - at).rev().find_map(|count| {
        let end = tokens[at + count - 1].end();
        if end - start > known.legal_letters_max {
            return None;
        }
        let family = known.words.get(&letters[start..end]).and_then(|entry| entry.1)?;
        let outer = at == 0 || at + count == tokens.len() || tokens[at - 1].class == Class::Legal;
        (end - start > 2 || (count == 1 && outer)).then_some((count, family))
    })
}

/// The number a word writes, in digits (up to nine), English words, or as a Roman numeral of two letters and more
/// up to twenty.
fn number(word: &[u8]) -> Option<u32> {
    if word.iter().all(u8::is_ascii_digit) && word.len() <= 9 {
        return Some(word.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')));
    }
    let (_, value) = NUMBERS.iter().find(|(written, _)| written.as_bytes() == word)?;
    Some(*value)
}

/// The number that two adjacent words write together ("forty four").
pub fn joined_number(tens: &Token, ones: &Token) -> Option<u32> {
    let (tens, ones) = (tens.value.checked_sub(1)?, ones.value.checked_sub(1)?);
    (tens % 10 == 0 && (20..=90).contains(&tens) && (1..=9).contains(&ones)).then_some(tens + ones)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::similarity::names::fold::Folded;

    fn classes(text: &str) -> Vec<Class> {
        Folded::new(text).view().tokens.iter().map(|token| token.class).collect()
    }

    #[test]
    fn legal_forms_in_their_written_variants() {
        for (text, legal) in [
            ("Volkswagen Bank G.m.b.H.", 1),
            ("Siemens Aktiengesellschaft", 1),
            ("TACTICAL MISSILES JOINT STOCK COMPANY", 3),
            ("Iskusstvo Limited Liability Company", 3),
            ("Faberlic Sp. z o.o.", 3),
            ("HSBC Holdings p.l.c.", 1),
            ("Samsung Electronics Co., Ltd.", 2),
            ("Societatea cu Răspundere Limitată Con", 4),
            ("ООО Ромашка", 1),
            ("Cemex S.A.B. de C.V.", 3),
        ] {
            let found = classes(text).iter().filter(|class| **class == Class::Legal).count();
            assert_eq!(found, legal, "{text}: {:?}", classes(text));
        }
    }

    #[test]
    fn a_name_of_only_weak_words_is_made_of_words() {
        assert_eq!(classes("The Company"), [Class::Common, Class::Common]);
        assert_eq!(classes("Al Company Bank"), [Class::Noise, Class::Legal, Class::Common]);
    }

    #[test]
    fn two_letter_forms_only_at_the_ends() {
        assert_eq!(classes("Kim Ao Petrow")[1], Class::Strong);
        assert_eq!(classes("AO Petrow Zavod")[0], Class::Legal);
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"44"), Some(44));
        assert_eq!(number(b"three"), Some(3));
        assert_eq!(number(b"viii"), Some(8));
        assert_eq!(number(b"vi1"), None);
        assert_eq!(number(b"1234567890"), None);
        let folded = Folded::new("Brigade Forty-Four");
        assert_eq!(joined_number(&folded.view().tokens[1], &folded.view().tokens[2]), Some(44));
    }
}
