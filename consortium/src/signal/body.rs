//! A contribution's body: a header of 32 bytes, rows ascending by signal and then by operation, the open texts behind
//! them in the rows' order (docs/formats/contribution.md). The same rows give the same bytes, in whatever order they come.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{Texts, check_magic, get_u32, get_u64, malformed, put};
use crate::limits::{CONTRIBUTION_ROWS_MAX, TEXT_AREA_BYTES_MAX};
use crate::signal::Key;
use crate::signal::row::{ROW_BYTES, Row, key_at};

const MAGIC: &[u8; 8] = b"INTDCONT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;

/// A body that was checked, where its bytes lie.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    rows: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Body<'a> {
    /// Writes rows, in their order whatever order they come in.
    ///
    /// # Errors
    /// `Invalid` for a row that is none, or two rows about one aspect of one signal; `TooLarge`. The place is the row in
    /// the body's order.
    pub fn write(rows: &mut [Row<'_>]) -> Result<Vec<u8>> {
        check_count(rows.len())?;
        rows.sort_unstable_by_key(|row| (row.key, row.op));
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.reserve(rows.len() * ROW_BYTES);
        let mut texts = Texts::default();
        for (number, row) in rows.iter().enumerate() {
            let before = number.checked_sub(1).map(|before| &rows[before]);
            let checked = row.check().and_then(|()| check_order(before, row));
            let encoded = checked.and_then(|()| row.encode(&mut texts));
            bytes.extend_from_slice(&encoded.map_err(|e| e.at(Place::Row(number as u64)))?);
        }
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 16, &(rows.len() as u64).to_le_bytes());
        put(&mut bytes, 24, &(texts.bytes().len() as u64).to_le_bytes());
        bytes.extend_from_slice(texts.bytes());
        Ok(bytes)
    }

    /// Reads a body; checks every byte of it.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `Version`, `TooLarge`, with the byte of the header or the row.
    pub fn read(bytes: &'a [u8]) -> Result<Body<'a>> {
        check_magic(bytes, MAGIC, VERSION, HEADER_BYTES)?;
        if get_u32(bytes, 12) != 0 {
            return Err(malformed(12, "expected 0"));
        }
        let (count, texts) = (get_u64(bytes, 16), get_u64(bytes, 24));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        check_count(count).map_err(|e| e.at(Place::Byte(16)))?;
        if texts > TEXT_AREA_BYTES_MAX as u64 {
            let message = format!("{texts} bytes of text, limit {TEXT_AREA_BYTES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Byte(24)));
        }
        let end = HEADER_BYTES + count * ROW_BYTES;
        let expected = end as u64 + texts;
        if bytes.len() as u64 != expected {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{} bytes, expected {expected}", bytes.len()),
            ));
        }
        let body = Body { rows: &bytes[HEADER_BYTES..end], texts: &bytes[end..] };
        body.check()?;
        Ok(body)
    }
    fn check(&self) -> Result<()> {
        let (mut before, mut text_at) = (None, 0);
        for (number, bytes) in self.rows.chunks_exact(ROW_BYTES).enumerate() {
            let at = |e: Error| e.at(Place::Row(number as u64));
            let row = Row::decode(bytes, self.texts).map_err(at)?;
            check_order(before.as_ref(), &row).map_err(at)?;
            let expected = if row.text.is_empty() { 0 } else { text_at };
            if get_u32(bytes, 96) != expected {
                return Err(at(Error::new(
                    ErrorKind::Malformed,
                    "its text does not follow the one before it",
                )));
            }
            text_at += u32::try_from(row.text.len()).expect("a text's length has 16 bits");
            before = Some(row);
        }
        match text_at as usize == self.texts.len() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Malformed, "text behind the rows that is no row's")),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// A row, from 0; `None` behind the last.
    pub fn row(&self, number: usize) -> Option<Row<'a>> {
        let bytes = self.rows.get(number * ROW_BYTES..(number + 1) * ROW_BYTES)?;
        Some(Row::decode(bytes, self.texts).expect("the body was checked when it was read"))
    }
    /// The key of a row, as [`Body::row`].
    pub(crate) fn key(&self, number: usize) -> Option<Key> {
        let bytes = self.rows.get(number * ROW_BYTES..(number + 1) * ROW_BYTES)?;
        Some(key_at(bytes).expect("the body was checked when it was read"))
    }
    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> {
        let body = *self;
        (0..self.len()).map_while(move |number| body.row(number))
    }
}

fn check_count(rows: usize) -> Result<()> {
    match rows {
        0 => Err(Error::new(ErrorKind::Invalid, "a contribution without rows")),
        1..=CONTRIBUTION_ROWS_MAX => Ok(()),
        _ => {
            let message = format!("a contribution of {rows} rows, limit {CONTRIBUTION_ROWS_MAX}");
            Err(Error::new(ErrorKind::TooLarge, message))
        }
    }
}

/// Ascending, and of one signal one row an aspect. Operations of one aspect are neighbours, so neighbours suffice.
fn check_order(before: Option<&Row<'_>>, row: &Row<'_>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    if (before.key, before.op) > (row.key, row.op) {
        return Err(Error::new(ErrorKind::Malformed, "out of order: rows ascend by signal and operation"));
    }
    if before.key == row.key && before.op.aspect() == row.op.aspect() {
        let message = format!("{} and {} of one signal in one contribution", before.op, row.op);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}
