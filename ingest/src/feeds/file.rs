//! A file as a feed: which format it is, and one iterator over all.

use super::FeedItem;
use super::arrow::{ArrowFeed, FILE_MAGIC, STREAM_MAGIC};
use super::columns::ColumnMap;
use super::csv::CsvFeed;
use super::follow::Follow;
use super::jsonl::JsonlFeed;
use super::parquet::ParquetFeed;
use crate::decode::Decoder;
use crate::error::FeedError;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How the records of a file are read.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// The column mapping; Parquet, Arrow IPC and CSV need one, JSONL is wire.md's request body, one a line, without one.
    pub columns: Option<ColumnMap>,
    /// The tenant of records that name none.
    pub default_tenant: String,
}

/// The records of a file, in the file's order. An `Err` is the last item: what came before it stands.
#[derive(Debug)]
pub enum FileFeed {
    /// JSON, one record a line.
    Jsonl(Box<JsonlFeed<BufReader<File>>>),
    /// JSON, one record a line, of a file that grows.
    Followed(Box<JsonlFeed<BufReader<Follow>>>),
    /// RFC 4180 with a header.
    Csv(Box<CsvFeed<File>>),
    /// Arrow IPC, file or stream.
    Arrow(Box<ArrowFeed>),
    /// Apache Parquet.
    Parquet(Box<ParquetFeed>),
}

/// A format that is read by columns.
#[derive(Clone, Copy)]
enum Columnar {
    Parquet,
    ArrowFile,
    ArrowStream,
    Csv,
}

/// The format by what a file begins with, else by its ending; `None` for JSONL.
fn columnar(path: &Path, begins: &[u8]) -> Option<Columnar> {
    if begins.starts_with(b"PAR1") {
        return Some(Columnar::Parquet);
    }
    if begins.starts_with(FILE_MAGIC) {
        return Some(Columnar::ArrowFile);
    }
    if begins.starts_with(STREAM_MAGIC) {
        return Some(Columnar::ArrowStream);
    }
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "parquet" => Some(Columnar::Parquet),
        "feather" | "arrow" | "ipc" => Some(Columnar::ArrowFile),
        "arrows" => Some(Columnar::ArrowStream),
        "csv" => Some(Columnar::Csv),
        _ => None,
    }
}

impl FileFeed {
    /// Opens a file. What begins as Parquet or Arrow IPC does, or ends in `.parquet`, `.arrow`, `.ipc`, `.feather` or
    /// `.csv`, is that; everything else is JSONL.
    ///
    /// # Errors
    /// When the file cannot be opened, is not whole, or its columns do not fit the mapping.
    pub fn open(path: &Path, decoder: Decoder, options: &FileOptions) -> Result<FileFeed, FeedError> {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|error| FeedError::new(&name, error))?;
        let mut begins = [0; 8];
        let mut read = 0;
        while read < begins.len() {
            match file.read(&mut begins[read..]).map_err(|error| FeedError::new(&name, error))? {
                0 => break,
                more => read += more,
            }
        }
        file.rewind().map_err(|error| FeedError::new(&name, error))?;
        let tenant = &options.default_tenant;
        let Some(format) = columnar(path, &begins[..read]) else {
            let reader = BufReader::with_capacity(1 << 18, file);
            let feed = JsonlFeed::new(reader, &name, decoder, options.columns.as_ref(), tenant);
            return Ok(FileFeed::Jsonl(Box::new(feed)));
        };
        let columns = options.columns.as_ref().ok_or_else(|| {
            let what = match format {
                Columnar::Parquet => "a Parquet",
                Columnar::ArrowFile | Columnar::ArrowStream => "an Arrow",
                Columnar::Csv => "a CSV",
            };
            FeedError::new(&name, format!("{what} feed needs a column mapping ([feed.columns])"))
        })?;
        Ok(match format {
            Columnar::Parquet => {
                FileFeed::Parquet(Box::new(ParquetFeed::open(file, &name, decoder, columns, tenant)?))
            }
            Columnar::Csv => FileFeed::Csv(Box::new(CsvFeed::new(file, &name, decoder, columns, tenant)?)),
            Columnar::ArrowFile | Columnar::ArrowStream => {
                let is_stream = matches!(format, Columnar::ArrowStream);
                let feed = ArrowFeed::open(file, is_stream, &name, decoder, columns, tenant)?;
                FileFeed::Arrow(Box::new(feed))
            }
        })
    }
    /// Opens a JSONL file that is followed: its end is waited at until `stop` is set. Lines are counted on through
    /// truncation and rotation.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn follow(
        path: &Path,
        decoder: Decoder,
        options: &FileOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<FileFeed, FeedError> {
        let name = path.display().to_string();
        let followed = Follow::open(path, stop).map_err(|error| FeedError::new(&name, error))?;
        let (columns, tenant) = (options.columns.as_ref(), &options.default_tenant);
        let feed = JsonlFeed::new(BufReader::new(followed), &name, decoder, columns, tenant);
        Ok(FileFeed::Followed(Box::new(feed)))
    }
    /// How many records the file says it has; `None` where it does not say.
    pub fn records(&self) -> Option<u64> {
        match self {
            FileFeed::Parquet(feed) => Some(feed.rows()),
            _ => None,
        }
    }
}

impl Iterator for FileFeed {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            FileFeed::Jsonl(feed) => feed.next(),
            FileFeed::Followed(feed) => feed.next(),
            FileFeed::Csv(feed) => feed.next(),
            FileFeed::Arrow(feed) => feed.next(),
            FileFeed::Parquet(feed) => feed.next(),
        }
    }
}
