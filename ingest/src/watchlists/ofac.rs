//! OFAC's legacy CSV files (Treasury, "SDN data formats"): `sdn.csv` with `alt.csv` and `add.csv` beside it, no header,
//! `-0-` for null, fields by position. Weak aliases stand in quotes in the remarks (`a.k.a. 'BNC'`).

use super::csv::rows;
use super::{EntryKind, Errors, NAMES_MAX, Quality, WatchEntry, check_name};
use crate::error::FieldError;
use std::collections::HashMap;

const SDN_FIELDS: usize = 12;
const ALT_FIELDS: usize = 5;
const ADD_FIELDS: usize = 6;

/// Name and bytes of each file; an absent one is empty.
pub(super) struct Files<'a> {
    pub sdn: (&'a str, &'a [u8]),
    pub alt: (&'a str, &'a [u8]),
    pub add: (&'a str, &'a [u8]),
}

/// Whether the first record is one of `sdn.csv`: a number and eleven fields more.
pub(super) fn is_sdn(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut found = false;
    rows(first, "", &mut Errors::default(), |row, _, _| {
        found = row.len() == SDN_FIELDS && row[0].parse::<u64>().is_ok();
        false
    });
    found
}

/// The entries of the three files.
pub(super) fn read_entries(files: &Files<'_>) -> Result<Vec<WatchEntry>, Vec<FieldError>> {
    let mut errors = Errors::default();
    let mut entries: Vec<WatchEntry> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let (file, bytes) = files.sdn;
    rows(bytes, file, &mut errors, |row, line, errors| {
        let taken = fields(row, SDN_FIELDS).and_then(|()| entry(row)).and_then(|entry| {
            if by_id.insert(entry.id.clone(), entries.len()).is_some() {
                return Err(FieldError::invalid("ent_num", "a number once, not twice"));
            }
            entries.push(entry);
            under_bound(entries.len())
        });
        taken.map_or_else(|error| errors.add(error, line, file), |()| true)
    });
    let mut names = entries.len();
    for (part, count) in [(files.alt, ALT_FIELDS), (files.add, ADD_FIELDS)] {
        let (file, bytes) = part;
        rows(bytes, file, &mut errors, |row, line, errors| {
            names += usize::from(count == ALT_FIELDS);
            let taken = fields(row, count).and_then(|()| under_bound(names)).and_then(|()| {
                // Of another edition: whose names these are nobody could say.
                let at = by_id.get(row[0]).ok_or_else(|| {
                    FieldError::invalid("ent_num", "a number that is in sdn.csv (are both of one edition?)")
                })?;
                let entry = &mut entries[*at];
                if count == ALT_FIELDS {
                    return entry.alias(value(row[3]), Quality::Strong);
                }
                entry.country(value(row[4]));
                Ok(())
            });
            taken.map_or_else(|error| errors.add(error, line, file), |()| true)
        });
    }
    errors.finish(entries)
}

fn under_bound(names: usize) -> Result<(), FieldError> {
    if names > NAMES_MAX {
        return Err(FieldError::too_large("", format!("a list of at most {NAMES_MAX} names")));
    }
    Ok(())
}

fn fields(row: &[&str], count: usize) -> Result<(), FieldError> {
    if row.len() == count {
        return Ok(());
    }
    Err(FieldError::malformed("", format!("{count} values, found {}", row.len())))
}

/// A field's text; empty for null.
fn value(field: &str) -> &str {
    if field == "-0-" { "" } else { field }
}

fn entry(row: &[&str]) -> Result<WatchEntry, FieldError> {
    if row[0].parse::<u64>().is_err() {
        return Err(FieldError::invalid("ent_num", "a number"));
    }
    let name = value(row[1]);
    if name.is_empty() {
        return Err(FieldError::invalid("SDN_Name", "a name"));
    }
    check_name(name)?;
    let kind = match value(row[2]) {
        // OFAC leaves the type of organisations empty.
        "" => EntryKind::Company,
        kind => EntryKind::by_name(kind)
            .ok_or_else(|| FieldError::invalid("SDN_Type", "individual, vessel, aircraft or -0-"))?,
    };
    let mut entry = WatchEntry::new(row[0].to_owned(), kind, name.to_owned());
    value(row[3]).split("] [").for_each(|program| entry.program(program.trim_matches(['[', ']'])));
    for remark in value(row[11]).split(';') {
        if let Some(name) = weak_alias(remark.trim()) {
            entry.alias(name, Quality::Weak)?;
        }
    }
    Ok(entry)
}

/// The name in `a.k.a. 'NAME'` (also formerly and now known as); the name itself may hold apostrophes.
fn weak_alias(remark: &str) -> Option<&str> {
    let quoted = ["a.k.a. '", "f.k.a. '", "n.k.a. '"].iter().find_map(|mark| remark.strip_prefix(mark))?;
    quoted.rfind('\'').map(|end| &quoted[..end])
}
