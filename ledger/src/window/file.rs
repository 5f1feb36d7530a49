//! A chunk as an Arrow IPC file: uncompressed, every buffer at a multiple of 64 bytes, so that it is used where it is
//! mapped. Written aside, synced, then named: there is a whole file under its name, or none.

use super::chunk::Chunk;
use super::map::map;
use crate::error::{Error, ErrorKind};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, root_as_footer};
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// A file that is being written, or whose writer ended before it was whole.
pub(super) const PART: &str = ".part";
/// Arrow's magic, at the end behind the footer's length.
const TRAILER: usize = 10;

/// What is known of a file beside its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// Its length.
    pub bytes: u64,
    /// CRC32C over all of it.
    pub crc: u32,
}

/// Sums what passes through.
struct Summed<W> {
    to: W,
    sum: Sum,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.to.write(bytes)?;
        self.sum.crc = crc32c::crc32c_append(self.sum.crc, &bytes[..taken]);
        self.sum.bytes += taken as u64;
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes bytes aside by `write`, syncs them and gives them their name in the folder.
pub(super) fn write_whole<T>(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> Result<T, Error> {
    let part = dir.join(format!("{name}{PART}"));
    let written = (|| {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let written = write(&mut file)?;
        file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        std::fs::rename(&part, dir.join(name))?;
        File::open(dir)?.sync_all()?;
        Ok(written)
    })();
    written.map_err(|e: io::Error| {
        // Best effort: what is left is removed at the next start.
        let _ = std::fs::remove_file(&part);
        Error::io(format_args!("window: writing {name}"), &e)
    })
}

/// Writes a chunk.
pub(super) fn write(dir: &Path, name: &str, chunk: &Chunk) -> Result<Sum, Error> {
    write_whole(dir, name, |file| {
        let summed = Summed { to: file, sum: Sum { bytes: 0, crc: 0 } };
        write_batch(summed, chunk).map_err(|e| match e {
            ArrowError::IoError(_, e) => e,
            other => io::Error::other(other),
        })
    })
}

fn write_batch<W: Write>(to: Summed<W>, chunk: &Chunk) -> Result<Sum, ArrowError> {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
    let mut writer = FileWriter::try_new_with_options(to, &chunk.batch().schema(), options)?;
    writer.write(chunk.batch())?;
    writer.finish()?;
    let mut summed = writer.into_inner()?;
    summed.flush()?;
    Ok(summed.sum)
}

/// Maps a chunk's file and checks all of it.
///
/// # Errors
/// `Corrupt` where it is not what was written, `Version`, `Io`; each names the file.
pub(super) fn read(dir: &Path, name: &str, expected: Sum) -> Result<Chunk, Error> {
    let refused = |e: Error| Error { message: format!("window: {name}: {}", e.message), ..e };
    let failed = |e: &io::Error| refused(Error::io("reading", e));
    let file = File::open(dir.join(name)).map_err(|e| failed(&e))?;
    let len = file.metadata().map_err(|e| failed(&e))?.len();
    let corrupt = |what: String| refused(Error::new(ErrorKind::Corrupt, what));
    if len != expected.bytes {
        return Err(corrupt(format!("it has {len} bytes, {} were written", expected.bytes)));
    }
    let bytes = Bytes::from_owner(map(&file).map_err(|e| failed(&e))?);
    if crc32c::crc32c(&bytes) != expected.crc {
        return Err(corrupt("its checksum does not match".into()));
    }
    decode(&Buffer::from(bytes)).map_err(refused)
}

/// The one batch of an Arrow IPC file, used where it lies.
fn decode(file: &Buffer) -> Result<Chunk, Error> {
    let corrupt = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Corrupt, e.to_string());
    let body = file.len().checked_sub(TRAILER).ok_or_else(|| corrupt(&"no Arrow file"))?;
    let trailer = file[body..].try_into().expect("as many bytes were left");
    let footer_len = read_footer_length(trailer).map_err(|e| corrupt(&e))?;
    let start = body.checked_sub(footer_len).ok_or_else(|| corrupt(&"its footer is cut"))?;
    let footer = root_as_footer(&file[start..body]).map_err(|e| corrupt(&e))?;
    let schema = footer.schema().ok_or_else(|| corrupt(&"no schema"))?;
    let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| corrupt(&e))?);
    let mut decoder = FileDecoder::new(schema, footer.version()).with_require_alignment(true);
    let slice = |block: &arrow::ipc::Block| {
        let len = usize::try_from(block.bodyLength())
            .ok()?
            .checked_add(usize::try_from(block.metaDataLength()).ok()?)?;
        let from = usize::try_from(block.offset()).ok()?;
        (from.checked_add(len)? <= file.len()).then(|| file.slice_with_length(from, len))
    };
    let slice = |block| slice(block).ok_or_else(|| corrupt(&"a part lies outside of it"));
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &slice(block)?).map_err(|e| corrupt(&e))?;
    }
    let batches = footer.recordBatches().filter(|batches| batches.len() == 1);
    let block = batches.ok_or_else(|| corrupt(&"not one batch"))?.get(0);
    let batch = decoder.read_record_batch(block, &slice(block)?).map_err(|e| corrupt(&e))?;
    Chunk::of(batch.ok_or_else(|| corrupt(&"no batch"))?)
}
