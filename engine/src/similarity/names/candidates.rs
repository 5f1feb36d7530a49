//! Whom to score: every name whose score can reach the cut-off, by bounds that lose none. A score above zero needs
//! near-equal whole letters, the same words in another order, or a word proper that answers one; each of these is
//! looked up, and words against each other cap a score, so that above the cap names that have such are left out.

use super::align::{JOINED_MAX, is_word, joinable};
use super::bank::Kind;
use super::edits::{allowed, within};
use super::fold::{Class, View};
use super::forms::joined_number;
use super::index::{Index, Posting, bag_hash, symbol};
use super::rescore::{CONTRADICTED_MAX, is_content, whole_edits};
use crate::limits::TOKEN_LETTERS_MAX;
use interdict_shaders::{Kernel, NameHit, NameQuery, NameScratch, Need, search_names};
use smallvec::SmallVec;

/// Memory that searches reuse.
#[derive(Debug, Default)]
pub struct Found {
    /// The surfaces to score, ascending, each once.
    pub surfaces: Vec<u32>,
    touched: Vec<u32>,
    /// Per surface: tokens of the query that some token of it may answer, and its tokens so answered.
    answered: Vec<(u32, u32)>,
    hits: Vec<NameHit>,
    names: NameScratch,
}

/// Finds every surface that may score `cutoff` or more (at least 1) with `query`. `kind`: what the query names, if
/// that is known.
pub fn find(
    index: &Index,
    kernel: Kernel,
    query: View<'_>,
    kind: Option<Kind>,
    cutoff: u16,
    found: &mut Found,
) {
    found.surfaces.clear();
    found.answered.resize(index.surfaces().len(), (0, 0));
    if query.tokens.is_empty() {
        return;
    }
    find_whole(index, kernel, query, found);
    found.surfaces.extend(index.bag(bag_hash(query)));
    find_words(index, kernel, query, found);
    let initials = initials(query);
    for &surface in &found.touched {
        let answered = std::mem::take(&mut found.answered[surface as usize]);
        if cutoff <= CONTRADICTED_MAX || may_pass(index, surface, query, kind, initials, answered) {
            found.surfaces.push(surface);
        }
    }
    found.touched.clear();
    found.surfaces.sort_unstable();
    found.surfaces.dedup();
}

/// Names within the edits of the whole: LCS first, since `n` edits leave all but `n` letters of the longer name in
/// common order; the scorer counts the edits.
fn find_whole(index: &Index, kernel: Kernel, query: View<'_>, found: &mut Found) {
    let letters = query.letters.len();
    if letters <= TOKEN_LETTERS_MAX {
        let need = need(letters, |longer| whole_edits(longer, Kind::Other));
        search(kernel, &index.whole, query.letters, &need, &mut found.names, &mut found.hits);
        found.surfaces.extend(found.hits.iter().map(|hit| hit.id));
    }
    let most = whole_edits(usize::MAX, Kind::Other);
    if letters + most >= TOKEN_LETTERS_MAX {
        found.surfaces.extend(index.long(letters - most, letters + most));
    }
}

/// What a name of each length must share with `letters` of a query so that `edits(longer)` suffice.
fn need(letters: usize, edits: impl Fn(usize) -> usize) -> Need {
    Need::per_length(|other| {
        let other = usize::from(other);
        let longer = letters.max(other);
        let edits = edits(longer);
        if letters.abs_diff(other) > edits { Need::NEVER } else { (longer - edits) as u8 }
    })
}

fn search(
    kernel: Kernel,
    bank: &interdict_shaders::NameBank,
    letters: &[u8],
    need: &Need,
    scratch: &mut NameScratch,
    hits: &mut Vec<NameHit>,
) {
    let symbols: SmallVec<[u8; TOKEN_LETTERS_MAX]> = letters.iter().map(|&letter| symbol(letter)).collect();
    let query = NameQuery::new(&symbols).expect("1 to 64 letters, each of them a symbol");
    search_names(kernel, bank, &query, need, scratch, hits);
}

/// Notes for every name which words of the query its words may answer.
fn find_words(index: &Index, kernel: Kernel, query: View<'_>, found: &mut Found) {
    for (at, token) in query.tokens.iter().enumerate() {
        if token.value != 0 {
            note_all(index.number(token.value), 1 << at, found);
        }
        if let Some(next) = query.tokens.get(at + 1)
            && let Some(value) = joined_number(token, next)
        {
            note_all(index.number(value + 1), 3 << at, found);
        }
        for count in 1..=JOINED_MAX.min(query.tokens.len() - at) {
            let parts = &query.tokens[at..at + count];
            let letters = query.joined(at, count);
            let seeds = if count == 1 { is_word(token) } else { joinable(parts) };
            if !seeds || letters.len() > TOKEN_LETTERS_MAX {
                continue;
            }
            let edits = |longer| if count == 1 { allowed(longer) } else { 1 };
            let bits = (((1u64 << count) - 1) << at) as u32;
            let need = need(letters.len(), edits);
            search(kernel, &index.vocabulary, letters, &need, &mut found.names, &mut found.hits);
            let hits = std::mem::take(&mut found.hits);
            for hit in &hits {
                let (word, postings) = index.word(hit.id);
                if within(letters, word, edits(letters.len().max(word.len()))).is_some() {
                    note_all(postings.iter().copied(), bits, found);
                }
            }
            found.hits = hits;
        }
    }
}

fn note_all(postings: impl Iterator<Item = Posting>, bits: u32, found: &mut Found) {
    for posting in postings {
        let answered = &mut found.answered[posting.surface as usize];
        if *answered == (0, 0) {
            found.touched.push(posting.surface);
        }
        answered.0 |= bits;
        answered.1 |= posting.bits;
    }
}

/// The first letters of a name's initials, as bits.
fn initials(name: View<'_>) -> u32 {
    let initials = (0..name.tokens.len()).filter(|&at| name.tokens[at].class == Class::Initial);
    initials.fold(0, |set, at| set | letter_bit(name, at))
}

fn letter_bit(name: View<'_>, at: usize) -> u32 {
    1 << u32::from(symbol(name.word(at)[0]))
}

/// Whether words may bring this name past [`CONTRADICTED_MAX`]: never when both names have content that nothing can
/// answer, nor when a company's has any, nor when less than two words answer and one is missing.
fn may_pass(
    index: &Index,
    surface: u32,
    query: View<'_>,
    kind: Option<Kind>,
    initials_of_query: u32,
    answered: (u32, u32),
) -> bool {
    let name = index.view(surface);
    let kind = scored_as(index.surfaces()[surface as usize].kind, kind);
    let initials_of_name = initials(name);
    let (ours, left_ours) = content_left(query, answered.0, initials_of_name, kind);
    let (theirs, left_theirs) = content_left(name, answered.1, initials_of_query, kind);
    if left_ours == 0 && left_theirs == 0 {
        return true;
    }
    let whole_only = matches!(kind, Kind::Company | Kind::Vessel);
    let evidence = (ours & answered.0).count_ones().min((theirs & answered.1).count_ones());
    !(whole_only || (left_ours != 0 && left_theirs != 0) || evidence < 2)
}

/// A name's content tokens, and those of them that nothing can answer, as bits.
fn content_left(name: View<'_>, answered: u32, initials_of_other: u32, kind: Kind) -> (u32, u32) {
    let mut content = 0;
    let mut left = 0;
    for at in (0..name.tokens.len()).filter(|&at| is_content(&name.tokens[at], kind)) {
        content |= 1 << at;
        if answered >> at & 1 == 0 && letter_bit(name, at) & initials_of_other == 0 {
            left |= 1 << at;
        }
    }
    (content, left)
}

/// The kind under which a listed name is scored: its own, or the query's when the list does not say.
pub fn scored_as(listed: Kind, asked: Option<Kind>) -> Kind {
    if listed == Kind::Other { asked.unwrap_or(Kind::Other) } else { listed }
}
