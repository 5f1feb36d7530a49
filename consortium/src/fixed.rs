//! Fields of fixed width, little-endian, as bodies, states, snapshots and deltas are made of; and where such a file goes
//! while it is written. A file of these has its counts at its end, since whoever streams it knows them then.

use crate::error::{Error, ErrorKind, Place, Result};
use sha2::{Digest, Sha256};

/// `N` bytes at a place of a slice that is known to be long enough.
pub(crate) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N")
}
pub(crate) fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(bytes, at))
}
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(bytes, at))
}
pub(crate) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}
/// Puts bytes at a place of a slice that is known to be long enough.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The error of a byte that is not what its format says.
pub(crate) fn malformed(byte: usize, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message).at(Place::Byte(byte as u64))
}

/// That a file begins with its magic and a known version (u32 at 8) and has at least so many bytes.
pub(crate) fn check_magic(bytes: &[u8], magic: &[u8; 8], version: u32, bytes_min: usize) -> Result<()> {
    if bytes.len() < bytes_min {
        let message = format!("{} bytes, expected at least {bytes_min}: the file is cut off", bytes.len());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    if &bytes[..8] != magic {
        let expected = String::from_utf8_lossy(magic);
        return Err(malformed(0, format!("expected {expected:?} as the first 8 bytes")));
    }
    match get_u32(bytes, 8) {
        found if found == version => Ok(()),
        found => {
            let message = format!("version {found} is not known here: expected {version}");
            Err(Error::new(ErrorKind::Version, message).at(Place::Byte(8)))
        }
    }
}

/// Where a file goes that is written from its beginning to its end: memory, a file, a hash, another file to compare with.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever keeps it from taking them; the file is then no good.
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}
impl<S: Sink + ?Sized> Sink for &mut S {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        (**self).put(bytes)
    }
}
/// Keeps nothing: for whoever wants the hash and the counts alone.
impl Sink for () {
    fn put(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// A file as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of all of them.
    pub sha256: [u8; 32],
}

/// Hashes what goes to a sink, and hands it over in larger pieces than rows.
pub(crate) struct Hashing<S> {
    sink: S,
    hash: Sha256,
    bytes: u64,
    buffer: Vec<u8>,
}

const PIECE_BYTES: usize = 1 << 16;

impl<S: Sink> Hashing<S> {
    pub(crate) fn new(sink: S) -> Hashing<S> {
        Hashing { sink, hash: Sha256::new(), bytes: 0, buffer: Vec::with_capacity(PIECE_BYTES) }
    }
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > PIECE_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }
    fn flush(&mut self) -> Result<()> {
        self.hash.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.sink.put(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
    /// The SHA-256 of all bytes so far.
    pub(crate) fn so_far(&mut self) -> Result<[u8; 32]> {
        self.flush()?;
        Ok(self.hash.clone().finalize().into())
    }
    pub(crate) fn finish(mut self, rows: u64) -> Result<Written> {
        self.flush()?;
        Ok(Written { rows, bytes: self.bytes, sha256: self.hash.finalize().into() })
    }
}

/// SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// An area of texts behind rows: each row's text follows the one before it, none is empty.
#[derive(Debug, Default)]
pub(crate) struct Texts(Vec<u8>);

impl Texts {
    /// Adds a text; answers what its row says of it: where it begins and how long it is. An empty one is 0, 0.
    pub(crate) fn add(&mut self, text: &str) -> Result<(u32, u16)> {
        if text.is_empty() {
            return Ok((0, 0));
        }
        let at = self.0.len();
        if at + text.len() > crate::limits::TEXT_AREA_BYTES_MAX {
            let limit = crate::limits::TEXT_AREA_BYTES_MAX;
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {limit} bytes of text")));
        }
        self.0.extend_from_slice(text.as_bytes());
        let len =
            u16::try_from(text.len()).map_err(|_| Error::new(ErrorKind::TooLarge, "a text too long"))?;
        Ok((u32::try_from(at).expect("the area is below 2^28 bytes"), len))
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The text that a row says is its own.
///
/// # Errors
/// `Malformed` where it is not in the area or not UTF-8.
pub(crate) fn text_of(texts: &[u8], at: u32, len: u16) -> Result<&str> {
    let at = at as usize;
    let bytes = texts.get(at..at + usize::from(len));
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.ok_or_else(|| Error::new(ErrorKind::Malformed, "its text is not in the area of texts, or not UTF-8"))
}
