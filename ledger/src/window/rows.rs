//! A chunk's columns as slices, whether it grows in memory or is mapped from a file, and one row of them: what the scan
//! and everybody else read.

use super::column::{Address, TagColumn};
use crate::error::{Error, ErrorKind, Place};
use crate::journal::{RecordKind, Unsealer};
use interdict_engine::domain::{Accepted, Decided, GenerationId, Lever, Outcome, TransactionKind};

/// Byte strings, one after the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blobs<'a> {
    /// Where each begins, and the last one ends.
    pub offsets: &'a [i32],
    /// All of them.
    pub bytes: &'a [u8],
}

impl<'a> Blobs<'a> {
    /// The bytes of a row.
    pub fn get(self, at: usize) -> &'a [u8] {
        &self.bytes[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }
}

/// Sixteen bytes a row.
pub(super) fn sixteens(bytes: &[u8]) -> &[[u8; 16]] {
    bytes.as_chunks().0
}

/// What a row has as numbers of the journal's.
pub(super) struct Codes {
    pub kind: u8,
    pub outcome: u8,
    pub lever: u8,
}

/// A column of few distinct values: their numbers.
#[derive(Debug)]
pub struct Coded<'a, T> {
    /// By row, the place in `values`.
    pub codes: &'a [i32],
    /// The distinct values.
    pub values: &'a [T],
}

impl<T> Clone for Coded<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Coded<'_, T> {}

impl<'a, T> Coded<'a, T> {
    /// The value of a row.
    pub fn get(&self, at: usize) -> &'a T {
        &self.values[self.codes[at] as usize]
    }
}

/// Tags under one key.
#[derive(Debug, Clone, Copy)]
pub struct Tags<'a> {
    /// By row, [`super::fingerprint`] of the tag; 0 where there is none.
    pub fingerprints: &'a [u32],
    /// By row, the tag, big endian; zeros where there is none.
    pub tags: &'a [[u8; 16]],
}

/// The columns of a chunk; all have one value a row. docs/formats/window.md says what they are.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each is the method of `Row` of that name")]
pub struct Rows<'a> {
    pub sequence: &'a [u64],
    pub tenant: Coded<'a, Box<str>>,
    pub time_ms: &'a [i64],
    pub arrival_ms: &'a [i64],
    pub kind: &'a [u8],
    pub channel: Coded<'a, Box<str>>,
    pub amount_minor: &'a [i64],
    pub currency: Coded<'a, Box<str>>,
    pub cut_off_ms: &'a [i64],
    pub outcome: &'a [u8],
    pub lever: &'a [u8],
    pub generation: Coded<'a, [u8; 32]>,
    pub overlay: &'a [u64],
    pub ip_family: &'a [u8],
    pub ip: &'a [[u8; 16]],
    pub ip_fingerprint: &'a [u32],
    pub bin: &'a [u32],
    pub bin_digits: &'a [u8],
    /// By number of the [`TagColumn`]; `None` where no row has such a tag.
    pub tags: [Option<Tags<'a>>; TagColumn::COUNT],
    pub open: Blobs<'a>,
    pub decided: Blobs<'a>,
    pub segment: &'a [u64],
    pub offset: &'a [u64],
    pub sealed: Blobs<'a>,
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }
    /// One row.
    ///
    /// # Panics
    /// Where there is none.
    pub fn row(&self, at: usize) -> Row<'_, 'a> {
        assert!(at < self.len(), "row {at} of {}", self.len());
        Row { rows: self, at }
    }
    /// The row of a sequence.
    pub fn find(&self, sequence: u64) -> Option<usize> {
        self.sequence.binary_search(&sequence).ok()
    }
    /// As [`Rows::find`], where the row `at` is before it: sequences ascend, so it is no further on than they differ, and
    /// where nearly each is a row, hardly less.
    pub fn find_after(&self, sequence: u64, at: usize) -> Option<usize> {
        let ahead = usize::try_from(sequence.checked_sub(*self.sequence.get(at)?)?).unwrap_or(usize::MAX);
        let mut high = at.saturating_add(ahead).min(self.len() - 1);
        let mut step = 1;
        while self.sequence[high] > sequence {
            let low = high.saturating_sub(step).max(at);
            if self.sequence[low] <= sequence {
                return self.sequence[low..high].binary_search(&sequence).ok().map(|place| low + place);
            }
            (high, step) = (low, step * 2);
        }
        (self.sequence[high] == sequence).then_some(high)
    }
    /// All rows, by sequence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_, 'a>> {
        (0..self.len()).map(|at| Row { rows: self, at })
    }
}

/// One payment that is to settle.
#[derive(Clone, Copy)]
pub struct Row<'r, 'a> {
    rows: &'r Rows<'a>,
    at: usize,
}

impl<'a> Row<'_, 'a> {
    /// Its place in the chunk.
    pub fn at(&self) -> usize {
        self.at
    }
    pub(super) fn codes(&self) -> Codes {
        let rows = self.rows;
        Codes { kind: rows.kind[self.at], outcome: rows.outcome[self.at], lever: rows.lever[self.at] }
    }
    /// Its place in the one order.
    pub fn sequence(&self) -> u64 {
        self.rows.sequence[self.at]
    }
    /// The institution it belongs to.
    pub fn tenant(&self) -> &'a str {
        self.rows.tenant.get(self.at)
    }
    /// Event time, ms since the Unix epoch.
    pub fn time_ms(&self) -> i64 {
        self.rows.time_ms[self.at]
    }
    /// When it arrived, ms since the Unix epoch.
    pub fn arrival_ms(&self) -> i64 {
        self.rows.arrival_ms[self.at]
    }
    /// What kind of message it is.
    pub fn kind(&self) -> Option<TransactionKind> {
        TransactionKind::ALL.get(usize::from(self.rows.kind[self.at])).copied()
    }
    /// The channel; empty where it has none.
    pub fn channel(&self) -> &'a str {
        self.rows.channel.get(self.at)
    }
    /// Amount in minor units.
    pub fn amount_minor(&self) -> i64 {
        self.rows.amount_minor[self.at]
    }
    /// Currency (ISO 4217); empty where it has none.
    pub fn currency(&self) -> &'a str {
        self.rows.currency.get(self.at)
    }
    /// Until when it can be stopped, ms since the Unix epoch.
    pub fn cut_off_ms(&self) -> i64 {
        self.rows.cut_off_ms[self.at]
    }
    /// The outcome that counts.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::ALL.get(usize::from(self.rows.outcome[self.at])).copied()
    }
    /// What can still stop it.
    pub fn lever(&self) -> Option<Lever> {
        Lever::ALL.get(usize::from(self.rows.lever[self.at])).copied()
    }
    /// The view that decided.
    pub fn generation(&self) -> GenerationId {
        let hash = *self.rows.generation.get(self.at);
        GenerationId { hash, overlay: self.rows.overlay[self.at] }
    }
    /// The device's address.
    pub fn ip(&self) -> Address {
        let rows = self.rows;
        let (family, fingerprint) = (rows.ip_family[self.at], rows.ip_fingerprint[self.at]);
        Address { family, bytes: rows.ip[self.at], fingerprint }
    }
    /// The card's BIN, left-aligned to eight digits, and how many it has.
    pub fn bin(&self) -> Option<(u32, u8)> {
        let digits = self.rows.bin_digits[self.at];
        (digits > 0).then(|| (self.rows.bin[self.at], digits))
    }
    /// Its tag in a column.
    pub fn tag(&self, column: TagColumn) -> Option<u128> {
        let tags = self.rows.tags[column.number()]?;
        (tags.fingerprints[self.at] != 0).then(|| u128::from_be_bytes(tags.tags[self.at]))
    }
    /// The accepted record's open part.
    pub fn open(&self) -> &'a [u8] {
        self.rows.open.get(self.at)
    }
    /// The accepted record's sealed part, as it lies in the journal.
    pub fn sealed(&self) -> &'a [u8] {
        self.rows.sealed.get(self.at)
    }
    /// Where the accepted record lies in the journal.
    pub fn place(&self) -> Place {
        Place { segment: self.rows.segment[self.at], offset: self.rows.offset[self.at] }
    }
    /// The decided record's bytes.
    pub fn decided_bytes(&self) -> &'a [u8] {
        self.rows.decided.get(self.at)
    }

    /// The accepted record without its text, which needs no key.
    ///
    /// # Errors
    /// `Corrupt` and `Version` where the row is not what was put into it.
    pub fn accepted_open(&self) -> Result<Accepted, Error> {
        self.decode(None)
    }
    /// The accepted record: with its text where the key of its segment is there, else without.
    ///
    /// # Errors
    /// `Corrupt` and `Version` where the row is not what was put into it, `WrongKey`, `Io`.
    pub fn accepted(&self, keys: &mut Unsealer) -> Result<Accepted, Error> {
        let (kind, sequence) = (RecordKind::Accepted, self.sequence());
        let sealed = keys.unseal(self.place(), kind, sequence, self.open(), self.sealed())?;
        self.decode(sealed.as_deref())
    }
    fn decode(&self, sealed: Option<&[u8]>) -> Result<Accepted, Error> {
        let accepted = Accepted::decode(self.open(), sealed);
        let accepted = accepted.map_err(|e| self.corrupt("accepted", &e))?;
        match accepted.sequence == self.sequence() {
            true => Ok(accepted),
            false => Err(self.corrupt("accepted", &"is of another payment")),
        }
    }
    /// The decided record.
    ///
    /// # Errors
    /// `Corrupt` and `Version` where the row is not what was put into it.
    pub fn decided(&self) -> Result<Decided, Error> {
        let decided = Decided::decode(self.decided_bytes()).map_err(|e| self.corrupt("decided", &e))?;
        match decided.verdict.sequence == self.sequence() {
            true => Ok(decided),
            false => Err(self.corrupt("decided", &"is of another payment")),
        }
    }
    /// The outcome that was answered, and whether stages were skipped.
    ///
    /// # Errors
    /// As [`Row::decided`].
    pub fn in_short(&self) -> Result<(Outcome, bool), Error> {
        let short = Decided::in_short(self.decided_bytes()).map_err(|e| self.corrupt("decided", &e))?;
        match short {
            (sequence, outcome, lacks) if sequence == self.sequence() => Ok((outcome, lacks)),
            _ => Err(self.corrupt("decided", &"is of another payment")),
        }
    }
    fn corrupt(&self, which: &str, why: &dyn std::fmt::Display) -> Error {
        let text = format!("window: {which} record of sequence {}: {why}", self.sequence());
        Error::new(ErrorKind::Corrupt, text)
    }
}
