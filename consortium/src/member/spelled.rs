//! What all records of this folder share: a type, a text, and that the text read and written again is the same bytes.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::record::{Reader, Writer};
use sha2::{Digest, Sha256};

/// A record with one spelling.
pub trait Spelled: Sized {
    /// The TYPE of `interdict/TYPE/v1`.
    const TYPE: &'static str;
    /// The version that this code reads and writes.
    const VERSION: u32 = 1;

    /// Writes the lines after the first.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `TooLarge` for values that may not be.
    fn write(&self, w: &mut Writer) -> Result<()>;
    /// Reads the lines after the first.
    ///
    /// # Errors
    /// As [`Spelled::write`], with the line.
    fn read(r: &mut Reader<'_>) -> Result<Self>;

    /// The text to be signed.
    ///
    /// # Errors
    /// As [`Spelled::write`].
    fn to_text(&self) -> Result<String> {
        let mut w = Writer::new(Self::TYPE, Self::VERSION);
        self.write(&mut w)?;
        Ok(w.finish())
    }
    /// Reads a note's text.
    ///
    /// # Errors
    /// `Version` for another type or version; as [`Spelled::read`]; `Malformed` for another spelling of the same.
    fn of_text(text: &str) -> Result<Self> {
        let mut r = Reader::open(text, Self::TYPE, Self::VERSION)?;
        let record = Self::read(&mut r)?;
        r.end()?;
        let again = record.to_text()?;
        if again == text {
            return Ok(record);
        }
        let same = text.lines().zip(again.lines()).take_while(|(a, b)| a == b).count();
        let message = "another spelling, or another order, than the one this record has";
        Err(Error::new(ErrorKind::Malformed, message).at(Place::Line(same + 1)))
    }
}

/// What a record is known by: SHA-256 of its text. Signatures are left out: more of them make no other record.
pub fn text_hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
