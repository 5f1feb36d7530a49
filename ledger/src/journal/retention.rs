//! The end of what is kept: destroying a segment's data key, and removing whole segments.

use super::format::SLOT;
use super::walk::segment_name;
use super::writer::write;
use super::{Journal, KeyState};
use crate::error::{Error, ErrorKind};
use crate::storage::write_once_at;

impl Journal {
    /// Destroys a segment's data key by overwriting it in the header: the sealed parts are unreadable from then on,
    /// the open parts, checksums and chain stay as they are. Doing it twice is harmless.
    ///
    /// # Errors
    /// `Invalid` for a segment that is not there or still written, `Io`.
    pub fn destroy_key(&mut self, segment: u64) -> Result<(), Error> {
        self.check_left(segment)?;
        let failed = |e: &std::io::Error| Error::io("destroying a key", e).at(segment, SLOT.start as u64);
        let file = self.storage.open(&segment_name(segment)).map_err(|e| failed(&e))?;
        write_once_at(&*file, &[0; 60], SLOT.start as u64)
            .and_then(|()| file.sync())
            .map_err(|e| failed(&e))?;
        if let Some(segment) = write(&self.index).segment_mut(segment) {
            segment.info.key = KeyState::Destroyed;
        }
        Ok(())
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
