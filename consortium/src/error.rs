//! The consortium's one error type: what kind, where, and a message that says what was expected. Messages never quote
//! identifiers, keys or tags.

use std::fmt;

/// Where in an input the error is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The input as a whole.
    #[default]
    Whole,
    /// A line, from 1.
    Line(usize),
    /// A byte, from 0.
    Byte(u64),
    /// A leaf of a log, from 0, by the log's name.
    Leaf(&'static str, u64),
    /// A record of a body or a snapshot, from 0.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Whole => Ok(()),
            Place::Line(line) => write!(f, "line {line}: "),
            Place::Byte(byte) => write!(f, "byte {byte}: "),
            Place::Leaf(log, leaf) => write!(f, "{log} leaf {leaf}: "),
            Place::Row(row) => write!(f, "row {row}: "),
        }
    }
}

/// The kinds of error; a caller maps them to exit codes and HTTP statuses.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is not what its format says.
    Malformed,
    /// The input reads well but may not be: an unknown reference, a value outside its range, a rule that refuses it.
    Invalid,
    /// A bound of `limits.rs` would be passed.
    TooLarge,
    /// Bytes do not match their hash, a proof does not prove, or a signature does not verify.
    Corrupt,
    /// A record type or version, or a kind of key, that is not known here.
    Version,
    /// A signature by a key that nobody here vouches for.
    UnknownKey,
    /// Too few of those who must sign have signed.
    Quorum,
    /// Something named is not there.
    NotFound,
    /// Older than what is held already, or out of date.
    Stale,
    /// Two things that exclude each other were signed: two histories of one log, two epochs of one number.
    Equivocation,
    /// Whoever asks may not.
    Forbidden,
    /// More than may be asked for in this time.
    RateLimited,
    /// The folder that holds a log did not do what was asked; what it holds now is known only after it is opened anew.
    Storage,
}

/// An error: kind, place, message. Lower case, no full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct Error {
    /// What kind of error.
    pub kind: ErrorKind,
    /// Where.
    pub place: Place,
    /// What was wrong and what was expected.
    pub message: String,
}

impl Error {
    /// An error without a place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, place: Place::Whole, message: message.into() }
    }
    /// The same error at a place; one that has a place already keeps it behind the new one, as text.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        if self.place != Place::Whole {
            self.message = format!("{}{}", self.place, self.message);
        }
        self.place = place;
        self
    }
}

/// What everything here answers.
pub type Result<T> = std::result::Result<T, Error>;
