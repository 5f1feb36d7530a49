//! What the journal needs of a disk, as two small traits, and the real one over a folder. The faulty one of the
//! tests is in `faulty.rs`; both run under the same journal code.

use crate::error::{Error, ErrorKind};
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A flat folder of files.
pub trait Storage: Send + Sync {
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing and empties it, making it where it is not there.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file, for writing too where the caller may.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes created and removed names last through a power loss.
    ///
    /// # Errors
    /// The system's.
    fn sync_names(&self) -> io::Result<()>;
    /// Takes the one writer's lock; it is held until the guard is dropped or the process ends.
    ///
    /// # Errors
    /// `Locked`, naming the holder, or `Io`.
    fn lock(&self) -> Result<Box<dyn Lock>, Error>;
}

/// Holds the writer's lock while it lives.
pub trait Lock: Send + Sync {}

/// An open file. All calls may be made from several threads at once.
pub trait File: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset` with one system call and says how many bytes it took, which may be fewer.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the bytes and the length last through a power loss (fdatasync).
    ///
    /// # Errors
    /// The system's. After one, what was written since the last good sync may be lost.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Fills `buffer` from `offset`.
///
/// # Errors
/// The storage's; `UnexpectedEof` where the file ends first.
pub fn read_exact_at(file: &dyn File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

/// Writes all of `bytes` with one call.
///
/// # Errors
/// The storage's; `StorageFull` where it took only some of the bytes, which on a regular file means just that.
pub fn write_once_at(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let taken = file.write_at(bytes, offset)?;
    if taken == bytes.len() {
        return Ok(());
    }
    let text = format!("the storage took {taken} of {} bytes", bytes.len());
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// The lock file's name in the folder.
pub const LOCK_NAME: &str = "lock";

/// A folder of the real file system.
pub struct FileStorage {
    dir: PathBuf,
}

impl FileStorage {
    /// The storage of a folder, which is made (0700) where it is not there.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(dir: impl Into<PathBuf>) -> Result<FileStorage, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = dir.into();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|e| Error::io(format_args!("making {}", dir.display()), &e))?;
        Ok(FileStorage { dir })
    }
    /// The storage of an existing folder.
    ///
    /// # Errors
    /// `Io` where it is not a folder.
    pub fn open(dir: impl Into<PathBuf>) -> Result<FileStorage, Error> {
        let dir = dir.into();
        match fs::metadata(&dir) {
            Ok(meta) if meta.is_dir() => Ok(FileStorage { dir }),
            Ok(_) => Err(Error::new(ErrorKind::Io, format!("{}: not a folder", dir.display()))),
            Err(e) => Err(Error::io(dir.display(), &e)),
        }
    }
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

struct FileLock(#[expect(dead_code, reason = "held for its lock, which the system drops with it")] fs::File);
impl Lock for FileLock {}

impl Storage for FileStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.dir)?.map(|entry| entry.map(|e| e.file_name()));
        names.filter_map(|name| name.map(|n| n.into_string().ok()).transpose()).collect()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Arc::new(RealFile(options.open(self.dir.join(name))?)))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let path = self.dir.join(name);
        // An auditor may have the folder read-only; writing then fails where it is tried.
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                fs::File::open(&path)?
            }
            other => other?,
        };
        Ok(Arc::new(RealFile(file)))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }
    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.dir)?.sync_all()
    }
    fn lock(&self) -> Result<Box<dyn Lock>, Error> {
        let path = self.dir.join(LOCK_NAME);
        let failed = |e: &io::Error| Error::io(path.display(), e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(failed(&e)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(20).read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "unknown" } else { holder.trim() };
                let text = format!("{}: another process writes this journal, pid {holder}", path.display());
                return Err(Error::new(ErrorKind::Locked, text));
            }
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(|e| failed(&e))?;
        Ok(Box::new(FileLock(file)))
    }
}

struct RealFile(fs::File);

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.write_at(bytes, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_and_the_second_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let storage = FileStorage::create(dir.path().join("journal")).unwrap();
        let held = storage.lock().unwrap();
        let error = storage.lock().map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Locked);
        assert!(error.message.ends_with(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        storage.lock().map(|_| ()).unwrap();
    }

    #[test]
    fn a_file_reads_back_what_was_written_and_cut() {
        let dir = tempfile::tempdir().unwrap();
        let storage = FileStorage::create(dir.path()).unwrap();
        let file = storage.create("a").unwrap();
        write_once_at(&*file, b"hello world", 0).unwrap();
        file.truncate(7).unwrap();
        file.sync().unwrap();
        storage.sync_names().unwrap();
        let file = storage.open("a").unwrap();
        let mut bytes = [0; 5];
        read_exact_at(&*file, &mut bytes, 2).unwrap();
        assert_eq!((&bytes, file.len().unwrap()), (b"llo w", 7));
        assert!(read_exact_at(&*file, &mut bytes, 3).is_err());
        assert_eq!(storage.list().unwrap(), ["a"]);
        storage.remove("a").unwrap();
        assert!(storage.open("a").is_err());
    }
}
