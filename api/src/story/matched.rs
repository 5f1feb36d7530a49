//! Where in the payment's texts a rule's patterns matched: the field, the bytes, and an excerpt in which the match is
//! marked. Names and free text: for the story alone, which only the risk team is told.

use super::row::Row;
use crate::answer::Source;
use interdict_engine::domain::{Field, SlotView, Value};
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use utoipa::ToSchema;

/// Most characters of an excerpt, its marks included.
const EXCERPT_CHARS_MAX: usize = 60;
/// Most of them that are the match itself, so that some of what stands around it is always seen.
const MATCH_CHARS_MAX: usize = 40;

/// A piece of a text that a pattern matched.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Matched {
    /// The field whose text it is.
    pub field: &'static str,
    /// `patterns.ID`, or the rule's own `matches("…")`.
    pub pattern: String,
    /// First byte in the text as it was judged: the request's, trimmed and in NFC.
    pub start: usize,
    /// The byte past the last.
    pub end: usize,
    /// Up to 60 characters of the text, with the match between « and »; … where something was left out.
    pub excerpt: String,
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}, bytes {} to {}", self.pattern, self.field, self.start, self.end)
    }
}

/// Every place where a pattern that the rule reads, or a search of its own, matched. None where the text is no longer
/// readable.
pub(super) fn told(row: &Row<'_>, source: &Source<'_>, number: u32) -> Vec<Matched> {
    let (generation, tx) = (source.view.generation(), source.transaction);
    let (rules, patterns, starts) = (generation.rules(), generation.patterns(), &generation.slots().starts);
    let mut out = Vec::new();
    let mut add = |field: Field, pattern: &str, places: &dyn Fn(&str) -> Vec<Range<usize>>| {
        let Some(text) = tx.text(field) else { return };
        let piece = |place: Range<usize>| Matched {
            field: field.def().path,
            pattern: pattern.to_owned(),
            start: place.start,
            end: place.end,
            excerpt: excerpt(text, place),
        };
        out.extend(places(text).into_iter().map(piece));
    };
    let of_patterns = |slot: &u16| (starts.patterns..starts.names).contains(slot);
    for slot in rules.rule(number).slots().iter().filter(|slot| of_patterns(&slot.0)) {
        if row.value(*slot) != Some(Value::Bool(true)) {
            continue;
        }
        let pattern = u32::from(slot.0 - starts.patterns);
        let path = &generation.schema().def(*slot).path;
        let fields = &patterns.source(pattern).fields;
        for (_, field) in fields.iter().enumerate().filter(|(at, field)| !fields[..*at].contains(field)) {
            add(*field, path, &|text| patterns.positions(pattern, text));
        }
    }
    for search in rules.searches(number) {
        add(search.field, &format!("matches({:?})", search.regex()), &|text| search.positions(text));
    }
    out
}

/// What stands at a place of a text, marked, with what is around it.
fn excerpt(text: &str, place: Range<usize>) -> String {
    let matched = head(&text[place.clone()], MATCH_CHARS_MAX);
    let room = EXCERPT_CHARS_MAX - 2 - matched.chars().count();
    let (before, after) = (&text[..place.start], &text[place.end..]);
    // Half each; what one side has no need of is the other's.
    let before = tail(before, room - after.chars().count().min(room / 2));
    let after = head(after, room - before.chars().count());
    format!("{before}«{matched}»{after}")
}

/// The first characters of a text, at most so many with the sign that some were left out.
fn head(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The last ones.
fn tail(text: &str, most: usize) -> String {
    let left_out = text.chars().count().saturating_sub(most);
    if left_out == 0 {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(left_out + 1)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_marks_the_match_and_says_what_it_leaves_out() {
        assert_eq!(excerpt("2 x 100 EUR g1ft c a r d s", 12..26), "2 x 100 EUR «g1ft c a r d s»");
        assert_eq!(excerpt("été", 0..5), "«été»");
        let long = format!("{}GIFT{}", "a".repeat(100), "b".repeat(100));
        let told = excerpt(&long, 100..104);
        assert_eq!(told, format!("…{}«GIFT»{}…", "a".repeat(26), "b".repeat(26)));
        let all = excerpt(&long, 0..204);
        assert_eq!(all, format!("«{}…»", "a".repeat(39)));
    }

    #[test]
    fn whatever_matched_the_excerpt_is_short_and_of_the_text() {
        for text in ["", "gift", &"aé漢🎁 ".repeat(9), &"über ".repeat(30)] {
            let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            bounds.push(text.len());
            for (at, start) in bounds.iter().enumerate() {
                for end in &bounds[at..] {
                    whole(text, *start..*end);
                }
            }
        }
    }

    /// Without its marks and the signs of what was left out, each part stands where it should in the text.
    fn whole(text: &str, place: Range<usize>) {
        let told = excerpt(text, place.clone());
        assert!(told.chars().count() <= EXCERPT_CHARS_MAX, "{told}");
        let (before, rest) = told.split_once('«').unwrap();
        let (matched, after) = rest.split_once('»').unwrap();
        let parts =
            [(before, &text[..place.start]), (matched, &text[place.clone()]), (after, &text[place.end..])];
        for (told, of) in parts {
            let bare = told.trim_matches('…');
            assert!(of.contains(bare) && told.contains('…') == (bare.len() < of.len()), "{told:?} of {of:?}");
        }
        assert!(parts[0].1.ends_with(before.trim_start_matches('…')));
        assert!(parts[1].1.starts_with(matched.trim_end_matches('…')));
        assert!(parts[2].1.starts_with(after.trim_end_matches('…')));
    }
}
