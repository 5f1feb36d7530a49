//! A file of dead letters: a header with the wrapped data key, then letters, each with the time it came. It is written
//! by the process that made it, and only until that ends.

use super::{FORMER_NAME, failed};
use crate::error::{Error, ErrorKind};
use crate::key::{KeyIdent, fill_random};
use crate::sealing::{DataKey, SLOT_BYTES, Sealing, Slot};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"ITDLETR\n";
const VERSION: u16 = 1;
/// Bytes that the wrapping of the data key covers: magic, version, header length, four zeros, time, master key's id.
const BOUND: usize = 32;
/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = BOUND + SLOT_BYTES;
/// Bytes before a letter's ciphertext: its length, its time, its nonce.
pub(super) const HEAD: usize = 4 + 8 + 12;
/// Longest letter, in bytes (a body is at most 1 MiB, its mask no longer).
pub(super) const LETTER_BYTES_MAX: usize = 2 << 20;
const TAG_BYTES: usize = 16;

/// Bytes of a letter in the file.
pub(super) fn letter_bytes(plain: usize) -> u64 {
    (HEAD + plain + TAG_BYTES) as u64
}

/// A file that is written no more.
pub(super) struct Lying {
    pub number: u64,
    pub name: String,
    pub bytes: u64,
    pub newest_ms: i64,
}

pub(super) struct Header {
    pub created_ms: i64,
    pub key_id: KeyIdent,
    slot: Slot,
}

impl Header {
    fn bound(created_ms: i64, key_id: KeyIdent) -> Vec<u8> {
        let mut out = Vec::with_capacity(BOUND);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&created_ms.to_le_bytes());
        out.extend_from_slice(&key_id.0);
        out
    }
    fn encode(&self) -> Vec<u8> {
        [&Self::bound(self.created_ms, self.key_id)[..], &self.slot].concat()
    }
    fn decode(bytes: &[u8]) -> Option<Header> {
        let part = |from: usize| bytes[from..from + 8].try_into().expect("eight bytes");
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC[..] {
            return None;
        }
        let slot = bytes[BOUND..HEADER_BYTES].try_into().expect("the slot's bytes");
        let header = Header { created_ms: i64::from_le_bytes(part(16)), key_id: KeyIdent(part(24)), slot };
        (header.encode() == bytes[..HEADER_BYTES]).then_some(header)
    }
    fn data_key(&self, sealing: &Sealing) -> Result<Option<DataKey>, Error> {
        sealing.unwrap(self.key_id, &Self::bound(self.created_ms, self.key_id), &self.slot)
    }
    pub fn is_destroyed(&self) -> bool {
        self.slot == [0; SLOT_BYTES]
    }
}

fn name(number: u64) -> String {
    format!("letters-{number:08}.bin")
}

/// The numbers of a folder's files, in order.
pub(super) fn numbers(dir: &Path) -> Result<Vec<u64>, Error> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == IoKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed(dir))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let found = entry.map_err(failed(dir))?.file_name();
        let digits = found.to_str().and_then(|name| name.strip_prefix("letters-")?.strip_suffix(".bin"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A file's bytes; `None` where it is there no more.
fn bytes(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Err(e) if e.kind() == IoKind::NotFound => Ok(None),
        Err(e) => Err(failed(path)(e)),
        Ok(_) => Ok(Some(bytes)),
    }
}

/// A file's header; `None` where a crash left no whole one, behind which no letter can be.
pub(super) fn header(dir: &Path, number: u64) -> Result<Option<Header>, Error> {
    Ok(bytes(&dir.join(name(number)), HEADER_BYTES as u64)?.and_then(|bytes| Header::decode(&bytes)))
}

/// What is known of a file without its key.
pub(super) fn lying(dir: &Path, number: u64) -> Result<Option<Lying>, Error> {
    let name = name(number);
    let Some(bytes) = bytes(&dir.join(&name), u64::MAX)? else { return Ok(None) };
    let created_ms = Header::decode(&bytes).map_or(0, |header| header.created_ms);
    let newest_ms = Letters { bytes: &bytes, at: HEADER_BYTES }.map(|(_, time_ms, ..)| time_ms).max();
    let newest_ms = newest_ms.unwrap_or(created_ms);
    Ok(Some(Lying { number, name, bytes: bytes.len() as u64, newest_ms }))
}

/// Goes through the whole letters of a file: offset, time, nonce, ciphertext.
struct Letters<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Letters<'a> {
    type Item = (usize, i64, [u8; 12], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (at, head) = (self.at, self.bytes.get(self.at..self.at + HEAD)?);
        let len = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
        let time_ms = i64::from_le_bytes(head[4..12].try_into().expect("eight bytes"));
        let sealed = self.bytes.get(at + HEAD..at.checked_add(HEAD + len)?)?;
        self.at = at + HEAD + len;
        Some((at, time_ms, head[12..].try_into().expect("twelve bytes"), sealed))
    }
}

/// Adds the letters of a file; those of a destroyed one are gone.
pub(super) fn read(dir: &Path, number: u64, sealing: &Sealing, out: &mut Vec<String>) -> Result<(), Error> {
    let name = name(number);
    let Some(bytes) = bytes(&dir.join(&name), u64::MAX)? else { return Ok(()) };
    let Some(header) = Header::decode(&bytes) else { return Ok(()) };
    let placed = |e: Error| Error::new(e.kind, format!("dead letters {name}: {}", e.message));
    let Some(data_key) = header.data_key(sealing).map_err(placed)? else { return Ok(()) };
    let cipher = Aes256Gcm::new((&*data_key).into());
    for (at, _, nonce, sealed) in (Letters { bytes: &bytes, at: HEADER_BYTES }) {
        let aad = &bytes[at..at + 12];
        let plain = cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad }).map_err(|_| {
            let text = format!("dead letters {name}: the letter at byte {at} is not as it was written");
            Error::new(ErrorKind::Corrupt, text)
        })?;
        out.push(String::from_utf8_lossy(&plain).into_owned());
    }
    Ok(())
}

/// Overwrites bytes of a file with zeros, and syncs.
fn overwrite(path: &Path, from: u64, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let zeros = vec![0; 1 << 16];
    let (mut at, end) = (from, from + bytes);
    while at < end {
        let part = (end - at).min(zeros.len() as u64) as usize;
        file.write_all_at(&zeros[..part], at)?;
        at += part as u64;
    }
    file.sync_all()
}

/// Makes a file's letters unreadable, and removes it.
pub(super) fn destroy(dir: &Path, name: &str) -> Result<(), Error> {
    let path = dir.join(name);
    let destroy = || -> std::io::Result<()> {
        match name {
            // It has no data key, so the letters themselves go.
            FORMER_NAME => overwrite(&path, 0, std::fs::metadata(&path)?.len())?,
            _ => overwrite(&path, BOUND as u64, SLOT_BYTES as u64)?,
        }
        std::fs::remove_file(&path)
    };
    match destroy() {
        Err(e) if e.kind() == IoKind::NotFound => Ok(()),
        other => other.map_err(failed(&path)),
    }
}

/// The file that takes letters.
pub(super) struct Opened {
    number: u64,
    path: PathBuf,
    file: File,
    cipher: Aes256Gcm,
    pub header: Header,
    /// End of the last whole letter.
    pub bytes: u64,
    /// Whether bytes of a letter that was not taken whole may lie behind it.
    torn: bool,
    pub newest_ms: i64,
}

impl Opened {
    /// Makes a file (0600).
    pub fn create(dir: &Path, number: u64, sealing: &Sealing, now_ms: i64) -> Result<Opened, Error> {
        let path = dir.join(name(number));
        let mut key_id = KeyIdent([0; 8]);
        let (data_key, slot) = sealing.fresh(|id| {
            key_id = id;
            Header::bound(now_ms, id)
        })?;
        let header = Header { created_ms: now_ms, key_id, slot };
        let make = || -> std::io::Result<File> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&header.encode()).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
            Ok(file)
        };
        let file = make().map_err(failed(&path))?;
        let cipher = Aes256Gcm::new((&*data_key).into());
        let (bytes, torn) = (HEADER_BYTES as u64, false);
        Ok(Opened { number, path, file, cipher, header, bytes, torn, newest_ms: now_ms })
    }
    /// Adds a letter, or nothing.
    pub fn append(&mut self, plain: &[u8], now_ms: i64) -> std::io::Result<()> {
        let mut nonce = [0; 12];
        fill_random(&mut nonce).map_err(|e| std::io::Error::other(e.message))?;
        let mut frame = Vec::with_capacity(letter_bytes(plain.len()) as usize);
        frame.extend_from_slice(&((plain.len() + TAG_BYTES) as u32).to_le_bytes());
        frame.extend_from_slice(&now_ms.to_le_bytes());
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: &frame });
        frame.extend_from_slice(&nonce);
        frame.extend_from_slice(&sealed.expect("a letter is far within AES-GCM's bounds"));
        if std::mem::take(&mut self.torn) {
            self.cut()?;
        }
        if let Err(e) = self.file.write_all_at(&frame, self.bytes) {
            // A full disk takes a part; where it cannot be cut now, no letter is put behind it.
            self.torn = true;
            let _ = self.cut();
            return Err(e);
        }
        self.bytes += frame.len() as u64;
        self.newest_ms = self.newest_ms.max(now_ms);
        Ok(())
    }
    fn cut(&mut self) -> std::io::Result<()> {
        let cut = self.file.set_len(self.bytes);
        self.torn = cut.is_err();
        cut
    }
    /// As it lies when it is written no more.
    pub fn lying(self) -> Lying {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        Lying { number: self.number, name, bytes: self.bytes, newest_ms: self.newest_ms }
    }
}
