//! Signals from CSV (RFC 4180) with a header: `kind,value`, and optionally `bank` (of an account that is no IBAN), `op`,
//! `reason`, `severity`, `first_seen`, `last_seen`, `expires`, `evidence`. Empty cells are absent. A wrong line is named
//! and left out; all others are taken.

use super::draft::{Canonical, Defaults, Draft, Given, Imported, not_shared, time_ms};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::Kind;
use crate::limits::IMPORT_BYTES_MAX;
use crate::signal::op::Aspect;
use crate::signal::{Op, Reason};
use ::csv::{ByteRecord, ReaderBuilder, Terminator, Trim};
use zeroize::Zeroizing;

const COLUMNS: [&str; 10] =
    ["kind", "value", "bank", "op", "reason", "severity", "first_seen", "last_seen", "expires", "evidence"];

/// Reads a file; `canonical` makes the spelling that tags are made of.
///
/// # Errors
/// Only for a file that cannot be read as one: `TooLarge`; `Malformed` without a header that it knows, at the line. Wrong
/// lines are in what it answers.
pub fn read(file: &[u8], defaults: &Defaults<'_>, canonical: Canonical<'_>) -> Result<Imported> {
    if file.len() > IMPORT_BYTES_MAX {
        let message = format!("a file of {} bytes, limit {IMPORT_BYTES_MAX}", file.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // By default a line ends at its CR, and the LF is counted to the next: every line number one too low.
        .terminator(Terminator::Any(b'\n'))
        .trim(Trim::All)
        .from_reader(file);
    let (mut imported, mut record, mut columns) = (Imported::default(), ByteRecord::new(), None);
    let mut line = 1;
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        line = record.position().map_or(line, ::csv::Position::line);
        let place = Place::Line(usize::try_from(line).unwrap_or(usize::MAX));
        if record.len() == 1 && record.as_slice().is_empty() {
            continue;
        }
        let Some(columns) = &columns else {
            columns = Some(header(&record).map_err(|e| e.at(place))?);
            continue;
        };
        match draft(columns, &record, defaults, canonical) {
            Ok(draft) => {
                let draft = Draft { place: place.clone(), ..draft };
                if let Err((before, _)) = imported.take(draft) {
                    let first = &imported.drafts[before].place;
                    let message = format!("{first}there already: a signal may be there once");
                    imported.fail(place, Error::new(ErrorKind::Invalid, message));
                }
            }
            Err(error) => imported.fail(place, error),
        }
    }
    if columns.is_none() {
        return Err(malformed("expected a header with the columns kind and value").at(Place::Line(1)));
    }
    // The reader takes a file that ends within a quoted value for whole.
    if file.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        let place = Place::Line(usize::try_from(line).unwrap_or(usize::MAX));
        imported.fail(place, malformed("expected a closing quote: the file ends within a quoted value"));
    }
    Ok(imported.finish())
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}
/// An error of a cell; the cell is never quoted, since a shifted row has identifiers anywhere.
fn wrong(column: &str, expected: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, format!("{column}: expected {expected}"))
}

fn header(record: &ByteRecord) -> Result<Vec<&'static str>> {
    let mut columns = Vec::with_capacity(record.len());
    for (number, name) in record.iter().enumerate() {
        let name = name.strip_prefix("\u{feff}".as_bytes()).unwrap_or(name);
        let known = COLUMNS.iter().find(|known| known.as_bytes() == name).copied();
        let Some(known) = known else {
            let all = COLUMNS.join(", ");
            return Err(malformed(format!(
                "column {} of the header is not known: expected {all}",
                number + 1
            )));
        };
        if columns.contains(&known) {
            return Err(malformed(format!("the column {known} twice")));
        }
        columns.push(known);
    }
    match ["kind", "value"].iter().all(|needed| columns.contains(needed)) {
        true => Ok(columns),
        false => Err(malformed("expected a header with the columns kind and value")),
    }
}

fn draft(
    columns: &[&'static str],
    record: &ByteRecord,
    defaults: &Defaults<'_>,
    canonical: Canonical<'_>,
) -> Result<Draft> {
    if record.len() != columns.len() {
        return Err(malformed(format!("expected {} values, found {}", columns.len(), record.len())));
    }
    let mut cells = [None; COLUMNS.len()];
    for (column, cell) in columns.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| wrong(column, "UTF-8"))?;
        let at = COLUMNS.iter().position(|known| known == column);
        cells[at.expect("the header has known columns")] = Some(text).filter(|text| !text.is_empty());
    }
    let [kind, value, bank, op, reason, severity, first_seen, last_seen, expires, evidence] = cells;
    let kind = kind.and_then(|name| Kind::by_name(name).ok());
    let kind = kind.ok_or_else(|| wrong("kind", Kind::ALL.map(Kind::name).join(", ")))?;
    let policy = defaults.policies.get(kind).ok_or_else(|| not_shared(kind))?;
    let op = match op {
        None => Op::Add,
        Some(name) => Op::by_name(name).map_err(|_| wrong("op", Op::ALL.map(Op::name).join(", ")))?,
    };
    let times = Times::of(op, [first_seen, last_seen, expires], policy.lifetime_ms, defaults.now_ms)?;
    let reason = reason_of(op, reason, defaults.reason)?;
    let value = value.ok_or_else(|| wrong("value", "an identifier"))?;
    if bank.is_some() && kind != Kind::Account {
        return Err(wrong("bank", "nothing: only an account has a bank"));
    }
    Ok(Draft {
        place: Place::Whole,
        kind,
        op,
        reason,
        severity: severity_of(op, severity, reason)?,
        first_seen_ms: times.first_seen_ms,
        last_seen_ms: times.last_seen_ms,
        expires_ms: times.expires_ms,
        evidence: evidence.map_or(Some([0; 32]), hash).ok_or_else(|| wrong("evidence", "64 hex digits"))?,
        canonical: Zeroizing::new(canonical(Given { kind, text: value, bank })?),
    })
}

fn reason_of(op: Op, cell: Option<&str>, default: Reason) -> Result<Option<Reason>> {
    let is_of_dispute = match op {
        Op::Add | Op::Correct => false,
        Op::Dispute => true,
        _ if cell.is_some() => return Err(wrong("reason", format!("nothing: {op} has none"))),
        _ => return Ok(None),
    };
    let names = || {
        let of_op = Reason::all().filter(|reason| reason.is_of_dispute() == is_of_dispute);
        of_op.map(Reason::name).collect::<Vec<_>>().join(", ")
    };
    let reason = match cell {
        None if is_of_dispute => None,
        None => Some(default),
        Some(name) => Reason::by_name(name).ok(),
    };
    let reason = reason.filter(|reason| reason.is_of_dispute() == is_of_dispute);
    reason.map(Some).ok_or_else(|| wrong("reason", names()))
}

fn severity_of(op: Op, cell: Option<&str>, reason: Option<Reason>) -> Result<u8> {
    match cell {
        Some(_) if !op.has_claim() => Err(wrong("severity", format!("nothing: {op} has none"))),
        Some(text) => {
            let severity = text.parse().ok().filter(|severity| *severity <= 100);
            severity.ok_or_else(|| wrong("severity", "an integer from 0 to 100"))
        }
        None if op.has_claim() => Ok(reason.map_or(0, Reason::severity)),
        None => Ok(0),
    }
}

/// A row's times, as its operation has them.
struct Times {
    first_seen_ms: u64,
    last_seen_ms: u64,
    expires_ms: u64,
}

impl Times {
    fn of(op: Op, cells: [Option<&str>; 3], lifetime_ms: u64, now_ms: u64) -> Result<Times> {
        let names = ["first_seen", "last_seen", "expires"];
        let expected = "RFC 3339, a date, or unix milliseconds";
        let mut given = [None; 3];
        for (at, cell) in cells.iter().enumerate() {
            if let Some(text) = cell {
                given[at] = Some(time_ms(text).ok_or_else(|| wrong(names[at], expected))?);
            }
        }
        let [first, last, expires] = given;
        if first.max(last) > Some(now_ms) {
            return Err(wrong("last_seen", "a time that is not after now"));
        }
        match op.aspect() {
            Aspect::Contribution if op.has_claim() => {
                let last = last.or(first).unwrap_or(now_ms);
                let first = first.unwrap_or(last);
                let expires_ms = expires.unwrap_or(last.saturating_add(lifetime_ms));
                if first > last || last >= expires_ms {
                    return Err(wrong("expires", "first_seen, not after last_seen, before expires"));
                }
                Ok(Times { first_seen_ms: first, last_seen_ms: last, expires_ms })
            }
            Aspect::Outcome if first.is_none() && expires.is_none() => {
                let met = last.unwrap_or(now_ms);
                Ok(Times { first_seen_ms: met, last_seen_ms: met, expires_ms: 0 })
            }
            _ if given == [None; 3] => Ok(Times { first_seen_ms: 0, last_seen_ms: 0, expires_ms: 0 }),
            _ => Err(wrong("last_seen", format!("no times but an outcome's last_seen: {op} has none"))),
        }
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}
