//! A chunk that is full: an Arrow record batch, in memory or mapped from its file, and its columns as slices.

use super::column::TagColumn;
use super::growing::{BlobsVec, CodedVec, Growing};
use super::rows::{Blobs, Coded, Rows, Tags, sixteens};
use crate::error::{Error, ErrorKind};
use arrow::array::types::{
    ArrowPrimitiveType, Int32Type, Int64Type, TimestampMillisecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::collections::HashMap;
use std::sync::Arc;

/// Version of the columns; docs/formats/window.md.
pub(super) const VERSION: &str = "1";
/// Where a file says which version its columns are.
const VERSION_KEY: &str = "interdict.window";

/// A chunk that is full.
#[derive(Debug)]
pub struct Chunk {
    batch: RecordBatch,
    tenants: Vec<Box<str>>,
    channels: Vec<Box<str>>,
    currencies: Vec<Box<str>>,
    generations: Vec<[u8; 32]>,
    present: Present,
    cut_off_ms_max: i64,
}

/// Which tag columns there are, by number.
type Present = [bool; TagColumn::COUNT];

/// The schema of a file with these tag columns.
fn schema(present: &Present) -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let coded = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let mut fields = vec![
        ("sequence".to_owned(), DataType::UInt64),
        ("tenant".to_owned(), coded(DataType::Utf8)),
        ("time".to_owned(), time()),
        ("arrival".to_owned(), time()),
        ("kind".to_owned(), DataType::UInt8),
        ("channel".to_owned(), coded(DataType::Utf8)),
        ("amount.minor".to_owned(), DataType::Int64),
        ("amount.currency".to_owned(), coded(DataType::Utf8)),
        ("cut_off".to_owned(), time()),
        ("outcome".to_owned(), DataType::UInt8),
        ("lever".to_owned(), DataType::UInt8),
        ("generation".to_owned(), coded(DataType::FixedSizeBinary(32))),
        ("overlay".to_owned(), DataType::UInt64),
        ("device.ip.family".to_owned(), DataType::UInt8),
        ("device.ip".to_owned(), DataType::FixedSizeBinary(16)),
        ("device.ip.fingerprint".to_owned(), DataType::UInt32),
        ("card.bin".to_owned(), DataType::UInt32),
        ("card.bin.digits".to_owned(), DataType::UInt8),
    ];
    for column in TagColumn::all().filter(|column| present[column.number()]) {
        fields.push((format!("{}.fingerprint", column.name()), DataType::UInt32));
        fields.push((column.name(), DataType::FixedSizeBinary(16)));
    }
    fields.extend([
        ("open".to_owned(), DataType::Binary),
        ("decided".to_owned(), DataType::Binary),
        ("segment".to_owned(), DataType::UInt64),
        ("offset".to_owned(), DataType::UInt64),
        ("sealed".to_owned(), DataType::Binary),
    ]);
    let fields: Vec<Field> = fields.into_iter().map(|(name, ty)| Field::new(name, ty, false)).collect();
    let metadata = HashMap::from([(VERSION_KEY.to_owned(), VERSION.to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The tag columns of a file whose schema is one of ours.
fn present(of: &Schema) -> Result<Present, Error> {
    let invalid = |what: String| Error::new(ErrorKind::Version, what);
    match of.metadata.get(VERSION_KEY).map(String::as_str) {
        Some(VERSION) => {}
        Some(other) => return Err(invalid(format!("its columns are version {other}, known: {VERSION}"))),
        None => return Err(Error::new(ErrorKind::Corrupt, "no chunk of a window")),
    }
    let mut present = [false; TagColumn::COUNT];
    for column in TagColumn::all() {
        present[column.number()] = of.column_with_name(&column.name()).is_some();
    }
    match *of == *schema(&present) {
        true => Ok(present),
        false => Err(invalid(format!("its columns are not those of version {VERSION}"))),
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None))
}
fn time(values: Vec<i64>) -> ArrayRef {
    let times = PrimitiveArray::<TimestampMillisecondType>::new(ScalarBuffer::from(values), None);
    Arc::new(times.with_timezone("UTC"))
}
fn fixed(size: i32, bytes: Vec<u8>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(FixedSizeBinaryArray::try_new(size, Buffer::from_vec(bytes), None)?))
}
fn blobs(mut blobs: BlobsVec) -> Result<ArrayRef, ArrowError> {
    if blobs.offsets.is_empty() {
        blobs.offsets.push(0);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(blobs.offsets));
    Ok(Arc::new(BinaryArray::try_new(offsets, Buffer::from_vec(blobs.bytes), None)?))
}
fn coded<T>(
    column: CodedVec<T>,
    values: impl FnOnce(Vec<T>) -> Result<ArrayRef, ArrowError>,
) -> Result<ArrayRef, ArrowError> {
    let codes = PrimitiveArray::<Int32Type>::new(ScalarBuffer::from(column.codes), None);
    Ok(Arc::new(DictionaryArray::try_new(codes, values(column.values)?)?))
}
fn texts(values: Vec<Box<str>>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(StringArray::from_iter_values(values)))
}
fn hashes(values: Vec<[u8; 32]>) -> Result<ArrayRef, ArrowError> {
    fixed(32, values.concat())
}

/// The columns in the schema's order; the vectors are not copied.
fn batch(grown: Growing) -> Result<RecordBatch, ArrowError> {
    let mut present = [false; TagColumn::COUNT];
    let mut columns = vec![
        primitive::<UInt64Type>(grown.sequence),
        coded(grown.tenant, texts)?,
        time(grown.time_ms),
        time(grown.arrival_ms),
        primitive::<UInt8Type>(grown.kind),
        coded(grown.channel, texts)?,
        primitive::<Int64Type>(grown.amount_minor),
        coded(grown.currency, texts)?,
        time(grown.cut_off_ms),
        primitive::<UInt8Type>(grown.outcome),
        primitive::<UInt8Type>(grown.lever),
        coded(grown.generation, hashes)?,
        primitive::<UInt64Type>(grown.overlay),
        primitive::<UInt8Type>(grown.ip_family),
        fixed(16, grown.ip)?,
        primitive::<UInt32Type>(grown.ip_fingerprint),
        primitive::<UInt32Type>(grown.bin),
        primitive::<UInt8Type>(grown.bin_digits),
    ];
    for (tags, present) in grown.tags.0.into_iter().zip(&mut present) {
        if !tags.fingerprints.is_empty() {
            *present = true;
            columns.push(primitive::<UInt32Type>(tags.fingerprints));
            columns.push(fixed(16, tags.tags)?);
        }
    }
    columns.push(blobs(grown.open)?);
    columns.push(blobs(grown.decided)?);
    columns.push(primitive::<UInt64Type>(grown.segment));
    columns.push(primitive::<UInt64Type>(grown.offset));
    columns.push(blobs(grown.sealed)?);
    RecordBatch::try_new(schema(&present), columns)
}

/// The values of a coded column.
fn values<T>(column: &ArrayRef, read: impl FnOnce(&ArrayRef) -> Vec<T>) -> Vec<T> {
    read(column.as_dictionary::<Int32Type>().values())
}
fn read_texts(values: &ArrayRef) -> Vec<Box<str>> {
    values.as_string::<i32>().iter().map(|text| text.unwrap_or_default().into()).collect()
}
fn read_hashes(values: &ArrayRef) -> Vec<[u8; 32]> {
    values.as_fixed_size_binary().value_data().as_chunks().0.to_vec()
}

impl Chunk {
    /// The chunk of a growing one.
    pub fn new(grown: Growing) -> Chunk {
        let batch = batch(grown).expect("columns of one length and the schema's types");
        Chunk::of(batch).expect("a schema of ours")
    }
    /// The chunk of a batch that was read; every type is checked here.
    pub(super) fn of(batch: RecordBatch) -> Result<Chunk, Error> {
        let present = present(&batch.schema())?;
        if batch.columns().iter().any(|column| column.null_count() > 0 || column.offset() > 0) {
            return Err(Error::new(ErrorKind::Corrupt, "a column with nulls"));
        }
        let (tenants, channels) = (values(batch.column(1), read_texts), values(batch.column(5), read_texts));
        let currencies = values(batch.column(7), read_texts);
        let generations = values(batch.column(11), read_hashes);
        let mut chunk =
            Chunk { batch, tenants, channels, currencies, generations, present, cut_off_ms_max: i64::MIN };
        chunk.cut_off_ms_max = chunk.rows().cut_off_ms.iter().copied().max().unwrap_or(i64::MIN);
        if !chunk.rows().sequence.is_sorted_by(|a, b| a < b) {
            return Err(Error::new(ErrorKind::Corrupt, "its sequences do not rise"));
        }
        Ok(chunk)
    }
    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The last cut-off of its rows, ms since the Unix epoch.
    pub fn cut_off_ms_max(&self) -> i64 {
        self.cut_off_ms_max
    }
    /// Its first and its last sequence.
    pub fn span(&self) -> (u64, u64) {
        let sequence = self.rows().sequence;
        (sequence.first().copied().unwrap_or_default(), sequence.last().copied().unwrap_or_default())
    }
    /// Its columns.
    pub fn rows(&self) -> Rows<'_> {
        let mut next = Next(self.batch.columns().iter());
        Rows {
            sequence: next.primitive::<UInt64Type>(),
            tenant: next.coded(&self.tenants),
            time_ms: next.primitive::<TimestampMillisecondType>(),
            arrival_ms: next.primitive::<TimestampMillisecondType>(),
            kind: next.primitive::<UInt8Type>(),
            channel: next.coded(&self.channels),
            amount_minor: next.primitive::<Int64Type>(),
            currency: next.coded(&self.currencies),
            cut_off_ms: next.primitive::<TimestampMillisecondType>(),
            outcome: next.primitive::<UInt8Type>(),
            lever: next.primitive::<UInt8Type>(),
            generation: next.coded(&self.generations),
            overlay: next.primitive::<UInt64Type>(),
            ip_family: next.primitive::<UInt8Type>(),
            ip: next.sixteens(),
            ip_fingerprint: next.primitive::<UInt32Type>(),
            bin: next.primitive::<UInt32Type>(),
            bin_digits: next.primitive::<UInt8Type>(),
            tags: self.present.map(|is_present| {
                is_present
                    .then(|| Tags { fingerprints: next.primitive::<UInt32Type>(), tags: next.sixteens() })
            }),
            open: next.blobs(),
            decided: next.blobs(),
            segment: next.primitive::<UInt64Type>(),
            offset: next.primitive::<UInt64Type>(),
            sealed: next.blobs(),
        }
    }
}

/// Takes the columns in the schema's order, whose types were checked.
struct Next<'a>(std::slice::Iter<'a, ArrayRef>);

impl<'a> Next<'a> {
    fn column(&mut self) -> &'a ArrayRef {
        self.0.next().expect("as many columns as the schema has")
    }
    fn primitive<T: ArrowPrimitiveType>(&mut self) -> &'a [T::Native] {
        self.column().as_primitive::<T>().values()
    }
    fn coded<T>(&mut self, values: &'a [T]) -> Coded<'a, T> {
        let codes = self.column().as_dictionary::<Int32Type>().keys().values();
        Coded { codes, values }
    }
    fn sixteens(&mut self) -> &'a [[u8; 16]] {
        sixteens(self.column().as_fixed_size_binary().value_data())
    }
    fn blobs(&mut self) -> Blobs<'a> {
        let column = self.column().as_binary::<i32>();
        Blobs { offsets: column.offsets(), bytes: column.value_data() }
    }
}
