//! Opens an image and reads its parts. Whether it fits the journal and the configuration its `about` says; nothing else
//! of it is read before that is known.

use super::chunks::{Part, checksum};
use super::cold::ColdPages;
use super::{About, FORMAT, HEADER_BYTES, MAGIC, TRAILER_BYTES};
use crate::error::{Error, ErrorKind};
use crate::journal::Resume;
use interdict_engine::image::Reader;
use interdict_engine::sequencer::Sequencer;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// An image.
#[derive(Debug)]
pub struct Image {
    file: Arc<File>,
    about: About,
    /// Where the parts begin, and where the last ends.
    offsets: [u64; 6],
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
fn of_engine(e: interdict_engine::Error) -> Error {
    corrupt(e.message)
}
fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has that length")
}

impl Image {
    /// Opens a file and reads what it is about.
    ///
    /// # Errors
    /// `Corrupt` where it is damaged or cut, `Version` for another format, `Io`.
    pub fn open(path: &Path) -> Result<Image, Error> {
        let failed = |e: &std::io::Error| Error::io("opening", e);
        let file = File::open(path).map_err(|e| failed(&e))?;
        let len = file.metadata().map_err(|e| failed(&e))?.len();
        if len < HEADER_BYTES + TRAILER_BYTES {
            return Err(corrupt(format!("{len} bytes, which is too few for an image")));
        }
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0).map_err(|e| failed(&e))?;
        if header[..8] != MAGIC || crc32c::crc32c(&header[..12]).to_le_bytes() != header[12..] {
            return Err(corrupt("its header is not an image's"));
        }
        let format = u32::from_le_bytes(number(&header, 8));
        if format != FORMAT {
            return Err(Error::new(ErrorKind::Version, format!("format {format}, known: {FORMAT}")));
        }
        let offsets = trailer(&file, len - TRAILER_BYTES)?;
        let mut part = Part::new(&file, offsets[0], offsets[1]);
        let mut from = Reader::new(&mut part);
        let about = About::load(&mut from).map_err(of_engine)?;
        from.end().map_err(of_engine)?;
        Ok(Image { file: Arc::new(file), about, offsets })
    }
    /// What it is of, and rests on.
    pub fn about(&self) -> &About {
        &self.about
    }
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.offsets[5] + TRAILER_BYTES
    }
    fn part(&self, number: usize) -> Part<'_> {
        Part::new(&self.file, self.offsets[number], self.offsets[number + 1])
    }
    /// The journal's place and its index up to there.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn resume(&self) -> Result<Resume, Error> {
        let mut part = self.part(1);
        let mut from = Reader::new(&mut part);
        let resume = Resume::load(&mut from).map_err(of_engine)?;
        from.end().map_err(of_engine)?;
        Ok(resume)
    }
    /// Identity's cold keys, every page checked.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn cold(&self) -> Result<ColdPages, Error> {
        ColdPages::open(self.file.clone(), self.offsets[3], self.offsets[4], self.part(4))
    }
    /// Reads the state into a sequencer of its generation and bounds, over a store that has its cold keys.
    ///
    /// # Errors
    /// `Corrupt`, `Io`; the sequencer is of no use then.
    pub fn load(&self, sequencer: &mut Sequencer) -> Result<(), Error> {
        let mut part = self.part(2);
        let mut from = Reader::new(&mut part);
        sequencer.load(&mut from).map_err(of_engine)?;
        from.end().map_err(of_engine)
    }
    /// A hash of the state, identity's cold keys included, and of nothing else: equal states have equal ones.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn digest(&self) -> Result<[u8; 32], Error> {
        let mut hash = Sha256::new();
        for number in [2, 4] {
            let mut part = self.part(number);
            loop {
                let chunk = part.next()?;
                if chunk.is_empty() {
                    break;
                }
                hash.update(chunk);
            }
        }
        // A page ends with a checksum that depends on where it lies.
        self.cold()?.each_page(&mut |page| hash.update(page))?;
        Ok(hash.finalize().into())
    }
}

fn trailer(file: &File, at: u64) -> Result<[u64; 6], Error> {
    let mut bytes = [0; TRAILER_BYTES as usize];
    file.read_exact_at(&mut bytes, at).map_err(|e| Error::io("reading its end", &e))?;
    let (content, sum) = bytes.split_at(bytes.len() - 4);
    if content[..8] != MAGIC || checksum(at, content).to_le_bytes() != sum {
        return Err(corrupt("its end is not an image's: it was cut, or never finished"));
    }
    let mut offsets = [at; 6];
    for (place, offset) in offsets[..5].iter_mut().enumerate() {
        *offset = u64::from_le_bytes(number(content, 8 + 8 * place));
    }
    let ascend = offsets[0] == HEADER_BYTES && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if ascend { Ok(offsets) } else { Err(corrupt("its parts do not follow each other")) }
}
