//! A folder of the alliance on disk, the hub's or a member's: whole files are written aside, synced and renamed; files that
//! grow are appended to and synced; one process at a time holds its lock; what is secret is for its owner alone.

use anyhow::{Context, Result, bail};
use interdict_consortium as consortium;
use interdict_consortium::epoch::Sink;
use interdict_consortium::error::ErrorKind;
use interdict_consortium::log::Folder;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// The lock's name.
const LOCK: &str = "lock";
/// What a file is called until it is whole.
const ASIDE: &str = ".aside";
/// Largest file of a secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A folder that one process holds.
#[derive(Debug)]
pub struct Held {
    dir: PathBuf,
    _lock: File,
}

impl Held {
    /// Takes a folder; it and its lock are made where they are missing.
    ///
    /// # Errors
    /// One that another process holds, or that others may enter.
    pub fn take(dir: &Path) -> Result<Held> {
        make_folder(dir)?;
        let mode = fs::metadata(dir).with_context(|| dir.display().to_string())?.mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!("{}: mode {mode:04o}, must be 0700: keys and queries lie in it", dir.display());
        }
        let path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| path.display().to_string())?;
        match lock.try_lock() {
            Ok(()) => Ok(Held { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another process serves this folder; two would fork its logs", dir.display())
            }
            Err(TryLockError::Error(e)) => Err(e).with_context(|| path.display().to_string()),
        }
    }
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }
    /// The files below a part of it.
    ///
    /// # Errors
    /// A part that cannot be made.
    pub fn files(&self, part: &str) -> Result<Files> {
        Files::open(&self.dir.join(part))
    }
}

/// Makes a folder that only this user may enter, and those it lies in.
///
/// # Errors
/// The system's.
pub fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| path.display().to_string())
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// One that is missing, too long, or whose mode lets others read it.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let about = file.metadata().with_context(|| path.display().to_string())?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("{}: mode {mode:04o}, must be 0600", path.display());
    }
    if about.len() > SECRET_BYTES_MAX {
        bail!("{}: {} bytes, limit {SECRET_BYTES_MAX}", path.display(), about.len());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() as usize));
    file.read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    Ok(bytes)
}

/// Writes a secret where nothing is yet; never over another.
///
/// # Errors
/// Where something is; the system's.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Files below a folder, by relative names with `/`.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    /// Those that grow, kept open between appends.
    growing: Mutex<HashMap<String, File>>,
}

impl Files {
    /// Below a folder, made where it is missing.
    ///
    /// # Errors
    /// The system's.
    pub fn open(dir: &Path) -> Result<Files> {
        make_folder(dir)?;
        Ok(Files { dir: dir.to_owned(), growing: Mutex::default() })
    }
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }
    fn at(&self, name: &str) -> io::Result<PathBuf> {
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        match plain && !name.is_empty() {
            true => Ok(self.dir.join(name)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name:?} is no name of a file here"),
            )),
        }
    }
    /// A file whole; `None` where there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.at(name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    /// A part of a file.
    ///
    /// # Errors
    /// The system's; `UnexpectedEof` where it is shorter.
    pub fn read_at(&self, name: &str, from: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.at(name)?)?;
        file.seek(SeekFrom::Start(from))?;
        let mut part = vec![0; bytes];
        file.read_exact(&mut part)?;
        Ok(part)
    }
    /// How long a file is; `None` where there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn len(&self, name: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.at(name)?) {
            Ok(about) => Ok(Some(about.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    /// Writes a file whole: there are the old bytes or the new ones, whatever happens.
    ///
    /// # Errors
    /// The system's; the place is then as it was.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.at(name)?;
        self.growing.lock().remove(name);
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        let folder = path.parent().unwrap_or(&self.dir);
        if !folder.exists() {
            self.make(folder)?;
        }
        let write = || -> io::Result<()> {
            let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
            let mut file = options?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(folder)?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&aside)))
    }
    /// Makes a folder below, each step lasting.
    fn make(&self, folder: &Path) -> io::Result<()> {
        let mut at = self.dir.clone();
        for part in folder.strip_prefix(&self.dir).into_iter().flat_map(Path::components) {
            let above = at.clone();
            at.push(part);
            if !at.exists() {
                DirBuilder::new().recursive(true).mode(0o700).create(&at)?;
                File::open(above)?.sync_all()?;
            }
        }
        Ok(())
    }
    /// Does something with a file that grows; after an error it is given up and opened anew the next time.
    fn grow(&self, name: &str, with: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut growing = self.growing.lock();
        if !growing.contains_key(name) {
            let path = self.at(name)?;
            let folder = path.parent().unwrap_or(&self.dir);
            if !folder.exists() {
                self.make(folder)?;
            }
            let is_new = !path.exists();
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            if is_new {
                File::open(folder)?.sync_all()?;
            }
            growing.insert(name.to_owned(), file);
        }
        with(growing.get_mut(name).expect("put there")).inspect_err(|_| drop(growing.remove(name)))
    }
    /// Adds bytes at a file's end; they last once [`Files::sync`] returns.
    ///
    /// # Errors
    /// The system's; a part may be there then.
    pub fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.grow(name, |file| file.write_all(bytes))
    }
    /// Makes what was appended last; nothing where there is no file.
    ///
    /// # Errors
    /// The system's. A sync that failed once says nothing the second time: who appends must stop.
    pub fn sync(&self, name: &str) -> io::Result<()> {
        match self.len(name)? {
            Some(_) => self.grow(name, |file| file.sync_data()),
            None => Ok(()),
        }
    }
    /// Begins a file that is too large for memory: it is there once [`Aside::finish`] returns.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(&self, name: &str) -> io::Result<Aside> {
        let path = self.at(name)?;
        let folder = path.parent().unwrap_or(&self.dir);
        if !folder.exists() {
            self.make(folder)?;
        }
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        Ok(Aside { file: Some(BufWriter::with_capacity(1 << 20, file)), aside, path })
    }
    /// Cuts a file to so many bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn cut(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.growing.lock().remove(name);
        let file = OpenOptions::new().write(true).open(self.at(name)?)?;
        file.set_len(bytes)?;
        file.sync_all()
    }
    /// Removes a file; nothing where there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.growing.lock().remove(name);
        match fs::remove_file(self.at(name)?) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
    /// The names in a folder below (`""` is the folder itself), sorted, without files that were never finished.
    ///
    /// # Errors
    /// The system's.
    pub fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let path = if folder.is_empty() { self.dir.clone() } else { self.at(folder)? };
        let entries = match fs::read_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string()
                && !name.ends_with(ASIDE)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A file that is being written; removed where it is dropped before its end.
#[derive(Debug)]
pub struct Aside {
    file: Option<BufWriter<File>>,
    aside: PathBuf,
    path: PathBuf,
}

impl Aside {
    /// Makes the file last under its name.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self) -> io::Result<()> {
        let file = self.file.take().expect("finished once").into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        fs::rename(&self.aside, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            drop(fs::remove_file(&self.aside));
        }
    }
}

impl Sink for Aside {
    fn put(&mut self, bytes: &[u8]) -> consortium::error::Result<()> {
        let file = self.file.as_mut().expect("there until finished");
        file.write_all(bytes).map_err(|e| storage(&self.path.display().to_string(), &e))
    }
}

/// What the crate's logs, mirrors and witnesses ask for.
impl Folder for Files {
    fn read(&self, path: &str) -> consortium::error::Result<Option<Vec<u8>>> {
        Files::read(self, path).map_err(|e| storage(path, &e))
    }
    fn write(&self, path: &str, bytes: &[u8]) -> consortium::error::Result<()> {
        Files::write(self, path, bytes).map_err(|e| storage(path, &e))
    }
    fn append(&self, path: &str, bytes: &[u8]) -> consortium::error::Result<()> {
        Files::append(self, path, bytes).map_err(|e| storage(path, &e))
    }
    fn sync(&self, path: &str) -> consortium::error::Result<()> {
        Files::sync(self, path).map_err(|e| storage(path, &e))
    }
    fn list(&self, path: &str) -> consortium::error::Result<Vec<String>> {
        Files::list(self, path).map_err(|e| storage(path, &e))
    }
    fn remove(&self, path: &str) -> consortium::error::Result<()> {
        Files::remove(self, path).map_err(|e| storage(path, &e))
    }
}

fn storage(path: &str, error: &io::Error) -> consortium::error::Error {
    consortium::error::Error::new(ErrorKind::Storage, format!("{path}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub");
        let held = Held::take(&path).unwrap();
        let second = Held::take(&path).unwrap_err().to_string();
        assert!(second.contains("another process serves this folder"), "{second}");
        drop(held);
        drop(Held::take(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Held::take(&path).unwrap_err().to_string().contains("must be 0700"));
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_and_none_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_secret(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");
        assert!(write_secret(&path, b"another").is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_secret(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 0640, must be 0600") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn files_are_whole_or_as_they_were_and_names_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        files.write("tile/0/000", b"one").unwrap();
        files.write("tile/0/000", b"two").unwrap();
        assert_eq!(files.read("tile/0/000").unwrap().unwrap(), b"two");
        assert_eq!(files.read("tile/0/001").unwrap(), None);
        files.append("log", b"abc").unwrap();
        files.append("log", b"def").unwrap();
        files.sync("log").unwrap();
        assert_eq!(
            (files.len("log").unwrap(), files.read_at("log", 2, 3).unwrap()),
            (Some(6), b"cde".to_vec())
        );
        files.cut("log", 2).unwrap();
        files.append("log", b"x").unwrap();
        assert_eq!(files.read("log").unwrap().unwrap(), b"abx");
        fs::write(dir.path().join("tile/0/002.aside"), b"cut off").unwrap();
        assert_eq!(files.list("tile/0").unwrap(), ["000"]);
        let mut large = files.begin("epochs/1/snapshot").unwrap();
        large.put(b"rows").unwrap();
        assert_eq!(files.read("epochs/1/snapshot").unwrap(), None);
        large.finish().unwrap();
        drop(files.begin("epochs/1/snapshot").unwrap());
        assert_eq!(files.read("epochs/1/snapshot").unwrap().unwrap(), b"rows");
        for wrong in ["", "../x", "/etc/passwd", "a/../../x"] {
            assert!(files.read(wrong).is_err(), "{wrong:?}");
            assert!(files.write(wrong, b"").is_err(), "{wrong:?}");
        }
    }
}
