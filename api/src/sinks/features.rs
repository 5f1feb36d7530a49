//! `replay --features FILE`: what the engine stamped on each transaction, one column a slot, so that a model is trained
//! on exactly the numbers it will be given and nothing computes them a second time.

use crate::answer::Source;
use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, StringBuilder, TimestampMillisecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use interdict_engine::domain::{Label, SlotId, SlotView, Value, ValueType};
use interdict_engine::generation::{Generation, View};
use interdict_engine::lane::{Row, Scratch};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a record batch.
const ROWS: usize = 8192;

/// Writes slot values to a Parquet file.
pub struct FeaturesFile {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
    /// Numbers of the payment itself, features and what the stages found, in the order of their columns.
    slots: Vec<SlotId>,
    rows: Rows,
    /// To run the stages in again: verdicts carry only what their reasons name, and all slots are wanted here.
    scratch: Scratch,
}

#[derive(Default)]
struct Rows {
    len: usize,
    sequence: UInt64Builder,
    event_time: TimestampMillisecondBuilder,
    transaction_id: StringBuilder,
    tenant: StringBuilder,
    label: BooleanBuilder,
    values: Vec<Int64Builder>,
}

/// The slots that have a column: the integers and booleans, which is what a model can read, and the models' scores.
fn slots(generation: &Generation) -> Vec<(SlotId, String)> {
    let slots =
        generation.schema().slots().filter(|(_, def)| matches!(def.ty, ValueType::Int | ValueType::Bool));
    slots.map(|(slot, def)| (slot, def.path.clone())).collect()
}

fn schema(columns: impl Iterator<Item = String>) -> Schema {
    let mut fields = vec![
        Field::new("sequence", DataType::UInt64, false),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        Field::new("transaction_id", DataType::Utf8, true),
        Field::new("tenant", DataType::Utf8, false),
        // True: fraud. Null where the feed says nothing.
        Field::new("label", DataType::Boolean, true),
    ];
    fields.extend(columns.map(|path| Field::new(path, DataType::Int64, true)));
    Schema::new(fields)
}

impl FeaturesFile {
    /// Makes the file, with the columns of a view's generation.
    ///
    /// # Errors
    /// When the file cannot be made, or a pack's model cannot be compiled.
    pub fn create(path: &Path, view: &View) -> Result<FeaturesFile> {
        let slots = slots(view.generation());
        let schema = Arc::new(schema(slots.iter().map(|(_, path)| path.clone())));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        Ok(FeaturesFile {
            path: path.into(),
            schema,
            writer,
            rows: Rows::new(slots.len()),
            slots: slots.into_iter().map(|(slot, _)| slot).collect(),
            scratch: Scratch::default(),
        })
    }

    /// Adds a transaction as the lane saw it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, source: &Source<'_>, label: Option<Label>) -> Result<()> {
        source.find_again(&mut self.scratch);
        let row = Row::new(source.transaction, source.features, source.view, &self.scratch.found);
        let rows = &mut self.rows;
        rows.len += 1;
        rows.sequence.append_value(source.verdict.sequence);
        rows.event_time.append_value(source.transaction.time_ms);
        rows.transaction_id.append_option(source.transaction.id.as_deref());
        rows.tenant.append_value(&source.transaction.tenant);
        rows.label.append_option(label.map(|label| label == Label::Fraud));
        for (slot, column) in self.slots.iter().zip(&mut rows.values) {
            column.append_option(row.value(*slot).and_then(|value| match value {
                Value::Int(value) => Some(value),
                Value::Bool(value) => Some(value.into()),
                _ => None,
            }));
        }
        if rows.len == ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::replace(&mut self.rows, Rows::new(self.slots.len()));
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
    fn new(values: usize) -> Rows {
        Rows { values: (0..values).map(|_| Int64Builder::new()).collect(), ..Rows::default() }
    }
    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.sequence.finish()),
            Arc::new(self.event_time.finish().with_timezone("UTC")),
            Arc::new(self.transaction_id.finish()),
            Arc::new(self.tenant.finish()),
            Arc::new(self.label.finish()),
        ];
        columns.extend(self.values.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns
    }
}
