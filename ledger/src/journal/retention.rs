//! The end of what is kept: destroying a segment's data key, beside a running writer, and removing whole segments.

use super::format::SLOT;
use super::index::Index;
use super::walk::segment_name;
use super::writer::write;
use super::{Journal, KeyState, SegmentInfo};
use crate::error::{Error, ErrorKind};
use crate::sealing::SLOT_BYTES;
use crate::storage::{Storage, write_once_at};
use std::sync::{Arc, RwLock};

/// Destroys data keys of segments that are written no more, from any thread: the writer is not asked and does not
/// wait. Cheap to clone.
#[derive(Clone)]
pub struct Retention {
    storage: Arc<dyn Storage>,
    index: Arc<RwLock<Index>>,
}

impl Retention {
    /// What is known of each segment, in order; the last one may be written still.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.index.read().expect("no holder of this lock panics").infos()
    }

    /// Destroys a segment's data key by overwriting it in the header: the sealed parts are unreadable from then on,
    /// the open parts, checksums and chain stay as they are. Doing it twice is harmless.
    ///
    /// # Errors
    /// `Invalid` for a segment that is not there or is the last, `Io` (the key may be gone or not: do it again).
    pub fn destroy_key(&self, segment: u64) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, what).at(segment, 0));
        {
            let mut index = write(&self.index);
            if index.segments.last().is_some_and(|last| last.info.number <= segment) {
                return invalid("is not closed yet");
            }
            if index.segment_mut(segment).is_none() {
                return invalid("there is no such segment");
            }
        }
        destroy(&*self.storage, &self.index, segment)
    }
}

/// Overwrites the slot in the file, and then in what is known of it.
fn destroy(storage: &dyn Storage, index: &RwLock<Index>, segment: u64) -> Result<(), Error> {
    let failed = |e: &std::io::Error| Error::io("destroying a key", e).at(segment, SLOT.start as u64);
    let file = storage.open(&segment_name(segment)).map_err(|e| failed(&e))?;
    write_once_at(&*file, &[0; SLOT_BYTES], SLOT.start as u64)
        .and_then(|()| file.sync())
        .map_err(|e| failed(&e))?;
    if let Some(segment) = write(index).segment_mut(segment) {
        segment.info.key = KeyState::Destroyed;
    }
    Ok(())
}

impl Journal {
    /// What destroys keys beside this writer.
    pub fn retention(&self) -> Retention {
        Retention { storage: self.storage.clone(), index: self.index.clone() }
    }

    /// As [`Retention::destroy_key`], also of the last segment where that is written no more.
    ///
    /// # Errors
    /// `Invalid` for a segment that is not there or still written, `Io`.
    pub fn destroy_key(&mut self, segment: u64) -> Result<(), Error> {
        self.check_left(segment)?;
        destroy(&*self.storage, &self.index, segment)
    }

    /// Removes all segments up to and including this one, oldest first. The rest stays checkable; its first segment
    /// says how much was before it.
    ///
    /// # Errors
    /// `Invalid` for a segment that is not there or still written, `Io` (some may be gone then).
    pub fn remove_through(&mut self, segment: u64) -> Result<(), Error> {
        self.check_left(segment)?;
        let last = write(&self.index).segments.last().map(|last| last.info.number);
        if last == Some(segment) {
            // Epoch and sequences go on from the last header there is.
            return Err(Error::new(ErrorKind::Invalid, "is the last segment there is").at(segment, 0));
        }
        loop {
            let first = write(&self.index).segments.first().map(|first| first.info.number);
            let Some(first) = first.filter(|first| *first <= segment) else { break };
            let removed = self.storage.remove(&segment_name(first));
            removed.map_err(|e| Error::io("removing", &e).at(first, 0))?;
            write(&self.index).segments.remove(0);
        }
        self.storage.sync_names().map_err(|e| Error::io("removing", &e).at(segment, 0))
    }

    /// Whether a segment is there and written no more.
    fn check_left(&self, segment: u64) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, what).at(segment, 0));
        if segment > self.tail.number {
            return invalid("is not closed yet");
        }
        match write(&self.index).segment_mut(segment) {
            Some(_) => Ok(()),
            None => invalid("there is no such segment"),
        }
    }
}
