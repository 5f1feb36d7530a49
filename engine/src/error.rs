//! The engine's one error type: what kind, where, and a message that quotes the offending value, the limit and the
//! place. The hot path returns outcomes, not errors; errors belong to loading packs, lists and generations.

use std::fmt;

/// Where in an input the error is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it; empty when there is none.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// Column in characters, from 1; 0 when unknown.
    pub column: usize,
}

impl Place {
    /// A place in a file, without line.
    pub fn file(file: impl Into<String>) -> Self {
        Place { file: file.into(), line: 0, column: 0 }
    }
    /// A place in a file, at a line and column from 1 (0: unknown).
    pub fn at(file: impl Into<String>, line: usize, column: usize) -> Self {
        Place { file: file.into(), line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// The kinds of error the engine has; a caller maps them to exit codes and HTTP statuses.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is not what its format says (syntax).
    Malformed,
    /// The input reads well but means nothing (unknown field, wrong type, bad reference).
    Invalid,
    /// A bound of `limits.rs` would be passed.
    TooLarge,
    /// Stored bytes do not match their checksum or hash.
    Corrupt,
    /// A format or schema version this engine does not know.
    Version,
    /// Something named is not there.
    NotFound,
    /// What it asks for cannot be done with the thing named as it stands (a hold that has ended).
    Conflict,
    /// It was read under other tag keys than those in force now: it is to be read again. Nothing was changed.
    OtherKeys,
}

/// An error: kind, place, message. Lower case, no full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What kind of error.
    pub kind: ErrorKind,
    /// Where; its default (empty) when the error has no place.
    pub place: Place,
    /// What was wrong and what was expected. Never holds sensitive values.
    pub message: String,
}

impl Error {
    /// An error without a place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, place: Place::default(), message: message.into() }
    }
    /// The same error at a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place == Place::default() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.place, self.message)
        }
    }
}

/// The candidate nearest to `word` by edit distance, for "did you mean"; `None` when none is near.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 + candidate.len() / 6)
        .min()
        .map(|(_, candidate)| candidate)
}
