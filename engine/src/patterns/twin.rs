//! The regex twin: the same tree in the `regex` crate. It confirms what Hyperscan only approximates and says where in
//! the original text a pattern matched. Made when first needed: ten thousand of them take 300 MB.

use super::ffi::Database;
use super::pattern::View;
use super::set::{Pattern, PatternSet};
use super::views::Folder;
use crate::limits::{PATTERN_PLACES_MAX, PATTERN_TWIN_BYTES_MAX};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;
use std::ops::Range;

/// The twin of a tree.
///
/// # Errors
/// The crate's message, when the tree is too large for it.
pub(super) fn build(hir: &Hir) -> Result<Regex, String> {
    let built = RegexBuilder::new(&hir.to_string()).size_limit(PATTERN_TWIN_BYTES_MAX).build();
    built.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_string())
}

/// A pattern's twin; none for extended parameters, which the crate does not know.
pub(super) fn of(pattern: &Pattern) -> Option<&Regex> {
    let make = || if pattern.expression.extended.is_none() { build(&pattern.hir).ok() } else { None };
    pattern.twin.get_or_init(make).as_ref()
}

impl PatternSet {
    /// Where a declared pattern matches in a text, in bytes of the text: sorted, disjoint, at most
    /// `PATTERN_PLACES_MAX`. A match in an undone reading covers all it was read from (`g i f t`).
    ///
    /// # Panics
    /// When there is no such pattern.
    pub fn positions(&self, number: u32, text: &str) -> Vec<Range<usize>> {
        let pattern = &self.patterns[number as usize];
        let mut places = Vec::new();
        match pattern.view {
            View::Raw => places = matches(pattern, text),
            View::Folded => {
                let mut folder = Folder::default();
                folder.fold_mapped(text);
                for (reading, folded) in folder.readings().enumerate() {
                    let found = matches(pattern, folded).into_iter();
                    places.extend(found.map(|range| folder.original(reading, range, text)));
                }
            }
        }
        disjoint(places)
    }
}

fn matches(pattern: &Pattern, text: &str) -> Vec<Range<usize>> {
    if let Some(twin) = of(pattern) {
        return twin.find_iter(text).take(PATTERN_PLACES_MAX).map(|found| found.range()).collect();
    }
    // Extended parameters: the library itself, slower, with the beginnings of matches. Where it cannot tell them, the
    // whole text is shown.
    let expressions = std::slice::from_ref(&pattern.expression);
    let found = Database::compile(expressions, true).and_then(|db| db.positions(text, PATTERN_PLACES_MAX));
    match found {
        Ok(found) => found.into_iter().map(|(_, start, end)| whole_characters(text, start..end)).collect(),
        Err(_) => {
            let plain = Database::compile(expressions, false);
            let mut hit = Vec::with_capacity(1);
            let scanned = plain.and_then(|db| db.scan(text, &mut Default::default(), &mut hit));
            let whole = 0..text.len();
            if scanned.is_ok() && !hit.is_empty() { Vec::from([whole]) } else { Vec::new() }
        }
    }
}

/// Approximate matches are of bytes, and may cut a character.
fn whole_characters(text: &str, range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start.min(text.len()), range.end.min(text.len()));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// Ranges in order, with overlapping ones joined.
fn disjoint(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end || *last == range => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined.truncate(PATTERN_PLACES_MAX);
    joined
}
