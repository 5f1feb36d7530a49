//! Calendar files (docs/formats/calendar.md) to the tables that the engine searches: days, time zones and holidays are
//! worked out once, when the configuration is published.

mod compile;
mod file;

use interdict_engine::settlement::Calendar;
use interdict_engine::{Error, ErrorKind, Place};
use std::path::Path;

/// Largest calendar file, in bytes; a larger one is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a calendar file, under the name that the configuration gives it.
///
/// # Errors
/// A file that cannot be read; as [`parse`].
pub fn read(path: &Path, name: &str) -> Result<Calendar, Error> {
    let file = path.display().to_string();
    let failed = |why: String| Error::new(ErrorKind::NotFound, why).at(Place::file(file.clone()));
    let bytes = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("a calendar of {bytes} bytes, limit {FILE_BYTES_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, message).at(Place::file(file)));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    parse(&file, &text, name)
}

/// Compiles a calendar's text; `file` is what errors call it.
///
/// # Errors
/// What is not known, missing or contradicts itself, with file, line and what was expected.
pub fn parse(file: &str, text: &str, name: &str) -> Result<Calendar, Error> {
    let days = file::read(file, text)?;
    compile::compile(&days, name)
}

#[cfg(test)]
mod tests;
