//! The archive: payments that are settled and past what the window keeps, as Parquet, a folder a day of settlement.
//! Numbers, codes and tags, what became of each, and nothing of names and free text. docs/formats/archive.md is its
//! schema.

mod batch;
mod labels;
mod schema;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Part};
pub use labels::{LABELS, LabelRow};
pub use schema::{VERSION, VERSION_KEY, schema};

use crate::error::{Error, ErrorKind};
use interdict_engine::domain::{Label, Outcome};
use jiff::tz::TimeZone;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Rows of a row group at most: what a reader, and the writer of a day, holds at once.
pub const GROUP_ROWS: usize = 32_768;
/// Rows of a part at most.
pub const PART_ROWS: usize = 1 << 20;
/// Days that are written at once at most; whoever adds a row of one more has the first of them written first.
pub const DAYS_MAX: usize = 16;

const FOLDER: &str = "day=";
const SUFFIX: &str = ".parquet";
const ASIDE: &str = ".part";

/// What became of a payment: all that its row of the window does not say.
#[derive(Debug, Clone)]
pub struct Fate<'a> {
    /// When it settled, ms since the Unix epoch; its day is the partition.
    pub settled_ms: i64,
    /// The outcome that counted in the end.
    pub outcome: Outcome,
    /// Why, as codes or short texts without personal data, strongest first.
    pub reasons: &'a [String],
    /// How it left the window, as a code: `settled`, `confirmed`, `blocked`, and so on.
    pub state: &'a str,
    /// The state of its last hold, as a code; `None` where it was never held.
    pub hold: Option<&'a str>,
    /// When the gate let it go, ms since the Unix epoch.
    pub cleared_ms: Option<i64>,
    /// What is known of it since.
    pub label: Option<Label>,
    /// The names of its feature values, in the order of its generation's slots.
    pub features: &'a [String],
}

/// A folder of Parquet files, `day=YYYY-MM-DD/part-FIRST-LAST.parquet`.
#[derive(Debug, Clone)]
pub struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// The archive of a folder, which is made where it is not there. What a writer left that ended early is removed.
    ///
    /// # Errors
    /// `Io`, `Full`.
    pub fn open(dir: &Path) -> Result<Archive, Error> {
        let archive = Archive { dir: dir.into() };
        make(dir)?;
        for day in archive.days()? {
            for name in archive.names(&day)? {
                if name.ends_with(ASIDE) {
                    let path = archive.folder(&day).join(&name);
                    std::fs::remove_file(&path).map_err(|e| failed("removing", &path, &e))?;
                }
            }
        }
        Ok(archive)
    }
    /// Begins to write; nothing of it is there before [`Batch::finish`], but for days that had to make room.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }
    /// The days that have a folder, ascending.
    ///
    /// # Errors
    /// `Io`.
    pub fn days(&self) -> Result<Vec<String>, Error> {
        let names = list(&self.dir)?;
        let mut days: Vec<String> =
            names.iter().filter_map(|name| name.strip_prefix(FOLDER)).map(Into::into).collect();
        days.sort_unstable();
        Ok(days)
    }
    /// Removes all days before one (UTC, ms since the Unix epoch), and says how many.
    ///
    /// # Errors
    /// `Io`, `Invalid` for a time that is none.
    pub fn remove_before(&self, until_ms: i64) -> Result<usize, Error> {
        let until = day(until_ms)?;
        let mut removed = 0;
        // The last label stands for all before it, so its day stays.
        let labels = Archive { dir: self.label_folder() };
        let mut label_days = if labels.dir.is_dir() { labels.days()? } else { Vec::new() };
        label_days.pop();
        let folders = label_days.iter().map(|day| (day, labels.folder(day)));
        let days = self.days()?;
        for (_, folder) in
            folders.chain(days.iter().map(|day| (day, self.folder(day)))).filter(|(day, _)| **day < until)
        {
            std::fs::remove_dir_all(&folder).map_err(|e| failed("removing", &folder, &e))?;
            removed += 1;
        }
        Ok(removed)
    }
    fn folder(&self, day: &str) -> PathBuf {
        self.dir.join(format!("{FOLDER}{day}"))
    }
    /// The files of a day; none where it has no folder.
    fn names(&self, day: &str) -> Result<Vec<String>, Error> {
        match list(&self.folder(day)) {
            Err(e) if e.0 == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => Ok(other?),
        }
    }
}

/// The day (UTC) of a time, as partitions are named.
///
/// # Errors
/// `Invalid` for one outside of the years -9999 to 9999.
pub fn day(ms: i64) -> Result<String, Error> {
    let time = jiff::Timestamp::from_millisecond(ms)
        .map_err(|_| Error::new(ErrorKind::Invalid, format!("archive: {ms} ms is no time")))?;
    Ok(time.to_zoned(TimeZone::UTC).date().to_string())
}

fn make(dir: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| failed("making", dir, &e))
}
fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::io(format_args!("archive: {what} {}", path.display()), error)
}

/// A listing that failed, with the system's kind.
struct ListError(io::ErrorKind, Error);

impl From<ListError> for Error {
    fn from(e: ListError) -> Error {
        e.1
    }
}

fn list(dir: &Path) -> Result<Vec<String>, ListError> {
    let failed = |e: io::Error| ListError(e.kind(), failed("listing", dir, &e));
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    entries
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect::<io::Result<Vec<String>>>()
        .map_err(failed)
}
