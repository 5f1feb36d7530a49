//! A list file in CSV (RFC 4180) with a header: `type,value`, and optionally `bank` (for account numbers), `effect`,
//! `overridable`, `overrides`, `reason`, `severity`, `valid_from`, `valid_to`, `contributor`. Empty cells are absent.

use super::Import;
use crate::decode::entries::entries;
use crate::decode::shape::EntryLeaf;
use crate::decode::values::{Raw, Values};
use crate::error::{FieldError, shown_name};
use crate::normalise::identifiers::Pan;
use crate::normalise::keys::TagKey;
use ::csv::{ByteRecord, ReaderBuilder, Terminator, Trim};
use interdict_engine::domain::{Entry, SubjectKind};
use interdict_engine::error::nearest;
use std::io::Read;

/// A column of a list file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Type,
    Value,
    Bank,
    Leaf(EntryLeaf),
}

const COLUMNS: [(&str, Column); 11] = [
    ("type", Column::Type),
    ("value", Column::Value),
    ("bank", Column::Bank),
    ("effect", Column::Leaf(EntryLeaf::Effect)),
    ("overridable", Column::Leaf(EntryLeaf::Overridable)),
    ("overrides", Column::Leaf(EntryLeaf::Overrides)),
    ("reason", Column::Leaf(EntryLeaf::Reason)),
    ("severity", Column::Leaf(EntryLeaf::Severity)),
    ("valid_from", Column::Leaf(EntryLeaf::ValidFrom)),
    ("valid_to", Column::Leaf(EntryLeaf::ValidTo)),
    ("contributor", Column::Leaf(EntryLeaf::Contributor)),
];

/// The entries of a CSV list, numbered by their order. `contributor` stands where a row names none.
///
/// # Errors
/// Every wrong row (by the line it begins on, with its column), at most [`crate::decode::entries::ERRORS_MAX`].
pub fn read_entries(
    reader: impl Read,
    file: &str,
    key: &TagKey,
    contributor: &str,
) -> Result<Vec<Entry>, Vec<FieldError>> {
    let mut import = Import::new(file);
    let mut quotes = QuoteCount { reader, quotes: 0 };
    let mut csv = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // By default a line ends at its CR, and the LF is counted to the next: every line number one too low.
        .terminator(Terminator::Any(b'\n'))
        .trim(Trim::All)
        .buffer_capacity(1 << 18)
        .from_reader(&mut quotes);
    let (mut record, mut columns, mut line) = (ByteRecord::new(), None, 1);
    loop {
        line = csv.position().line().max(line);
        match csv.read_byte_record(&mut record) {
            Ok(true) => line = record.position().map_or(line, ::csv::Position::line),
            Ok(false) => break,
            Err(error) => {
                import.fail(
                    line,
                    FieldError::malformed("", format!("a file that can be read: {}", io(&error))),
                );
                break;
            }
        }
        // An empty line that ends in CR LF.
        if record.len() == 1 && record.as_slice().is_empty() {
            continue;
        }
        let Some(columns) = &columns else {
            match header(&record) {
                Ok(header) => columns = Some(header),
                Err(error) => {
                    import.fail(line, error);
                    return import.finish();
                }
            }
            continue;
        };
        if !import.take(line, row(columns, &record, key, contributor)) {
            return import.finish();
        }
    }
    drop(csv);
    if columns.is_none() {
        import.fail(1, FieldError::malformed("", "a header with the columns type and value"));
    }
    if quotes.quotes % 2 == 1 {
        let expected = "a closing quote: the file ends within a quoted value";
        import.fail(line, FieldError::malformed("", expected));
    }
    import.finish()
}

/// The I/O error without the record it may quote.
fn io(error: &::csv::Error) -> String {
    match error.kind() {
        ::csv::ErrorKind::Io(error) => error.kind().to_string(),
        _ => "not CSV".into(),
    }
}

fn header(record: &ByteRecord) -> Result<Vec<Column>, FieldError> {
    let mut columns = Vec::with_capacity(record.len());
    for name in record {
        let name = name.strip_prefix("\u{feff}".as_bytes()).unwrap_or(name);
        let name = std::str::from_utf8(name).map_err(|_| FieldError::malformed("", "a header in UTF-8"))?;
        let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            let expected = match nearest(name, COLUMNS.iter().map(|(known, _)| *known)) {
                Some(near) => format!("a known column; the nearest is {near}"),
                None => "a header with the columns type and value, and no unknown ones".into(),
            };
            return Err(FieldError::invalid(shown_name(name), expected));
        };
        if columns.contains(column) {
            return Err(FieldError::invalid(name, "the column once, not twice"));
        }
        columns.push(*column);
    }
    for (name, column) in &COLUMNS[..2] {
        if !columns.contains(column) {
            return Err(FieldError::invalid(*name, "a header with the columns type and value"));
        }
    }
    Ok(columns)
}

fn name_of(column: Column) -> &'static str {
    COLUMNS.iter().find(|(_, other)| *other == column).map_or("", |(name, _)| name)
}

fn row(
    columns: &[Column],
    record: &ByteRecord,
    key: &TagKey,
    contributor: &str,
) -> Result<Vec<Entry>, FieldError> {
    if record.len() != columns.len() {
        let expected = format!("{} values, found {}", columns.len(), record.len());
        return Err(FieldError::malformed("", expected));
    }
    let (mut values, mut kind, mut value, mut bank) = (Values::new(), None, None, None);
    for (column, cell) in columns.iter().zip(record) {
        let wrong = |expected| FieldError::invalid(name_of(*column), expected);
        let text = std::str::from_utf8(cell).map_err(|_| FieldError::malformed(name_of(*column), "UTF-8"))?;
        if text.is_empty() {
            continue;
        }
        match column {
            Column::Type => {
                let expected = "card, account, device, merchant, terminal, ip, bin, email, phone or name";
                kind = Some(SubjectKind::by_name(text).ok_or_else(|| wrong(expected))?);
            }
            Column::Value => value = Some(text),
            Column::Bank => bank = Some(text),
            Column::Leaf(EntryLeaf::Overridable) => {
                let flag = text.parse().map_err(|_| wrong("true or false"))?;
                values.set(EntryLeaf::Overridable, Raw::Bool(flag));
            }
            Column::Leaf(EntryLeaf::Severity) => {
                let severity = text.parse().map_err(|_| wrong("an integer from 0 to 100"))?;
                values.set(EntryLeaf::Severity, Raw::Int(severity));
            }
            Column::Leaf(leaf) => values.set(*leaf, Raw::Borrowed(text)),
        }
    }
    let kind = kind.ok_or_else(|| FieldError::invalid("type", "a kind of identifier"))?;
    let value = value.ok_or_else(|| FieldError::invalid("value", "an identifier"))?;
    let leaf = match kind {
        SubjectKind::Card if Pan::parse(value).is_ok() => EntryLeaf::CardPan,
        SubjectKind::Card => EntryLeaf::CardToken,
        SubjectKind::Account if bank.is_some() => EntryLeaf::AccountNumber,
        SubjectKind::Account => EntryLeaf::AccountIban,
        SubjectKind::Device => EntryLeaf::Device,
        SubjectKind::Merchant => EntryLeaf::Merchant,
        SubjectKind::Terminal => EntryLeaf::Terminal,
        SubjectKind::Ip => EntryLeaf::Ip,
        SubjectKind::Bin => EntryLeaf::Bin,
        SubjectKind::Email => EntryLeaf::Email,
        SubjectKind::Phone => EntryLeaf::Phone,
        SubjectKind::Name => EntryLeaf::Name,
    };
    values.set(leaf, Raw::Borrowed(value));
    if let Some(bank) = bank {
        if kind != SubjectKind::Account {
            return Err(FieldError::invalid("bank", "nothing: only an account has a bank"));
        }
        values.set(EntryLeaf::AccountBank, Raw::Borrowed(bank));
    }
    entries(&values, key, contributor).map_err(|mut error| {
        if error.field == leaf.path() {
            error.field = "value".into();
        } else if error.field == EntryLeaf::AccountBank.path() {
            error.field = "bank".into();
        }
        error
    })
}

/// Counts quotes on their way, since the CSV reader takes a file that ends within a quoted value for whole.
struct QuoteCount<R> {
    reader: R,
    quotes: u64,
}

impl<R: Read> Read for QuoteCount<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.quotes += buffer[..read].iter().filter(|byte| **byte == b'"').count() as u64;
        Ok(read)
    }
}
