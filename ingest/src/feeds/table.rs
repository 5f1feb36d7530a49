//! Arrow batches as a feed's rows, the same for Parquet and Arrow IPC: the mapping's columns resolved and type-checked
//! once per file, then rows straight from Arrow arrays to read values. A wrong row is that row's error; a batch that
//! cannot be read ends the feed, after its rows.

use super::columns::{ColumnMap, EpochUnit};
use super::mapping::{Cell, Mapping, Use};
use super::{FeedItem, FeedRecord};
use crate::decode::{Decoder, RequestContext};
use crate::error::{FeedError, FieldError};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use interdict_engine::error::nearest;
use zeroize::Zeroizing;

/// A column of the current batch.
enum Column {
    Text(StringArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Float(Float64Array),
    Bool(BooleanArray),
    Time(Int64Array, EpochUnit),
}

/// How a column's type is read; `None` for types that no field can take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    UInt,
    Float,
    Bool,
    Time(EpochUnit),
    /// Days or ms since the epoch, without a time zone: read as ms.
    Date,
}

fn kind_of(ty: &DataType) -> Option<Kind> {
    use DataType as D;
    Some(match ty {
        D::Utf8 | D::LargeUtf8 | D::Utf8View => Kind::Text,
        D::Dictionary(_, values) => return kind_of(values).filter(|kind| *kind == Kind::Text),
        D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 => Kind::Int,
        D::UInt64 => Kind::UInt,
        D::Float16 | D::Float32 | D::Float64 | D::Decimal128(..) | D::Decimal256(..) => Kind::Float,
        D::Boolean => Kind::Bool,
        D::Timestamp(TimeUnit::Second, _) => Kind::Time(EpochUnit::S),
        D::Timestamp(TimeUnit::Millisecond, _) => Kind::Time(EpochUnit::Ms),
        D::Timestamp(TimeUnit::Microsecond, _) => Kind::Time(EpochUnit::Us),
        D::Timestamp(TimeUnit::Nanosecond, _) => Kind::Time(EpochUnit::Ns),
        D::Date32 | D::Date64 => Kind::Date,
        _ => return None,
    })
}

fn serves(kind: Kind, used: Use) -> bool {
    match used {
        Use::Text => matches!(kind, Kind::Text | Kind::Int | Kind::UInt),
        Use::Int | Use::Epoch => matches!(kind, Kind::Int | Kind::UInt),
        Use::Amount => matches!(kind, Kind::Float | Kind::Int | Kind::UInt),
        Use::Time => matches!(kind, Kind::Time(_) | Kind::Date | Kind::Text),
        Use::Label => matches!(kind, Kind::Int | Kind::UInt | Kind::Bool | Kind::Text),
    }
}

impl Column {
    fn new(array: &ArrayRef, kind: Kind) -> Result<Column, ArrowError> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let cast = |ty: DataType| cast_with_options(array, &ty, &strict);
        Ok(match kind {
            Kind::Text => Column::Text(cast(DataType::Utf8)?.as_string::<i32>().clone()),
            Kind::Int => Column::Int(cast(DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            Kind::UInt => Column::UInt(array.as_primitive::<UInt64Type>().clone()),
            Kind::Float => Column::Float(cast(DataType::Float64)?.as_primitive::<Float64Type>().clone()),
            Kind::Bool => Column::Bool(array.as_boolean().clone()),
            // The cast of a timestamp to an integer shares its buffer.
            Kind::Time(unit) => {
                Column::Time(cast(DataType::Int64)?.as_primitive::<Int64Type>().clone(), unit)
            }
            Kind::Date => {
                let days = cast(DataType::Date64)?;
                let ms = cast_with_options(&days, &DataType::Int64, &strict)?;
                Column::Time(ms.as_primitive::<Int64Type>().clone(), EpochUnit::Ms)
            }
        })
    }
    fn cell(&self, row: usize) -> Cell<'_> {
        fn at<'a, A: Array>(array: &'a A, row: usize, value: impl FnOnce(&'a A) -> Cell<'a>) -> Cell<'a> {
            if array.is_null(row) { Cell::Null } else { value(array) }
        }
        match self {
            Column::Text(array) => at(array, row, |array| Cell::Text(array.value(row))),
            Column::Int(array) => at(array, row, |array| Cell::Int(array.value(row))),
            Column::UInt(array) => {
                at(array, row, |array| i64::try_from(array.value(row)).map_or(Cell::Other, Cell::Int))
            }
            Column::Float(array) => at(array, row, |array| Cell::Float(array.value(row))),
            Column::Bool(array) => at(array, row, |array| Cell::Bool(array.value(row))),
            Column::Time(array, unit) => {
                at(array, row, |array| unit.to_ms(array.value(row)).map_or(Cell::Other, Cell::Time))
            }
        }
    }
}

/// The rows of batches.
pub(super) struct Table<R> {
    name: String,
    decoder: Decoder,
    default_tenant: String,
    mapping: Mapping,
    /// For each of the mapping's columns: its place in a batch and how it is read.
    places: Vec<(usize, Kind)>,
    reader: R,
    columns: Vec<Column>,
    batch_rows: usize,
    row: usize,
    number: u64,
    ended: bool,
}

/// A mapping bound to a file's schema, before its reader is made.
pub(super) struct Resolved {
    mapping: Mapping,
    /// Place in the file's schema and kind, for each of the mapping's columns.
    found: Vec<(usize, Kind)>,
}

impl Resolved {
    /// Binds a mapping to a schema.
    ///
    /// # Errors
    /// A column that is missing (with the nearest name) or of a wrong type.
    pub fn new(columns: &ColumnMap, schema: &Schema) -> Result<Resolved, String> {
        let mapping = Mapping::new(columns);
        let found = resolve(&mapping, schema)?;
        Ok(Resolved { mapping, found })
    }
    /// The file's columns that are read, ascending, each once: what a reader is to project to.
    pub fn projection(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.found.iter().map(|(place, _)| *place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
    /// The rows of a reader that is projected so, and keeps the file's order of columns.
    pub fn table<R>(self, name: &str, decoder: Decoder, default_tenant: &str, reader: R) -> Table<R> {
        let projection = self.projection();
        let place_of = |place: usize| projection.partition_point(|other| *other < place);
        Table {
            name: name.into(),
            decoder,
            default_tenant: default_tenant.into(),
            places: self.found.iter().map(|(place, kind)| (place_of(*place), *kind)).collect(),
            mapping: self.mapping,
            reader,
            columns: Vec::new(),
            batch_rows: 0,
            row: 0,
            number: 0,
            ended: false,
        }
    }
}

impl<R> Table<R> {
    /// Name of the file and number of the last row read, for `Debug`.
    pub fn place(&self) -> (&str, u64) {
        (&self.name, self.number)
    }
    fn take_batch(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let column = |(place, kind): &(usize, Kind)| Column::new(batch.column(*place), *kind);
        self.columns = self.places.iter().map(column).collect::<Result<_, _>>()?;
        (self.batch_rows, self.row) = (batch.num_rows(), 0);
        Ok(())
    }
    fn record(&self) -> Result<FeedRecord, FieldError> {
        let cell = |column: usize| self.columns[column].cell(self.row);
        let ctx = RequestContext { default_tenant: &self.default_tenant, ..RequestContext::default() };
        let decoded = self.decoder.assemble(&self.mapping.values(cell)?, &ctx)?;
        let label = self.mapping.label(cell, decoded.tx.time_ms)?;
        Ok(FeedRecord { decoded, label })
    }
    /// The current row as JSON under its columns' names.
    fn raw(&self) -> Zeroizing<Vec<u8>> {
        use serde_json::Value;
        let value = |column: &Column| match column.cell(self.row) {
            Cell::Null | Cell::Other => Value::Null,
            Cell::Text(text) | Cell::Untyped(text) => text.into(),
            Cell::Int(value) | Cell::Time(value) => value.into(),
            Cell::Float(value) => value.into(),
            Cell::Bool(value) => value.into(),
        };
        let names = self.mapping.columns.iter().cloned();
        let row: serde_json::Map<_, _> = names.zip(self.columns.iter().map(value)).collect();
        Zeroizing::new(serde_json::to_vec(&row).expect("JSON values are always JSON"))
    }
}

/// Place and kind of each of the mapping's columns.
fn resolve(mapping: &Mapping, schema: &Schema) -> Result<Vec<(usize, Kind)>, String> {
    let uses = mapping.uses();
    let resolve = |(at, name): (usize, &String)| {
        let Some((place, field)) = schema.column_with_name(name) else {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            return Err(match nearest(name, names) {
                Some(near) => format!("no column {name:?}; the nearest is {near:?}"),
                None => format!("no column {name:?}"),
            });
        };
        let kind = kind_of(field.data_type());
        for (_, used, path) in uses.iter().filter(|(column, ..)| *column == at) {
            if !kind.is_some_and(|kind| serves(kind, *used)) {
                let (ty, expected) = (field.data_type(), used.expected());
                return Err(format!("column {name:?} is {ty}, expected {expected} for {path}"));
            }
        }
        kind.map(|kind| (place, kind)).ok_or_else(|| format!("column {name:?} is of no type that is read"))
    };
    mapping.columns.iter().enumerate().map(resolve).collect()
}

impl<R: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Table<R> {
    type Item = Result<FeedItem, FeedError>;
    fn next(&mut self) -> Option<Self::Item> {
        while self.row == self.batch_rows {
            if self.ended {
                return None;
            }
            let batch = match self.reader.next() {
                None => {
                    self.ended = true;
                    return None;
                }
                Some(batch) => batch,
            };
            if let Err(error) = batch.and_then(|batch| self.take_batch(&batch)) {
                self.ended = true;
                self.batch_rows = self.row;
                let message = format!("after row {}: {error}", self.number);
                return Some(Err(FeedError::new(&self.name, message)));
            }
        }
        self.number += 1;
        let result = self.record().map_err(|error| error.at_row(self.number).in_file(&self.name));
        let raw = result.is_err().then(|| self.raw());
        self.row += 1;
        Some(Ok(FeedItem { number: self.number, result, raw }))
    }
}
