//! A sparse index in memory: per block of about 64 KiB the least and greatest sequence of each kind of record. It
//! costs 0.1 % of the journal's bytes and is kept current by append and rebuilt by the recovery pass.

use super::format::Header;
use super::kept::{Cut, Kept};
use super::{KeyState, RecordKind, SegmentInfo};

/// A block ends with the first batch that takes it to this many bytes.
const BLOCK_BYTES: u64 = 64 << 10;

/// Least and greatest; empty when the least is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    least: u64,
    greatest: u64,
}

impl Span {
    const EMPTY: Span = Span { least: u64::MAX, greatest: 0 };

    fn add(&mut self, sequence: u64) {
        self.least = self.least.min(sequence);
        self.greatest = self.greatest.max(sequence);
    }
    fn holds(self, sequence: u64) -> bool {
        self.least <= sequence && sequence <= self.greatest
    }
}

/// Consecutive batches of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub offset: u64,
    pub bytes: u64,
    spans: [Span; 2],
}

impl Block {
    /// Whether some record may have a sequence of `from` or more.
    fn reaches(&self, from: u64) -> bool {
        self.spans.iter().any(|span| *span != Span::EMPTY && span.greatest >= from)
    }
}

/// A segment's blocks.
pub(crate) struct SegmentIndex {
    pub info: SegmentInfo,
    spans: [Span; 2],
    blocks: Vec<Block>,
}

impl SegmentIndex {
    pub(crate) fn new(header: &Header) -> SegmentIndex {
        let key = if header.is_destroyed() { KeyState::Destroyed } else { KeyState::Present };
        let info = SegmentInfo {
            number: header.number,
            epoch: header.epoch,
            created_ms: header.created_ms,
            engine: header.engine.clone(),
            catalogue: header.catalogue,
            first_sequence: header.first_sequence,
            last_sequence: header.first_sequence.saturating_sub(1),
            bytes: super::format::HEADER_BYTES as u64,
            excess_bytes: 0,
            batches: 0,
            records: 0,
            closed: false,
            key,
            key_id: header.key_id,
            origin: header.chain(),
        };
        SegmentIndex { info, spans: [Span::EMPTY; 2], blocks: Vec::new() }
    }

    /// Notes a batch that lies at `at`.
    pub(crate) fn add(&mut self, at: u64, bytes: u64, records: impl Iterator<Item = (RecordKind, u64)>) {
        if self.blocks.last().is_none_or(|block| block.bytes >= BLOCK_BYTES) {
            self.blocks.push(Block { offset: at, bytes: 0, spans: [Span::EMPTY; 2] });
        }
        let block = self.blocks.last_mut().expect("pushed above where there was none");
        block.bytes = at + bytes - block.offset;
        for (kind, sequence) in records {
            block.spans[kind.slot()].add(sequence);
            self.spans[kind.slot()].add(sequence);
            self.info.records += 1;
            if kind == RecordKind::Accepted {
                self.info.last_sequence = sequence;
            }
        }
        self.info.batches += 1;
        self.info.bytes = at + bytes;
    }

    /// What lies behind an offset counts no more. Blocks may still say that they reach sequences they do not.
    pub(crate) fn cut(&mut self, cut: &Cut) {
        let end = cut.before.at;
        self.blocks.retain(|block| block.offset < end);
        if let Some(last) = self.blocks.last_mut() {
            last.bytes = last.bytes.min(end - last.offset);
        }
        self.info.batches -= cut.batches;
        self.info.records -= cut.records;
        (self.info.bytes, self.info.last_sequence) = (end, cut.before.last_sequence);
    }
}

/// All segments, in order, and what is not safe in them yet: under one lock, so that a reader finds a batch that goes
/// from the one to the other.
#[derive(Default)]
pub(crate) struct Index {
    pub segments: Vec<SegmentIndex>,
    pub kept: Kept,
}

impl Index {
    /// The blocks that may hold a record, with their segments, in order; usually one.
    pub(crate) fn find(&self, kind: RecordKind, sequence: u64) -> Vec<(u64, Block)> {
        let slot = kind.slot();
        let segments = self.segments.iter().filter(|segment| segment.spans[slot].holds(sequence));
        segments
            .flat_map(|segment| segment.blocks.iter().map(|block| (segment.info.number, *block)))
            .filter(|(_, block)| block.spans[slot].holds(sequence))
            .collect()
    }

    /// The first stretch of batches at or behind (segment, offset) in which some sequence may be `from` or more.
    pub(crate) fn next(&self, segment: u64, offset: u64, from: u64) -> Option<(u64, Block)> {
        let first = self.segments.partition_point(|s| s.info.number < segment);
        self.segments[first..].iter().find_map(|s| {
            let behind = if s.info.number == segment { offset } else { 0 };
            let start = s.blocks.partition_point(|block| block.offset + block.bytes <= behind);
            let mut block = *s.blocks[start..].iter().find(|block| block.reaches(from))?;
            let skip = behind.saturating_sub(block.offset);
            block.offset += skip;
            block.bytes -= skip;
            Some((s.info.number, block))
        })
    }

    pub(crate) fn infos(&self) -> Vec<SegmentInfo> {
        self.segments.iter().map(|segment| segment.info.clone()).collect()
    }
    pub(crate) fn segment_mut(&mut self, number: u64) -> Option<&mut SegmentIndex> {
        let first = self.segments.first()?.info.number;
        self.segments.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}
