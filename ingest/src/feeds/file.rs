//! A file as a feed: which format it is, and one iterator over both.

use super::FeedItem;
use super::columns::ColumnMap;
use super::jsonl::JsonlFeed;
use super::parquet::ParquetFeed;
use crate::decode::Decoder;
use crate::error::FeedError;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// How the records of a file are read.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// The column mapping; Parquet needs one, JSONL is wire.md's request body, one a line, without one.
    pub columns: Option<ColumnMap>,
    /// The tenant of records that name none.
    pub default_tenant: String,
}

/// The records of a file, in the file's order. An `Err` is the last item: what came before it stands.
#[derive(Debug)]
pub enum FileFeed {
    /// JSON, one record a line.
    Jsonl(Box<JsonlFeed<BufReader<File>>>),
    /// Apache Parquet.
    Parquet(Box<ParquetFeed>),
}

impl FileFeed {
    /// Opens a file. What begins with `PAR1` or ends with `.parquet` is Parquet, everything else JSONL.
    ///
    /// # Errors
    /// When the file cannot be opened, is no whole Parquet file, or its columns do not fit the mapping.
    pub fn open(path: &Path, decoder: Decoder, options: &FileOptions) -> Result<FileFeed, FeedError> {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|error| FeedError::new(&name, error))?;
        let mut magic = [0; 4];
        let read = file.read(&mut magic).map_err(|error| FeedError::new(&name, error))?;
        file.rewind().map_err(|error| FeedError::new(&name, error))?;
        let by_name = path.extension().is_some_and(|extension| extension == "parquet");
        if by_name || &magic[..read] == b"PAR1" {
            let columns = options.columns.as_ref().ok_or_else(|| {
                FeedError::new(&name, "a Parquet feed needs a column mapping ([feed.columns])")
            })?;
            let feed = ParquetFeed::open(file, &name, decoder, columns, &options.default_tenant)?;
            return Ok(FileFeed::Parquet(Box::new(feed)));
        }
        let reader = BufReader::with_capacity(1 << 18, file);
        let columns = options.columns.as_ref();
        let feed = JsonlFeed::new(reader, &name, decoder, columns, &options.default_tenant);
        Ok(FileFeed::Jsonl(Box::new(feed)))
    }
    /// How many records the file says it has; `None` where it does not say.
    pub fn records(&self) -> Option<u64> {
        match self {
            FileFeed::Jsonl(_) => None,
            FileFeed::Parquet(feed) => Some(feed.rows()),
        }
    }
}

impl Iterator for FileFeed {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            FileFeed::Jsonl(feed) => feed.next(),
            FileFeed::Parquet(feed) => feed.next(),
        }
    }
}
