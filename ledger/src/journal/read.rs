//! Reads records back, in order or by sequence, by pread beside a running writer: the index is changed only after
//! a batch is whole, so a reader never meets half of one.

use super::format::{HEADER_BYTES, Header, SegmentKey};
use super::frame::{Frame, OwnedRecord, Stored};
use super::index::{Block, Index};
use super::walk::{segment_name, walk};
use super::{RecordKind, SegmentInfo};
use crate::error::{Error, ErrorKind, Place};
use crate::sealing::Sealing;
use crate::storage::{Storage, read_exact_at};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, RwLock};

/// Reads the journal. Cheap to clone; safe beside a writer of the same process. Another process's writer may append,
/// but what this reader sees is what was there when it was opened.
#[derive(Clone)]
pub struct Reader {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) sealing: Sealing,
    index: Arc<RwLock<Index>>,
}

/// One block's bytes and what is needed to read them.
struct Loaded {
    header: Header,
    key: Option<SegmentKey>,
    at: u64,
    bytes: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(storage: Arc<dyn Storage>, sealing: Sealing, index: Arc<RwLock<Index>>) -> Reader {
        Reader { storage, sealing, index }
    }

    /// Reads a journal that nobody has open here, without a lock and without cutting anything: a torn tail is left
    /// out. Reads all of it once to build the index.
    ///
    /// # Errors
    /// `Corrupt` and `Version` (placed), `WrongKey`, `Io`.
    pub fn open(storage: Arc<dyn Storage>, keys: impl Into<Sealing>) -> Result<Reader, Error> {
        let sealing = keys.into();
        let walk = walk(&*storage, &sealing, false, None, &mut |_, _, _| Ok(()))?;
        Ok(Reader { storage, sealing, index: Arc::new(RwLock::new(walk.index)) })
    }

    /// Sequence of the last `accepted` that is written; 0 where there is none.
    pub fn last_sequence(&self) -> u64 {
        self.index().segments.last().map_or(0, |segment| segment.info.last_sequence)
    }
    /// What is known of each segment, in order.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.index().infos()
    }
    /// The `accepted` record of a sequence, written or kept in memory to be written; `None` where the journal has none (or has it no longer).
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`.
    pub fn read_accepted(&self, sequence: u64) -> Result<Option<OwnedRecord>, Error> {
        self.read(RecordKind::Accepted, sequence)
    }
    /// The `decided` record of a sequence, likewise; `None` where the journal has none (or has it no longer).
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`.
    pub fn read_decided(&self, sequence: u64) -> Result<Option<OwnedRecord>, Error> {
        self.read(RecordKind::Decided, sequence)
    }
    /// The `finished` record of a sequence, likewise.
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`.
    pub fn read_finished(&self, sequence: u64) -> Result<Option<OwnedRecord>, Error> {
        self.read(RecordKind::Finished, sequence)
    }
    /// Where a record lies; `None` where the journal has none, has it no longer, or has not written it.
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`.
    pub fn place_of(&self, kind: RecordKind, sequence: u64) -> Result<Option<Place>, Error> {
        let blocks = self.index().find(kind, sequence);
        for (number, block) in blocks {
            let Some(loaded) = self.load(number, block)? else { continue };
            let mut found = None;
            loaded.for_each(&mut |stored| {
                if found.is_none() && stored.kind == kind && stored.sequence == sequence {
                    found = Some(stored.place());
                }
                Ok(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
    /// Whether anything was ever finished, as far as the journal has it.
    pub fn any_finished(&self) -> bool {
        self.index().has(RecordKind::Finished)
    }
    /// Several records, each in the place of its question (none of which is there twice): what lies near one another is
    /// read once.
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`.
    pub fn read_many(&self, wanted: &[(RecordKind, u64)]) -> Result<Vec<Option<OwnedRecord>>, Error> {
        let mut found: Vec<Option<OwnedRecord>> = vec![None; wanted.len()];
        let mut blocks: BTreeMap<(u64, u64), Block> = BTreeMap::new();
        {
            let index = self.index();
            for ((kind, sequence), found) in wanted.iter().zip(&mut found) {
                *found = index.kept.find_unwritten(*kind, *sequence);
                if found.is_none() {
                    let places = index.find(*kind, *sequence).into_iter();
                    blocks.extend(places.map(|(number, block)| ((number, block.offset), block)));
                }
            }
        }
        for ((number, offset), block) in blocks {
            let Some(loaded) = self.load(number, block)? else { continue };
            loaded.for_each(&mut |stored| {
                let asked = wanted.iter().position(|asked| *asked == (stored.kind, stored.sequence));
                if let Some(found) = asked.map(|at| &mut found[at]).filter(|found| found.is_none()) {
                    *found = Some(stored.to_owned().map_err(|e| e.at(number, offset))?);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
    /// Whether a sequence's `decided` (or else `accepted`) record is in memory only, since the disk does not take it.
    pub fn is_unwritten(&self, sequence: u64) -> bool {
        let kinds = [RecordKind::Decided, RecordKind::Accepted];
        let index = self.index();
        kinds.into_iter().any(|kind| index.kept.find_unwritten(kind, sequence).is_some())
    }
    /// All records whose sequence is `from` or more, in the journal's order, up to what is there when the iterator
    /// gets to the end; what waits in memory to be written is not among them.
    pub fn records(&self, from: u64) -> impl Iterator<Item = Result<OwnedRecord, Error>> + use<> {
        Iter {
            reader: self.clone(),
            from,
            segment: 0,
            offset: 0,
            ready: VecDeque::new(),
            failed: None,
            done: false,
        }
    }
    /// As [`Reader::records`], without copies, and decrypting only what `each` asks for.
    ///
    /// # Errors
    /// `Corrupt` (placed), `Io`; whatever `each` returns, which ends the reading.
    pub fn for_each(
        &self,
        from: u64,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut segment, mut offset) = (0, 0);
        while let Some((number, block)) = self.next_block(segment, offset, from) {
            if let Some(loaded) = self.load(number, block)? {
                loaded.for_each(&mut |stored| if stored.sequence >= from { each(stored) } else { Ok(()) })?;
            }
            (segment, offset) = (number, block.offset + block.bytes);
        }
        Ok(())
    }

    pub(super) fn index(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().expect("no holder of this lock panics")
    }
    fn next_block(&self, segment: u64, offset: u64, from: u64) -> Option<(u64, Block)> {
        self.index().next(segment, offset, from)
    }

    fn read(&self, kind: RecordKind, sequence: u64) -> Result<Option<OwnedRecord>, Error> {
        let blocks = {
            let index = self.index();
            if let Some(kept) = index.kept.find_unwritten(kind, sequence) {
                return Ok(Some(kept));
            }
            index.find(kind, sequence)
        };
        for (number, block) in blocks {
            let Some(loaded) = self.load(number, block)? else { continue };
            let mut found = None;
            loaded.for_each(&mut |stored| {
                if found.is_none() && stored.kind == kind && stored.sequence == sequence {
                    found = Some(stored.to_owned().map_err(|e| e.at(number, block.offset))?);
                }
                Ok(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads a block. `None`: its segment was removed since it was looked up. Header and key are read each time, so
    /// that a destroyed key is gone for every reader at once; opening and unwrapping cost a few microseconds.
    fn load(&self, number: u64, block: Block) -> Result<Option<Loaded>, Error> {
        let failed = |e: &io::Error| Error::io("reading", e).at(number, block.offset);
        let file = match self.storage.open(&segment_name(number)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| failed(&e))?,
        };
        let mut head = [0; HEADER_BYTES];
        read_exact_at(&*file, &mut head, 0).map_err(|e| failed(&e))?;
        let header = Header::decode(&head).map_err(|e| e.at(number, 0))?;
        let key = header.data_key(&self.sealing).map_err(|e| e.at(number, 0))?;
        let mut bytes = vec![0; block.bytes as usize];
        read_exact_at(&*file, &mut bytes, block.offset).map_err(|e| failed(&e))?;
        Ok(Some(Loaded { header, key, at: block.offset, bytes }))
    }
}

impl Loaded {
    fn for_each(&self, each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let corrupt = |at, what: &str| Error::new(ErrorKind::Corrupt, what).at(self.header.number, at);
        let (mut rest, mut at) = (&self.bytes[..], self.at);
        while !rest.is_empty() {
            let frame = Frame::parse(rest, at, self.header.seed()).map_err(|e| corrupt(at, e.what()))?;
            for stored in frame.records(self.header.number, self.key.as_ref()) {
                each(&stored.map_err(|what| corrupt(at, what))?)?;
            }
            rest = &rest[frame.len() as usize..];
            at += frame.len();
        }
        Ok(())
    }
}

struct Iter {
    reader: Reader,
    from: u64,
    segment: u64,
    offset: u64,
    ready: VecDeque<OwnedRecord>,
    failed: Option<Error>,
    done: bool,
}

impl Iter {
    fn fill(&mut self) -> Result<bool, Error> {
        let Some((number, block)) = self.reader.next_block(self.segment, self.offset, self.from) else {
            return Ok(false);
        };
        (self.segment, self.offset) = (number, block.offset + block.bytes);
        if let Some(loaded) = self.reader.load(number, block)? {
            loaded.for_each(&mut |stored| {
                if stored.sequence >= self.from {
                    self.ready.push_back(stored.to_owned().map_err(|e| e.at(number, block.offset))?);
                }
                Ok(())
            })?;
        }
        Ok(true)
    }
}

impl Iterator for Iter {
    type Item = Result<OwnedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.done {
            match self.fill() {
                Ok(more) => self.done = !more,
                Err(e) => (self.failed, self.done) = (Some(e), true),
            }
        }
        self.ready.pop_front().map(Ok).or_else(|| self.failed.take().map(Err))
    }
}
