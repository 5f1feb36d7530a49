//! Text: NFC, without control characters, within its bound, or refused. Nothing is cut and nothing is repaired.

use interdict_engine::limits::{IDENTIFIER_BYTES_MAX, TEXT_BYTES_MAX};
use std::borrow::Cow;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// What a checked text is expected to be; the error says it in words.
pub type Checked<T> = Result<T, &'static str>;

const EXPECTED_TEXT: &str = "text of at most 4096 bytes of UTF-8 after NFC";
const EXPECTED_NO_CONTROL: &str = "text without control characters";
const EXPECTED_IDENTIFIER: &str = "an identifier of 1 to 256 bytes without control characters";

const _: () =
    assert!(TEXT_BYTES_MAX == 4096 && IDENTIFIER_BYTES_MAX == 256, "the messages above name the bounds");

fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// Free text or a name: NFC, trimmed, no control characters, at most 4 KiB; `None` when nothing but space is there.
///
/// # Errors
/// What was expected.
pub fn free_text(text: &str) -> Checked<Option<Cow<'_, str>>> {
    let text = nfc(text.trim());
    if text.len() > TEXT_BYTES_MAX {
        return Err(EXPECTED_TEXT);
    }
    if text.chars().any(char::is_control) {
        return Err(EXPECTED_NO_CONTROL);
    }
    Ok(if text.is_empty() { None } else { Some(text) })
}

/// An identifier as its owner spells it: NFC, trimmed, 1 to 256 bytes, no control characters.
///
/// # Errors
/// What was expected.
pub fn identifier(text: &str) -> Checked<Cow<'_, str>> {
    let text = nfc(text.trim());
    if text.is_empty() || text.len() > IDENTIFIER_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(EXPECTED_IDENTIFIER);
    }
    Ok(text)
}

/// A name folded for exact comparison: compatibility forms, accents and case gone, punctuation and space collapsed to
/// one space. Empty when there is no letter or digit.
pub fn fold_name(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut gap = false;
    let mut push = |c: char| {
        if !c.is_alphanumeric() {
            gap = true;
            return;
        }
        if gap && !folded.is_empty() {
            folded.push(' ');
        }
        gap = false;
        folded.push(c);
    };
    if name.is_ascii() {
        name.chars().for_each(|c| push(c.to_ascii_lowercase()));
        return folded;
    }
    // Lower-casing can bring marks back (İ gives i and a dot above), and decomposing can bring capitals out of
    // compatibility forms, so both are done twice; the property test shows that a third time changes nothing.
    let plain = |c: &char| !is_combining_mark(*c);
    let once = name.nfkd().filter(plain).flat_map(char::to_lowercase);
    once.nfkd().filter(plain).flat_map(char::to_lowercase).nfkd().filter(plain).for_each(push);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_composed_and_refused_never_cut() {
        assert_eq!(free_text("Cafe\u{301} du Nord"), Ok(Some(Cow::Borrowed("Café du Nord"))));
        assert_eq!(free_text(" \u{a0} "), Ok(None));
        assert_eq!(free_text("a\u{0}b"), Err(EXPECTED_NO_CONTROL));
        assert_eq!(free_text("a\nb"), Err(EXPECTED_NO_CONTROL));
        assert!(free_text(&"x".repeat(4096)).is_ok());
        assert_eq!(free_text(&"x".repeat(4097)), Err(EXPECTED_TEXT));
        // 4096 bytes as sent, more after NFC (U+0958 decomposes even in NFC).
        assert_eq!(free_text(&"\u{958}".repeat(1365)), Err(EXPECTED_TEXT));
        assert_eq!(identifier(" M-1 "), Ok(Cow::Borrowed("M-1")));
        for bad in ["", "  ", "a\u{7f}", &"x".repeat(257)] {
            assert_eq!(identifier(bad), Err(EXPECTED_IDENTIFIER));
        }
    }

    #[test]
    fn names_fold_alike() {
        for (name, folded) in [
            ("Ana  Silva", "ana silva"),
            ("SILVA, Ana", "silva ana"),
            ("José María O'Neill-Núñez", "jose maria o neill nunez"),
            ("Ｏｌａｆ", "olaf"),
            ("İstanbul", "istanbul"),
            ("!?", ""),
            ("王小明", "王小明"),
        ] {
            assert_eq!(fold_name(name), folded);
        }
    }

    proptest! {
        #[test]
        fn folding_and_composing_are_idempotent(name in "\\PC{0,40}") {
            let folded = fold_name(&name);
            prop_assert_eq!(fold_name(&folded), folded);
            let composed = nfc(&name).into_owned();
            prop_assert_eq!(nfc(&composed), composed.as_str());
        }

        #[test]
        fn ascii_takes_the_same_fold_as_everything_else(name in "[ -~]{0,30}") {
            let (short, long) = (fold_name(&name), fold_name(&format!("{name} é")));
            let expected = format!("{short} e");
            prop_assert_eq!(expected.trim_start(), long);
        }
    }
}
