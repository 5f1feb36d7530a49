//! `decisions/*.parquet`: one row a verdict, in the order of their sequences, with the columns of wire.md.

use crate::answer::Source;
use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Int32Builder, ListBuilder, StringBuilder,
    TimestampMillisecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a record batch.
const ROWS: usize = 8192;

/// Writes verdicts to a Parquet file.
pub struct DecisionsFile {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
    rows: Rows,
}

#[derive(Default)]
struct Rows {
    len: usize,
    sequence: UInt64Builder,
    event_time: TimestampMillisecondBuilder,
    transaction_id: StringBuilder,
    tenant: StringBuilder,
    outcome: StringBuilder,
    score: Int32Builder,
    reasons: ListBuilder<StringBuilder>,
    skipped: ListBuilder<StringBuilder>,
    default_applied: BooleanBuilder,
    generation: StringBuilder,
    latency_us: Float32Builder,
}

fn schema() -> Schema {
    let list = || DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    Schema::new(vec![
        Field::new("sequence", DataType::UInt64, false),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        Field::new("transaction_id", DataType::Utf8, true),
        Field::new("tenant", DataType::Utf8, false),
        Field::new("outcome", DataType::Utf8, false),
        Field::new("score", DataType::Int32, false),
        Field::new("reasons", list(), false),
        Field::new("skipped", list(), false),
        Field::new("default_applied", DataType::Boolean, false),
        Field::new("generation", DataType::Utf8, false),
        Field::new("latency_us", DataType::Float32, false),
    ])
}

impl DecisionsFile {
    /// Makes `decisions/NAME.parquet` in a data folder.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(data: &Path, name: &str) -> Result<DecisionsFile> {
        let dir = data.join("decisions");
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let path = dir.join(format!("{name}.parquet"));
        let schema = Arc::new(schema());
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        Ok(DecisionsFile { path, schema, writer, rows: Rows::default() })
    }

    /// Adds a verdict. Reasons are the live rules and lists that the verdict names, as `pack/rule`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, source: &Source<'_>, latency_us: f32) -> Result<()> {
        let (rows, verdict) = (&mut self.rows, source.verdict);
        rows.len += 1;
        rows.sequence.append_value(verdict.sequence);
        rows.event_time.append_value(source.transaction.time_ms);
        rows.transaction_id.append_option(source.transaction.id.as_deref());
        rows.tenant.append_value(&source.transaction.tenant);
        rows.outcome.append_value(verdict.outcome.name());
        rows.score.append_value(verdict.score.into());
        for reason in &verdict.reasons {
            rows.reasons.values().append_value(source.rule_name(reason));
        }
        rows.reasons.append(true);
        for (stage, _) in &verdict.skipped {
            rows.skipped.values().append_value(stage.name());
        }
        rows.skipped.append(true);
        rows.default_applied.append_value(verdict.default_applied);
        rows.generation.append_value(verdict.generation.to_string());
        rows.latency_us.append_value(latency_us);
        if rows.len == ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.len == 0 {
            return Ok(());
        }
        let batch = RecordBatch::try_new(self.schema.clone(), rows.finish())?;
        self.writer.write(&batch).with_context(|| self.path.display().to_string())
    }

    /// Writes what waits and the footer; without it the file cannot be read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close().with_context(|| self.path.display().to_string())?;
        Ok(())
    }
}

impl Rows {
    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.sequence.finish()),
            Arc::new(self.event_time.finish().with_timezone("UTC")),
            Arc::new(self.transaction_id.finish()),
            Arc::new(self.tenant.finish()),
            Arc::new(self.outcome.finish()),
            Arc::new(self.score.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.skipped.finish()),
            Arc::new(self.default_applied.finish()),
            Arc::new(self.generation.finish()),
            Arc::new(self.latency_us.finish()),
        ]
    }
}
