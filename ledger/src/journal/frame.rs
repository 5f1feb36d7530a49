//! Frames: a batch of records, or the footer that closes a segment, each with length, checksum and chain hash. Only
//! bytes here; what a bad frame means is for `walk.rs` to say.

use super::format::{SegmentKey, TAG_BYTES, take};
use super::{Record, RecordKind};
use crate::error::{Error, ErrorKind, Place};
use interdict_engine::limits::JOURNAL_BATCH_BYTES_MAX;
use sha2::{Digest, Sha256};

/// Bytes before a frame's records: length, checksum, ordinal, count, durable.
pub(crate) const FRAME_HEAD: usize = 24;
/// Bytes of the chain hash that ends a frame.
pub(crate) const CHAIN: usize = 32;
/// Bytes before a record's parts: kind, sequence, lengths.
pub(crate) const RECORD_HEAD: usize = 17;
/// Bytes of a footer's body: records, last sequence.
const FOOTER_BODY: usize = 16;

/// What a frame is written with.
pub(crate) struct Stamp<'a> {
    pub seed: u32,
    pub chain: &'a [u8; 32],
    /// Offset of the frame in its file.
    pub at: u64,
    /// Place among the segment's frames, from 0.
    pub ordinal: u32,
    /// How many bytes of the file were known to be on disk when this was written; 0 under `Durability::Os`.
    pub durable: u64,
}

/// Bytes that a batch takes as a frame.
pub(crate) fn batch_bytes(records: &[Record<'_>]) -> usize {
    records.iter().fold(FRAME_HEAD + CHAIN, |sum, record| {
        let tag = if record.sealed.is_empty() { 0 } else { TAG_BYTES };
        sum.saturating_add(RECORD_HEAD + tag)
            .saturating_add(record.open.len())
            .saturating_add(record.sealed.len())
    })
}

/// Encodes a batch into `out` (emptied first) and returns its chain hash. The records' parts are bounded by the
/// caller's check of [`batch_bytes`].
pub(crate) fn encode_batch(
    out: &mut Vec<u8>,
    records: &[Record<'_>],
    stamp: &Stamp<'_>,
    key: &SegmentKey,
) -> [u8; 32] {
    begin(out, stamp, records.len() as u32);
    for record in records {
        let start = out.len();
        let sealed_len = match record.sealed.len() {
            0 => 0,
            n => n + TAG_BYTES,
        };
        out.push(record.kind as u8);
        out.extend_from_slice(&record.sequence.to_le_bytes());
        out.extend_from_slice(&(record.open.len() as u32).to_le_bytes());
        out.extend_from_slice(&(sealed_len as u32).to_le_bytes());
        out.extend_from_slice(record.open);
        if sealed_len > 0 {
            let split = out.len();
            out.extend_from_slice(record.sealed);
            let (bound, sealed) = out[start..].split_at_mut(split - start);
            let tag = key.seal(stamp.at + start as u64, bound, sealed);
            out.extend_from_slice(&tag);
        }
    }
    finish(out, stamp)
}

/// Encodes the footer that closes a segment and returns its chain hash.
pub(crate) fn encode_footer(
    out: &mut Vec<u8>,
    records: u64,
    last_sequence: u64,
    stamp: &Stamp<'_>,
) -> [u8; 32] {
    begin(out, stamp, 0);
    out.extend_from_slice(&records.to_le_bytes());
    out.extend_from_slice(&last_sequence.to_le_bytes());
    finish(out, stamp)
}

fn begin(out: &mut Vec<u8>, stamp: &Stamp<'_>, count: u32) {
    out.clear();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&stamp.ordinal.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&stamp.durable.to_le_bytes());
}

fn finish(out: &mut Vec<u8>, stamp: &Stamp<'_>) -> [u8; 32] {
    let chain = link(stamp.chain, &out[8..]);
    out.extend_from_slice(&chain);
    let len = ((out.len() - 8) as u32).to_le_bytes();
    out[..4].copy_from_slice(&len);
    let sum = checksum(stamp.seed, out);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    chain
}

fn link(chain: &[u8; 32], content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(chain).chain_update(content).finalize().into()
}

fn checksum(seed: u32, frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &frame[..4]), &frame[8..])
}

/// A frame whose checksum held.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Offset in the segment's file.
    pub at: u64,
    bytes: &'a [u8],
}

/// Why there is no frame where one should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// The bytes end before the frame does; whole, it would need this many.
    Short { needs: u64 },
    /// The length cannot be a frame's.
    Length,
    /// The checksum does not match.
    Checksum,
}

impl NoFrame {
    pub(crate) fn what(self) -> &'static str {
        match self {
            NoFrame::Short { .. } => "a frame is cut short",
            NoFrame::Length => "a frame's length is out of range",
            NoFrame::Checksum => "a frame's checksum does not match",
        }
    }
}

/// The whole length in bytes of the frame that `head` (4 bytes or more) begins; `None` where it cannot be one.
pub(crate) fn frame_len(head: &[u8]) -> Option<u64> {
    let len = u32::from_le_bytes(take(head, 0)) as usize + 8;
    (FRAME_HEAD + CHAIN..=JOURNAL_BATCH_BYTES_MAX).contains(&len).then_some(len as u64)
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, which lie at `at` in their file.
    pub(crate) fn parse(bytes: &'a [u8], at: u64, seed: u32) -> Result<Frame<'a>, NoFrame> {
        if bytes.len() < FRAME_HEAD {
            return Err(NoFrame::Short { needs: FRAME_HEAD as u64 });
        }
        let needs = frame_len(bytes).ok_or(NoFrame::Length)?;
        if (bytes.len() as u64) < needs {
            return Err(NoFrame::Short { needs });
        }
        let bytes = &bytes[..needs as usize];
        if checksum(seed, bytes) != u32::from_le_bytes(take(bytes, 4)) {
            return Err(NoFrame::Checksum);
        }
        Ok(Frame { at, bytes })
    }
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    pub(crate) fn ordinal(&self) -> u32 {
        u32::from_le_bytes(take(self.bytes, 8))
    }
    /// Records in it; 0 is a footer.
    pub(crate) fn count(&self) -> u32 {
        u32::from_le_bytes(take(self.bytes, 12))
    }
    pub(crate) fn durable(&self) -> u64 {
        u64::from_le_bytes(take(self.bytes, 16))
    }
    pub(crate) fn chain(&self) -> [u8; 32] {
        take(self.bytes, self.bytes.len() - CHAIN)
    }
    /// Whether the stored chain hash follows from the one before.
    pub(crate) fn follows(&self, chain: &[u8; 32]) -> bool {
        link(chain, &self.bytes[8..self.bytes.len() - CHAIN]) == self.chain()
    }
    /// A footer's records and last sequence; `None` where it is not a footer.
    pub(crate) fn footer(&self) -> Option<(u64, u64)> {
        let body = self.body();
        let is_footer = self.count() == 0 && body.len() == FOOTER_BODY;
        is_footer.then(|| (u64::from_le_bytes(take(body, 0)), u64::from_le_bytes(take(body, 8))))
    }
    fn body(&self) -> &'a [u8] {
        &self.bytes[FRAME_HEAD..self.bytes.len() - CHAIN]
    }
    /// The batch's records, in order; an error (without segment) where the bytes are no records.
    pub(crate) fn records(&self, segment: u64, key: Option<&'a SegmentKey>) -> Records<'a> {
        Records { rest: self.body(), segment, at: self.at + FRAME_HEAD as u64, left: self.count(), key }
    }
}

/// Goes through a batch's records.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    segment: u64,
    at: u64,
    left: u32,
    key: Option<&'a SegmentKey>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Stored<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let rest = std::mem::take(&mut self.rest);
            return (!rest.is_empty()).then_some(Err("bytes after a batch's last record"));
        }
        self.left -= 1;
        let stored = self.read();
        if stored.is_none() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(stored.ok_or("a record does not fit its batch"))
    }
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Option<Stored<'a>> {
        let head = self.rest.get(..RECORD_HEAD)?;
        let kind = RecordKind::from_number(head[0])?;
        let sequence = u64::from_le_bytes(take(head, 1));
        let open_len = u32::from_le_bytes(take(head, 9)) as usize;
        let sealed_len = u32::from_le_bytes(take(head, 13)) as usize;
        let sealed_start = RECORD_HEAD.checked_add(open_len)?;
        let end = sealed_start.checked_add(sealed_len)?;
        if end > self.rest.len() || (1..=TAG_BYTES).contains(&sealed_len) {
            return None;
        }
        let (record, rest) = self.rest.split_at(end);
        let (bound, sealed) = record.split_at(sealed_start);
        let place = Place { segment: self.segment, offset: self.at };
        let stored = Stored { kind, sequence, place, bound, sealed, key: self.key };
        self.rest = rest;
        self.at += end as u64;
        Some(stored)
    }
}

/// A record as it lies in the journal: the open part readable, the sealed one on demand.
pub struct Stored<'a> {
    /// Which record it is.
    pub kind: RecordKind,
    /// Its place in the one order.
    pub sequence: u64,
    place: Place,
    bound: &'a [u8],
    sealed: &'a [u8],
    key: Option<&'a SegmentKey>,
}

/// What the sealed part of a record is bound to: its head and its open part.
pub(crate) fn bound(kind: RecordKind, sequence: u64, open: &[u8], sealed_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEAD + open.len());
    out.push(kind as u8);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&(open.len() as u32).to_le_bytes());
    out.extend_from_slice(&(sealed_len as u32).to_le_bytes());
    out.extend_from_slice(open);
    out
}

/// Decrypts a sealed part that lies (or lay) at an offset of its segment.
pub(crate) fn unseal(key: &SegmentKey, at: u64, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = || {
        let text = format!("sealed part of the record at offset {at} does not authenticate");
        Error::new(ErrorKind::Corrupt, text)
    };
    let (text, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or_else(failed)?;
    let mut plain = text.to_vec();
    if key.unseal(at, bound, &mut plain, *tag) { Ok(plain) } else { Err(failed()) }
}

impl<'a> Stored<'a> {
    /// Where it lies: its segment, and its offset there, which is the sealed part's nonce.
    pub fn place(&self) -> Place {
        self.place
    }
    /// The sealed part as it lies in the journal: ciphertext, then tag; empty where the record has none.
    pub fn ciphertext(&self) -> &'a [u8] {
        self.sealed
    }
    /// The open part.
    pub fn open(&self) -> &'a [u8] {
        &self.bound[RECORD_HEAD..]
    }
    /// The sealed part, decrypted; empty where the record has none, `None` where its key was destroyed.
    ///
    /// # Errors
    /// `Corrupt` where the bytes are not what was sealed there.
    pub fn sealed(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.sealed.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Some(key) = self.key else { return Ok(None) };
        unseal(key, self.place.offset, self.bound, self.sealed).map(Some)
    }
    /// A copy of both parts.
    ///
    /// # Errors
    /// As [`Stored::sealed`].
    pub fn to_owned(&self) -> Result<OwnedRecord, Error> {
        let (open, sealed) = (self.open().to_vec(), self.sealed()?);
        Ok(OwnedRecord { kind: self.kind, sequence: self.sequence, open, sealed })
    }
}

/// A record read back.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Which record it is.
    pub kind: RecordKind,
    /// Its place in the one order.
    pub sequence: u64,
    /// The open part.
    pub open: Vec<u8>,
    /// The sealed part, decrypted; empty where the record has none, `None` where its key was destroyed.
    pub sealed: Option<Vec<u8>>,
}

impl std::fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sealed_len = self.sealed.as_ref().map(Vec::len);
        write!(f, "{:?} {} (open {} B, sealed {sealed_len:?} B)", self.kind, self.sequence, self.open.len())
    }
}
