//! List files to entries: CSV and JSONL under the list's key. All errors of a file are told, up to a bound, with file,
//! line, column and what was expected; a file with an error gives no entries.

pub mod csv;
pub mod jsonl;

#[cfg(test)]
mod tests;

use crate::decode::entries::ERRORS_MAX;
use crate::decode::entries::subject_of;
use crate::error::FieldError;
use crate::normalise::keys::TagKey;
use interdict_engine::domain::{Entry, Subject, SubjectKind};

/// Most entries of one list file; some 4 GB as entries in memory.
pub const ENTRIES_MAX: usize = 20_000_000;

/// Whom a text means, of a kind, under a list's key: of an IP address or a BIN the prefix, of a card a token, of an account
/// an IBAN, of a name its folded form.
///
/// # Errors
/// What was expected of the text, which is never quoted.
pub fn subject(kind: SubjectKind, text: &str, key: &TagKey) -> Result<Subject, &'static str> {
    subject_of(kind, text, key)
}

/// What has been read of a list file.
struct Import<'f> {
    file: &'f str,
    entries: Vec<Entry>,
    errors: Vec<FieldError>,
}

impl<'f> Import<'f> {
    fn new(file: &'f str) -> Import<'f> {
        Import { file, entries: Vec::new(), errors: Vec::new() }
    }
    /// Takes what a line gave; false when reading on makes no sense.
    fn take(&mut self, line: u64, result: Result<Vec<Entry>, FieldError>) -> bool {
        match result {
            Ok(some) if self.entries.len() + some.len() > ENTRIES_MAX => {
                let error = FieldError::too_large("", format!("a list of at most {ENTRIES_MAX} entries"));
                self.fail(line, error);
                return false;
            }
            // After the first error nothing of the file is used.
            Ok(some) if self.errors.is_empty() => {
                for entry in some {
                    let id = self.entries.len() as u64;
                    self.entries.push(Entry { id, ..entry });
                }
            }
            Ok(_) => {}
            Err(error) => self.fail(line, error),
        }
        self.errors.len() < ERRORS_MAX
    }
    fn fail(&mut self, line: u64, error: FieldError) {
        self.errors.push(error.at_line(line).in_file(self.file));
    }
    fn finish(self) -> Result<Vec<Entry>, Vec<FieldError>> {
        if self.errors.is_empty() { Ok(self.entries) } else { Err(self.errors) }
    }
}
