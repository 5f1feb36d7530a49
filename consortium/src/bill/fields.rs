//! Lines of several values, which the records of the bill have: split at single spaces, each value in its one spelling.

use crate::error::{Error, ErrorKind, Result};
use crate::record::Reader;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Display;
use std::str::FromStr;

/// The `N` values of a line.
pub(super) fn split<'a, const N: usize>(r: &Reader<'_>, value: &'a str) -> Result<[&'a str; N]> {
    let parts: Vec<&str> = value.split(' ').collect();
    let found = parts.len();
    parts
        .try_into()
        .map_err(|_| r.refuse(format!("expected {N} values between single spaces, found {found}")))
}

/// A number in its one spelling.
pub(super) fn number<T: FromStr + Display>(r: &Reader<'_>, text: &str) -> Result<T> {
    let parsed = text.parse::<T>().ok().filter(|value| value.to_string() == text);
    parsed.ok_or_else(|| r.refuse("expected a number without plus sign and zeros in front"))
}

/// 32 bytes in base64.
pub(super) fn hash(r: &Reader<'_>, text: &str) -> Result<[u8; 32]> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| r.refuse("expected 32 bytes in base64"))
}

/// Bytes in base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Checks a name of ours: `[a-z0-9.-]`, not empty, bounded, so that it can stand in a line, a path, a table or XML as it is.
///
/// # Errors
/// `Malformed`.
pub(super) fn check_word(what: &'static str, text: &str, bytes_max: usize) -> Result<()> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    if text.is_empty() || text.len() > bytes_max || !text.bytes().all(fits) {
        let message = format!("{what}: expected 1 to {bytes_max} of a-z, 0-9, \".\" and \"-\"");
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(())
}

/// That keys rise from line to line: one order, nothing twice.
pub(super) fn check_rising<K: Ord>(r: &Reader<'_>, last: Option<&K>, next: &K) -> Result<()> {
    match last {
        Some(last) if last >= next => Err(r.refuse("lines of one key are in rising order, none twice")),
        _ => Ok(()),
    }
}
