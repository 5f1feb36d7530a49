//! Dead letters: masked copies of records that could not be taken, encrypted before they are written, so that ops can
//! see what a client sent without the file being worth stealing. Bounded; past the bound letters are counted only. Each
//! file has a data key of its own, which retention destroys.

mod file;
#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorKind};
use crate::sealing::Sealing;
use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, Nonce};
use file::{HEADER_BYTES, Header, LETTER_BYTES_MAX, Lying, Opened};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file takes letters for so long and no longer, so that it can be destroyed in time.
pub const FILE_AGE_MS_MAX: i64 = 86_400_000;
/// Name of the only file there was before files had data keys; read, and no longer written.
const FORMER_NAME: &str = "dead-letters.bin";
/// Bytes before a letter in it: its length and its nonce.
const FORMER_HEAD: usize = 4 + 12;

/// The dead letters of a data folder.
pub struct DeadLetters {
    dir: PathBuf,
    sealing: Sealing,
    open: Option<Opened>,
    /// Files that are written no more, oldest first.
    older: Vec<Lying>,
    bytes_max: u64,
    dropped: u64,
}

fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |e| Error::io(format_args!("dead letters {}", path.display()), &e)
}

impl DeadLetters {
    /// Opens (or makes) the letters of a folder; at most `bytes_max` bytes are kept.
    ///
    /// # Errors
    /// `Io` where the folder or a file cannot be opened or read.
    pub fn open(dir: &Path, keys: impl Into<Sealing>, bytes_max: u64) -> Result<DeadLetters, Error> {
        std::fs::create_dir_all(dir).map_err(failed(dir))?;
        let mut older = Vec::new();
        if let Some(former) = former(dir)? {
            older.push(former);
        }
        for number in file::numbers(dir)? {
            older.extend(file::lying(dir, number)?);
        }
        // What a process before has left is not gone on with: its torn end is nobody's then.
        Ok(DeadLetters {
            dir: dir.to_owned(),
            sealing: keys.into(),
            open: None,
            older,
            bytes_max,
            dropped: 0,
        })
    }

    /// Keeps a letter: `about` (what was wrong and where; never a value) and the masked record. Whether it was kept.
    ///
    /// # Errors
    /// `Io` and `Full` where it cannot be written.
    pub fn keep(&mut self, about: &str, masked: &[u8]) -> Result<bool, Error> {
        self.keep_at(about, masked, now_ms())
    }

    fn keep_at(&mut self, about: &str, masked: &[u8], now_ms: i64) -> Result<bool, Error> {
        let mut plain = Vec::with_capacity(about.len() + masked.len() + 1);
        plain.extend_from_slice(about.as_bytes());
        plain.push(b'\n');
        plain.extend_from_slice(masked);
        plain.truncate(LETTER_BYTES_MAX);
        let newest = self.sealing.newest();
        let goes_on = |open: &Opened| {
            open.header.key_id == newest
                && now_ms.saturating_sub(open.header.created_ms) < FILE_AGE_MS_MAX
                && now_ms >= open.header.created_ms
        };
        let header = if self.open.as_ref().is_some_and(goes_on) { 0 } else { HEADER_BYTES as u64 };
        let bytes = header + file::letter_bytes(plain.len());
        if self.bytes() + bytes > self.bytes_max {
            self.dropped += 1;
            return Ok(false);
        }
        if header > 0 {
            self.leave();
            let number = self.older.iter().map(|older| older.number).max().unwrap_or(0) + 1;
            self.open = Some(Opened::create(&self.dir, number, &self.sealing, now_ms)?);
        }
        let open = self.open.as_mut().expect("made above where there was none");
        open.append(&plain, now_ms).map_err(|e| Error::io("dead letter", &e))?;
        Ok(true)
    }
    fn leave(&mut self) {
        if let Some(open) = self.open.take() {
            self.older.push(open.lying());
        }
    }

    /// Destroys the files whose newest letter came at `cutoff_ms` or before: the data key of each is overwritten and
    /// synced, and then the file removed. How many it were.
    ///
    /// # Errors
    /// `Io`: those that are left are destroyed the next time.
    pub fn destroy_through(&mut self, cutoff_ms: i64) -> Result<u64, Error> {
        if self.open.as_ref().is_some_and(|open| open.newest_ms <= cutoff_ms) {
            self.leave();
        }
        let mut destroyed = 0;
        while let Some(at) = self.older.iter().position(|older| older.newest_ms <= cutoff_ms) {
            file::destroy(&self.dir, &self.older[at].name)?;
            self.older.remove(at);
            destroyed += 1;
        }
        Ok(destroyed)
    }
    /// When the newest letter of the oldest file came, ms since the Unix epoch; `None` without letters.
    pub fn oldest_ms(&self) -> Option<i64> {
        let open = self.open.iter().map(|open| open.newest_ms);
        self.older.iter().map(|older| older.newest_ms).chain(open).min()
    }
    fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.bytes);
        open + self.older.iter().map(|older| older.bytes).sum::<u64>()
    }
    /// Letters that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// The master keys that a folder's letters are under, as their files say; the former file's is the first there was.
///
/// # Errors
/// `Io`.
pub fn master_keys(dir: &Path) -> Result<Vec<crate::KeyIdent>, Error> {
    let headers = file::numbers(dir)?.into_iter().map(|number| file::header(dir, number));
    let headers: Vec<Option<Header>> = headers.collect::<Result<_, Error>>()?;
    Ok(headers.into_iter().flatten().filter(|header| !header.is_destroyed()).map(|h| h.key_id).collect())
}

/// The letters of a folder, oldest first; a torn last one of a file is left out.
///
/// # Errors
/// `Io`; `WrongKey` and `Corrupt`, with file and offset, for what does not open under these keys.
pub fn read(dir: &Path, keys: impl Into<Sealing>) -> Result<Vec<String>, Error> {
    let sealing = keys.into();
    let mut letters = read_former(dir, &sealing)?;
    for number in file::numbers(dir)? {
        file::read(dir, number, &sealing, &mut letters)?;
    }
    Ok(letters)
}

fn former(dir: &Path) -> Result<Option<Lying>, Error> {
    let path = dir.join(FORMER_NAME);
    let meta = match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed(&path))?,
    };
    // Its letters have no times; nothing was written to it after it was last changed.
    let changed = meta.modified().map_err(failed(&path))?;
    let newest = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let newest_ms = i64::try_from(newest.as_millis()).unwrap_or(i64::MAX);
    Ok(Some(Lying { number: 0, name: FORMER_NAME.to_owned(), bytes: meta.len(), newest_ms }))
}

fn read_former(dir: &Path, sealing: &Sealing) -> Result<Vec<String>, Error> {
    let path = dir.join(FORMER_NAME);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|mut file| file.read_to_end(&mut bytes)),
    }
    .map_err(failed(&path))?;
    let (ciphers, mut letters, mut at) = (sealing.letters(), Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + FORMER_HEAD) {
        let len = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
        let Some(sealed) = bytes.get(at + FORMER_HEAD..at + FORMER_HEAD + len) else { break };
        let nonce: [u8; 12] = head[4..].try_into().expect("twelve bytes");
        let open = |cipher: &Aes256Gcm| cipher.decrypt(&Nonce::from(nonce), sealed).ok();
        let plain = ciphers.iter().find_map(open).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("dead letter at byte {at} does not open under this key"))
        })?;
        letters.push(String::from_utf8_lossy(&plain).into_owned());
        at += FORMER_HEAD + len;
    }
    Ok(letters)
}
