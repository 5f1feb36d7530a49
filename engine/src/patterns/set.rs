//! All patterns of a generation, compiled: one database a field and view, each taken from the cache where it is there
//! and sound, else compiled with every refusal reported at its pattern.

use super::cache::{self, DatabaseCache};
use super::emit::{Confirm, emit};
use super::ffi::{self, Database, Expression};
use super::pattern::{Extended, Lift, PatternSource, View};
use super::{cost, fold, parse, twin};
use crate::calibration::Calibration;
use crate::domain::Field;
use crate::error::{Error, ErrorKind};
use crate::limits::{PACK_ERRORS_MAX, PATTERNS_MAX};
use regex::Regex;
use regex_syntax::hir::Hir;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A pattern, compiled.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Declared ones have an id.
    pub source: Option<PatternSource>,
    pub fields: Vec<Field>,
    pub view: View,
    /// What the twin is made of, when somebody asks.
    pub hir: Hir,
    pub expression: Expression,
    pub confirm: Confirm,
    pub twin: OnceLock<Option<Regex>>,
    /// Whether databases hold it; a lift that Hyperscan refuses is left to the rules.
    pub runs: bool,
}

/// The patterns of one field and view.
#[derive(Debug)]
pub(super) struct Group {
    pub field: Field,
    pub view: View,
    pub database: Database,
    /// The patterns' numbers, by their places in the database.
    pub members: Vec<u32>,
}

/// The patterns of a generation.
#[derive(Debug)]
pub struct PatternSet {
    pub(super) patterns: Vec<Pattern>,
    /// How many are declared; lifts follow.
    pub(super) declared: usize,
    /// In the order of fields, raw before folded.
    pub(super) groups: Vec<Group>,
    pub(super) id: u64,
}

impl Default for PatternSet {
    fn default() -> PatternSet {
        PatternSet::of(Vec::new(), 0, Vec::new())
    }
}

impl PatternSet {
    fn of(patterns: Vec<Pattern>, declared: usize, groups: Vec<Group>) -> PatternSet {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        PatternSet { patterns, declared, groups, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Compiles declared patterns, numbered by their places, and lifts, numbered by theirs. A lift that Hyperscan
    /// refuses is no error: the rule evaluates it itself.
    ///
    /// # Errors
    /// Every declared pattern that is refused, with the library's message at its place; `TooLarge` past
    /// `PATTERNS_MAX`.
    pub fn compile(
        declared: &[PatternSource],
        lifts: &[Lift],
        cache: Option<&dyn DatabaseCache>,
    ) -> Result<PatternSet, Vec<Error>> {
        if declared.len() > PATTERNS_MAX {
            let message = format!("{} patterns, limit {PATTERNS_MAX}", declared.len());
            return Err(vec![Error::new(ErrorKind::TooLarge, message)]);
        }
        let (mut patterns, mut errors) = (Vec::with_capacity(declared.len() + lifts.len()), Vec::new());
        for source in declared {
            match prepare(source) {
                Ok(pattern) => patterns.push(pattern),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        patterns.extend(lifts.iter().map(lifted));
        fold::warm();
        let mut compiler = Compiler { patterns, cache, platform: ffi::platform(), errors: Vec::new() };
        let groups = compiler.groups();
        match compiler.errors.is_empty() {
            true => Ok(PatternSet::of(compiler.patterns, declared.len(), groups)),
            false => Err(compiler.errors),
        }
    }

    /// Checks one declared pattern by itself.
    ///
    /// # Errors
    /// As `compile`.
    pub fn check(source: &PatternSource) -> Result<(), Vec<Error>> {
        PatternSet::compile(std::slice::from_ref(source), &[], None).map(drop)
    }

    /// How many patterns are declared.
    pub fn len(&self) -> usize {
        self.declared
    }
    /// Whether there is nothing to scan for, neither declared nor lifted.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
    /// A declared pattern as written.
    ///
    /// # Panics
    /// When there is no such pattern.
    pub fn source(&self, number: u32) -> &PatternSource {
        self.patterns[number as usize].source.as_ref().expect("declared patterns have sources")
    }
    /// How many databases there are, and their bytes in memory.
    pub fn databases(&self) -> (usize, usize) {
        (self.groups.len(), self.groups.iter().map(|group| group.database.bytes()).sum())
    }
    /// What each declared pattern adds to a scan of every field, by number: estimates in ps over texts of 256 bytes.
    pub fn costs_ps(&self, costs: &Calibration) -> Vec<u64> {
        self.patterns[..self.declared].iter().map(|pattern| cost::pattern_ps(pattern, costs)).collect()
    }
    /// What a scan costs beside that: folding and starting on each field, by what it is, in ps.
    pub fn shared_costs_ps(&self, costs: &Calibration) -> Vec<(String, u64)> {
        cost::shared_ps(self, costs)
    }
}

fn prepare(source: &PatternSource) -> Result<Pattern, Vec<Error>> {
    let hir = parse::declared(source)?;
    let refuse = |message: String| {
        let message = format!("pattern {:?}: {message}", source.id);
        vec![Error::new(ErrorKind::Invalid, message).at(source.text.place(0))]
    };
    let emitted = emit(&hir, !source.extended.is_none()).map_err(refuse)?;
    if emitted.confirm != Confirm::Never {
        twin::build(&hir).map_err(refuse)?;
    }
    let mut fields = source.fields.clone();
    fields.sort_unstable();
    fields.dedup();
    let expression = Expression {
        text: emitted.text,
        // The library knows approximate matches of bytes only; `parse` has seen to ASCII.
        utf8: !source.extended.is_approximate(),
        extended: source.extended,
    };
    let (view, confirm) = (source.view, emitted.confirm);
    let source = Some(source.clone());
    Ok(Pattern { source, fields, view, hir, expression, confirm, twin: OnceLock::new(), runs: true })
}

fn lifted(lift: &Lift) -> Pattern {
    let prepared = Lift::of(lift.field, &lift.regex)
        .and_then(|_| parse::lifted(&lift.regex))
        .and_then(|hir| emit(&hir, false).ok().map(|emitted| (hir, emitted)))
        .filter(|(hir, emitted)| emitted.confirm == Confirm::Never || twin::build(hir).is_ok());
    let runs = prepared.is_some();
    let (hir, text, confirm) = match prepared {
        Some((hir, emitted)) => (hir, emitted.text, emitted.confirm),
        None => (Hir::fail(), String::new(), Confirm::Never),
    };
    let expression = Expression { text, utf8: true, extended: Extended::default() };
    let (fields, view) = (vec![lift.field], View::Raw);
    Pattern { source: None, fields, view, hir, expression, confirm, twin: OnceLock::new(), runs }
}

struct Compiler<'a> {
    patterns: Vec<Pattern>,
    cache: Option<&'a dyn DatabaseCache>,
    platform: String,
    errors: Vec<Error>,
}

impl Compiler<'_> {
    fn groups(&mut self) -> Vec<Group> {
        let mut members: BTreeMap<(Field, View), Vec<u32>> = BTreeMap::new();
        for (number, pattern) in self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.runs) {
            for field in &pattern.fields {
                members.entry((*field, pattern.view)).or_default().push(number as u32);
            }
        }
        let groups = members.into_iter().filter_map(|((field, view), members)| {
            let (database, members) = self.group(members)?;
            Some(Group { field, view, database, members })
        });
        groups.collect()
    }

    /// The database of some patterns, less those that are refused.
    fn group(&mut self, mut members: Vec<u32>) -> Option<(Database, Vec<u32>)> {
        loop {
            members.retain(|number| self.patterns[*number as usize].runs);
            if members.is_empty() || self.errors.len() >= PACK_ERRORS_MAX {
                return None;
            }
            let expressions: Vec<Expression> =
                members.iter().map(|number| self.patterns[*number as usize].expression.clone()).collect();
            let key = cache::key(&expressions, &self.platform);
            let kept = self.cache.and_then(|cache| cache.get(&cache::name(&key)));
            if let Some(database) = kept.and_then(|bytes| cache::open(&key, &bytes)) {
                return Some((database, members));
            }
            match Database::compile(&expressions, false) {
                Ok(database) => {
                    if let Some((cache, body)) = self.cache.zip(database.serialize()) {
                        cache.put(&cache::name(&key), &cache::seal(&key, &body));
                    }
                    return Some((database, members));
                }
                Err(refused) => match refused.index.and_then(|index| members.get(index)) {
                    Some(number) => self.refuse(*number, &refused.message),
                    None => {
                        self.errors.push(Error::new(ErrorKind::Invalid, refused.message));
                        return None;
                    }
                },
            }
        }
    }

    /// The library's refusal of one pattern: an error of a declared one; a lift just does not run.
    fn refuse(&mut self, number: u32, message: &str) {
        let pattern = &mut self.patterns[number as usize];
        pattern.runs = false;
        if let Some(source) = &pattern.source {
            // Its index is into our expression, which the author never sees.
            let message = message.split(" at index ").next().unwrap_or(message).trim_end_matches('.');
            let message = format!("pattern {:?}: hyperscan: {message}", source.id);
            self.errors.push(Error::new(ErrorKind::Invalid, message).at(source.text.place(0)));
        }
    }
}
