//! What the compressed buffers of an Arrow IPC file or stream become, summed from the lengths they declare before any is
//! decompressed: a small file may not fill the memory. What cannot be walked here, the reader refuses at the same place.

use arrow::ipc::{Block, Message, RecordBatch, root_as_footer, root_as_message};
use interdict_engine::limits::{FEED_BATCH_BYTES_MAX, FEED_DICTIONARY_BYTES_MAX};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// What stands before the length of a message's metadata.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Checks a file from its beginning; where it stands afterwards is undefined.
///
/// # Errors
/// A batch, or all dictionaries together, that would be larger than the bounds of `limits.rs`.
pub(super) fn check(file: &mut File, is_stream: bool) -> Result<(), String> {
    let mut sums = Sums { file, dictionaries: 0, batches: 0 };
    // An I/O error meets the reader as well.
    let walked = if is_stream { sums.stream() } else { sums.footer() };
    walked.unwrap_or(Ok(()))
}

/// A finding within what may end early.
type Walked = std::io::Result<Result<(), String>>;

struct Sums<'f> {
    file: &'f mut File,
    dictionaries: u64,
    batches: u64,
}

impl Sums<'_> {
    fn stream(&mut self) -> Walked {
        self.file.rewind()?;
        loop {
            let mut length = [0; 4];
            self.file.read_exact(&mut length)?;
            if length == CONTINUATION {
                self.file.read_exact(&mut length)?;
            }
            let Ok(length @ 1..) = u64::try_from(i32::from_le_bytes(length)) else { return Ok(Ok(())) };
            let metadata = self.read(length)?;
            let Ok(message) = root_as_message(&metadata) else { return Ok(Ok(())) };
            let body = self.file.stream_position()?;
            if let Err(wrong) = self.message(message, body)? {
                return Ok(Err(wrong));
            }
            let length = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
            self.file.seek(SeekFrom::Start(body.saturating_add(length)))?;
        }
    }

    fn footer(&mut self) -> Walked {
        let mut end = [0; 10];
        self.file.seek(SeekFrom::End(-10))?;
        self.file.read_exact(&mut end)?;
        let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]);
        self.file.seek(SeekFrom::End(-10 - i64::from(length)))?;
        let footer = self.read(length.into())?;
        let Ok(footer) = root_as_footer(&footer) else { return Ok(Ok(())) };
        let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten();
        for block in blocks {
            if let Err(wrong) = self.block(block)? {
                return Ok(Err(wrong));
            }
        }
        Ok(Ok(()))
    }

    fn block(&mut self, block: &Block) -> Walked {
        let (Ok(at), Ok(length)) = (u64::try_from(block.offset()), u64::try_from(block.metaDataLength()))
        else {
            return Ok(Ok(()));
        };
        self.file.seek(SeekFrom::Start(at))?;
        let metadata = self.read(length)?;
        let prefix = if metadata.starts_with(&CONTINUATION) { 8 } else { 4 };
        let Some(Ok(message)) = metadata.get(prefix..).map(root_as_message) else { return Ok(Ok(())) };
        self.message(message, at.saturating_add(length))
    }

    /// Exactly so many bytes; memory grows only as they come.
    fn read(&mut self, length: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut *self.file).take(length).read_to_end(&mut bytes)?;
        if read as u64 == length { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }

    fn message(&mut self, message: Message<'_>, body: u64) -> Walked {
        let refuse = |what: String, bytes: u64, limit: u64| {
            Ok(Err(format!("{what} is {bytes} bytes decompressed, limit {limit}")))
        };
        if let Some(batch) = message.header_as_record_batch() {
            self.batches += 1;
            let bytes = self.sum(batch, body)?;
            if bytes > FEED_BATCH_BYTES_MAX {
                return refuse(format!("batch {}", self.batches), bytes, FEED_BATCH_BYTES_MAX);
            }
        }
        if let Some(batch) = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()) {
            self.dictionaries = self.dictionaries.saturating_add(self.sum(batch, body)?);
            if self.dictionaries > FEED_DICTIONARY_BYTES_MAX {
                return refuse(
                    "all dictionaries together".into(),
                    self.dictionaries,
                    FEED_DICTIONARY_BYTES_MAX,
                );
            }
        }
        Ok(Ok(()))
    }

    /// What a batch's compressed buffers say they become; 0 where they are as they are.
    fn sum(&mut self, batch: RecordBatch<'_>, body: u64) -> std::io::Result<u64> {
        let mut sum = 0u64;
        let buffers = batch.buffers().filter(|_| batch.compression().is_some());
        for buffer in buffers.into_iter().flatten().filter(|buffer| buffer.length() >= 8) {
            let Ok(offset) = u64::try_from(buffer.offset()) else { continue };
            self.file.seek(SeekFrom::Start(body.saturating_add(offset)))?;
            let mut declared = [0; 8];
            self.file.read_exact(&mut declared)?;
            // −1: not compressed after all.
            sum = sum.saturating_add(u64::try_from(i64::from_le_bytes(declared)).unwrap_or(0));
        }
        Ok(sum)
    }
}
