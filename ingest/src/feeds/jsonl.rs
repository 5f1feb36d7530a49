//! JSONL as a feed: a request a line, by the decoder of requests, or any flat object a line through a column mapping.
//! A wrong line is that line's error only; its place is the line and the byte within it.

use super::columns::ColumnMap;
use super::mapping::{Cell, Mapping};
use super::{FeedItem, FeedRecord};
use crate::decode::{Decoder, RequestContext};
use crate::error::{FeedError, FieldError};
use interdict_engine::limits::BODY_BYTES_MAX;
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, Read};
use zeroize::Zeroizing;

/// Longest line, in bytes without its end; a longer one is refused and skipped.
pub const LINE_BYTES_MAX: usize = BODY_BYTES_MAX;

/// The records of a JSONL source.
pub struct JsonlFeed<R> {
    reader: R,
    name: String,
    decoder: Decoder,
    mapping: Option<Mapping>,
    default_tenant: String,
    line: Zeroizing<Vec<u8>>,
    number: u64,
    ended: bool,
}

impl<R> fmt::Debug for JsonlFeed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonlFeed({}, line {})", self.name, self.number)
    }
}

impl<R: BufRead> JsonlFeed<R> {
    /// The records of a reader; `name` is what errors call it.
    pub fn new(
        reader: R,
        name: &str,
        decoder: Decoder,
        columns: Option<&ColumnMap>,
        default_tenant: &str,
    ) -> JsonlFeed<R> {
        JsonlFeed {
            reader,
            name: name.into(),
            decoder,
            mapping: columns.map(Mapping::new),
            default_tenant: default_tenant.into(),
            line: Zeroizing::new(Vec::with_capacity(4096)),
            number: 0,
            ended: false,
        }
    }

    /// Reads the next line; `None` at the end, `Some(false)` when it is over its bound (and skipped).
    fn read_line(&mut self) -> std::io::Result<Option<bool>> {
        self.line.clear();
        let bound = LINE_BYTES_MAX as u64 + 1;
        if self.reader.by_ref().take(bound).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(true));
        }
        if self.line.len() <= LINE_BYTES_MAX {
            return Ok(Some(true));
        }
        self.reader.skip_until(b'\n')?;
        Ok(Some(false))
    }

    fn decode(&self, line: &[u8]) -> Result<FeedRecord, FieldError> {
        if let Err(error) = std::str::from_utf8(line) {
            let mut wrong = FieldError::malformed("", "UTF-8");
            wrong.place.offset = Some(error.valid_up_to() as u64);
            return Err(wrong);
        }
        let ctx = RequestContext { default_tenant: &self.default_tenant, ..RequestContext::default() };
        let Some(mapping) = &self.mapping else {
            return Ok(FeedRecord { decoded: self.decoder.decode(line, &ctx)?, label: None });
        };
        let row: Value = serde_json::from_slice(line).map_err(|error| {
            let ours = crate::decode::reader::syntax(&error, "", "a JSON object");
            crate::decode::reader::at_offset(ours, line, &error)
        })?;
        let Value::Object(row) = row else {
            return Err(FieldError::invalid("", "a JSON object"));
        };
        let cell = |column: usize| row.get(&mapping.columns[column]).map_or(Cell::Null, json_cell);
        let decoded = self.decoder.assemble(&mapping.values(cell)?, &ctx)?;
        let label = mapping.label(cell, decoded.tx.time_ms)?;
        Ok(FeedRecord { decoded, label })
    }
}

fn json_cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Bool(*value),
        Value::String(text) => Cell::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Cell::Int(value),
            (None, Some(value)) => Cell::Float(value),
            (None, None) => Cell::Other,
        },
        Value::Array(_) | Value::Object(_) => Cell::Other,
    }
}

impl<R: BufRead> Iterator for JsonlFeed<R> {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                return None;
            }
            let whole = match self.read_line() {
                Ok(Some(whole)) => whole,
                Ok(None) => return None,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(FeedError::new(
                        &self.name,
                        format!("line {}: {error}", self.number + 1),
                    )));
                }
            };
            let number = self.number;
            let placed = |error: FieldError| error.at_line(number).in_file(&self.name);
            if !whole {
                let error = FieldError::too_large("", format!("a line of at most {LINE_BYTES_MAX} bytes"));
                // The line was not kept, so there is nothing to put in the dead letter but its place.
                let raw = Some(Zeroizing::new(Vec::new()));
                return Some(Ok(FeedItem { number, result: Err(placed(error)), raw }));
            }
            let line = self.line.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1);
            let line = line.unwrap_or(&self.line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            let result = self.decode(line).map_err(placed);
            let raw = result.is_err().then(|| Zeroizing::new(line.to_vec()));
            return Some(Ok(FeedItem { number, result, raw }));
        }
    }
}
