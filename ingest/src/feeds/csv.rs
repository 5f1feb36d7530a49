//! CSV (RFC 4180) as a feed: a header, then a record a row through the same column mapping as Parquet's, each value
//! read as what the mapping uses it for. An empty value is absent. A wrong row is that row's error, by line and column.

use super::columns::ColumnMap;
use super::mapping::{Cell, Mapping};
use super::{FeedItem, FeedRecord};
use crate::decode::{Decoder, RequestContext};
use crate::error::{FeedError, FieldError};
use ::csv::{ByteRecord, Reader, ReaderBuilder, Terminator, Trim};
use interdict_engine::error::nearest;
use interdict_engine::limits::BODY_BYTES_MAX;
use std::fmt;
use std::io::Read;
use zeroize::Zeroizing;

/// Bytes the parser reads ahead.
const BUFFER_BYTES: usize = 1 << 16;
/// Most bytes between two ends of records; past it a quote was left open, or this is no CSV.
const RECORD_BYTES_MAX: usize = BODY_BYTES_MAX + BUFFER_BYTES;

/// The records of a CSV source.
pub struct CsvFeed<R> {
    reader: Reader<Budget<R>>,
    name: String,
    decoder: Decoder,
    default_tenant: String,
    mapping: Mapping,
    /// Place in a row of each of the mapping's columns.
    places: Vec<usize>,
    width: usize,
    record: ByteRecord,
    line: u64,
    ended: bool,
}

impl<R> fmt::Debug for CsvFeed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvFeed({}, line {})", self.name, self.line)
    }
}

impl<R: Read> CsvFeed<R> {
    /// The records of a reader whose header fits the mapping; `name` is what errors call it.
    ///
    /// # Errors
    /// When it has no header, or a column is missing (with the nearest name) or there twice.
    pub fn new(
        reader: R,
        name: &str,
        decoder: Decoder,
        columns: &ColumnMap,
        default_tenant: &str,
    ) -> Result<CsvFeed<R>, FeedError> {
        let wrong = |message: String| FeedError::new(name, message);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // By default a line ends at its CR, and the LF is counted to the next: every line number one too low.
            .terminator(Terminator::Any(b'\n'))
            .trim(Trim::All)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Budget { reader, left: RECORD_BYTES_MAX, quotes: 0 });
        let mut record = ByteRecord::new();
        let read = reader
            .read_byte_record(&mut record)
            .map_err(|error| wrong(format!("line 1: {}", why(&error))))?;
        if !read {
            return Err(wrong("expected a header".into()));
        }
        let header: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        let mut header = header.map_err(|_| wrong("line 1: expected a header in UTF-8".into()))?;
        if let Some(first) = header.first_mut() {
            *first = first.trim_start_matches('\u{feff}');
        }
        let mapping = Mapping::new(columns);
        let place = |column: &String| {
            let mut found = header.iter().enumerate().filter(|(_, name)| *name == column);
            match (found.next(), found.next()) {
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => Err(wrong(format!("column {column:?} is there twice"))),
                (None, _) => Err(wrong(match nearest(column, header.iter().copied()) {
                    Some(near) => format!("no column {column:?}; the nearest is {near:?}"),
                    None => format!("no column {column:?}"),
                })),
            }
        };
        let places = mapping.columns.iter().map(place).collect::<Result<_, _>>()?;
        let width = header.len();
        Ok(CsvFeed {
            reader,
            name: name.into(),
            decoder,
            default_tenant: default_tenant.into(),
            mapping,
            places,
            width,
            record,
            line: 1,
            ended: false,
        })
    }

    fn decode(&self) -> Result<FeedRecord, FieldError> {
        if self.record.len() != self.width {
            let expected = format!("{} values, found {}", self.width, self.record.len());
            return Err(FieldError::malformed("", expected));
        }
        // Only what the mapping uses has to be text.
        for (column, place) in self.places.iter().enumerate() {
            if std::str::from_utf8(&self.record[*place]).is_err() {
                let expected = format!("UTF-8, in column {:?}", self.mapping.columns[column]);
                return Err(FieldError::malformed("", expected));
            }
        }
        let cell = |column: usize| match std::str::from_utf8(&self.record[self.places[column]]) {
            Ok("") => Cell::Null,
            Ok(text) => Cell::Untyped(text),
            Err(_) => Cell::Other,
        };
        let ctx = RequestContext { default_tenant: &self.default_tenant, ..RequestContext::default() };
        let decoded = self.decoder.assemble(&self.mapping.values(cell)?, &ctx)?;
        let label = self.mapping.label(cell, decoded.tx.time_ms)?;
        Ok(FeedRecord { decoded, label })
    }
    /// The current row as JSON under its columns' names, as far as it has them.
    fn raw(&self) -> Zeroizing<Vec<u8>> {
        let value = |place: &usize| {
            let bytes = self.record.get(*place).unwrap_or_default();
            serde_json::Value::from(String::from_utf8_lossy(bytes).into_owned())
        };
        let names = self.mapping.columns.iter().cloned();
        let row: serde_json::Map<_, _> = names.zip(self.places.iter().map(value)).collect();
        Zeroizing::new(serde_json::to_vec(&row).expect("JSON values are always JSON"))
    }
    fn end(&mut self, message: impl fmt::Display) -> Option<Result<FeedItem, FeedError>> {
        self.ended = true;
        Some(Err(FeedError::new(&self.name, format!("after line {}: {message}", self.line))))
    }
}

/// The parser's error without the record that it may quote.
fn why(error: &::csv::Error) -> String {
    match error.kind() {
        ::csv::ErrorKind::Io(error) => error.to_string(),
        _ => "expected CSV".into(),
    }
}

impl<R: Read> Iterator for CsvFeed<R> {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = loop {
            self.reader.get_mut().left = RECORD_BYTES_MAX;
            let read = self.reader.read_byte_record(&mut self.record);
            // An empty line that ends in CR LF.
            if !matches!(read, Ok(true))
                || self.width == 1
                || self.record.as_slice() != b""
                || self.record.len() != 1
            {
                break read;
            }
        };
        match read {
            Ok(true) => {}
            Ok(false) if self.reader.get_ref().quotes % 2 == 1 => {
                return self.end("expected a closing quote: the file ends within a quoted value");
            }
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Err(error) => return self.end(why(&error)),
        }
        self.line = self.record.position().map_or(self.line + 1, ::csv::Position::line);
        let number = self.line;
        let result = self.decode().map_err(|error| error.at_line(number).in_file(&self.name));
        let raw = result.is_err().then(|| self.raw());
        Some(Ok(FeedItem { number, result, raw }))
    }
}

/// A reader that gives only so much for one record, so that an open quote cannot take the whole file into memory; and
/// counts quotes, since the parser takes a file that ends within a quoted value for whole.
struct Budget<R> {
    reader: R,
    left: usize,
    quotes: u64,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let message =
                format!("expected a record of at most {BODY_BYTES_MAX} bytes (is a quote left open?)");
            return Err(std::io::Error::other(message));
        }
        let bound = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..bound])?;
        self.left -= read;
        self.quotes += buffer[..read].iter().filter(|byte| **byte == b'"').count() as u64;
        Ok(read)
    }
}
