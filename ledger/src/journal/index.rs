//! A sparse index in memory: per block of about 64 KiB the least and greatest sequence of each kind of record. It
//! costs 0.1 % of the journal's bytes and is kept current by append and rebuilt by the recovery pass.

use super::format::Header;
use super::kept::{Cut, Kept};
use super::place::At;
use super::{KeyState, RecordKind, SegmentInfo};
use crate::key::KeyIdent;
use interdict_engine::image::{Reader, Writer};

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

    fn save(self, to: &mut Writer<'_>) {
        to.u64s(&[self.least, self.greatest]);
    }
    fn load(from: &mut Reader<'_>) -> Result<Span, interdict_engine::Error> {
        Ok(Span { least: from.u64()?, greatest: from.u64()? })
    }
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
    spans: Spans,
}

/// By kind of record.
type Spans = [Span; RecordKind::COUNT];

fn load_spans(from: &mut Reader<'_>) -> Result<Spans, interdict_engine::Error> {
    let mut spans = [Span::EMPTY; RecordKind::COUNT];
    for span in &mut spans {
        *span = Span::load(from)?;
    }
    Ok(spans)
}

impl Block {
    /// Whether some record may have a sequence of `from` or more.
    fn reaches(&self, from: u64) -> bool {
        self.spans.iter().any(|span| *span != Span::EMPTY && span.greatest >= from)
    }
}

/// A segment's blocks.
#[derive(Clone)]
pub(crate) struct SegmentIndex {
    pub info: SegmentInfo,
    spans: Spans,
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
        SegmentIndex { info, spans: [Span::EMPTY; RecordKind::COUNT], blocks: Vec::new() }
    }

    /// Notes a batch that lies at `at`.
    pub(crate) fn add(&mut self, at: u64, bytes: u64, records: impl Iterator<Item = (RecordKind, u64)>) {
        if self.blocks.last().is_none_or(|block| block.bytes >= BLOCK_BYTES) {
            self.blocks.push(Block { offset: at, bytes: 0, spans: [Span::EMPTY; RecordKind::COUNT] });
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

    /// As it was when the journal ended at a place in it. Blocks may say that they reach sequences they do not.
    pub(crate) fn cut_at(&mut self, at: &At) {
        let end = at.scanned.end;
        self.blocks.retain(|block| block.offset < end);
        if let Some(last) = self.blocks.last_mut() {
            last.bytes = last.bytes.min(end - last.offset);
        }
        let footer = u64::from(at.scanned.closed);
        let info = &mut self.info;
        (info.batches, info.records) = (u64::from(at.scanned.frames) - footer, at.scanned.records);
        (info.bytes, info.excess_bytes, info.closed) = (end, 0, at.scanned.closed);
        info.last_sequence = at.last_sequence.max(info.first_sequence.saturating_sub(1));
    }
    /// Writes it.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        let info = &self.info;
        to.u64s(&[info.number, info.epoch, info.first_sequence, info.last_sequence]);
        to.u64s(&[info.bytes, info.excess_bytes, info.batches, info.records]);
        to.i64(info.created_ms);
        to.text(&info.engine);
        to.bytes(&info.catalogue);
        to.bytes(&info.origin);
        to.bytes(&info.key_id.0);
        to.bool(info.closed);
        to.bool(info.key == KeyState::Destroyed);
        self.spans.iter().for_each(|span| span.save(to));
        to.count(self.blocks.len());
        for Block { offset, bytes, spans } in &self.blocks {
            to.u64s(&[*offset, *bytes]);
            spans.iter().for_each(|span| span.save(to));
        }
    }
    /// What [`SegmentIndex::save`] wrote.
    pub(crate) fn load(from: &mut Reader<'_>) -> Result<SegmentIndex, interdict_engine::Error> {
        let mut words = [0; 8];
        from.u64s(&mut words)?;
        let [number, epoch, first_sequence, last_sequence, bytes, excess_bytes, batches, records] = words;
        let (created_ms, engine) = (from.i64()?, from.text()?);
        let (mut catalogue, mut origin) = ([0; 32], [0; 32]);
        catalogue.copy_from_slice(from.take(32)?);
        origin.copy_from_slice(from.take(32)?);
        let mut key_id = KeyIdent([0; 8]);
        key_id.0.copy_from_slice(from.take(8)?);
        let (closed, is_destroyed) = (from.bool()?, from.bool()?);
        let key = if is_destroyed { KeyState::Destroyed } else { KeyState::Present };
        let spans = load_spans(from)?;
        let mut blocks = Vec::new();
        for _ in 0..from.count(1 << 40)? {
            let (offset, bytes) = (from.u64()?, from.u64()?);
            blocks.push(Block { offset, bytes, spans: load_spans(from)? });
        }
        let info = SegmentInfo {
            number,
            epoch,
            created_ms,
            engine,
            catalogue,
            first_sequence,
            last_sequence,
            bytes,
            excess_bytes,
            batches,
            records,
            closed,
            key,
            key_id,
            origin,
        };
        Ok(SegmentIndex { info, spans, blocks })
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

    /// Whether any record of a kind was met.
    pub(crate) fn has(&self, kind: RecordKind) -> bool {
        self.segments.iter().any(|segment| segment.spans[kind.slot()] != Span::EMPTY)
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
