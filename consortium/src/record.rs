//! The grammar of a note's text: `interdict/TYPE/vN`, then `key value` lines in the order that the type declares. One
//! value has one spelling, so that what two members rebuild is equal byte for byte; unknown keys are refused.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::limits::{RECORD_LINES_MAX, VALUE_BYTES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::{Display, Write as _};
use std::str::FromStr;

/// What every first line begins with.
const PREFIX: &str = "interdict/";

/// The type and version that a text says it has.
///
/// # Errors
/// `Malformed` for a first line that is none.
pub fn type_of(text: &str) -> Result<(&str, u32)> {
    let first = text.split('\n').next().unwrap_or_default();
    let parsed = first.strip_prefix(PREFIX).and_then(|rest| rest.split_once("/v"));
    parsed.and_then(|(ty, version)| Some((ty, canonical(version)?))).ok_or_else(|| {
        let message = format!("expected \"{PREFIX}TYPE/vN\" as the first line");
        Error::new(ErrorKind::Malformed, message).at(Place::Line(1))
    })
}

/// Writes a record's text.
#[derive(Debug)]
pub struct Writer(String);

impl Writer {
    /// Begins a record.
    pub fn new(ty: &str, version: u32) -> Writer {
        Writer(format!("{PREFIX}{ty}/v{version}\n"))
    }
    /// A line.
    ///
    /// # Errors
    /// `Malformed` for a value with control characters, empty, or with white space at an end; `TooLarge` for one past
    /// `VALUE_BYTES_MAX`.
    pub fn put(&mut self, key: &'static str, value: impl Display) -> Result<&mut Writer> {
        let at = self.0.len();
        let _ = write!(self.0, "{key} {value}");
        let written = &self.0[at + key.len() + 1..];
        if let Err(error) = check_value(key, written) {
            self.0.truncate(at);
            return Err(error);
        }
        self.0.push('\n');
        Ok(self)
    }
    /// A line where there is a value.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn put_some(&mut self, key: &'static str, value: Option<impl Display>) -> Result<&mut Writer> {
        match value {
            Some(value) => self.put(key, value),
            None => Ok(self),
        }
    }
    /// A line of bytes, as base64.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn put_bytes(&mut self, key: &'static str, bytes: &[u8]) -> Result<&mut Writer> {
        self.put(key, STANDARD.encode(bytes))
    }
    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// Reads a record's text line by line.
#[derive(Debug)]
pub struct Reader<'a> {
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
    /// Of the line read last, from 1.
    line: usize,
}

impl<'a> Reader<'a> {
    /// Opens a text of one type and version.
    ///
    /// # Errors
    /// `Version` for another type or version, with what was expected; `Malformed`, `TooLarge`.
    pub fn open(text: &'a str, ty: &str, version: u32) -> Result<Reader<'a>> {
        let (found, found_version) = type_of(text)?;
        if (found, found_version) != (ty, version) {
            let message = format!("{found}/v{found_version} is not known here: expected {ty}/v{version}");
            return Err(Error::new(ErrorKind::Version, message).at(Place::Line(1)));
        }
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| Error::new(ErrorKind::Malformed, "a record ends with a newline"))?;
        let count = body.split('\n').count();
        if count > RECORD_LINES_MAX {
            let message = format!("a record of {count} lines, limit {RECORD_LINES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut lines = body.split('\n').peekable();
        lines.next();
        Ok(Reader { lines, line: 1 })
    }
    /// The next line's value; the line must have this key.
    ///
    /// # Errors
    /// `Malformed`, with the line and the key that was expected.
    pub fn take(&mut self, key: &'static str) -> Result<&'a str> {
        match self.take_some(key)? {
            Some(value) => Ok(value),
            None => {
                let found =
                    self.lines.peek().map(|line| line.split(' ').next().unwrap_or_default().to_owned());
                let found = found.map_or("the end".to_owned(), |found| format!("{found:?}"));
                let message = format!("expected {key:?}, found {found}");
                Err(Error::new(ErrorKind::Malformed, message).at(Place::Line(self.line + 1)))
            }
        }
    }
    /// The next line's value where it has this key.
    ///
    /// # Errors
    /// `Malformed` for a value that may not be.
    pub fn take_some(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        let value = self.lines.peek().and_then(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let Some(value) = value else { return Ok(None) };
        self.lines.next();
        self.line += 1;
        check_value(key, value).map_err(|e| e.at(Place::Line(self.line)))?;
        Ok(Some(value))
    }
    /// The values of all next lines of this key.
    ///
    /// # Errors
    /// As [`Reader::take_some`].
    pub fn take_all(&mut self, key: &'static str) -> Result<Vec<&'a str>> {
        let mut all = Vec::new();
        while let Some(value) = self.take_some(key)? {
            all.push(value);
        }
        Ok(all)
    }
    /// The next line as a number, or whatever has one spelling.
    ///
    /// # Errors
    /// `Malformed` also for another spelling of it (`+1`, `01`).
    pub fn number<T: FromStr + Display>(&mut self, key: &'static str) -> Result<T> {
        let value = self.take(key)?;
        canonical(value)
            .ok_or_else(|| self.refuse(format!("{key:?}: expected a number without sign and zeros in front")))
    }
    /// As [`Reader::number`], where the line is there.
    ///
    /// # Errors
    /// As there.
    pub fn number_some<T: FromStr + Display>(&mut self, key: &'static str) -> Result<Option<T>> {
        let Some(value) = self.take_some(key)? else { return Ok(None) };
        let refused = || self.refuse(format!("{key:?}: expected a number without sign and zeros in front"));
        canonical(value).map(Some).ok_or_else(refused)
    }
    /// The next line as bytes in base64.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn bytes(&mut self, key: &'static str) -> Result<Vec<u8>> {
        let value = self.take(key)?;
        STANDARD.decode(value).map_err(|_| self.refuse(format!("{key:?}: expected base64")))
    }
    /// The next line as `N` bytes in base64.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn array<const N: usize>(&mut self, key: &'static str) -> Result<[u8; N]> {
        let bytes = self.bytes(key)?;
        bytes.try_into().map_err(|_| self.refuse(format!("{key:?}: expected {N} bytes in base64")))
    }
    /// An error at the line read last.
    pub fn refuse(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Malformed, message).at(Place::Line(self.line))
    }
    /// That nothing follows.
    ///
    /// # Errors
    /// `Malformed`, with the line.
    pub fn end(mut self) -> Result<()> {
        match self.lines.next() {
            None => Ok(()),
            Some(line) => {
                let key = line.split(' ').next().unwrap_or_default();
                let message = format!("{key:?} is not known here, or not at this place");
                Err(Error::new(ErrorKind::Malformed, message).at(Place::Line(self.line + 1)))
            }
        }
    }
}

/// A value in the one spelling that it has.
fn canonical<T: FromStr + Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|value| value.to_string() == text)
}

fn check_value(key: &str, value: &str) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        let message = format!("{key:?}: a value of {} bytes, limit {VALUE_BYTES_MAX}", value.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    if value.is_empty() || value.trim() != value || value.contains(|c: char| c.is_control()) {
        let message = format!(
            "{key:?}: a value is not empty and has no white space at its ends and no control characters"
        );
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
