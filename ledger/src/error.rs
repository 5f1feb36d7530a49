//! The ledger's one error type: kind, place (segment and offset), message. Cloneable, since one failed sync answers
//! many waiters.

use std::fmt;
use std::io;

/// Where in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The segment's number, from 1.
    pub segment: u64,
    /// Offset in its file, in bytes.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} offset {}", self.segment, self.offset)
    }
}

/// The kinds of error the ledger has; a caller maps them to exit codes and HTTP statuses.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The storage failed. After an append this means: nothing of the batch was kept, try again.
    Io,
    /// The storage is full; otherwise as `Io`.
    Full,
    /// A sync failed: what was written since the last good one may not be on disk, so it is written again elsewhere.
    Sync,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A format version this build does not know.
    Version,
    /// The journal was written under another master key.
    WrongKey,
    /// A key file that others may read, or of a wrong length.
    KeyFile,
    /// Another process writes this journal.
    Locked,
    /// The caller asked for what the journal's order does not allow.
    Invalid,
}

/// An error: kind, place, message. Lower case, no full stop; never holds record contents or keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What kind of error.
    pub kind: ErrorKind,
    /// Where in the journal, if anywhere.
    pub place: Option<Place>,
    /// What was wrong and what was expected.
    pub message: String,
}

impl Error {
    /// An error without a place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, place: None, message: message.into() }
    }
    /// The same error at a place of the journal.
    #[must_use]
    pub fn at(mut self, segment: u64, offset: u64) -> Error {
        self.place = Some(Place { segment, offset });
        self
    }
    /// An error of the storage while doing `what`.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::Full
            }
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{what}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "journal: {place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
