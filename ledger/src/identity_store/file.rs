//! The file under the store: read and written in place, never synced, since nobody reads it after this process. The
//! journal's lock keeps other processes away, so it has no lock of its own.

use redb::StorageBackend;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that is never synced.
#[derive(Debug)]
pub(super) struct Unsynced {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Unsynced {
    /// An empty file, 0600, in place of whatever file lies there; and its length as it grows.
    pub(super) fn create(path: &Path) -> io::Result<(Unsynced, Arc<AtomicU64>)> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let bytes: Arc<AtomicU64> = Arc::default();
        Ok((Unsynced { file, bytes: bytes.clone() }, bytes))
    }
}

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.bytes.store(len, Ordering::Relaxed);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
