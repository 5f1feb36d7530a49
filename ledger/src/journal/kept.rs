//! Batches that are the journal's and not safe yet: those that could not be written, and under `Disk` those that are
//! written and not synced, since after a failed sync only a copy in memory is sure. In order; dropped when safe.

use super::frame::OwnedRecord;
use super::{Record, RecordKind};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a batch and each of its records cost beside their bytes, about; the caller's bound is on all of it.
const BATCH_BYTES: u64 = 160;
const RECORD_BYTES: u64 = 32;

/// A batch's records, as they were given: sealed parts are not encrypted, as each segment has another key.
pub(crate) struct Batch {
    pub position: u64,
    heads: Vec<Head>,
    bytes: Vec<u8>,
    least: u64,
    greatest: u64,
}

struct Head {
    kind: RecordKind,
    sequence: u64,
    open: usize,
    sealed: usize,
}

impl Batch {
    pub(crate) fn new(position: u64, records: &[Record<'_>]) -> Batch {
        let length = records.iter().map(|record| record.open.len() + record.sealed.len()).sum();
        let (mut heads, mut bytes) = (Vec::with_capacity(records.len()), Vec::with_capacity(length));
        let (mut least, mut greatest) = (u64::MAX, 0);
        for Record { kind, sequence, open, sealed } in records {
            heads.push(Head { kind: *kind, sequence: *sequence, open: open.len(), sealed: sealed.len() });
            bytes.extend_from_slice(open);
            bytes.extend_from_slice(sealed);
            (least, greatest) = (least.min(*sequence), greatest.max(*sequence));
        }
        Batch { position, heads, bytes, least, greatest }
    }
    /// The records, in their order.
    pub(crate) fn records(&self) -> Vec<Record<'_>> {
        let mut rest = &self.bytes[..];
        let record = |head: &Head| {
            let (open, behind) = rest.split_at(head.open);
            let (sealed, behind) = behind.split_at(head.sealed);
            rest = behind;
            Record { kind: head.kind, sequence: head.sequence, open, sealed }
        };
        self.heads.iter().map(record).collect()
    }
    fn find(&self, kind: RecordKind, sequence: u64) -> Option<OwnedRecord> {
        if !(self.least..=self.greatest).contains(&sequence) {
            return None;
        }
        let found = self.records().into_iter().find(|r| r.kind == kind && r.sequence == sequence)?;
        let (open, sealed) = (found.open.to_vec(), Some(found.sealed.to_vec()));
        Some(OwnedRecord { kind, sequence, open, sealed })
    }
    fn count(&self) -> u64 {
        self.heads.len() as u64
    }
    fn cost(&self) -> u64 {
        self.bytes.len() as u64 + self.count() * RECORD_BYTES + BATCH_BYTES
    }
}

/// Where the journal stood before a batch was written: where it ends if that batch must be written again elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    /// Offset in the segment's file.
    pub at: u64,
    /// The chain hash there.
    pub chain: [u8; 32],
    /// The last `accepted` sequence.
    pub last_sequence: u64,
}

struct Entry {
    batch: Arc<Batch>,
    /// `None`: not written (or no longer counted).
    written: Option<Before>,
}

/// What was cut off the end of a segment, to be written again.
pub(crate) struct Cut {
    pub before: Before,
    pub batches: u64,
    pub records: u64,
}

/// All kept batches: first those that are written, then those that are not.
#[derive(Default)]
pub(crate) struct Kept {
    entries: VecDeque<Entry>,
    /// How many of them, from the front, are written.
    written: usize,
    bytes: u64,
    unwritten_records: u64,
}

impl Kept {
    /// Adds a batch that was not written.
    pub(crate) fn add_unwritten(&mut self, batch: Batch) {
        self.bytes += batch.cost();
        self.unwritten_records += batch.count();
        self.entries.push_back(Entry { batch: Arc::new(batch), written: None });
    }
    /// Adds a batch that was written behind all kept ones, which are written too, and is not safe yet.
    pub(crate) fn add_written(&mut self, batch: Batch, before: Before) {
        debug_assert_eq!(self.written, self.entries.len(), "batches are written in order");
        self.bytes += batch.cost();
        self.written += 1;
        self.entries.push_back(Entry { batch: Arc::new(batch), written: Some(before) });
    }
    /// The first batch that is not written.
    pub(crate) fn first_unwritten(&self) -> Option<Arc<Batch>> {
        self.entries.get(self.written).map(|entry| entry.batch.clone())
    }
    /// The first batch that was not written is now.
    pub(crate) fn wrote_first(&mut self, before: Before) {
        if let Some(entry) = self.entries.get_mut(self.written) {
            entry.written = Some(before);
            self.unwritten_records -= entry.batch.count();
            self.written += 1;
        }
    }
    /// Drops what is safe: written batches up to a position.
    pub(crate) fn forget(&mut self, upto: u64) {
        while self.written > 0 && self.entries.front().is_some_and(|entry| entry.batch.position <= upto) {
            let entry = self.entries.pop_front().expect("there is a front one");
            self.bytes -= entry.batch.cost();
            self.written -= 1;
        }
    }
    /// Takes all written batches behind a position as not written; `None` where there are none.
    pub(crate) fn unwrite(&mut self, behind: u64) -> Option<Cut> {
        self.forget(behind);
        let written = self.entries.iter_mut().take(self.written);
        let mut cut: Option<Cut> = None;
        for entry in written {
            let before = entry.written.take().expect("it is counted as written");
            let cut = cut.get_or_insert(Cut { before, batches: 0, records: 0 });
            cut.batches += 1;
            cut.records += entry.batch.count();
        }
        self.written = 0;
        self.unwritten_records += cut.as_ref().map_or(0, |cut| cut.records);
        cut
    }

    /// Where the first batch begins that is written and not safe yet, in the segment being written.
    pub(crate) fn unsafe_from(&self) -> Option<u64> {
        self.entries.front().and_then(|entry| entry.written).map(|before| before.at)
    }
    /// A record of a batch that is not written; of equal ones the first, as in the journal.
    pub(crate) fn find_unwritten(&self, kind: RecordKind, sequence: u64) -> Option<OwnedRecord> {
        self.entries.iter().skip(self.written).find_map(|entry| entry.batch.find(kind, sequence))
    }
    /// Records that are not written.
    pub(crate) fn unwritten_records(&self) -> u64 {
        self.unwritten_records
    }
    /// What all of it takes in memory, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
