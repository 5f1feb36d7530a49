//! A segment's life as its writer sees it: begun, written, and left, closed or for good after a failure. Under `Disk`
//! a segment that a sync failed on ends at what was durable; what lay behind goes back to the kept batches.

use super::format::{HEADER_BYTES, Header, SegmentKey};
use super::frame::{Stamp, batch_bytes, encode_batch, encode_footer};
use super::index::SegmentIndex;
use super::kept::{Batch, Before};
use super::place::At;
use super::scan::Scanned;
use super::walk::{Tail, in_order, segment_name};
use super::writer::{Journal, write};
use super::{Durability, Position, Record};
use crate::error::Error;
use crate::key::fill_random;
use crate::storage::{File, write_once_at};
use std::sync::Arc;

/// The segment being written.
pub(super) struct OpenSegment {
    file: Arc<dyn File>,
    number: u64,
    seed: u32,
    key: SegmentKey,
    bytes: u64,
    chain: [u8; 32],
    frames: u32,
    records: u64,
    /// Where the last frame begins; 0 before the first.
    last: u64,
}

impl Journal {
    fn is_disk(&self) -> bool {
        self.options.durability == Durability::Disk
    }

    /// Writes a batch, on a new segment where there is none or it has no room. It is the first one that waits, or a
    /// new one where none waits.
    pub(super) fn write(&mut self, batch: &[Record<'_>], position: Position) -> Result<(), Error> {
        let bytes = batch_bytes(batch) as u64;
        let is_full = |open: &OpenSegment| open.bytes + bytes > self.options.segment_bytes;
        if self.open.as_ref().is_some_and(|open| open.frames > 0 && is_full(open)) {
            self.leave_segment(true)?;
        }
        if self.open.is_none() {
            self.begin_segment()?;
        }
        let durable = if self.is_disk() { self.syncer.durable_bytes() } else { 0 };
        let open = self.open.as_mut().expect("begun above where there was none");
        let before = Before { at: open.bytes, chain: open.chain, last_sequence: self.written_sequence };
        let chain = encode_batch(&mut self.buffer, batch, &open.stamp(durable), &open.key);
        if let Err(e) = write_once_at(&*open.file, &self.buffer, before.at) {
            let error = Error::io("append", &e).at(open.number, before.at);
            self.failures.count(&error);
            if open.frames == 0 {
                self.take_back();
                return Err(error);
            }
            // Best effort: where it cannot be cut, the next segment's header says what counts.
            let _ = open.file.truncate(before.at);
            self.leave_segment(false)?;
            return Err(error);
        }
        let len = self.buffer.len() as u64;
        (open.chain, open.frames, open.bytes) = (chain, open.frames + 1, before.at + len);
        open.last = before.at;
        open.records += batch.len() as u64;
        let (number, end) = (open.number, open.bytes);
        for record in batch {
            in_order(record.kind, record.sequence, &mut self.written_sequence)
                .expect("it was asked when the batch was taken");
        }
        self.wrote(batch, position, number, before, len);
        match self.options.durability {
            Durability::Os => self.syncer.reached(position),
            Durability::Disk => self.syncer.written(position, end),
        }
        Ok(())
    }

    /// Has readers find a batch where it was written now.
    fn wrote(&self, batch: &[Record<'_>], position: Position, number: u64, before: Before, len: u64) {
        let records = batch.iter().map(|record| (record.kind, record.sequence));
        let mut index = write(&self.index);
        index.segment_mut(number).expect("begin_segment put it there").add(before.at, len, records);
        let waited = index.kept.first_unwritten().is_some();
        match self.options.durability {
            Durability::Os if !waited => {}
            Durability::Os => {
                index.kept.wrote_first(before);
                index.kept.forget(position.0);
            }
            Durability::Disk => {
                index.kept.forget(self.syncer.synced().0);
                if waited {
                    index.kept.wrote_first(before);
                } else {
                    index.kept.add_written(Batch::new(position.0, batch), before);
                }
            }
        }
    }

    /// Leaves the current segment for good, with a footer where asked (without one where that fails). Under `Disk`
    /// all of it is on disk afterwards, so that only the last segment can ever have a torn tail.
    ///
    /// # Errors
    /// `Sync`: it was left at what is durable, and the rest waits to be written again.
    pub(super) fn leave_segment(&mut self, footer: bool) -> Result<(), Error> {
        if self.open.is_none() {
            return Ok(());
        }
        if self.is_disk() {
            self.sync_segment()?;
        }
        let Some(mut open) = self.open.take() else { return Ok(()) };
        self.tail = open.tail();
        self.syncer.left();
        if footer && open.write_footer(self.written_sequence, self.is_disk(), &mut self.buffer).is_ok() {
            self.tail = open.tail();
            let mut index = write(&self.index);
            let info = &mut index.segment_mut(open.number).expect("begin_segment put it there").info;
            (info.closed, info.bytes) = (true, open.bytes);
        }
        Ok(())
    }

    /// Syncs what is written to the current segment; where that fails, the segment is abandoned.
    pub(super) fn sync_segment(&mut self) -> Result<(), Error> {
        self.syncer.sync().inspect_err(|_| {
            self.failures.sync += 1;
            self.abandon();
        })
    }

    /// Leaves a segment that a sync failed on at what is durable. The next one's header says so; whether the bytes
    /// behind are on disk is nobody's business any more.
    pub(super) fn abandon(&mut self) {
        self.lost = true;
        let Some(open) = &self.open else { return self.syncer.left() };
        let cut = write(&self.index).kept.unwrite(self.syncer.synced().0);
        let mut tail = open.tail();
        if let Some(cut) = cut {
            (tail.bytes, tail.chain) = (cut.before.at, cut.before.chain);
            self.written_sequence = cut.before.last_sequence;
            write(&self.index).segment_mut(tail.number).expect("begin_segment put it there").cut(&cut);
        }
        if tail.bytes == HEADER_BYTES as u64 {
            return self.take_back();
        }
        (self.open, self.tail) = (None, tail);
        self.syncer.left();
    }

    /// Takes back the current segment, in which no batch counts, so that a disk that fails for hours is not filled
    /// with such. The next one gets its number and another key; a crash leaves the one or the other.
    fn take_back(&mut self) {
        let Some(open) = self.open.take() else { return };
        write(&self.index).segments.pop();
        self.syncer.left();
        // Best effort: beginning it again empties it.
        let _ = self.storage.remove(&segment_name(open.number));
    }

    pub(super) fn begin_segment(&mut self) -> Result<(), Error> {
        let number = self.tail.number + 1;
        let mut header = Header {
            durability: self.options.durability,
            number,
            epoch: self.epoch,
            created_ms: (self.options.clock)(),
            first_sequence: self.written_sequence + 1,
            previous_bytes: self.tail.bytes,
            previous_chain: self.tail.chain,
            catalogue: self.options.catalogue,
            engine: self.options.engine.clone(),
            key_id: self.sealing.newest(),
            salt: [0; 16],
            slot: [0; 60],
        };
        fill_random(&mut header.salt)?;
        let key = header.fresh_key(&self.sealing)?;
        let name = segment_name(number);
        let make = || {
            // A file of this number can only be our own failed attempt: create empties it.
            let file = self.storage.create(&name)?;
            write_once_at(&*file, &header.encode(), 0)?;
            if self.is_disk() {
                file.sync()?;
                self.storage.sync_names()?;
            }
            Ok(file)
        };
        let file: Arc<dyn File> = make().map_err(|e: std::io::Error| {
            // Best effort, so that the next attempt rests on no file and no name that a sync failed on; what a crash
            // leaves of it is a segment without batches, or a torn tail.
            let _ = self.storage.remove(&name);
            let error = Error::io("beginning a segment", &e).at(number, 0);
            self.failures.count(&error);
            error
        })?;
        let bytes = HEADER_BYTES as u64;
        write(&self.index).segments.push(SegmentIndex::new(&header));
        if self.is_disk() {
            self.syncer.target(file.clone(), number, bytes);
        }
        let (seed, chain) = (header.seed(), header.chain());
        self.open =
            Some(OpenSegment { file, number, seed, key, bytes, chain, frames: 0, records: 0, last: 0 });
        Ok(())
    }
}

impl OpenSegment {
    /// Its end.
    pub(super) fn at(&self, last_sequence: u64) -> At {
        let scanned = Scanned {
            end: self.bytes,
            last: self.last,
            chain: self.chain,
            frames: self.frames,
            records: self.records,
            closed: false,
            durable: 0,
            broken: None,
        };
        At { segment: self.number, scanned, last_sequence }
    }
    fn tail(&self) -> Tail {
        Tail { number: self.number, bytes: self.bytes, chain: self.chain }
    }
    fn stamp(&self, durable: u64) -> Stamp<'_> {
        Stamp { seed: self.seed, chain: &self.chain, at: self.bytes, ordinal: self.frames, durable }
    }
    /// Writes the footer, and syncs it under `Disk`; where that fails, the segment ends without one and the next
    /// header says where.
    fn write_footer(
        &mut self,
        last_sequence: u64,
        is_disk: bool,
        buffer: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        let stamp = self.stamp(if is_disk { self.bytes } else { 0 });
        let chain = encode_footer(buffer, self.records, last_sequence, &stamp);
        let written = write_once_at(&*self.file, buffer, self.bytes);
        let synced = written.and_then(|()| if is_disk { self.file.sync() } else { Ok(()) });
        if let Err(e) = synced {
            let _ = self.file.truncate(self.bytes);
            return Err(e);
        }
        (self.chain, self.bytes) = (chain, self.bytes + buffer.len() as u64);
        Ok(())
    }
}
