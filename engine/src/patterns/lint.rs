//! What makes a set of patterns slow, told to its authors before it runs: the shape counts, not the number. 1,017
//! patterns that share a weak head cost 7 µs a text; without the head, 0.14 µs.

use super::parse;
use super::pattern::{PatternSource, View};
use crate::domain::Field;
use crate::error::{Error, ErrorKind};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::BTreeMap;

/// A literal shorter than this hardly narrows a search.
pub(super) const LITERAL_MIN: usize = 3;
/// Bounded repeats above this unfold to so many states.
const REPEAT_MAX: u32 = 64;
/// From this many patterns on, one field's common head is worth a word.
const SHARED_MIN: usize = 50;
/// Bytes of a head that are compared.
const HEAD_BYTES: usize = 8;

/// Warnings about patterns, each at the pattern's place. Patterns that do not compile are left to the errors.
pub fn lint(sources: &[PatternSource]) -> Vec<Error> {
    let mut warnings = Vec::new();
    let mut heads: BTreeMap<(Field, View, Vec<u8>), Vec<&PatternSource>> = BTreeMap::new();
    for source in sources {
        let Ok(hir) = parse::declared(source) else { continue };
        let mut warn = |message: String| {
            let message = format!("pattern {:?}: {message}", source.id);
            warnings.push(Error::new(ErrorKind::Invalid, message).at(source.text.place(0)));
        };
        let repeat = largest_repeat(&hir);
        if repeat > REPEAT_MAX {
            warn(format!(
                "a repeat of up to {repeat} is held state by state; `*` or fewer than {REPEAT_MAX} costs less"
            ));
        }
        let literal = required_literal(&hir);
        if literal < LITERAL_MIN {
            warn(format!(
                "no text of {LITERAL_MIN} or more characters is in every match (longest: {literal}), so it is tried \
                 at every character"
            ));
        }
        let mut head = Vec::new();
        leading(&hir, &mut head);
        head.truncate(HEAD_BYTES);
        // A literal to its end is found whole, whatever it begins with.
        if head.len() >= LITERAL_MIN && !matches!(hir.kind(), HirKind::Literal(_)) {
            for field in &source.fields {
                heads.entry((*field, source.view, head.clone())).or_default().push(source);
            }
        }
    }
    for ((field, _, head), shared) in heads.into_iter().filter(|(_, shared)| shared.len() >= SHARED_MIN) {
        let message = format!(
            "{} patterns over {} begin with {:?}: a head they share finds nothing by itself; where the rest suffices, \
             leave it out (first: {:?}, last: {:?})",
            shared.len(),
            field.def().path,
            String::from_utf8_lossy(&head),
            shared[0].id,
            shared[shared.len() - 1].id,
        );
        warnings.push(Error::new(ErrorKind::Invalid, message).at(shared[0].text.place(0)));
    }
    warnings
}

fn largest_repeat(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Repetition(r) => {
            let own = r.max.unwrap_or(r.min).max(r.min);
            own.max(largest_repeat(&r.sub))
        }
        HirKind::Capture(capture) => largest_repeat(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(largest_repeat).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// The characters of the longest text that every match holds; one of two cases counts as the character.
pub(super) fn required_literal(hir: &Hir) -> usize {
    let run = Run::of(hir);
    run.best.max(run.tail)
}

/// Literal runs of a tree: the longest inside, the one it begins and ends with, and whether it is nothing but one.
#[derive(Clone, Copy, Default)]
struct Run {
    best: usize,
    head: usize,
    tail: usize,
    whole: bool,
}

impl Run {
    fn exact(len: usize) -> Run {
        Run { best: len, head: len, tail: len, whole: true }
    }
    fn of(hir: &Hir) -> Run {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Run::exact(0),
            HirKind::Literal(literal) => Run::exact(String::from_utf8_lossy(&literal.0).chars().count()),
            HirKind::Class(Class::Unicode(class)) => {
                let members: usize = class.ranges().iter().map(|range| range.len()).sum();
                // k and s have three forms: K and the Kelvin sign, S and the long s.
                if members <= 3 { Run::exact(1) } else { Run::default() }
            }
            HirKind::Class(Class::Bytes(_)) => Run::default(),
            HirKind::Capture(capture) => Run::of(&capture.sub),
            HirKind::Repetition(r) if r.min == 0 => Run::default(),
            HirKind::Repetition(r) => Run { whole: r.max == Some(1), ..Run::of(&r.sub) },
            HirKind::Concat(parts) => parts.iter().map(Run::of).fold(Run::exact(0), Run::then),
            HirKind::Alternation(parts) => {
                let best = parts.iter().map(|part| Run::of(part).best).min().unwrap_or(0);
                Run { best, ..Run::default() }
            }
        }
    }
    fn then(self, next: Run) -> Run {
        let across = self.tail + next.head;
        Run {
            best: self.best.max(next.best).max(across),
            head: if self.whole { across } else { self.head },
            tail: if next.whole { across } else { next.tail },
            whole: self.whole && next.whole,
        }
    }
}

/// The text that every match begins with.
fn leading(hir: &Hir, head: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            head.extend_from_slice(&literal.0);
            true
        }
        HirKind::Class(Class::Unicode(class)) => {
            let first = class.ranges().first().map(|range| range.start());
            let members: usize = class.ranges().iter().map(|range| range.len()).sum();
            match first.filter(|_| members <= 3) {
                Some(c) => {
                    head.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    true
                }
                None => false,
            }
        }
        HirKind::Capture(capture) => leading(&capture.sub, head),
        HirKind::Concat(parts) => parts.iter().all(|part| leading(part, head)),
        _ => false,
    }
}
