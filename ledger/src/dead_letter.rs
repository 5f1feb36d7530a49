//! Dead letters: masked copies of records that could not be taken, encrypted before they are written, so that ops can
//! see what a client sent without the file being worth stealing. Bounded; past the bound letters are counted only.

use crate::error::{Error, ErrorKind};
use crate::key::{MasterKey, fill_random};
use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Name of the file in its folder.
const FILE_NAME: &str = "dead-letters.bin";
/// Bytes before a letter's ciphertext: its length and its nonce.
const HEAD: usize = 4 + 12;
/// Longest letter, in bytes (a body is at most 1 MiB, its mask no longer).
const LETTER_BYTES_MAX: usize = 2 << 20;

/// The dead letters of a data folder.
pub struct DeadLetters {
    file: File,
    cipher: Aes256Gcm,
    /// End of the last whole letter.
    bytes: u64,
    /// Whether bytes of a letter that was not taken whole may lie behind it.
    torn: bool,
    bytes_max: u64,
    dropped: u64,
}

fn cipher(key: &MasterKey) -> Aes256Gcm {
    Aes256Gcm::new((&*key.derive("dead-letters/1")).into())
}

impl DeadLetters {
    /// Opens (or makes, 0600) the letters of a folder; at most `bytes_max` bytes are kept. What a crash left of a
    /// letter is cut off, since nothing behind it could be read.
    ///
    /// # Errors
    /// `Io` where the file cannot be opened, read or cut.
    pub fn open(dir: &Path, key: &MasterKey, bytes_max: u64) -> Result<DeadLetters, Error> {
        let path = dir.join(FILE_NAME);
        let failed = |e: std::io::Error| Error::io(format_args!("dead letters {}", path.display()), &e);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let bytes = whole(&file, len).map_err(failed)?;
        if bytes < len {
            file.set_len(bytes).map_err(failed)?;
        }
        Ok(DeadLetters { file, cipher: cipher(key), bytes, torn: false, bytes_max, dropped: 0 })
    }

    /// Keeps a letter: `about` (what was wrong and where; never a value) and the masked record. Whether it was kept.
    ///
    /// # Errors
    /// `Io` and `Full` where it cannot be written.
    pub fn keep(&mut self, about: &str, masked: &[u8]) -> Result<bool, Error> {
        let mut plain = Vec::with_capacity(about.len() + masked.len() + 1);
        plain.extend_from_slice(about.as_bytes());
        plain.push(b'\n');
        plain.extend_from_slice(masked);
        plain.truncate(LETTER_BYTES_MAX);
        let mut nonce = [0; 12];
        fill_random(&mut nonce)?;
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), plain.as_slice());
        let sealed = sealed.expect("a letter is far within AES-GCM's bounds");
        let len = (HEAD + sealed.len()) as u64;
        if self.bytes + len > self.bytes_max {
            self.dropped += 1;
            return Ok(false);
        }
        let mut frame = Vec::with_capacity(HEAD + sealed.len());
        frame.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
        frame.extend_from_slice(&nonce);
        frame.extend_from_slice(&sealed);
        let failed = |e: std::io::Error| Error::io("dead letter", &e);
        if std::mem::take(&mut self.torn) {
            self.cut().map_err(failed)?;
        }
        if let Err(e) = self.file.write_all(&frame) {
            // A full disk takes a part; where it cannot be cut now, no letter is put behind it.
            self.torn = true;
            let _ = self.cut();
            return Err(failed(e));
        }
        self.bytes += len;
        Ok(true)
    }
    fn cut(&mut self) -> std::io::Result<()> {
        let cut = self.file.set_len(self.bytes);
        self.torn = cut.is_err();
        cut
    }
    /// Letters that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Where the last whole letter ends, by the lengths of all.
fn whole(file: &File, len: u64) -> std::io::Result<u64> {
    let mut at = 0;
    while at + HEAD as u64 <= len {
        let mut head = [0; 4];
        file.read_exact_at(&mut head, at)?;
        let end = at + HEAD as u64 + u64::from(u32::from_le_bytes(head));
        if end > len {
            break;
        }
        at = end;
    }
    Ok(at)
}

/// The letters of a folder, oldest first; a torn last one is left out.
///
/// # Errors
/// `Io`; `Corrupt`, with the offset, for one that does not open under this key.
pub fn read(dir: &Path, key: &MasterKey) -> Result<Vec<String>, Error> {
    let path = dir.join(FILE_NAME);
    let mut bytes = Vec::new();
    match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|mut file| file.read_to_end(&mut bytes)),
    }
    .map_err(|e| Error::io(format_args!("dead letters {}", path.display()), &e))?;
    let (cipher, mut letters, mut at) = (cipher(key), Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + HEAD) {
        let len = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
        let Some(sealed) = bytes.get(at + HEAD..at + HEAD + len) else { break };
        let nonce: [u8; 12] = head[4..].try_into().expect("twelve bytes");
        let plain = cipher.decrypt(&Nonce::from(nonce), sealed).map_err(|_| {
            Error::new(ErrorKind::Corrupt, format!("dead letter at byte {at} does not open under this key"))
        })?;
        letters.push(String::from_utf8_lossy(&plain).into_owned());
        at += HEAD + len;
    }
    Ok(letters)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_kept_encrypted_bounded_and_read_back_without_a_torn_last_one() {
        let (dir, key) = (tempfile::tempdir().unwrap(), MasterKey::generate().unwrap());
        let mut letters = DeadLetters::open(dir.path(), &key, 200).unwrap();
        assert!(letters.keep("amount.minor", b"{\"amount\":***}").unwrap());
        assert!(letters.keep("time", b"{}").unwrap());
        assert!(!letters.keep("text", &[b'x'; 200]).unwrap());
        assert_eq!(letters.dropped(), 1);
        let path = dir.path().join(FILE_NAME);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"amount"));
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(dir.path(), &key).unwrap(), ["amount.minor\n{\"amount\":***}"]);
        assert!(read(dir.path(), &MasterKey::generate().unwrap()).is_err());
        // What comes after a torn one is read too.
        let mut letters = DeadLetters::open(dir.path(), &key, 1000).unwrap();
        assert!(letters.keep("kind", b"{}").unwrap());
        assert_eq!(read(dir.path(), &key).unwrap()[1..], ["kind\n{}"]);
    }
}
