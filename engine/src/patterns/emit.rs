//! The tree of a pattern in Hyperscan's syntax, with only what means the same in both: literals, ranges, repeats, `^`,
//! `\z`. What does not is *relaxed* to something that matches at least as much, and the twin confirms a hit: never for
//! most patterns, on texts with other than ASCII for word boundaries and large classes.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look};
use std::fmt::Write as _;

/// When a hit must be confirmed by the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Confirm {
    /// The expression means exactly what the pattern means.
    Never,
    /// It does on ASCII texts.
    NonAscii,
    /// It matches at least as much.
    Always,
}

/// An expression for Hyperscan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Emitted {
    pub text: String,
    pub confirm: Confirm,
}

/// Classes with more ranges beyond ASCII than this are relaxed to all of it: `\w` has 700, and each costs states.
const RANGES_MAX: usize = 16;

/// The expression of a tree. `exact`: nothing may be relaxed, because no twin can confirm; word boundaries are then
/// ASCII's.
///
/// # Errors
/// What cannot be said exactly, when it must be.
pub(super) fn emit(hir: &Hir, exact: bool) -> Result<Emitted, String> {
    let mut emitter = Emitter { out: String::new(), confirm: Confirm::Never, exact };
    emitter.node(hir)?;
    Ok(Emitted { text: emitter.out, confirm: emitter.confirm })
}

struct Emitter {
    out: String,
    confirm: Confirm,
    exact: bool,
}

impl Emitter {
    fn relax(&mut self, confirm: Confirm, what: &str) -> Result<(), String> {
        if self.exact {
            return Err(format!("{what} cannot be used together with extended parameters"));
        }
        self.confirm = self.confirm.max(confirm);
        Ok(())
    }

    fn node(&mut self, hir: &Hir) -> Result<(), String> {
        match hir.kind() {
            HirKind::Empty => self.out.push_str("(?:)"),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).expect("the parser allows valid UTF-8 only");
                text.chars().for_each(|c| self.char(c));
            }
            HirKind::Class(Class::Unicode(class)) => self.class(class)?,
            HirKind::Class(Class::Bytes(class)) => {
                self.class(&class.to_unicode_class().expect("in UTF-8 mode byte classes are ASCII"))?;
            }
            HirKind::Look(look) => self.look(*look, false)?,
            HirKind::Capture(capture) => self.node(&capture.sub)?,
            HirKind::Repetition(r) => {
                self.group(&r.sub)?;
                match (r.min, r.max) {
                    (0, Some(1)) => self.out.push('?'),
                    (0, None) => self.out.push('*'),
                    (1, None) => self.out.push('+'),
                    (min, None) => drop(write!(self.out, "{{{min},}}")),
                    (min, Some(max)) if min == max => drop(write!(self.out, "{{{min}}}")),
                    (min, Some(max)) => drop(write!(self.out, "{{{min},{max}}}")),
                }
            }
            HirKind::Concat(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    match part.kind() {
                        HirKind::Look(look) => {
                            let before = at.checked_sub(1).is_some_and(|b| borders_word(&parts[b], false));
                            let after = parts.get(at + 1).is_some_and(|next| borders_word(next, true));
                            self.look(*look, before || after)?;
                        }
                        HirKind::Alternation(_) => self.group(part)?,
                        _ => self.node(part)?,
                    }
                }
            }
            HirKind::Alternation(parts) => {
                self.out.push_str("(?:");
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        self.out.push('|');
                    }
                    self.node(part)?;
                }
                self.out.push(')');
            }
        }
        Ok(())
    }

    fn group(&mut self, hir: &Hir) -> Result<(), String> {
        self.out.push_str("(?:");
        self.node(hir)?;
        self.out.push(')');
        Ok(())
    }

    fn char(&mut self, c: char) {
        match c {
            c if c.is_ascii_alphanumeric() => self.out.push(c),
            c if c.is_ascii() => drop(write!(self.out, "\\x{:02x}", c as u32)),
            c => drop(write!(self.out, "\\x{{{:x}}}", c as u32)),
        }
    }

    fn class(&mut self, class: &ClassUnicode) -> Result<(), String> {
        let ranges = class.ranges();
        if let [only] = ranges
            && only.start() == only.end()
        {
            self.char(only.start());
            return Ok(());
        }
        let beyond = ranges.iter().filter(|range| !range.end().is_ascii()).count();
        let relaxed = beyond > RANGES_MAX;
        if relaxed {
            self.relax(Confirm::NonAscii, "a class of many characters beyond ASCII (\\w, \\d, \\p{…})")?;
        }
        self.out.push('[');
        for range in ranges.iter().filter(|range| !relaxed || range.start().is_ascii()) {
            let end = if relaxed { range.end().min('\x7f') } else { range.end() };
            self.char(range.start());
            if range.start() < end {
                self.out.push('-');
                self.char(end);
            }
        }
        if relaxed {
            self.out.push_str("\\x{80}-\\x{10ffff}");
        }
        self.out.push(']');
        Ok(())
    }

    /// `borders`: on one side an ASCII word character follows for certain. There ASCII's boundary holds wherever
    /// Unicode's does; elsewhere neither contains the other.
    fn look(&mut self, look: Look, borders: bool) -> Result<(), String> {
        match look {
            Look::Start => self.out.push('^'),
            Look::End => self.out.push_str("\\z"),
            Look::WordAscii => self.out.push_str("\\b"),
            Look::WordAsciiNegate => self.out.push_str("\\B"),
            Look::WordUnicode if self.exact => self.out.push_str("\\b"),
            Look::WordUnicodeNegate if self.exact => self.out.push_str("\\B"),
            Look::WordUnicode if borders => {
                self.out.push_str("\\b");
                self.confirm = self.confirm.max(Confirm::NonAscii);
            }
            _ => self.relax(Confirm::Always, "an anchor of lines or words other than \\b")?,
        }
        Ok(())
    }
}

/// Whether every match of a tree begins (`front`) or ends with an ASCII word character.
fn borders_word(hir: &Hir, front: bool) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => {
            let byte = if front { literal.0.first() } else { literal.0.last() };
            byte.is_some_and(|b| is_word(char::from(*b)) && b.is_ascii())
        }
        HirKind::Class(class) => {
            let class = match class {
                Class::Unicode(class) => class.clone(),
                Class::Bytes(class) => match class.to_unicode_class() {
                    Some(class) => class,
                    None => return false,
                },
            };
            let mut members = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            class.ranges().iter().all(|r| r.end().is_ascii()) && members.all(is_word)
        }
        HirKind::Capture(capture) => borders_word(&capture.sub, front),
        HirKind::Repetition(r) => r.min > 0 && borders_word(&r.sub, front),
        HirKind::Concat(parts) => {
            let edge = if front { parts.first() } else { parts.last() };
            edge.is_some_and(|part| borders_word(part, front))
        }
        HirKind::Alternation(parts) => parts.iter().all(|part| borders_word(part, front)),
    }
}
