//! Arrow IPC as a feed: the file format (Feather version 2) and the stream format; the rows are `table.rs`'s. Buffers
//! compressed with LZ4 or Zstandard, as pandas writes them, are bounded before they are read (`inflate.rs`).

use super::FeedItem;
use super::columns::ColumnMap;
use super::inflate;
use super::table::{Resolved, Table};
use crate::decode::Decoder;
use crate::error::FeedError;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::record_batch::RecordBatch;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Seek};

/// What an Arrow IPC file begins with.
pub(super) const FILE_MAGIC: &[u8; 6] = b"ARROW1";
/// What an Arrow IPC stream begins with: the mark before each message.
pub(super) const STREAM_MAGIC: &[u8; 4] = &[0xff; 4];

enum Batches {
    File(Box<FileReader<BufReader<File>>>),
    Stream(Box<StreamReader<BufReader<File>>>),
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Batches::File(reader) => reader.next(),
            Batches::Stream(reader) => reader.next(),
        }
    }
}

/// The records of an Arrow IPC file or stream.
pub struct ArrowFeed(Table<Batches>);

impl fmt::Debug for ArrowFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, row) = self.0.place();
        write!(f, "ArrowFeed({name}, row {row})")
    }
}

impl ArrowFeed {
    /// Opens a file whose columns fit the mapping; `name` is what errors call it, `is_stream` says which format.
    ///
    /// # Errors
    /// When it is no Arrow IPC, when a column is missing (with the nearest name) or of a wrong type, when compressed
    /// buffers would become more than the bounds.
    pub fn open(
        mut file: File,
        is_stream: bool,
        name: &str,
        decoder: Decoder,
        columns: &ColumnMap,
        default_tenant: &str,
    ) -> Result<ArrowFeed, FeedError> {
        let wrong = |message: String| FeedError::new(name, message);
        let format = if is_stream { "an Arrow IPC stream" } else { "a whole Arrow IPC file" };
        let unread = |error: ArrowError| wrong(format!("expected {format}: {error}"));
        inflate::check(&mut file, is_stream).map_err(wrong)?;
        file.rewind().map_err(|error| wrong(error.to_string()))?;
        // Read once for the schema, then again with the projection that follows from it.
        let again = file.try_clone().map_err(|error| wrong(error.to_string()))?;
        let batches = if is_stream {
            let schema = StreamReader::try_new_buffered(again, None).map_err(unread)?.schema();
            let resolved = Resolved::new(columns, &schema).map_err(wrong)?;
            file.rewind().map_err(|error| wrong(error.to_string()))?;
            let reader = StreamReader::try_new_buffered(file, Some(resolved.projection())).map_err(unread)?;
            (resolved, Batches::Stream(Box::new(reader)))
        } else {
            let schema = FileReader::try_new_buffered(again, None).map_err(unread)?.schema();
            let resolved = Resolved::new(columns, &schema).map_err(wrong)?;
            file.rewind().map_err(|error| wrong(error.to_string()))?;
            let reader = FileReader::try_new_buffered(file, Some(resolved.projection())).map_err(unread)?;
            (resolved, Batches::File(Box::new(reader)))
        };
        let (resolved, batches) = batches;
        Ok(ArrowFeed(resolved.table(name, decoder, default_tenant, batches)))
    }
}

impl Iterator for ArrowFeed {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
