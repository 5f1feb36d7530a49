//! The journal: the one order of everything that matters, in segments of checksummed, hash-chained batches whose
//! sealed parts are encrypted before they are written. Generic over what the records mean; docs/formats/journal.md
//! is its format.

mod format;
mod frame;
mod index;
mod scan;
mod place;
mod walk;
mod syncer;
mod recover;
mod kept;
mod segments;
mod writer;
mod retention;
mod read;
mod unseal;
mod follow;
mod check;
#[cfg(test)]
mod tests;

pub use check::{Report, check};
pub use follow::Go;
pub use format::SUMMED as ORIGIN_BYTES;
pub use frame::{OwnedRecord, Stored};
pub use place::{At, Resume};
pub use read::Reader;
pub use retention::Retention;
pub use syncer::{Durable, OnSync, Syncer};
pub use unseal::Unsealer;
pub use walk::segment_name;
pub use writer::Journal;

use crate::error::{Error, ErrorKind};
use crate::key::KeyIdent;
use std::sync::Arc;

/// The records of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// What was taken in and stamped.
    Accepted = 1,
    /// The record of law.
    Decided = 2,
    /// What the record of law would have been with the stages that it lacks; of few, and later.
    Finished = 3,
}

impl RecordKind {
    fn from_number(number: u8) -> Option<RecordKind> {
        match number {
            1 => Some(RecordKind::Accepted),
            2 => Some(RecordKind::Decided),
            3 => Some(RecordKind::Finished),
            _ => None,
        }
    }
    /// How many there are.
    const COUNT: usize = 3;
    fn slot(self) -> usize {
        self as usize - 1
    }
}

/// A record to append.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Which record it is.
    pub kind: RecordKind,
    /// Its place in the one order, from 1; each `accepted` has a greater one than the last, each `decided` and
    /// `finished` one that was accepted before it or earlier in the same batch.
    pub sequence: u64,
    /// The part written as it is: numbers, codes, tags.
    pub open: &'a [u8],
    /// The part encrypted before it is written: names and free text; empty where there is none.
    pub sealed: &'a [u8],
}

/// What an acknowledged batch survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A killed process: the bytes are with the operating system when `append` returns.
    Os,
    /// A power loss: the bytes are on disk when [`Syncer`] says so.
    Disk,
}

/// How a journal is written.
#[derive(Clone)]
pub struct Options {
    /// A segment that has this many bytes is closed and the next one begun; a longer batch gets one of its own.
    pub segment_bytes: u64,
    /// What an acknowledged batch survives.
    pub durability: Durability,
    /// The engine's version, at most 32 bytes of UTF-8; stamped into each segment.
    pub engine: String,
    /// Hash of the field catalogue the records were encoded under; stamped into each segment.
    pub catalogue: [u8; 32],
    /// Tells the time when a segment is begun, in ms since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Told how long each sync of written batches took.
    pub on_sync: Option<OnSync>,
    /// No thread syncs: the caller does, by [`Syncer::begin`] and [`Syncer::step`]. For simulators, which have one
    /// thread.
    pub stepped: bool,
}

impl Options {
    /// Segments of this many bytes unless told otherwise.
    pub const SEGMENT_BYTES: u64 = 256 << 20;

    /// Options with segments of 256 MiB and the system's clock.
    pub fn new(durability: Durability, engine: impl Into<String>, catalogue: [u8; 32]) -> Options {
        let clock = Arc::new(|| {
            let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        let (segment_bytes, engine) = (Options::SEGMENT_BYTES, engine.into());
        Options { segment_bytes, durability, engine, catalogue, clock, on_sync: None, stepped: false }
    }
}

/// A batch's place among all those appended since the journal was opened; greater is later. It has no meaning after
/// a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(u64);

/// How often writing failed, since the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// The disk was full, or a file as long as it may be.
    pub full: u64,
    /// Any other failure to write or to begin a segment.
    pub io: u64,
    /// A sync failed.
    pub sync: u64,
}

impl Failures {
    fn count(&mut self, error: &Error) {
        match error.kind {
            ErrorKind::Full => self.full += 1,
            ErrorKind::Sync => self.sync += 1,
            _ => self.io += 1,
        }
    }
}

/// Whether a segment's sealed parts can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The data key is there.
    Present,
    /// The data key was destroyed; the open parts and the chain stay whole.
    Destroyed,
}

/// What is known of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number, from 1.
    pub number: u64,
    /// The fencing epoch: one more at each opening of the journal.
    pub epoch: u64,
    /// When it was begun, ms since the Unix epoch.
    pub created_ms: i64,
    /// The engine version that wrote it.
    pub engine: String,
    /// Hash of the field catalogue its records were encoded under.
    pub catalogue: [u8; 32],
    /// The least sequence an `accepted` in it may have.
    pub first_sequence: u64,
    /// The last `accepted` sequence up to its end; one less than `first_sequence` where it has none.
    pub last_sequence: u64,
    /// Bytes of it that count, header and footer included.
    pub bytes: u64,
    /// Bytes behind them that do not count: what a failed write left and could not be cut.
    pub excess_bytes: u64,
    /// Batches in it.
    pub batches: u64,
    /// Records in it.
    pub records: u64,
    /// Whether it ends with a footer.
    pub closed: bool,
    /// Whether its sealed parts can be read.
    pub key: KeyState,
    /// The master key that its data key is (or was) wrapped under.
    pub key_id: KeyIdent,
    /// SHA-256 of its first [`ORIGIN_BYTES`], which no other segment has, since a random salt is among them.
    pub origin: [u8; 32],
}

/// A tail that was no whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The segment's number.
    pub segment: u64,
    /// Where the tail begins, in bytes of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes_cut: u64,
}

/// What opening a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The segments that were there, in order; the one now begun is not among them.
    pub segments: Vec<SegmentInfo>,
    /// The tails that were cut: at most one of batches, and one of a segment whose header was never finished.
    pub torn: Vec<Torn>,
    /// Sequence of the last `accepted`; 0 where there is none.
    pub last_sequence: u64,
    /// Records read.
    pub records: u64,
    /// The epoch of this opening.
    pub epoch: u64,
}
