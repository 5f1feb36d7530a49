//! A pattern's text to the tree of `regex-syntax`, which both Hyperscan's expression and the twin are made from. In the
//! folded view the tree is folded the way texts are, so that `É` in a pattern finds what `É` in a text became.

use super::fold::{fold_char, fold_literal};
use super::pattern::{Extended, PatternSource, View};
use crate::error::{Error, ErrorKind};
use crate::limits::{
    PATTERN_BYTES_MAX, PATTERN_DEPTH_MAX, PATTERN_DISTANCE_MAX, PATTERN_POSITIONS_MAX, TEXT_BYTES_MAX,
};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};
use regex_syntax::{Parser, ParserBuilder};

/// Classes of at most so many characters are folded one by one; larger ones (`\w`, `.`) are kept as they are.
const FOLDED_CLASS_MAX: usize = 1024;

fn parser(insensitive: bool) -> Parser {
    ParserBuilder::new().case_insensitive(insensitive).nest_limit(PATTERN_DEPTH_MAX as u32).utf8(true).build()
}

/// The tree of a declared pattern.
///
/// # Errors
/// One or more, each with its place in the pattern's file.
pub(super) fn declared(source: &PatternSource) -> Result<Hir, Vec<Error>> {
    let text = source.text.text();
    let refuse = |kind, at: usize, message: String| {
        let message = format!("pattern {:?}: {message}", source.id);
        vec![Error::new(kind, message).at(source.text.place(at))]
    };
    if text.len() > PATTERN_BYTES_MAX {
        let message = format!("{} bytes, limit {PATTERN_BYTES_MAX}", text.len());
        return Err(refuse(ErrorKind::TooLarge, 0, message));
    }
    parameters(source).map_err(|message| refuse(ErrorKind::Invalid, 0, message))?;
    let escaped;
    let regex = match source.literal {
        true => {
            escaped = regex_syntax::escape(text);
            &escaped
        }
        false => text,
    };
    let insensitive = source.view == View::Folded || !source.case_sensitive;
    let mut hir = parser(insensitive).parse(regex).map_err(|error| {
        let (at, why) = match &error {
            regex_syntax::Error::Parse(e) => (e.span().start.offset, e.kind().to_string()),
            regex_syntax::Error::Translate(e) => (e.span().start.offset, e.kind().to_string()),
            other => (0, other.to_string()),
        };
        refuse(ErrorKind::Malformed, at, why)
    })?;
    if source.view == View::Folded {
        hir = folded(&hir);
    }
    sound(&hir, &source.extended).map_err(|(kind, message)| refuse(kind, 0, message))?;
    Ok(hir)
}

/// The tree of a rule's `matches`; `None` where this stage should leave it alone.
pub(super) fn lifted(regex: &str) -> Option<Hir> {
    if regex.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let hir = parser(false).parse(regex).ok()?;
    sound(&hir, &Extended::default()).ok()?;
    Some(hir)
}

/// Whether the parameters make sense together.
fn parameters(source: &PatternSource) -> Result<(), String> {
    let e = &source.extended;
    if source.fields.is_empty() {
        return Err("no field to look in".into());
    }
    if let Some(field) = source.fields.iter().find(|f| f.def().ty != crate::domain::ValueType::Text) {
        return Err(format!("{} is {}, patterns look in text", field.def().path, field.def().ty.name()));
    }
    if source.case_sensitive && source.view == View::Folded {
        return Err("case_sensitive needs view: raw; the folded view has no case".into());
    }
    if e.edit_distance.is_some() && e.hamming_distance.is_some() {
        return Err("edit_distance and hamming_distance exclude each other".into());
    }
    for (name, distance) in [("edit_distance", e.edit_distance), ("hamming_distance", e.hamming_distance)] {
        if let Some(distance) = distance.filter(|d| !(1..=PATTERN_DISTANCE_MAX).contains(d)) {
            return Err(format!("{name} is {distance}, limit 1 to {PATTERN_DISTANCE_MAX}"));
        }
    }
    for (name, bytes) in
        [("min_offset", e.min_offset), ("max_offset", e.max_offset), ("min_length", e.min_length)]
    {
        if let Some(bytes) = bytes.filter(|b| *b as usize > TEXT_BYTES_MAX) {
            return Err(format!("{name} is {bytes}, limit {TEXT_BYTES_MAX} (the longest text)"));
        }
    }
    match (e.min_offset, e.max_offset, e.min_length) {
        (Some(min), Some(max), _) if min > max => Err(format!("min_offset {min} is above max_offset {max}")),
        (_, Some(max), Some(length)) if length > max => {
            Err(format!("min_length {length} is above max_offset {max}: it could never match"))
        }
        _ => Ok(()),
    }
}

/// Whether a tree can be run: it needs some text, can match, and does not unfold to too much.
fn sound(hir: &Hir, extended: &Extended) -> Result<(), (ErrorKind, String)> {
    match hir.properties().minimum_len() {
        None => return Err((ErrorKind::Invalid, "can never match".into())),
        Some(0) => {
            return Err((ErrorKind::Invalid, "matches the empty text, so it would always hit".into()));
        }
        Some(_) => {}
    }
    let positions = positions(hir);
    if positions > PATTERN_POSITIONS_MAX {
        let message = format!("repeats unfold to {positions} characters, limit {PATTERN_POSITIONS_MAX}");
        return Err((ErrorKind::TooLarge, message));
    }
    let shortest = hir.properties().minimum_len().unwrap_or(0);
    let distance = extended.edit_distance.or(extended.hamming_distance);
    if let Some(distance) = distance.filter(|distance| usize::from(*distance) >= shortest) {
        let message =
            format!("a distance of {distance} would match every text: it can be as short as {shortest}");
        return Err((ErrorKind::Invalid, message));
    }
    if extended.is_approximate() && !is_ascii(hir) {
        let message = "edit_distance and hamming_distance count bytes, so they take ASCII only (no `.`, `\\w` or \
                       negated class; write the characters out)";
        return Err((ErrorKind::Invalid, message.into()));
    }
    Ok(())
}

/// Characters when all repeats are written out; what a compiler has to hold.
fn positions(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Repetition(r) => {
            let times = r.max.unwrap_or(r.min.saturating_add(1)).max(1) as usize;
            positions(&r.sub).saturating_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(positions).fold(0, usize::saturating_add)
        }
    }
}

fn is_ascii(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        // A boundary would have to hold in the changed text, which nobody expects.
        HirKind::Look(look) => matches!(look, Look::Start | Look::End),
        HirKind::Literal(literal) => literal.0.is_ascii(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().all(|r| r.end().is_ascii()),
        HirKind::Class(Class::Bytes(class)) => class.is_ascii(),
        HirKind::Capture(capture) => is_ascii(&capture.sub),
        HirKind::Repetition(r) => is_ascii(&r.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_ascii),
    }
}

/// A tree over folded texts: every character as [`fold_char`] leaves it.
fn folded(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).expect("the parser allows valid UTF-8 only");
            let mut out = String::new();
            fold_literal(text, &mut out);
            Hir::literal(out.into_bytes())
        }
        HirKind::Class(Class::Unicode(class)) => folded_class(class),
        HirKind::Class(Class::Bytes(class)) => {
            folded_class(&class.to_unicode_class().expect("in UTF-8 mode byte classes are ASCII"))
        }
        HirKind::Capture(capture) => folded(&capture.sub),
        HirKind::Repetition(r) => Hir::repetition(Repetition {
            min: r.min,
            max: r.max,
            greedy: r.greedy,
            sub: Box::new(folded(&r.sub)),
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(folded).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(folded).collect()),
    }
}

fn folded_class(class: &ClassUnicode) -> Hir {
    let members = class.ranges().iter().map(ClassUnicodeRange::len).fold(0, usize::saturating_add);
    if members > FOLDED_CLASS_MAX {
        return Hir::class(Class::Unicode(class.clone()));
    }
    let (mut singles, mut longer) = (ClassUnicode::empty(), Vec::new());
    for c in class.ranges().iter().flat_map(|range| range.start()..=range.end()) {
        let mut out = String::new();
        fold_char(c, &mut out);
        let mut chars = out.chars();
        match (chars.next(), chars.next()) {
            // It never is in a folded text.
            (None, _) => {}
            (Some(only), None) => singles.push(ClassUnicodeRange::new(only, only)),
            _ => longer.push(out),
        }
    }
    longer.sort();
    longer.dedup();
    let mut branches: Vec<Hir> = longer.into_iter().map(|text| Hir::literal(text.into_bytes())).collect();
    // An empty class can never match, and would make the tree say so of the whole.
    if branches.is_empty() || !singles.ranges().is_empty() {
        branches.push(Hir::class(Class::Unicode(singles)));
    }
    Hir::alternation(branches)
}
