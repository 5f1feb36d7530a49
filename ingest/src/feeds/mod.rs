//! Where transactions come from, so far files: JSONL by the decoder of requests (followed as it grows, if wanted), and
//! Parquet, Arrow IPC and CSV by columns. Every feed is an
//! iterator of items, each a record or what is wrong with it; only a file that cannot be read further ends it early.

pub mod columns;
mod mapping;
mod table;
pub mod file;
pub mod jsonl;
pub mod follow;
pub mod csv;
pub mod arrow;
mod inflate;
pub mod parquet;

#[cfg(test)]
mod tests;

pub use columns::ColumnMap;
pub use file::{FileFeed, FileOptions};

use crate::decode::Decoded;
use crate::error::FieldError;
use interdict_engine::domain::Label;
use std::fmt;

/// What a feed knows of a payment's truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLabel {
    /// Fraud or good.
    pub label: Label,
    /// The earliest event time at which it may be seen: the payment's own plus the feed's `label_delay`, ms.
    pub visible_at_ms: i64,
}

/// A record of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedRecord {
    /// The request.
    pub decoded: Decoded,
    /// Its label, where the feed has one.
    pub label: Option<FeedLabel>,
}

/// One line or row of a feed.
#[derive(Clone, PartialEq)]
pub struct FeedItem {
    /// Line of a text file or row of a table, from 1.
    pub number: u64,
    /// The record, or what is wrong with it. The error's place names file and line or row.
    pub result: Result<FeedRecord, FieldError>,
    /// For a wrong record, its bytes for the dead letter, to be masked ([`crate::dead_letter::mask`]) and encrypted
    /// before they are written anywhere; `None` for a right one. A row is given as JSON under its columns' names.
    pub raw: Option<zeroize::Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for FeedItem {
    /// Without the raw bytes, which may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw_bytes = self.raw.as_ref().map(|raw| raw.len());
        let mut shown = f.debug_struct("FeedItem");
        shown
            .field("number", &self.number)
            .field("result", &self.result)
            .field("raw_bytes", &raw_bytes)
            .finish()
    }
}
