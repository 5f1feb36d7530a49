//! Parquet as a feed: only the mapping's columns are read, in batches; the rows are `table.rs`'s.

use super::FeedItem;
use super::columns::ColumnMap;
use super::table::{Resolved, Table};
use crate::decode::Decoder;
use crate::error::FeedError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fmt;
use std::fs::File;

/// Rows of one Arrow batch: enough to make the cost per batch vanish, few enough to stay in the L2 cache.
const BATCH_ROWS: usize = 4096;

/// The records of a Parquet file.
pub struct ParquetFeed {
    table: Table<ParquetRecordBatchReader>,
    rows: u64,
}

impl fmt::Debug for ParquetFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, row) = self.table.place();
        write!(f, "ParquetFeed({name}, row {row} of {})", self.rows)
    }
}

impl ParquetFeed {
    /// Opens a file whose columns fit the mapping; `name` is what errors call it.
    ///
    /// # Errors
    /// When it is no whole Parquet file, when a column is missing (with the nearest name) or of a wrong type.
    pub fn open(
        file: File,
        name: &str,
        decoder: Decoder,
        columns: &ColumnMap,
        default_tenant: &str,
    ) -> Result<ParquetFeed, FeedError> {
        let wrong = |message: String| FeedError::new(name, message);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| wrong(format!("expected a whole Parquet file: {error}")))?;
        let resolved = Resolved::new(columns, builder.schema()).map_err(wrong)?;
        let projection = ProjectionMask::roots(builder.parquet_schema(), resolved.projection());
        let rows = builder.metadata().file_metadata().num_rows();
        let reader = builder
            .with_projection(projection)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| wrong(format!("expected a whole Parquet file: {error}")))?;
        let table = resolved.table(name, decoder, default_tenant, reader);
        Ok(ParquetFeed { table, rows: u64::try_from(rows).unwrap_or(0) })
    }
    /// How many rows the file says it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Iterator for ParquetFeed {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.table.next()
    }
}
