//! A CSV with a header: a `name` column, and optionally `id` (rows of one id are one entry with several names) and
//! `kind`. Other columns are passed over, so that exports of other tools can be used as they are. Also the rows of
//! CSV that OFAC's files need: read from memory, by line, a cut quoted value noticed.

use super::{EntryKind, Errors, NAMES_MAX, Quality, WatchEntry, check_name};
use crate::error::{FieldError, shown_name};
use ::csv::{ByteRecord, ReaderBuilder, Terminator, Trim};
use interdict_engine::error::nearest;
use std::collections::HashMap;

/// Calls `each` with every record, as text, and the line it begins on; it says whether to read on.
pub(super) fn rows(
    bytes: &[u8],
    file: &str,
    errors: &mut Errors,
    mut each: impl FnMut(&[&str], u64, &mut Errors) -> bool,
) {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    // The DOS end of file, which OFAC's files may carry.
    let bytes = bytes.trim_ascii_end();
    let bytes = bytes.strip_suffix(b"\x1a").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // By default a line ends at its CR, and the LF is counted to the next: every line number one too low.
        .terminator(Terminator::Any(b'\n'))
        .trim(Trim::All)
        .from_reader(bytes);
    let (mut record, mut line) = (ByteRecord::new(), 1);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => line = record.position().map_or(line, ::csv::Position::line),
            Ok(false) => break,
            Err(_) => {
                errors.add(FieldError::malformed("", "CSV"), line, file);
                return;
            }
        }
        // An empty line that ends in CR LF.
        if record.len() == 1 && record.as_slice().is_empty() {
            continue;
        }
        let texts: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        let goes_on = match texts {
            Ok(texts) => each(&texts, line, errors),
            Err(_) => errors.add(FieldError::malformed("", "UTF-8"), line, file),
        };
        if !goes_on {
            return;
        }
    }
    if bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        let expected = "a closing quote: the file ends within a quoted value";
        errors.add(FieldError::malformed("", expected), line, file);
    }
}

struct Columns {
    count: usize,
    name: usize,
    id: Option<usize>,
    kind: Option<usize>,
}

fn header(names: &[&str]) -> Result<Columns, FieldError> {
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let place = |wanted: &str| lower.iter().position(|name| name == wanted);
    let Some(name) = place("name") else {
        let near = nearest("name", lower.iter().map(String::as_str));
        let expected = "a header with the column name (or OFAC's twelve columns without a header)";
        return Err(match near {
            Some(near) => {
                FieldError::malformed("", format!("{expected}; the nearest is {}", shown_name(near)))
            }
            None => FieldError::malformed("", expected),
        });
    };
    let kind = place("kind").or_else(|| place("schema")).or_else(|| place("type"));
    Ok(Columns { count: names.len(), name, id: place("id"), kind })
}

/// The entries of a CSV list.
pub(super) fn read_entries(bytes: &[u8], file: &str) -> Result<Vec<WatchEntry>, Vec<FieldError>> {
    let mut errors = Errors::default();
    let mut columns = None;
    let mut entries: Vec<WatchEntry> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let mut names = 0;
    rows(bytes, file, &mut errors, |row, line, errors| {
        let Some(columns) = &columns else {
            return match header(row) {
                Ok(found) => {
                    columns = Some(found);
                    true
                }
                Err(error) => {
                    errors.add(error, line, file);
                    false
                }
            };
        };
        names += 1;
        if names > NAMES_MAX {
            errors.add(FieldError::too_large("", format!("a list of at most {NAMES_MAX} names")), line, file);
            return false;
        }
        match entry(columns, row, names) {
            Ok(entry) => match by_id.get(&entry.id) {
                Some(at) => match entries[*at].alias(&entry.name, Quality::Strong) {
                    Ok(()) => true,
                    Err(error) => errors.add(error, line, file),
                },
                None => {
                    by_id.insert(entry.id.clone(), entries.len());
                    entries.push(entry);
                    true
                }
            },
            Err(error) => errors.add(error, line, file),
        }
    });
    if columns.is_none() && errors.0.is_empty() {
        errors.add(FieldError::malformed("", "a header with the column name"), 1, file);
    }
    errors.finish(entries)
}

fn entry(columns: &Columns, row: &[&str], number: usize) -> Result<WatchEntry, FieldError> {
    if row.len() != columns.count {
        let expected = format!("{} values, found {}", columns.count, row.len());
        return Err(FieldError::malformed("", expected));
    }
    let name = row[columns.name];
    if name.is_empty() {
        return Err(FieldError::invalid("name", "a name"));
    }
    check_name(name)?;
    let kind = match columns.kind.map(|at| row[at]).filter(|kind| !kind.is_empty()) {
        None => EntryKind::Other,
        Some(kind) => EntryKind::by_name(kind)
            .ok_or_else(|| FieldError::invalid("kind", "person, company, vessel or other"))?,
    };
    let id = columns.id.map(|at| row[at]).filter(|id| !id.is_empty());
    Ok(WatchEntry::new(id.map_or_else(|| number.to_string(), str::to_owned), kind, name.to_owned()))
}
