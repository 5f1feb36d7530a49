//! Decrypting sealed parts that were copied out of the journal as they lay there. The data key stays in the segment's
//! header, so that destroying it there makes every copy unreadable too.

use super::RecordKind;
use super::format::{HEADER_BYTES, Header, SegmentKey};
use super::frame::{bound, unseal};
use super::read::Reader;
use super::walk::segment_name;
use crate::error::{Error, ErrorKind, Place};
use crate::storage::read_exact_at;
use std::io;

/// A key is looked up anew after this many records, for one may be destroyed while an unsealer lives.
const RECORDS_A_KEY: u32 = 1024;

/// Decrypts copies of sealed parts. Has the key of the last segment it was asked for, no longer than for 1,024 records;
/// whoever pauses should make a new one.
pub struct Unsealer {
    reader: Reader,
    held: Option<Held>,
}

struct Held {
    segment: u64,
    key: Option<SegmentKey>,
    left: u32,
}

impl Reader {
    /// What decrypts copies of this journal's sealed parts.
    pub fn unsealer(&self) -> Unsealer {
        Unsealer { reader: self.clone(), held: None }
    }
    /// A segment's data key; `None` where it was destroyed, or the whole segment removed.
    fn segment_key(&self, segment: u64) -> Result<Option<SegmentKey>, Error> {
        let failed = |e: &io::Error| Error::io("reading", e).at(segment, 0);
        let file = match self.storage.open(&segment_name(segment)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| failed(&e))?,
        };
        let mut head = [0; HEADER_BYTES];
        read_exact_at(&*file, &mut head, 0).map_err(|e| failed(&e))?;
        let header = Header::decode(&head).map_err(|e| e.at(segment, 0))?;
        header.data_key(&self.sealing).map_err(|e| e.at(segment, 0))
    }
}

impl Unsealer {
    /// The sealed part of a record of which `place`, open part and ciphertext were kept ([`super::Stored::place`],
    /// [`super::Stored::ciphertext`]); empty where it has none, `None` where its key is gone.
    ///
    /// # Errors
    /// `Corrupt` where the bytes are not what was sealed there, `WrongKey`, `Io`.
    pub fn unseal(
        &mut self,
        place: Place,
        kind: RecordKind,
        sequence: u64,
        open: &[u8],
        ciphertext: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        if ciphertext.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let held = match &mut self.held {
            Some(held) if held.segment == place.segment && held.left > 0 => held,
            held => {
                let key = self.reader.segment_key(place.segment)?;
                held.insert(Held { segment: place.segment, key, left: RECORDS_A_KEY })
            }
        };
        held.left -= 1;
        let Some(key) = &held.key else { return Ok(None) };
        let bound = bound(kind, sequence, open, ciphertext.len());
        let plain = unseal(key, place.offset, &bound, ciphertext);
        plain.map(Some).map_err(|e: Error| match e.kind {
            ErrorKind::Corrupt => e.at(place.segment, place.offset),
            _ => e,
        })
    }
}
