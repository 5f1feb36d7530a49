//! A snapshot as CSV (RFC 4180), for people and other tools: tags in hex, text where a kind is open, times in RFC 3339.

use crate::epoch::snapshot::{Row, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::fixed::Sink;
use jiff::Timestamp;

const COLUMNS: [&str; 13] = [
    "kind",
    "key_version",
    "tag",
    "exact",
    "text",
    "reason",
    "severity",
    "trusted",
    "contributors",
    "member",
    "first_seen",
    "last_seen",
    "expires",
];

/// Writes all rows under a header line.
///
/// # Errors
/// What the sink says.
pub fn csv(snapshot: &Snapshot<'_>, mut sink: impl Sink) -> Result<()> {
    let mut lines = Vec::new();
    put(&mut lines, COLUMNS)?;
    for row in snapshot.rows() {
        put(&mut lines, cells(&row)?)?;
        if lines.len() > 1 << 16 {
            sink.put(&lines)?;
            lines.clear();
        }
    }
    sink.put(&lines)
}

fn put<T: AsRef<[u8]>>(lines: &mut Vec<u8>, cells: [T; COLUMNS.len()]) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(lines);
    let written = writer.write_record(cells).is_ok() && writer.flush().is_ok();
    match written {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::TooLarge, "no memory for a line")),
    }
}

fn cells(row: &Row<'_>) -> Result<[String; COLUMNS.len()]> {
    let exact = if row.key.tags.exact == [0; 16] { String::new() } else { hex(&row.key.tags.exact) };
    Ok([
        row.key.kind.name().to_owned(),
        row.key.key_version.to_string(),
        hex(&row.key.tags.tag),
        exact,
        row.text.to_owned(),
        row.reason.name().to_owned(),
        row.severity.to_string(),
        row.trusted.to_string(),
        row.contributors.to_string(),
        row.member.map_or_else(String::new, |member| member.to_string()),
        rfc3339(row.first_seen_ms)?,
        rfc3339(row.last_seen_ms)?,
        rfc3339(row.expires_ms)?,
    ])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn rfc3339(ms: u64) -> Result<String> {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.ok_or_else(|| Error::new(ErrorKind::Invalid, "a time after the year 9998"))?;
    Ok(format!("{time:.3}"))
}
