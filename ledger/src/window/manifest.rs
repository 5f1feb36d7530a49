//! Which files a window has, what each must be, and the places of the journal that it rests on: one small file, written
//! whole. What it does not name is not the window's.

use super::file::{Sum, write_whole};
use crate::error::{Error, ErrorKind};
use crate::journal::At;
use interdict_engine::image::{Reader, Writer};
use std::io::{self, Write};
use std::path::Path;

/// Its name in the folder.
pub(super) const NAME: &str = "window";
const MAGIC: [u8; 8] = *b"ITDWNDW\n";
const VERSION: u32 = 1;
/// More files than a window ever has (some 6 thousand million rows).
const FILES_MAX: usize = 100_000;

/// A file of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    /// Its first and its last sequence.
    pub first: u64,
    pub last: u64,
    pub sum: Sum,
}

/// What a window has on disk.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    /// Where following the journal goes on: whatever is a row and accepted before it is in the files.
    pub resume: At,
    /// Whatever is in the files is before it.
    pub reached: At,
    /// The last sequence of what is, or was, in a file: whatever is a row and has a greater one must be met again.
    pub filed: u64,
    /// By sequence.
    pub files: Vec<Entry>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut to = Writer::new(&mut out);
        to.bytes(&MAGIC);
        to.u32(VERSION);
        self.resume.save(&mut to);
        self.reached.save(&mut to);
        to.u64(self.filed);
        to.count(self.files.len());
        for file in &self.files {
            to.text(&file.name);
            to.u64s(&[file.first, file.last, file.sum.bytes]);
            to.u32(file.sum.crc);
        }
        to.end();
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }
    fn decode(bytes: &[u8]) -> Result<Manifest, Error> {
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, what);
        let (bytes, crc) = bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("it is cut"))?;
        if crc32c::crc32c(bytes) != u32::from_le_bytes(*crc) {
            return Err(corrupt("its checksum does not match"));
        }
        let mut source = bytes;
        let mut from = Reader::new(&mut source);
        let senseless = |e: interdict_engine::Error| corrupt(&e.message);
        if from.take(MAGIC.len()).map_err(senseless)? != MAGIC {
            return Err(corrupt("no window's"));
        }
        let version = from.u32().map_err(senseless)?;
        if version != VERSION {
            return Err(Error::new(ErrorKind::Version, format!("version {version}, known: {VERSION}")));
        }
        Manifest::body(&mut from).map_err(senseless)
    }
    fn body(from: &mut Reader<'_>) -> Result<Manifest, interdict_engine::Error> {
        let (resume, reached, filed) = (At::load(from)?, At::load(from)?, from.u64()?);
        let mut files = Vec::new();
        for _ in 0..from.count(FILES_MAX)? {
            let (name, mut words) = (from.text()?, [0; 3]);
            from.u64s(&mut words)?;
            let [first, last, bytes] = words;
            files.push(Entry { name, first, last, sum: Sum { bytes, crc: from.u32()? } });
        }
        Ok(Manifest { resume, reached, filed, files })
    }

    /// Writes it.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Error> {
        write_whole(dir, NAME, |file| file.write_all(&self.encode()))
    }
    /// The folder's; `None` where there is none.
    ///
    /// # Errors
    /// `Corrupt`, `Version`, `Io`; each names the file.
    pub(super) fn read(dir: &Path) -> Result<Option<Manifest>, Error> {
        match std::fs::read(dir.join(NAME)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format_args!("window: reading {NAME}"), &e)),
            Ok(bytes) => Manifest::decode(&bytes).map(Some).map_err(|e| {
                let message = format!("window: {NAME}: {}", e.message);
                Error { message, ..e }
            }),
        }
    }
}
