//! Going over the journal from a place in it, beside its writer and batch by batch, and never beyond what is safe: for
//! whoever makes the next image of the state out of the last one.

use super::Stored;
use super::format::{HEADER_BYTES, Header};
use super::place::{At, Resume};
use super::read::Reader;
use super::scan::{Scanned, scan};
use super::walk::segment_name;
use crate::error::{Error, ErrorKind};
use crate::storage::read_exact_at;

/// What to do after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// On with the next.
    On,
    /// No further: the place is behind this batch.
    Stop,
}

/// Ends a scan; never leaves this file.
const STOPPED: &str = "stopped";

impl Reader {
    /// The beginning of the journal; `None` where it has no segment.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn beginning(&self) -> Result<Option<At>, Error> {
        let first = self.index().segments.first().map(|segment| segment.info.number);
        first.map_or(Ok(None), |first| self.beginning_of(first))
    }
    /// The beginning of a segment; `None` where the journal has none of that number (any more).
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn beginning_of(&self, segment: u64) -> Result<Option<At>, Error> {
        if !self.index().segments.iter().any(|known| known.info.number == segment) {
            return Ok(None);
        }
        let header = self.header(segment)?;
        let last_sequence = header.first_sequence.saturating_sub(1);
        Ok(Some(At { segment, scanned: Scanned::start(&header), last_sequence }))
    }
    /// A place of the journal, from which it can be opened.
    pub fn resume(&self, at: At) -> Resume {
        Resume::new(at, &self.index())
    }
    fn header(&self, number: u64) -> Result<Header, Error> {
        let failed = |e: &std::io::Error| Error::io("reading", e).at(number, 0);
        let file = self.storage.open(&segment_name(number)).map_err(|e| failed(&e))?;
        let mut head = [0; HEADER_BYTES];
        read_exact_at(&*file, &mut head, 0).map_err(|e| failed(&e))?;
        Header::decode(&head).map_err(|e| e.at(number, 0))
    }
    /// How far a segment may be read: up to what counts and, in the last one, is safe. Whether another follows.
    fn safe_end(&self, number: u64) -> Option<(u64, bool)> {
        let index = self.index();
        let place = index.segments.iter().position(|segment| segment.info.number == number)?;
        let follows = place + 1 < index.segments.len();
        let end = index.segments[place].info.bytes;
        let safe = if follows { None } else { index.kept.unsafe_from() };
        Some((safe.map_or(end, |safe| safe.min(end)), follows))
    }

    /// Hands the records behind a place to `each`, and after each batch asks `after` whether to go on; gives the place
    /// reached: the end of what is safe, or where it was stopped. A place whose segment is gone is an error.
    ///
    /// # Errors
    /// `Invalid` for a place that is not in the journal (any more), `Corrupt` (placed), `Io`; whatever `each` returns.
    pub fn follow(
        &self,
        mut at: At,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
        after: &mut dyn FnMut(&At) -> Go,
    ) -> Result<At, Error> {
        loop {
            let Some((end, follows)) = self.safe_end(at.segment) else {
                let text = "the segment is not there any more";
                return Err(Error::new(ErrorKind::Invalid, text).at(at.segment, at.offset()));
            };
            let (reached, stopped) = self.follow_segment(at, end, each, after)?;
            at = reached;
            if stopped || !follows {
                return Ok(at);
            }
            let header = self.header(at.segment + 1)?;
            if (header.previous_bytes, header.previous_chain) != (at.offset(), at.chain()) {
                let text = "the next segment does not follow from here";
                return Err(Error::new(ErrorKind::Corrupt, text).at(at.segment, at.offset()));
            }
            at = At { segment: header.number, scanned: Scanned::start(&header), ..at };
        }
    }

    fn follow_segment(
        &self,
        at: At,
        end: u64,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
        after: &mut dyn FnMut(&At) -> Go,
    ) -> Result<(At, bool), Error> {
        let number = at.segment;
        let corrupt = |offset, what: &str| Error::new(ErrorKind::Corrupt, what).at(number, offset);
        let header = self.header(number)?;
        let is_other = at.scanned.frames == 0 && header.chain() != at.chain();
        if is_other || at.offset() > end {
            let text = "the journal was cut back before this place";
            return Err(Error::new(ErrorKind::Invalid, text).at(number, at.offset()));
        }
        let key = header.data_key(&self.sealing).map_err(|e| e.at(number, 0))?;
        let file = self.storage.open(&segment_name(number));
        let file = file.map_err(|e| Error::io("reading", &e).at(number, at.offset()))?;
        let mut reached = at.clone();
        let scanned = scan(&*file, &header, end, false, at.scanned, &mut |frame| {
            for stored in frame.records(number, key.as_ref()) {
                let stored = stored.map_err(|what| corrupt(frame.at, what))?;
                if stored.kind == super::RecordKind::Accepted {
                    reached.last_sequence = stored.sequence;
                }
                each(&stored)?;
            }
            let before = &mut reached.scanned;
            (before.last, before.end) = (frame.at, frame.at + frame.len());
            (before.chain, before.frames) = (frame.chain(), before.frames + 1);
            before.records += u64::from(frame.count());
            before.durable = before.durable.max(frame.durable());
            match after(&reached) {
                Go::On => Ok(()),
                Go::Stop => Err(Error::new(ErrorKind::Invalid, STOPPED)),
            }
        });
        match scanned {
            Ok(Scanned { broken: Some(broken), .. }) => Err(corrupt(broken.offset, broken.why.what())),
            Ok(scanned) => {
                reached.scanned = scanned;
                Ok((reached, false))
            }
            Err(e) if e.kind == ErrorKind::Invalid && e.message == STOPPED => Ok((reached, true)),
            Err(e) => Err(e),
        }
    }
}
