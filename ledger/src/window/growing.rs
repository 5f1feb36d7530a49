//! The chunk that rows are added to. Its columns are plain vectors; when it is full they become a [`super::Chunk`]
//! without being copied.

use super::column::{Address, TagColumn, bin, fingerprint};
use super::rows::{Blobs, Coded, Row, Rows, Tags, sixteens};
use super::{CHUNK_BYTES_MAX, CHUNK_ROWS, NewRow};
use crate::error::{Error, ErrorKind};
use interdict_engine::domain::{Body, Field, Value};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Byte strings that are added to.
#[derive(Debug, Default)]
pub(super) struct BlobsVec {
    pub offsets: Vec<i32>,
    pub bytes: Vec<u8>,
}

impl BlobsVec {
    fn push(&mut self, bytes: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.extend_from_slice(bytes);
        self.offsets.push(self.bytes.len() as i32);
    }
    fn view(&self) -> Blobs<'_> {
        Blobs { offsets: &self.offsets, bytes: &self.bytes }
    }
}

/// A column of few distinct values.
#[derive(Debug)]
pub(super) struct CodedVec<T> {
    pub codes: Vec<i32>,
    pub values: Vec<T>,
    known: HashMap<T, i32>,
}

impl<T> Default for CodedVec<T> {
    fn default() -> Self {
        CodedVec { codes: Vec::new(), values: Vec::new(), known: HashMap::new() }
    }
}

impl<T: Hash + Eq> CodedVec<T> {
    fn push<Q: Hash + Eq + ?Sized>(&mut self, value: &Q, make: impl Fn(&Q) -> T)
    where
        T: Borrow<Q>,
    {
        let code = match self.known.get(value) {
            Some(code) => *code,
            None => {
                let code = self.values.len() as i32;
                self.values.push(make(value));
                self.known.insert(make(value), code);
                code
            }
        };
        self.codes.push(code);
    }
    fn view(&self) -> Coded<'_, T> {
        Coded { codes: &self.codes, values: &self.values }
    }
}

/// Tags under one key; both empty while no row has one.
#[derive(Debug, Default)]
pub(super) struct TagsVec {
    pub fingerprints: Vec<u32>,
    /// Sixteen bytes a row.
    pub tags: Vec<u8>,
}

impl TagsVec {
    fn push(&mut self, rows: usize, tag: Option<u128>) {
        if self.fingerprints.is_empty() {
            if tag.is_none() {
                return;
            }
            self.fingerprints.resize(rows, 0);
            self.tags.resize(16 * rows, 0);
        }
        self.fingerprints.push(tag.map_or(0, fingerprint));
        self.tags.extend_from_slice(&tag.unwrap_or_default().to_be_bytes());
    }
    fn view(&self) -> Option<Tags<'_>> {
        let is_there = !self.fingerprints.is_empty();
        is_there.then_some(Tags { fingerprints: &self.fingerprints, tags: sixteens(&self.tags) })
    }
}

/// By number of the tag column.
#[derive(Debug)]
pub(super) struct TagsVecs(pub [TagsVec; TagColumn::COUNT]);

impl Default for TagsVecs {
    fn default() -> Self {
        TagsVecs(std::array::from_fn(|_| TagsVec::default()))
    }
}

/// A chunk that rows are added to, by ascending sequence.
#[derive(Debug, Default)]
pub struct Growing {
    pub(super) sequence: Vec<u64>,
    pub(super) tenant: CodedVec<Box<str>>,
    pub(super) time_ms: Vec<i64>,
    pub(super) arrival_ms: Vec<i64>,
    pub(super) kind: Vec<u8>,
    pub(super) channel: CodedVec<Box<str>>,
    pub(super) amount_minor: Vec<i64>,
    pub(super) currency: CodedVec<Box<str>>,
    pub(super) cut_off_ms: Vec<i64>,
    pub(super) outcome: Vec<u8>,
    pub(super) lever: Vec<u8>,
    pub(super) generation: CodedVec<[u8; 32]>,
    pub(super) overlay: Vec<u64>,
    pub(super) ip_family: Vec<u8>,
    pub(super) ip: Vec<u8>,
    pub(super) ip_fingerprint: Vec<u32>,
    pub(super) bin: Vec<u32>,
    pub(super) bin_digits: Vec<u8>,
    pub(super) tags: TagsVecs,
    pub(super) open: BlobsVec,
    pub(super) decided: BlobsVec,
    pub(super) segment: Vec<u64>,
    pub(super) offset: Vec<u64>,
    pub(super) sealed: BlobsVec,
}

impl Growing {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }
    /// Whether it takes no more: 65,536 rows, or 256 MiB of records.
    pub fn is_full(&self) -> bool {
        self.len() >= CHUNK_ROWS || self.blob_bytes() >= CHUNK_BYTES_MAX
    }
    fn blob_bytes(&self) -> usize {
        self.open.bytes.len() + self.decided.bytes.len() + self.sealed.bytes.len()
    }
    /// Bytes of memory that its rows take.
    pub fn bytes(&self) -> usize {
        let tags = self.tags.0.iter().map(|tags| 20 * tags.fingerprints.len()).sum::<usize>();
        self.blob_bytes() + tags + 128 * self.len()
    }

    /// Adds a payment, whose sequence must be greater than the last one's.
    ///
    /// # Errors
    /// `Invalid` where it is no payment, out of order, or the chunk is full; nothing is changed then.
    pub fn push(&mut self, new: &NewRow<'_>) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::new(ErrorKind::Invalid, format!("window: {what}")));
        let (accepted, sequence) = (new.accepted, new.taken.sequence);
        let Body::Payment(tx) = &accepted.event.body else {
            return invalid(format!("sequence {sequence} is no payment"));
        };
        if accepted.sequence != sequence || new.decided.verdict.sequence != sequence {
            return invalid(format!("records of several payments given as sequence {sequence}"));
        }
        if let Some(last) = self.sequence.last().filter(|last| **last >= sequence) {
            return invalid(format!("sequence {sequence} after {last}"));
        }
        if self.is_full() {
            return invalid("the chunk is full".into());
        }
        let rows = self.len();
        for (column, tags) in TagColumn::all().zip(&mut self.tags.0) {
            tags.push(rows, column.tag_of(tx));
        }
        self.sequence.push(sequence);
        self.tenant.push(&*tx.tenant, |text| text.into());
        self.time_ms.push(tx.time_ms);
        self.arrival_ms.push(accepted.event.arrival_ms);
        self.kind.push(tx.kind as u8);
        self.channel.push(tx.text(Field::Channel).unwrap_or_default(), |text| text.into());
        self.amount_minor.push(tx.int(Field::AmountMinor).unwrap_or_default());
        self.currency.push(tx.text(Field::AmountCurrency).unwrap_or_default(), |text| text.into());
        self.cut_off_ms.push(new.cut_off_ms);
        self.outcome.push(new.outcome as u8);
        self.lever.push(new.lever as u8);
        let generation = new.decided.verdict.generation;
        self.generation.push(&generation.hash, |hash| *hash);
        self.overlay.push(generation.overlay);
        let ip = match tx.get(Field::DeviceIp) {
            Some(Value::Ip(address)) => Address::of(address),
            _ => Address::default(),
        };
        self.ip_family.push(ip.family);
        self.ip.extend_from_slice(&ip.bytes);
        self.ip_fingerprint.push(ip.fingerprint);
        let (bin, digits) = tx.text(Field::CardBin).and_then(bin).unwrap_or_default();
        self.bin.push(bin);
        self.bin_digits.push(digits);
        self.open.push(&new.taken.open);
        self.decided.push(new.decided_bytes);
        self.segment.push(new.taken.place.segment);
        self.offset.push(new.taken.place.offset);
        self.sealed.push(&new.taken.sealed);
        Ok(())
    }

    /// Adds a row of another chunk as it is: for one that goes on growing after a start.
    pub(super) fn push_row(&mut self, row: &Row<'_, '_>) {
        let rows = self.len();
        for (column, tags) in TagColumn::all().zip(&mut self.tags.0) {
            tags.push(rows, row.tag(column));
        }
        let (codes, generation, ip) = (row.codes(), row.generation(), row.ip());
        self.sequence.push(row.sequence());
        self.tenant.push(row.tenant(), |text| text.into());
        self.time_ms.push(row.time_ms());
        self.arrival_ms.push(row.arrival_ms());
        self.kind.push(codes.kind);
        self.channel.push(row.channel(), |text| text.into());
        self.amount_minor.push(row.amount_minor());
        self.currency.push(row.currency(), |text| text.into());
        self.cut_off_ms.push(row.cut_off_ms());
        self.outcome.push(codes.outcome);
        self.lever.push(codes.lever);
        self.generation.push(&generation.hash, |hash| *hash);
        self.overlay.push(generation.overlay);
        self.ip_family.push(ip.family);
        self.ip.extend_from_slice(&ip.bytes);
        self.ip_fingerprint.push(ip.fingerprint);
        let (bin, digits) = row.bin().unwrap_or_default();
        self.bin.push(bin);
        self.bin_digits.push(digits);
        self.open.push(row.open());
        self.decided.push(row.decided_bytes());
        self.segment.push(row.place().segment);
        self.offset.push(row.place().offset);
        self.sealed.push(row.sealed());
    }

    /// Its columns.
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            sequence: &self.sequence,
            tenant: self.tenant.view(),
            time_ms: &self.time_ms,
            arrival_ms: &self.arrival_ms,
            kind: &self.kind,
            channel: self.channel.view(),
            amount_minor: &self.amount_minor,
            currency: self.currency.view(),
            cut_off_ms: &self.cut_off_ms,
            outcome: &self.outcome,
            lever: &self.lever,
            generation: self.generation.view(),
            overlay: &self.overlay,
            ip_family: &self.ip_family,
            ip: sixteens(&self.ip),
            ip_fingerprint: &self.ip_fingerprint,
            bin: &self.bin,
            bin_digits: &self.bin_digits,
            tags: self.tags.0.each_ref().map(TagsVec::view),
            open: self.open.view(),
            decided: self.decided.view(),
            segment: &self.segment,
            offset: &self.offset,
            sealed: self.sealed.view(),
        }
    }
}
