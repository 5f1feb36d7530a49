//! Writing a batch of settled payments: a file a day, written aside and named when all of it is synced. A payment that
//! is in the archive already is left out, so that a batch can be repeated after a crash, whole or cut otherwise.

use super::schema::{Rows, schema};
use super::{ASIDE, Archive, DAYS_MAX, Fate, GROUP_ROWS, PART_ROWS, SUFFIX, day, failed, make};
use crate::error::{Error, ErrorKind};
use crate::window::Row;
use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Rows that are collected before they are handed to Parquet.
const BATCH_ROWS: usize = 4_096;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it lies.
    pub path: PathBuf,
    /// How many rows it has.
    pub rows: usize,
    /// Its first and last sequence.
    pub span: (u64, u64),
}

/// Settled payments on their way into the archive. Dropped before [`Batch::finish`], it leaves nothing behind but the
/// parts that were whole by then.
pub struct Batch {
    archive: Archive,
    days: BTreeMap<String, Day>,
    written: Vec<Part>,
}

/// A day that is written.
struct Day {
    folder: PathBuf,
    /// The parts that were there, with the sequences of those that were looked into.
    there: Vec<(Span, String, Option<Vec<u64>>)>,
    open: Option<Open>,
}

type Span = (u64, u64);

/// A file that is written.
struct Open {
    aside: PathBuf,
    writer: ArrowWriter<File>,
    rows: Rows,
    span: Span,
    count: usize,
}

pub(super) fn parquet(path: &Path, error: &ParquetError) -> Error {
    match error {
        ParquetError::External(e) if let Some(e) = e.downcast_ref::<std::io::Error>() => {
            failed("writing", path, e)
        }
        other => Error::new(ErrorKind::Io, format!("archive: writing {}: {other}", path.display())),
    }
}

impl Batch {
    pub(super) fn new(archive: Archive) -> Batch {
        Batch { archive, days: BTreeMap::new(), written: Vec::new() }
    }

    /// Adds a payment; those of one day by ascending sequence. False where the archive has it already.
    ///
    /// # Errors
    /// `Invalid` for what does not fit, `Corrupt` for a row or a part of the archive that cannot be read, `Full` and `Io`.
    /// What was added before stays added.
    pub fn add(&mut self, row: &Row<'_, '_>, fate: &Fate<'_>) -> Result<bool, Error> {
        let name = day(fate.settled_ms)?;
        if !self.days.contains_key(&name) {
            if self.days.len() >= DAYS_MAX {
                let (_, mut first) = self.days.pop_first().expect("as many as there may be");
                self.written.extend(first.end()?);
            }
            let day = Day::open(&self.archive, &name)?;
            self.days.insert(name.clone(), day);
        }
        let day = self.days.get_mut(&name).expect("inserted above where it was not there");
        if day.has(row.sequence())? {
            return Ok(false);
        }
        if day.open.as_ref().is_some_and(|open| open.count >= PART_ROWS) {
            self.written.extend(day.end()?);
        }
        day.push(row, fate)?;
        Ok(true)
    }
    /// Writes and names all, and gives the parts. A failure leaves no half of one; what was added must be added again.
    ///
    /// # Errors
    /// `Full` and `Io`.
    pub fn finish(mut self) -> Result<Vec<Part>, Error> {
        for day in self.days.values_mut() {
            self.written.extend(day.end()?);
        }
        let dir = &self.archive.dir;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| failed("syncing", dir, &e))?;
        Ok(std::mem::take(&mut self.written))
    }
}

impl Day {
    fn open(archive: &Archive, day: &str) -> Result<Day, Error> {
        let folder = archive.folder(day);
        make(&folder)?;
        let names = archive.names(day)?;
        let there = names.into_iter().filter_map(|name| Some((span(&name)?, name, None))).collect();
        Ok(Day { folder, there, open: None })
    }
    /// Whether a part has this sequence.
    fn has(&mut self, sequence: u64) -> Result<bool, Error> {
        let folder = &self.folder;
        for ((first, last), name, known) in &mut self.there {
            if !(*first..=*last).contains(&sequence) {
                continue;
            }
            let known = match known {
                Some(known) => known,
                None => known.insert(sequences(&folder.join(name))?),
            };
            if known.binary_search(&sequence).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
    fn push(&mut self, row: &Row<'_, '_>, fate: &Fate<'_>) -> Result<(), Error> {
        let sequence = row.sequence();
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new(&self.folder, sequence)?),
        };
        if open.count > 0 && open.span.1 >= sequence {
            let text = format!("archive: sequence {sequence} after {} of the same day", open.span.1);
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        open.rows.push(row, fate)?;
        open.count += 1;
        open.span.1 = sequence;
        if open.count == 1 {
            open.span.0 = sequence;
        }
        if open.rows.len() >= BATCH_ROWS { open.flush() } else { Ok(()) }
    }
    /// Writes and names what is open.
    fn end(&mut self) -> Result<Option<Part>, Error> {
        let Some(mut open) = self.open.take().filter(|open| open.count > 0) else { return Ok(None) };
        open.flush()?;
        open.writer.finish().map_err(|e| parquet(&open.aside, &e))?;
        let (first, last) = open.span;
        let name = format!("part-{first:020}-{last:020}{SUFFIX}");
        let path = self.folder.join(&name);
        let synced = open.writer.inner().sync_all();
        synced
            .and_then(|()| std::fs::rename(&open.aside, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|e| failed("writing", &path, &e))?;
        self.there.push((open.span, name, None));
        Ok(Some(Part { path, rows: open.count, span: open.span }))
    }
}

impl Open {
    fn new(folder: &Path, first: u64) -> Result<Open, Error> {
        // With a dot, so that those who read the folder pass it by.
        let aside = folder.join(format!(".{first:020}{SUFFIX}{ASIDE}"));
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside);
        let file = file.map_err(|e| failed("making", &aside, &e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer =
            ArrowWriter::try_new(file, schema(), Some(properties)).map_err(|e| parquet(&aside, &e))?;
        Ok(Open { aside, writer, rows: Rows::new(), span: (first, first), count: 0 })
    }
    fn flush(&mut self) -> Result<(), Error> {
        let batch = self.rows.finish().expect("columns of one length and the schema's types");
        self.writer.write(&batch).map_err(|e| parquet(&self.aside, &e))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Not there any more where it was named; what stays is removed when the archive is opened.
        let _ = std::fs::remove_file(&self.aside);
    }
}

/// First and last sequence of a part, by its name; `None` for what is no part.
pub(super) fn span(name: &str) -> Option<Span> {
    let (first, last) = name.strip_prefix("part-")?.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The sequences of a part, ascending.
fn sequences(path: &Path) -> Result<Vec<u64>, Error> {
    let corrupt = |e: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Corrupt, format!("archive: {}: {e}", path.display()))
    };
    let file = File::open(path).map_err(|e| failed("reading", path, &e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| corrupt(&e))?;
    let only = ProjectionMask::columns(reader.parquet_schema(), ["sequence"]);
    let reader = reader.with_projection(only).build().map_err(|e| corrupt(&e))?;
    let mut sequences = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| corrupt(&e))?;
        let column = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
        sequences.extend_from_slice(column.ok_or_else(|| corrupt(&"it has no sequences"))?.values());
    }
    sequences.sort_unstable();
    Ok(sequences)
}
