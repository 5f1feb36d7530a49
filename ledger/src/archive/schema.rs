//! The archive's columns: the catalogue's fields that are kept as long as the archive, by their paths; what was decided,
//! by what, and what became of it.

use super::Fate;
use crate::error::{Error, ErrorKind};
use crate::window::{Row, TagColumn};
use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, StringBuilder, TimestampMillisecondBuilder, UInt16Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use interdict_engine::domain::catalogue::{CATALOGUE, Retention};
use interdict_engine::domain::{Accepted, Body, Decided, Field, Label, Transaction, Value, ValueType};
use std::collections::HashMap;
use std::sync::Arc;

/// Version of the schema. Columns of new fields may come with the same one; what is there keeps its name and meaning.
pub const VERSION: &str = "1";
/// Where a file says it.
pub const VERSION_KEY: &str = "interdict.archive";

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}
fn names() -> MapFieldNames {
    // As Parquet calls them (LogicalTypes.md, Maps).
    MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() }
}
fn map() -> DataType {
    let MapFieldNames { entry, key, value } = names();
    let entries = vec![Column::new(key, DataType::Utf8, false), Column::new(value, DataType::Int64, true)];
    DataType::Map(Arc::new(Column::new(entry, DataType::Struct(entries.into()), false)), false)
}

/// The catalogue's fields that have a column, with its type; identifiers have two of their own.
fn fields() -> impl Iterator<Item = (Field, &'static str, DataType)> {
    let kept = CATALOGUE.iter().filter(|def| def.retention == Retention::Archive);
    kept.filter_map(|def| {
        let ty = match def.ty {
            ValueType::Int => DataType::Int64,
            ValueType::Bool => DataType::Boolean,
            ValueType::Time => time(),
            ValueType::Text | ValueType::Ip => DataType::Utf8,
            ValueType::Tag => return None,
        };
        Some((def.field, def.path, ty))
    })
}

/// The tags that are archived: those under the institution's own keys. A consortium's keys live shorter than an archive.
fn tag_columns() -> impl Iterator<Item = TagColumn> {
    TagColumn::all().filter(|column| column.key().consortium_slot().is_none())
}

/// The schema of every part.
pub fn schema() -> SchemaRef {
    let list = DataType::List(Arc::new(Column::new("item", DataType::Utf8, true)));
    let mut columns = vec![
        Column::new("sequence", DataType::UInt64, false),
        Column::new("id", DataType::Utf8, true),
        Column::new("arrival", time(), false),
        Column::new("cut_off", time(), false),
        Column::new("settled", time(), false),
        Column::new("cleared", time(), true),
        Column::new("outcome", DataType::Utf8, false),
        Column::new("decided", DataType::Utf8, false),
        Column::new("score", DataType::UInt16, false),
        Column::new("reasons", list, false),
        Column::new("lever", DataType::Utf8, false),
        Column::new("state", DataType::Utf8, false),
        Column::new("hold", DataType::Utf8, true),
        Column::new("label", DataType::Utf8, true),
        Column::new("generation", DataType::Utf8, false),
        Column::new("overlay", DataType::UInt64, false),
        Column::new("engine", DataType::Utf8, false),
        Column::new("follows", DataType::UInt64, true),
        Column::new("features", map(), false),
    ];
    columns.extend(fields().map(|(_, path, ty)| Column::new(path, ty, true)));
    columns
        .extend(tag_columns().map(|column| Column::new(column.name(), DataType::FixedSizeBinary(16), true)));
    let metadata = HashMap::from([(VERSION_KEY.to_owned(), VERSION.to_owned())]);
    Arc::new(Schema::new_with_metadata(columns, metadata))
}

/// A column of a catalogue's field.
enum FieldBuilder {
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMillisecondBuilder),
    Text(StringBuilder),
}

impl FieldBuilder {
    fn new(ty: &DataType) -> FieldBuilder {
        match ty {
            DataType::Int64 => FieldBuilder::Int(Int64Builder::new()),
            DataType::Boolean => FieldBuilder::Bool(BooleanBuilder::new()),
            DataType::Timestamp(..) => FieldBuilder::Time(times()),
            _ => FieldBuilder::Text(StringBuilder::new()),
        }
    }
    fn push(&mut self, value: Option<Value<'_>>) {
        match (self, value) {
            (FieldBuilder::Int(to), Some(Value::Int(value))) => to.append_value(value),
            (FieldBuilder::Int(to), _) => to.append_null(),
            (FieldBuilder::Bool(to), Some(Value::Bool(value))) => to.append_value(value),
            (FieldBuilder::Bool(to), _) => to.append_null(),
            (FieldBuilder::Time(to), Some(Value::Time(value))) => to.append_value(value),
            (FieldBuilder::Time(to), _) => to.append_null(),
            (FieldBuilder::Text(to), Some(Value::Text(value))) => to.append_value(value),
            (FieldBuilder::Text(to), Some(Value::Ip(value))) => {
                to.append_value(value.to_canonical().to_string())
            }
            (FieldBuilder::Text(to), _) => to.append_null(),
        }
    }
    fn finish(&mut self) -> ArrayRef {
        match self {
            FieldBuilder::Int(of) => Arc::new(of.finish()),
            FieldBuilder::Bool(of) => Arc::new(of.finish()),
            FieldBuilder::Time(of) => Arc::new(of.finish()),
            FieldBuilder::Text(of) => Arc::new(of.finish()),
        }
    }
}

fn times() -> TimestampMillisecondBuilder {
    TimestampMillisecondBuilder::new().with_data_type(time())
}

/// Rows that become a record batch.
pub(super) struct Rows {
    schema: SchemaRef,
    sequence: UInt64Builder,
    id: StringBuilder,
    arrival: TimestampMillisecondBuilder,
    cut_off: TimestampMillisecondBuilder,
    settled: TimestampMillisecondBuilder,
    cleared: TimestampMillisecondBuilder,
    outcome: StringBuilder,
    decided: StringBuilder,
    score: UInt16Builder,
    reasons: ListBuilder<StringBuilder>,
    lever: StringBuilder,
    state: StringBuilder,
    hold: StringBuilder,
    label: StringBuilder,
    generation: StringBuilder,
    overlay: UInt64Builder,
    engine: StringBuilder,
    follows: UInt64Builder,
    features: MapBuilder<StringBuilder, Int64Builder>,
    fields: Vec<(Field, FieldBuilder)>,
    tags: Vec<(TagColumn, FixedSizeBinaryBuilder)>,
}

impl Rows {
    pub(super) fn new() -> Rows {
        Rows {
            schema: schema(),
            sequence: UInt64Builder::new(),
            id: StringBuilder::new(),
            arrival: times(),
            cut_off: times(),
            settled: times(),
            cleared: times(),
            outcome: StringBuilder::new(),
            decided: StringBuilder::new(),
            score: UInt16Builder::new(),
            reasons: ListBuilder::new(StringBuilder::new()),
            lever: StringBuilder::new(),
            state: StringBuilder::new(),
            hold: StringBuilder::new(),
            label: StringBuilder::new(),
            generation: StringBuilder::new(),
            overlay: UInt64Builder::new(),
            engine: StringBuilder::new(),
            follows: UInt64Builder::new(),
            features: MapBuilder::new(Some(names()), StringBuilder::new(), Int64Builder::new()),
            fields: fields().map(|(field, _, ty)| (field, FieldBuilder::new(&ty))).collect(),
            tags: tag_columns().map(|column| (column, FixedSizeBinaryBuilder::new(16))).collect(),
        }
    }
    pub(super) fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Adds a payment. An error changes nothing.
    pub(super) fn push(&mut self, row: &Row<'_, '_>, fate: &Fate<'_>) -> Result<(), Error> {
        let (accepted, decided) = (row.accepted_open()?, row.decided()?);
        let Body::Payment(tx) = &accepted.event.body else {
            return Err(invalid(row, "is no payment"));
        };
        if accepted.features.len() != fate.features.len() {
            let (stamps, names) = (accepted.features.len(), fate.features.len());
            return Err(invalid(row, &format!("has {stamps} feature values, {names} names were given")));
        }
        self.push_decided(row, fate, &accepted, &decided);
        self.push_transaction(row, tx);
        Ok(())
    }
    fn push_decided(&mut self, row: &Row<'_, '_>, fate: &Fate<'_>, accepted: &Accepted, decided: &Decided) {
        let verdict = &decided.verdict;
        self.sequence.append_value(accepted.sequence);
        self.arrival.append_value(accepted.event.arrival_ms);
        self.cut_off.append_value(row.cut_off_ms());
        self.settled.append_value(fate.settled_ms);
        self.cleared.append_option(fate.cleared_ms);
        self.outcome.append_value(fate.outcome.name());
        self.decided.append_value(verdict.outcome.name());
        self.score.append_value(verdict.score);
        fate.reasons.iter().for_each(|reason| self.reasons.values().append_value(reason));
        self.reasons.append(true);
        self.lever.append_value(row.lever().unwrap_or(verdict.lever).name());
        self.state.append_value(fate.state);
        self.hold.append_option(fate.hold);
        self.label.append_option(fate.label.map(|label| match label {
            Label::Fraud => "fraud",
            Label::Good => "good",
        }));
        let hash = verdict.generation.hash.iter().map(|byte| format!("{byte:02x}"));
        self.generation.append_value(hash.collect::<String>());
        self.overlay.append_value(verdict.generation.overlay);
        self.engine.append_value(&accepted.engine);
        self.follows.append_option(accepted.original);
        for (name, stamp) in fate.features.iter().zip(&accepted.features) {
            self.features.keys().append_value(name);
            self.features.values().append_option(*stamp);
        }
        self.features.append(true).expect("as many keys as values");
    }
    fn push_transaction(&mut self, row: &Row<'_, '_>, tx: &Transaction) {
        self.id.append_option(tx.id.as_deref());
        self.fields.iter_mut().for_each(|(field, column)| column.push(tx.get(*field)));
        for (column, tags) in &mut self.tags {
            match row.tag(*column) {
                Some(tag) => tags.append_value(tag.to_be_bytes()).expect("16 bytes"),
                None => tags.append_null(),
            }
        }
    }

    /// The record batch of what was added; begins anew.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.sequence.finish()),
            Arc::new(self.id.finish()),
            Arc::new(self.arrival.finish()),
            Arc::new(self.cut_off.finish()),
            Arc::new(self.settled.finish()),
            Arc::new(self.cleared.finish()),
            Arc::new(self.outcome.finish()),
            Arc::new(self.decided.finish()),
            Arc::new(self.score.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.lever.finish()),
            Arc::new(self.state.finish()),
            Arc::new(self.hold.finish()),
            Arc::new(self.label.finish()),
            Arc::new(self.generation.finish()),
            Arc::new(self.overlay.finish()),
            Arc::new(self.engine.finish()),
            Arc::new(self.follows.finish()),
            Arc::new(self.features.finish()),
        ];
        columns.extend(self.fields.iter_mut().map(|(_, column)| column.finish()));
        columns.extend(self.tags.iter_mut().map(|(_, tags)| Arc::new(tags.finish()) as ArrayRef));
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn invalid(row: &Row<'_, '_>, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("archive: sequence {} {what}", row.sequence()))
}
