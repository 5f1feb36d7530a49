//! The one writer: opens with recovery, appends a batch with one write(2), and keeps in memory what the disk did not
//! take, until it does. After any failed write or sync the segment is left for good (`segments.rs`), so that neither
//! an offset nor a nonce is ever used twice and nothing rests on a sync that failed.

use super::format::ENGINE_BYTES_MAX;
use super::frame::{Stored, batch_bytes};
use super::index::Index;
use super::kept::Batch;
use super::place::{At, Resume};
use super::read::Reader;
use super::recover::recover_tail;
use super::segments::OpenSegment;
use super::syncer::Syncer;
use super::walk::{Tail, Walk, in_order, walk};
use super::{Durability, Failures, Options, Position, Record, Recovery, SegmentInfo};
use crate::error::{Error, ErrorKind};
use crate::sealing::Sealing;
use crate::storage::{Lock, Storage};
use interdict_engine::limits::JOURNAL_BATCH_BYTES_MAX;
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::thread::{Builder, JoinHandle};

/// An open journal; the only writer of its folder. Dropping it leaves the last segment without a footer, as a crash
/// would; [`Journal::close`] writes it.
pub struct Journal {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) sealing: Sealing,
    pub(super) options: Options,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) syncer: Syncer,
    thread: Option<JoinHandle<()>>,
    /// The segment being written; `None` after a failure, until the next write begins another.
    pub(super) open: Option<OpenSegment>,
    /// The end of the last segment that is written no more.
    pub(super) tail: Tail,
    pub(super) epoch: u64,
    /// Of all batches taken.
    last_sequence: u64,
    /// Of all batches that are written and count.
    pub(super) written_sequence: u64,
    batches: u64,
    /// Why the last try to write failed, while something waits to be written.
    trouble: Option<Error>,
    /// A sync failed since the last good one: what is written again is synced at once.
    pub(super) lost: bool,
    pub(super) failures: Failures,
    pub(super) buffer: Vec<u8>,
    _lock: Box<dyn Lock>,
}

impl Journal {
    /// Opens a journal for writing: takes its lock, cuts a torn tail, closes the last segment and begins a new one.
    ///
    /// # Errors
    /// `Locked`, naming the holder; `WrongKey`; `Corrupt` and `Version`, placed, where damage is not a torn tail;
    /// `Invalid` for options out of bounds; `Io`.
    pub fn open(
        storage: Arc<dyn Storage>,
        keys: impl Into<Sealing>,
        options: Options,
    ) -> Result<(Journal, Recovery), Error> {
        Journal::open_with(storage, keys, options, &mut |_| Ok(()))
    }

    /// As [`Journal::open`], and hands every record to `each` in the same pass, in order.
    ///
    /// # Errors
    /// As [`Journal::open`]; whatever `each` returns, with its batch's place where it has none, which ends the opening
    /// before anything is changed.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        keys: impl Into<Sealing>,
        options: Options,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
    ) -> Result<(Journal, Recovery), Error> {
        Journal::open_from(storage, keys, options, None, each)
    }

    /// As [`Journal::open_with`], reading only what lies behind a place that [`At::check`] has found in it: of the
    /// segments before, the headers.
    ///
    /// # Errors
    /// As there.
    pub fn open_from(
        storage: Arc<dyn Storage>,
        keys: impl Into<Sealing>,
        options: Options,
        resume: Option<Resume>,
        each: &mut dyn FnMut(&Stored<'_>) -> Result<(), Error>,
    ) -> Result<(Journal, Recovery), Error> {
        if options.engine.len() > ENGINE_BYTES_MAX || options.engine.contains('\0') {
            let text =
                format!("engine version {:?}: at most {ENGINE_BYTES_MAX} bytes without NUL", options.engine);
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let lock = storage.lock()?;
        let sealing = keys.into();
        let mut records = 0;
        let walked = walk(&*storage, &sealing, false, resume, &mut |header, frame, key| {
            records += u64::from(frame.count());
            let placed = |e: Error| if e.place.is_none() { e.at(header.number, frame.at) } else { e };
            frame.records(header.number, key).try_for_each(|stored| match stored {
                Ok(stored) => each(&stored).map_err(placed),
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
        let syncer = Syncer::new(options.on_sync.clone());
        let thread = match options.durability {
            Durability::Disk if !options.stepped => Some(sync_thread(&syncer)?),
            Durability::Os | Durability::Disk => None,
        };
        let mut journal = Journal {
            storage,
            sealing,
            options,
            index: Arc::new(RwLock::new(index)),
            syncer,
            thread,
            open: None,
            tail,
            epoch: epoch + 1,
            last_sequence,
            written_sequence: last_sequence,
            batches: 0,
            trouble: None,
            lost: false,
            failures: Failures::default(),
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
    /// `Io`, `Full` and `Sync`: nothing of this batch was kept, and the next append tries on a new segment. `Invalid`:
    /// a sequence out of order or a batch over 64 MiB.
    pub fn append(&mut self, batch: &[Record<'_>]) -> Result<Position, Error> {
        if batch.is_empty() {
            return Ok(Position(self.batches));
        }
        let last_sequence = self.checked(batch)?;
        self.flush()?;
        let position = Position(self.batches + 1);
        if let Err(e) = self.write(batch, position) {
            // A failed sync may have taken earlier batches out of the segment with it.
            self.note(&e);
            return Err(e);
        }
        (self.last_sequence, self.batches) = (last_sequence, position.0);
        Ok(position)
    }

    /// As [`Journal::append`], but the batch is the journal's whatever the disk does: what it does not take, on this
    /// segment or a new one, is kept in memory, in order, and written by [`Journal::flush`]. [`Journal::trouble`] says
    /// whether anything waits. The caller bounds it, by [`Journal::kept_bytes`].
    ///
    /// # Errors
    /// `Invalid` only; nothing is kept then.
    pub fn keep(&mut self, batch: &[Record<'_>]) -> Result<Position, Error> {
        if batch.is_empty() {
            return Ok(Position(self.batches));
        }
        let last_sequence = self.checked(batch)?;
        let position = Position(self.batches + 1);
        // While there is trouble only `flush` tries, as often as its caller thinks right.
        let written = match self.trouble {
            None => self.flush().and_then(|()| self.write(batch, position)).map_err(Some),
            Some(_) => Err(None),
        };
        (self.last_sequence, self.batches) = (last_sequence, position.0);
        if let Err(new) = written {
            write(&self.index).kept.add_unwritten(Batch::new(position.0, batch));
            if let Some(error) = new.filter(|_| self.trouble.is_none()) {
                // Once more, on a new segment; `flush` itself notes what comes of it.
                self.trouble = Some(error);
                let _ = self.flush();
            }
        }
        Ok(position)
    }

    /// Writes what waits, in order, and after a failed sync syncs it at once.
    ///
    /// # Errors
    /// `Io`, `Full`, `Sync`: some of it still waits, and whoever waits for it is told.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.trouble.is_none() && !self.syncer.is_lost() {
            return Ok(());
        }
        match self.write_kept() {
            Ok(()) => {
                self.trouble = None;
                self.syncer.takes_again();
                Ok(())
            }
            Err(e) => {
                self.note(&e);
                Err(e)
            }
        }
    }

    fn write_kept(&mut self) -> Result<(), Error> {
        if self.syncer.is_lost() {
            self.failures.sync += 1;
            self.abandon();
        }
        loop {
            let first = write(&self.index).kept.first_unwritten();
            let Some(batch) = first else { break };
            self.write(&batch.records(), Position(batch.position))?;
        }
        if self.lost {
            self.sync_segment()?;
            self.lost = false;
        }
        Ok(())
    }

    /// Remembers why nothing is written, and tells those who wait, where anything waits to be written.
    fn note(&mut self, error: &Error) {
        if self.lost || write(&self.index).kept.first_unwritten().is_some() {
            self.syncer.fail(error.clone());
            self.trouble = Some(error.clone());
        }
    }

    /// The last sequence after a batch, if the journal's order and bounds allow it.
    fn checked(&self, batch: &[Record<'_>]) -> Result<u64, Error> {
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
        Ok(last_sequence)
    }

    /// Closes the current segment and begins the next, so that the closed one can be read as a whole, moved on or
    /// have its key destroyed.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn roll(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.leave_segment(true).inspect_err(|e| self.note(e))?;
        self.begin_segment()
    }

    /// Closes the journal: all of it is safe when this returns `Ok`.
    ///
    /// # Errors
    /// `Io`, `Full`, `Sync`: what was kept in memory, or not synced, may be lost.
    pub fn close(mut self) -> Result<(), Error> {
        self.flush()?;
        match self.leave_segment(true) {
            Ok(()) => Ok(()),
            // Once more, on a new segment.
            Err(_) => self.write_kept().and_then(|()| self.leave_segment(true)),
        }
    }

    /// Why batches wait in memory to be written, where any do.
    pub fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }
    /// Whether [`Journal::flush`] has something to do.
    pub fn needs_flush(&self) -> bool {
        self.trouble.is_some() || self.syncer.is_lost()
    }
    /// Records that are in memory only.
    pub fn unwritten_records(&self) -> u64 {
        self.index.read().expect("no holder of this lock panics").kept.unwritten_records()
    }
    /// What the batches that are not safe yet take in memory, in bytes, about: those that wait to be written, and
    /// under [`Durability::Disk`] those that wait to be synced.
    pub fn kept_bytes(&self) -> u64 {
        if self.options.durability == Durability::Os && self.trouble.is_none() {
            return 0;
        }
        let mut index = write(&self.index);
        index.kept.forget(self.syncer.synced().0);
        index.kept.bytes()
    }
    /// What failed since the journal was opened.
    pub fn failures(&self) -> Failures {
        self.failures
    }
    /// What is known of each segment, in order; the one being written is the last.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.index.read().expect("no holder of this lock panics").infos()
    }
    /// A reader of this journal; it sees every batch as soon as it is appended.
    pub fn reader(&self) -> Reader {
        Reader::new(self.storage.clone(), self.sealing.clone(), self.index.clone())
    }
    /// Tells which positions are durable; under [`Durability::Os`] all are when `append` returns.
    pub fn syncer(&self) -> Syncer {
        self.syncer.clone()
    }
    /// Whether a position is durable.
    pub fn durable(&self, position: Position) -> bool {
        self.syncer.is_durable(position)
    }
    /// Where it ends, with all that is in it; `None` while something waits to be written, or to be synced.
    pub fn at(&self) -> Option<At> {
        let open = self.open.as_ref().filter(|_| !self.needs_flush() && self.unwritten_records() == 0)?;
        let is_safe =
            self.options.durability == Durability::Os || self.syncer.is_durable(Position(self.batches));
        is_safe.then(|| open.at(self.written_sequence))
    }
    /// A place of it, from which it can be opened again.
    pub fn resume(&self, at: At) -> Resume {
        Resume::new(at, &self.index.read().expect("no holder of this lock panics"))
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
