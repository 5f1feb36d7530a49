//! Labels beside the payments: what becomes known after a payment's file is written cannot be written into it. A small
//! table a day of arrival, joined by sequence; a label that is there is left out, so that a batch can be repeated.

use super::batch::{Part, parquet, span};
use super::{ASIDE, Archive, SUFFIX, day, failed, list, make};
use crate::error::Error;
use arrow::array::{ArrayRef, StringBuilder, TimestampMillisecondBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use interdict_engine::domain::Label;
use parquet::arrow::ArrowWriter;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Their folder in the archive's. With this sign in front whoever reads the archive as one table passes it by.
pub const LABELS: &str = "_labels";

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelRow {
    /// The payment's sequence.
    pub payment: u64,
    /// What is said of it.
    pub label: Label,
    /// The label's own place in the one order.
    pub sequence: u64,
    /// When it came, ms since the Unix epoch; its day is the partition.
    pub at_ms: i64,
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Column::new("sequence", DataType::UInt64, false),
        Column::new("label", DataType::Utf8, false),
        Column::new("label_sequence", DataType::UInt64, false),
        Column::new("arrival", time, false),
    ]))
}

impl Archive {
    /// Adds labels, by ascending sequence of their own; those up to the last that is there are left out. Gives the files
    /// that were written.
    ///
    /// # Errors
    /// `Io`, `Full`, `Invalid` for a time that is none; files before stay, and the rest can be added again.
    pub fn add_labels(&self, labels: impl IntoIterator<Item = LabelRow>) -> Result<Vec<Part>, Error> {
        let (last, mut parts) = (self.last_label()?, Vec::new());
        let fresh: Vec<LabelRow> = labels.into_iter().filter(|row| row.sequence > last).collect();
        let mut days = fresh.iter().map(|row| day(row.at_ms)).collect::<Result<Vec<_>, _>>()?.into_iter();
        // In the order of their sequences, whatever a clock did meanwhile: the last one that is there stands for all before.
        for run in days.by_ref().zip(fresh).collect::<Vec<_>>().chunk_by(|one, next| one.0 == next.0) {
            let rows: Vec<LabelRow> = run.iter().map(|(_, row)| *row).collect();
            parts.push(write(&self.label_folder().join(format!("day={}", run[0].0)), &rows)?);
        }
        Ok(parts)
    }
    pub(super) fn label_folder(&self) -> PathBuf {
        self.dir.join(LABELS)
    }
    /// The last label that is there, by its own sequence; 0 where none is.
    fn last_label(&self) -> Result<u64, Error> {
        let folder = self.label_folder();
        if !folder.is_dir() {
            return Ok(0);
        }
        let mut last = 0;
        for day in list(&folder)? {
            let spans = list(&folder.join(day))?.into_iter().filter_map(|name| span(&name));
            last = spans.map(|(_, end)| end).fold(last, u64::max);
        }
        Ok(last)
    }
}

fn write(folder: &Path, rows: &[LabelRow]) -> Result<Part, Error> {
    make(folder)?;
    let (first, last) = (rows[0].sequence, rows[rows.len() - 1].sequence);
    let name = format!("part-{first:020}-{last:020}{SUFFIX}");
    let (aside, path) = (folder.join(format!(".{name}{ASIDE}")), folder.join(&name));
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let file = file.map_err(|e| failed("making", &aside, &e))?;
    let mut writer = ArrowWriter::try_new(file, schema(), None).map_err(|e| parquet(&aside, &e))?;
    let written = writer.write(&batch(rows)).and_then(|()| writer.finish());
    written.map_err(|e| parquet(&aside, &e))?;
    let synced = writer.inner().sync_all();
    synced
        .and_then(|()| std::fs::rename(&aside, &path))
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|e| failed("writing", &path, &e))?;
    Ok(Part { path, rows: rows.len(), span: (first, last) })
}

fn batch(rows: &[LabelRow]) -> RecordBatch {
    let (mut payments, mut labels, mut sequences) =
        (UInt64Builder::new(), StringBuilder::new(), UInt64Builder::new());
    let mut arrivals = TimestampMillisecondBuilder::new().with_timezone("UTC");
    for row in rows {
        payments.append_value(row.payment);
        labels.append_value(match row.label {
            Label::Fraud => "fraud",
            Label::Good => "good",
        });
        sequences.append_value(row.sequence);
        arrivals.append_value(row.at_ms);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(payments.finish()),
        Arc::new(labels.finish()),
        Arc::new(sequences.finish()),
        Arc::new(arrivals.finish()),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns of one length and the schema's types")
}
