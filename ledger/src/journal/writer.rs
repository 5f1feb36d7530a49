//! The one writer: opens with recovery, appends a batch with one write(2), rolls segments, destroys keys. After any
//! failed write it leaves the segment for good, so that neither an offset nor a nonce is ever used twice.

use super::format::{ENGINE_BYTES_MAX, HEADER_BYTES, Header, SegmentKey, WrapKey};
use super::frame::{Stamp, Stored, batch_bytes, encode_batch, encode_footer};
use super::index::{Index, SegmentIndex};
use super::read::Reader;
use super::recover::recover_tail;
use super::syncer::{Syncer, sync_error};
use super::walk::{Tail, Walk, in_order, segment_name, walk};
use super::{Durability, Options, Position, Record, Recovery, SegmentInfo};
use crate::error::{Error, ErrorKind};
use crate::key::{MasterKey, fill_random};
use crate::storage::{File, Lock, Storage, write_once_at};
use interdict_engine::limits::JOURNAL_BATCH_BYTES_MAX;
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::thread::{Builder, JoinHandle};

/// An open journal; the only writer of its folder. Dropping it leaves the last segment without a footer, as a crash
/// would; [`Journal::close`] writes it.
pub struct Journal {
    pub(super) storage: Arc<dyn Storage>,
    wrap: Arc<WrapKey>,
    options: Options,
    pub(super) index: Arc<RwLock<Index>>,
    syncer: Syncer,
    thread: Option<JoinHandle<()>>,
    /// The segment being written; `None` after a failure, until the next append begins another.
    open: Option<OpenSegment>,
    /// The end of the last segment that is written no more.
    pub(super) tail: Tail,
    epoch: u64,
    last_sequence: u64,
    batches: u64,
    buffer: Vec<u8>,
    _lock: Box<dyn Lock>,
}

struct OpenSegment {
    file: Arc<dyn File>,
    number: u64,
    seed: u32,
    key: SegmentKey,
    bytes: u64,
    chain: [u8; 32],
    frames: u32,
    records: u64,
}

impl Journal {
    /// Opens a journal for writing: takes its lock, cuts a torn tail, closes the last segment and begins a new one.
    ///
    /// # Errors
    /// `Locked`, naming the holder; `WrongKey`; `Corrupt` and `Version`, placed, where damage is not a torn tail;
    /// `Invalid` for options out of bounds; `Io`.
    pub fn open(
        storage: Arc<dyn Storage>,
        key: &MasterKey,
        options: Options,
    ) -> Result<(Journal, Recovery), Error> {
        Journal::open_with(storage, key, options, &mut |_| Ok(()))
    }

    /// As [`Journal::open`], and hands every record to `each` in the same pass, in order.
    ///
    /// # Errors
    /// As [`Journal::open`]; whatever `each` returns, which ends the opening before anything is changed.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        key: &MasterKey,
        options: Options,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
    ) -> Result<(Journal, Recovery), Error> {
        if options.engine.len() > ENGINE_BYTES_MAX || options.engine.contains('\0') {
            let text =
                format!("engine version {:?}: at most {ENGINE_BYTES_MAX} bytes without NUL", options.engine);
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let lock = storage.lock()?;
        let wrap = Arc::new(WrapKey::new(key));
        let mut records = 0;
        let walked = walk(&*storage, &wrap, false, &mut |_, frame, key| {
            records += u64::from(frame.count());
            frame.records(key).try_for_each(|stored| match stored {
                Ok(stored) => each(&stored),
                Err(what) => unreachable!("the walk read the same records before: {what}"),
            })
        })?;
        let Walk { mut index, last, unfinished, torn, epoch, last_sequence } = walked;
        let mut recovery = Recovery {
            segments: Vec::new(),
            torn: torn.into_iter().chain(unfinished).collect(),
            last_sequence,
            records,
            epoch: epoch + 1,
        };
        let tail =
            recover_tail(&*storage, last, &mut index, torn, unfinished, last_sequence, options.durability)?;
        recovery.segments = index.infos();
        let syncer = Syncer::new();
        let thread = match options.durability {
            Durability::Os => None,
            Durability::Disk => Some(sync_thread(&syncer)?),
        };
        let mut journal = Journal {
            storage,
            wrap,
            options,
            index: Arc::new(RwLock::new(index)),
            syncer,
            thread,
            open: None,
            tail,
            epoch: epoch + 1,
            last_sequence,
            batches: 0,
            buffer: Vec::new(),
            _lock: lock,
        };
        journal.begin_segment()?;
        Ok((journal, recovery))
    }

    /// Appends a batch with one write(2): all of it or nothing. When it returns, the batch survives a killed process;
    /// under [`Durability::Disk`] it is acknowledged when [`Journal::syncer`] says that its position is durable.
    ///
    /// # Errors
    /// `Io` and `Full`: nothing was kept, the journal is as before, and the next append tries on a new segment.
    /// `Invalid`: a sequence out of order or a batch over 64 MiB. `Sync`: the journal takes no more.
    pub fn append(&mut self, batch: &[Record<'_>]) -> Result<Position, Error> {
        if batch.is_empty() {
            return Ok(Position(self.batches));
        }
        let mut last_sequence = self.last_sequence;
        for record in batch {
            in_order(record.kind, record.sequence, &mut last_sequence)
                .map_err(|what| Error::new(ErrorKind::Invalid, format!("append: {what}")))?;
        }
        let bytes = batch_bytes(batch);
        if bytes > JOURNAL_BATCH_BYTES_MAX {
            let text = format!("append: a batch of {bytes} bytes, limit {JOURNAL_BATCH_BYTES_MAX}");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        self.refuse_after_failed_sync()?;
        let is_full = |open: &OpenSegment| open.bytes + bytes as u64 > self.options.segment_bytes;
        if self.open.as_ref().is_some_and(|open| open.frames > 0 && is_full(open)) {
            self.leave_segment(true)?;
        }
        if self.open.is_none() {
            self.begin_segment()?;
        }
        self.write_batch(batch)?;
        self.last_sequence = last_sequence;
        Ok(Position(self.batches))
    }

    fn write_batch(&mut self, batch: &[Record<'_>]) -> Result<(), Error> {
        let durable = self.durable_bytes();
        let open = self.open.as_mut().expect("append began one where there was none");
        let stamp = open.stamp(durable);
        let chain = encode_batch(&mut self.buffer, batch, &stamp, &open.key);
        let (at, len) = (open.bytes, self.buffer.len() as u64);
        if let Err(e) = write_once_at(&*open.file, &self.buffer, at) {
            let error = Error::io("append", &e).at(open.number, at);
            // Best effort: where it cannot be cut, the next segment's header says what counts.
            let _ = open.file.truncate(at);
            self.leave_segment(false)?;
            return Err(error);
        }
        (open.chain, open.frames, open.bytes) = (chain, open.frames + 1, at + len);
        open.records += batch.len() as u64;
        let number = open.number;
        self.batches += 1;
        let records = batch.iter().map(|record| (record.kind, record.sequence));
        let mut index = write(&self.index);
        index.segment_mut(number).expect("begin_segment put it there").add(at, len, records);
        drop(index);
        match self.options.durability {
            Durability::Os => self.syncer.reached(Position(self.batches)),
            Durability::Disk => self.syncer.written(Position(self.batches), at + len),
        }
        Ok(())
    }

    fn durable_bytes(&self) -> u64 {
        match self.options.durability {
            Durability::Os => 0,
            Durability::Disk => self.syncer.durable_bytes(),
        }
    }

    fn refuse_after_failed_sync(&self) -> Result<(), Error> {
        match self.options.durability {
            Durability::Os => Ok(()),
            Durability::Disk => self.syncer.failure().map_or(Ok(()), Err),
        }
    }

    /// Leaves the current segment for good, with a footer where asked (without one where that fails). Under `Disk`
    /// all of it is on disk afterwards, so that only the last segment can ever have a torn tail.
    fn leave_segment(&mut self, footer: bool) -> Result<(), Error> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let is_disk = self.options.durability == Durability::Disk;
        if footer {
            let synced = if is_disk { open.file.sync() } else { Ok(()) };
            if synced.is_ok() && open.write_footer(self.last_sequence, is_disk, &mut self.buffer).is_ok() {
                let mut index = write(&self.index);
                let info = &mut index.segment_mut(open.number).expect("begin_segment put it there").info;
                (info.closed, info.bytes) = (true, open.bytes);
            }
        }
        self.tail = Tail { number: open.number, bytes: open.bytes, chain: open.chain };
        if is_disk {
            if let Err(e) = open.file.sync() {
                let error = sync_error(&e).at(open.number, open.bytes);
                self.syncer.fail(error.clone());
                return Err(error);
            }
            self.syncer.reached(Position(self.batches));
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), Error> {
        let number = self.tail.number + 1;
        let mut header = Header {
            durability: self.options.durability,
            number,
            epoch: self.epoch,
            created_ms: (self.options.clock)(),
            first_sequence: self.last_sequence + 1,
            previous_bytes: self.tail.bytes,
            previous_chain: self.tail.chain,
            catalogue: self.options.catalogue,
            engine: self.options.engine.clone(),
            key_id: self.wrap.id(),
            salt: [0; 16],
            slot: [0; 60],
        };
        fill_random(&mut header.salt)?;
        let key = self.wrap.fresh(&mut header)?;
        let failed = |e: &std::io::Error| Error::io("beginning a segment", e).at(number, 0);
        // A file of this number can only be our own failed attempt: create empties it.
        let file = self.storage.create(&segment_name(number)).map_err(|e| failed(&e))?;
        if let Err(e) = write_once_at(&*file, &header.encode(), 0) {
            // Best effort: half a header is a torn tail.
            let _ = file.truncate(0);
            return Err(failed(&e));
        }
        if self.options.durability == Durability::Disk {
            file.sync().and_then(|()| self.storage.sync_names()).map_err(|e| failed(&e))?;
        }
        let bytes = HEADER_BYTES as u64;
        write(&self.index).segments.push(SegmentIndex::new(&header));
        if self.options.durability == Durability::Disk {
            self.syncer.target(file.clone(), number, bytes);
        }
        let (seed, chain) = (header.seed(), header.chain());
        self.open = Some(OpenSegment { file, number, seed, key, bytes, chain, frames: 0, records: 0 });
        Ok(())
    }

    /// Closes the current segment and begins the next, so that the closed one can be read as a whole, moved on or
    /// have its key destroyed.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn roll(&mut self) -> Result<(), Error> {
        self.refuse_after_failed_sync()?;
        self.leave_segment(true)?;
        self.begin_segment()
    }

    /// Closes the journal: under [`Durability::Disk`] all of it is durable when this returns `Ok`.
    ///
    /// # Errors
    /// `Sync`.
    pub fn close(mut self) -> Result<(), Error> {
        self.refuse_after_failed_sync()?;
        self.leave_segment(true)
    }

    /// What is known of each segment, in order; the one being written is the last.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.index.read().expect("no holder of this lock panics").infos()
    }
    /// A reader of this journal; it sees every batch as soon as it is appended.
    pub fn reader(&self) -> Reader {
        Reader::new(self.storage.clone(), self.wrap.clone(), self.index.clone())
    }
    /// Tells which positions are durable; under [`Durability::Os`] all are when `append` returns.
    pub fn syncer(&self) -> Syncer {
        self.syncer.clone()
    }
    /// Whether a position is durable.
    pub fn durable(&self, position: Position) -> bool {
        self.syncer.is_durable(position)
    }
    /// Sequence of the last `accepted`; 0 where there is none.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }
    /// The fencing epoch of this opening.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.syncer.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Under `Os` this releases nobody, as everything was durable when appended.
        self.syncer.fail(Error::new(ErrorKind::Sync, "the journal was closed before this was durable"));
    }
}

pub(super) fn write(index: &RwLock<Index>) -> RwLockWriteGuard<'_, Index> {
    index.write().expect("no holder of this lock panics")
}

fn sync_thread(syncer: &Syncer) -> Result<JoinHandle<()>, Error> {
    let own = syncer.clone();
    let thread = Builder::new().name("journal-sync".into()).spawn(move || own.run());
    thread.map_err(|e| Error::io("starting the syncing thread", &e))
}

impl OpenSegment {
    fn stamp(&self, durable: u64) -> Stamp<'_> {
        Stamp { seed: self.seed, chain: &self.chain, at: self.bytes, ordinal: self.frames, durable }
    }
    /// Writes the footer; where that fails, the segment ends without one and the next header says where.
    fn write_footer(&mut self, last_sequence: u64, is_disk: bool, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let stamp = self.stamp(if is_disk { self.bytes } else { 0 });
        let chain = encode_footer(buffer, self.records, last_sequence, &stamp);
        if let Err(e) = write_once_at(&*self.file, buffer, self.bytes) {
            let _ = self.file.truncate(self.bytes);
            return Err(Error::io("closing a segment", &e).at(self.number, self.bytes));
        }
        (self.chain, self.bytes) = (chain, self.bytes + buffer.len() as u64);
        Ok(())
    }
}
