//! A part of the file as chunks of at most a mebibyte, each with its length and a CRC32C that depends on where it lies,
//! closed by one without bytes.

use crate::error::{Error, ErrorKind};
use interdict_engine::image::{Sink, Source};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Most bytes of a chunk.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// Length and checksum before them.
pub(super) const HEAD_BYTES: u64 = 8;

/// The checksum of bytes that lie somewhere.
pub(super) fn checksum(at: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&at.to_le_bytes()), bytes)
}

/// A file being written, front to back. The first failure is kept, and all after it taken for nothing.
pub(super) struct Out<'a> {
    file: File,
    /// Bytes so far.
    pub at: u64,
    failed: Option<io::Error>,
    chunk: Vec<u8>,
    /// Told after each mebibyte or so: whoever writes beside others' work rests there.
    rest: &'a mut dyn FnMut(),
}

impl<'a> Out<'a> {
    pub(super) fn new(file: File, rest: &'a mut dyn FnMut()) -> Out<'a> {
        Out { file, at: 0, failed: None, chunk: Vec::with_capacity(CHUNK_BYTES), rest }
    }
    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
        }
        self.at += bytes.len() as u64;
    }
    /// Ends a part of chunks.
    pub(super) fn end_part(&mut self) {
        if !self.chunk.is_empty() {
            self.write_chunk();
        }
        self.write_chunk();
    }
    fn write_chunk(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let length = (chunk.len() as u32).to_le_bytes();
        let sum = crc32c::crc32c_append(checksum(self.at, &length), &chunk).to_le_bytes();
        self.raw(&length);
        self.raw(&sum);
        self.raw(&chunk);
        self.chunk = chunk;
        self.chunk.clear();
        (self.rest)();
    }
    pub(super) fn rest(&mut self) {
        (self.rest)();
    }
    /// Syncs what was written.
    pub(super) fn sync(self) -> io::Result<u64> {
        self.failed.map_or(Ok(()), Err)?;
        self.file.sync_data()?;
        Ok(self.at)
    }
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }
}

impl Sink for Out<'_> {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.write_chunk();
            }
        }
    }
}

/// A part being read, chunk by chunk.
pub(super) struct Part<'f> {
    file: &'f File,
    at: u64,
    end: u64,
    done: bool,
    chunk: Vec<u8>,
}

impl<'f> Part<'f> {
    /// The part that lies between two offsets.
    pub(super) fn new(file: &'f File, at: u64, end: u64) -> Part<'f> {
        Part { file, at, end, done: false, chunk: Vec::new() }
    }
    /// The next chunk's bytes; none at the end, which must be where the part ends.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub(super) fn next(&mut self) -> Result<&[u8], Error> {
        self.chunk.clear();
        if self.done {
            return Ok(&self.chunk);
        }
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("offset {}: {what}", self.at));
        let failed = |e: &io::Error| Error::io(format_args!("offset {}", self.at), e);
        let mut head = [0; HEAD_BYTES as usize];
        if self.end - self.at < HEAD_BYTES {
            return Err(corrupt("a chunk is cut short"));
        }
        self.file.read_exact_at(&mut head, self.at).map_err(|e| failed(&e))?;
        let (length, sum) = head.split_at(4);
        let bytes = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        if bytes > CHUNK_BYTES || self.end - self.at - HEAD_BYTES < bytes as u64 {
            return Err(corrupt("a chunk's length is out of range"));
        }
        self.chunk.resize(bytes, 0);
        self.file.read_exact_at(&mut self.chunk, self.at + HEAD_BYTES).map_err(|e| failed(&e))?;
        let found = crc32c::crc32c_append(checksum(self.at, length), &self.chunk);
        if found.to_le_bytes() != sum {
            return Err(corrupt("a chunk's checksum does not match"));
        }
        self.done = bytes == 0;
        let next = self.at + HEAD_BYTES + bytes as u64;
        if self.done && next != self.end {
            return Err(corrupt("a part ends where it should not"));
        }
        self.at = next;
        Ok(&self.chunk)
    }
}

impl Source for Part<'_> {
    fn more(&mut self, into: &mut Vec<u8>) -> Result<(), interdict_engine::Error> {
        let next = self
            .next()
            .map_err(|e| interdict_engine::Error::new(interdict_engine::ErrorKind::Corrupt, e.message))?;
        into.extend_from_slice(next);
        Ok(())
    }
}
