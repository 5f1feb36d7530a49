//! A place of the journal between two batches, with what is known there: what an image of the state rests on. The chain
//! hash vouches for all that lies before it, so that a journal that was cut back, or is another, does not hold it.

use super::format::{HEADER_BYTES, Header};
use super::frame::{FRAME_HEAD, Frame, frame_len};
use super::index::{Index, SegmentIndex};
use super::scan::Scanned;
use super::walk::{numbers, segment_name};
use crate::error::{Error, ErrorKind};
use crate::storage::{Storage, read_exact_at};
use interdict_engine::image::{Reader, Writer};

/// A place between two batches.
#[derive(Debug, Clone)]
pub struct At {
    pub(super) segment: u64,
    pub(super) scanned: Scanned,
    pub(super) last_sequence: u64,
}

impl At {
    /// The segment's number.
    pub fn segment(&self) -> u64 {
        self.segment
    }
    /// Offset in its file, in bytes.
    pub fn offset(&self) -> u64 {
        self.scanned.end
    }
    /// The last `accepted` sequence before it.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }
    /// The chain hash there: equal places of equal journals, and nothing else, have equal ones.
    pub fn chain(&self) -> [u8; 32] {
        self.scanned.chain
    }
    /// Writes it.
    pub fn save(&self, to: &mut Writer<'_>) {
        let Scanned { end, last, chain, frames, records, closed, durable, broken: _ } = &self.scanned;
        to.u64s(&[self.segment, self.last_sequence, *end, *last, *records, *durable]);
        to.u32(*frames);
        to.bool(*closed);
        to.bytes(chain);
    }
    /// What [`At::save`] wrote.
    ///
    /// # Errors
    /// Whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<At, interdict_engine::Error> {
        let mut words = [0; 6];
        from.u64s(&mut words)?;
        let [segment, last_sequence, end, last, records, durable] = words;
        let (frames, closed) = (from.u32()?, from.bool()?);
        let mut chain = [0; 32];
        chain.copy_from_slice(from.take(32)?);
        let scanned = Scanned { end, last, chain, frames, records, closed, durable, broken: None };
        Ok(At { segment, scanned, last_sequence })
    }

    /// Whether a journal holds this place.
    ///
    /// # Errors
    /// `Invalid`, saying why it does not; `Io`, `Version`.
    pub fn check(&self, storage: &dyn Storage) -> Result<(), Error> {
        let differs = |why: &str| Err(Error::new(ErrorKind::Invalid, why).at(self.segment, self.offset()));
        let numbers = numbers(storage)?;
        if !numbers.contains(&self.segment) {
            return differs("the journal has no such segment");
        }
        let failed = |e: &std::io::Error| Error::io("reading", e).at(self.segment, self.scanned.last);
        let file = storage.open(&segment_name(self.segment)).map_err(|e| failed(&e))?;
        let len = file.len().map_err(|e| failed(&e))?;
        if len < self.offset() {
            return differs("the journal ends before");
        }
        let Some(header) = header(storage, self.segment)? else { return differs("no header there") };
        if let Some(next) = numbers.iter().find(|number| **number == self.segment + 1)
            && let Some(next) = self::header(storage, *next)?
            && next.previous_bytes < self.offset()
        {
            return differs("the segment was cut back before");
        }
        if self.scanned.frames == 0 {
            let is_it = header.chain() == self.scanned.chain && self.offset() == HEADER_BYTES as u64;
            return if is_it { Ok(()) } else { differs("another segment begins there") };
        }
        let bytes =
            (self.offset()).checked_sub(self.scanned.last).filter(|bytes| *bytes >= FRAME_HEAD as u64);
        let Some(bytes) = bytes.filter(|bytes| *bytes <= len) else { return differs("no batch ends there") };
        let mut frame = vec![0; bytes as usize];
        read_exact_at(&*file, &mut frame, self.scanned.last).map_err(|e| failed(&e))?;
        let is_it = frame_len(&frame) == Some(bytes)
            && Frame::parse(&frame, self.scanned.last, header.seed())
                .is_ok_and(|frame| frame.chain() == self.scanned.chain);
        if is_it { Ok(()) } else { differs("another batch ends there") }
    }
}

fn header(storage: &dyn Storage, number: u64) -> Result<Option<Header>, Error> {
    let failed = |e: &std::io::Error| Error::io("opening", e).at(number, 0);
    let file = storage.open(&segment_name(number)).map_err(|e| failed(&e))?;
    let mut bytes = [0; HEADER_BYTES];
    match read_exact_at(&*file, &mut bytes, 0) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(failed(&e)),
        Ok(()) => Ok(Header::decode(&bytes).ok()),
    }
}

/// Where a journal is opened from: a place that it holds, and the index of all before.
pub struct Resume {
    pub(super) at: At,
    pub(super) segments: Vec<SegmentIndex>,
}

impl Resume {
    /// The place.
    pub fn at(&self) -> &At {
        &self.at
    }
    /// Records before it, of the segments that were there.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.info.records).sum()
    }
    pub(super) fn new(at: At, index: &Index) -> Resume {
        let mut segments: Vec<SegmentIndex> = Vec::new();
        for segment in index.segments.iter().filter(|segment| segment.info.number <= at.segment) {
            let mut segment = segment.clone();
            if segment.info.number == at.segment {
                segment.cut_at(&at);
            }
            segments.push(segment);
        }
        Resume { at, segments }
    }
    /// Writes both.
    pub fn save(&self, to: &mut Writer<'_>) {
        self.at.save(to);
        to.count(self.segments.len());
        self.segments.iter().for_each(|segment| segment.save(to));
    }
    /// What [`Resume::save`] wrote.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<Resume, interdict_engine::Error> {
        let at = At::load(from)?;
        let segments = (0..from.count(1 << 32)?).map(|_| SegmentIndex::load(from));
        Ok(Resume { at, segments: segments.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests;
