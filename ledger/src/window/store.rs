//! The window: chunks in the order of their sequences, of which all but the last are full and in files.

use super::chunk::Chunk;
use super::file::{PART, Sum, read, write};
use super::growing::Growing;
use super::manifest::{Entry, Manifest, NAME};
use super::rows::{Row, Rows};
use super::{CHUNK_ROWS, NewRow};
use crate::error::{Error, ErrorKind};
use crate::journal::At;
use crate::storage::Storage;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Full chunks that are kept in memory while the disk does not take them; beyond, no row is taken either.
pub const UNWRITTEN_MAX: usize = 4;
const SUFFIX: &str = ".arrow";

/// A chunk that is full.
struct Part {
    chunk: Arc<Chunk>,
    file: Option<Entry>,
    /// Where following would have to go on to meet its rows again; as long as it has no file.
    from: Option<At>,
}

/// Rows that were in a file which could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The file's name.
    pub name: String,
    /// The first sequence in it.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Why it was refused.
    pub why: Error,
}

/// All payments that are to settle.
pub struct Window {
    dir: PathBuf,
    chunk_rows: usize,
    parts: Vec<Part>,
    growing: Growing,
    /// As a part's, of what grows; the first rows of which may be in a short file.
    from: Option<At>,
    short: Option<Entry>,
    /// What the caller last said: where following would go on, and how far it has come.
    resume: Option<At>,
    reached: Option<At>,
    last: u64,
    lost: Vec<(Lost, Entry)>,
}

impl Window {
    /// The window in a folder, which is made where it is not there. A file that is cut, damaged or not of this window is
    /// refused ([`Window::lost`]), and its rows can be put back from the journal ([`Window::mend`]). Where all must be
    /// begun anew, since the journal does not hold the places that it rests on, or its list of files is damaged, the
    /// second value says why, and the window is empty.
    ///
    /// Reads every file once, since each is checked whole.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(dir: &Path, journal: &dyn Storage) -> Result<(Window, Option<Error>), Error> {
        Window::open_sized(dir, journal, CHUNK_ROWS)
    }
    /// As [`Window::open`], with chunks of fewer rows: for tests and simulators.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Panics
    /// Where a chunk is to have no row, or more than [`CHUNK_ROWS`].
    pub fn open_sized(
        dir: &Path,
        journal: &dyn Storage,
        chunk_rows: usize,
    ) -> Result<(Window, Option<Error>), Error> {
        assert!((1..=CHUNK_ROWS).contains(&chunk_rows), "chunks of {chunk_rows} rows");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| Error::io(format_args!("window: making {}", dir.display()), &e))?;
        let mut window = Window {
            dir: dir.into(),
            chunk_rows,
            parts: Vec::new(),
            growing: Growing::default(),
            from: None,
            short: None,
            resume: None,
            reached: None,
            last: 0,
            lost: Vec::new(),
        };
        let manifest = Manifest::read(dir).and_then(|manifest| {
            let Some(manifest) = manifest else { return Ok(None) };
            for place in [&manifest.resume, &manifest.reached] {
                place.check(journal).map_err(|e| Error {
                    message: format!("window: it is not of this journal: {}", e.message),
                    ..e
                })?;
            }
            Ok(Some(manifest))
        });
        let why = match manifest {
            Err(e) if matches!(e.kind, ErrorKind::Io | ErrorKind::Full) => return Err(e),
            Err(e) => Some(e),
            Ok(None) => None,
            Ok(Some(manifest)) => {
                window.load(manifest);
                None
            }
        };
        window.remove_others()?;
        Ok((window, why))
    }
    fn load(&mut self, manifest: Manifest) {
        self.last = manifest.filed;
        let last = manifest.files.len().saturating_sub(1);
        for (place, file) in manifest.files.into_iter().enumerate() {
            let chunk = read(&self.dir, &file.name, file.sum).and_then(|chunk| {
                let is_it = chunk.span() == (file.first, file.last);
                let text = format!("window: {}: it has other rows than it should", file.name);
                if is_it { Ok(chunk) } else { Err(Error::new(ErrorKind::Corrupt, text)) }
            });
            match chunk {
                Ok(chunk) if place == last && chunk.len() < self.chunk_rows => {
                    chunk.rows().iter().for_each(|row| self.growing.push_row(&row));
                    self.short = Some(file);
                }
                Ok(chunk) => self.parts.push(Part { chunk: Arc::new(chunk), file: Some(file), from: None }),
                Err(why) => {
                    let lost = Lost { name: file.name.clone(), first: file.first, last: file.last, why };
                    self.lost.push((lost, file));
                }
            }
        }
        self.from = Some(manifest.resume.clone());
        (self.resume, self.reached) = (Some(manifest.resume), Some(manifest.reached));
    }
    /// Removes what the list of files does not name: of a writer that ended early, or of a window that was refused.
    fn remove_others(&self) -> Result<(), Error> {
        let failed = |e: &std::io::Error| Error::io("window: removing what is not its own", e);
        let mut known: Vec<&str> = self.files().map(|file| file.name.as_str()).collect();
        // A refused file is kept until its rows are back: somebody may want to look at it.
        known.extend(self.lost.iter().map(|(lost, _)| lost.name.as_str()));
        if self.resume.is_some() {
            known.push(NAME);
        }
        for entry in std::fs::read_dir(&self.dir).map_err(|e| failed(&e))? {
            let name = entry.map_err(|e| failed(&e))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_ours = name == NAME || name.ends_with(SUFFIX) || name.ends_with(PART);
            if is_ours && !known.contains(&name) {
                std::fs::remove_file(self.dir.join(name)).map_err(|e| failed(&e))?;
            }
        }
        Ok(())
    }
    fn files(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().filter_map(|part| part.file.as_ref()).chain(&self.short)
    }

    /// Where following the journal goes on; `None`: at its beginning. Rows that are met again are not taken twice.
    pub fn resume(&self) -> Option<&At> {
        self.from.as_ref()
    }
    /// Files that were refused at the start and whose rows have not been put back.
    pub fn lost(&self) -> impl Iterator<Item = &Lost> {
        self.lost.iter().map(|(lost, _)| lost)
    }
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.chunk.len()).sum::<usize>() + self.growing.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The last sequence that was a row.
    pub fn last_sequence(&self) -> u64 {
        self.last
    }
    /// Bytes of memory that rows take which are in no file yet.
    pub fn memory_bytes(&self) -> usize {
        let unwritten = self.parts.iter().filter(|part| part.file.is_none());
        let unwritten = unwritten.map(|part| part.chunk.batch().get_array_memory_size());
        self.growing.bytes() + unwritten.sum::<usize>()
    }
    /// Bytes of its files.
    pub fn file_bytes(&self) -> u64 {
        self.files().map(|file| file.sum.bytes).sum()
    }
    /// The chunks that are full, by sequence; a clone outlives the window's letting go of it.
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = &Arc<Chunk>> {
        self.parts.iter().map(|part| &part.chunk)
    }
    /// The chunk that grows.
    pub fn growing(&self) -> &Growing {
        &self.growing
    }
    /// All rows, a chunk at a time, by sequence.
    pub fn rows(&self) -> impl Iterator<Item = Rows<'_>> {
        let grown = (!self.growing.is_empty()).then(|| self.growing.rows());
        self.parts.iter().map(|part| part.chunk.rows()).chain(grown)
    }
    /// Shows the row of a sequence to `see`; `None` where there is none.
    pub fn row<T>(&self, sequence: u64, see: impl FnOnce(Row<'_, '_>) -> T) -> Option<T> {
        let place = self.parts.partition_point(|part| part.chunk.span().1 < sequence);
        let rows = self.parts.get(place).map_or_else(|| self.growing.rows(), |part| part.chunk.rows());
        rows.find(sequence).map(|at| see(rows.row(at)))
    }

    /// Shows each of some payments that is a row, with its place among them. In ascending order they are found soonest: a
    /// chunk's columns are taken once, and the next row is near the last.
    ///
    /// # Errors
    /// What `see` returns, which ends it.
    pub fn look_up(
        &self,
        sequences: &[u64],
        see: &mut dyn FnMut(usize, Row<'_, '_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut place = 0;
        while let Some(first) = sequences.get(place) {
            let part = self.parts.partition_point(|part| part.chunk.span().1 < *first);
            let (rows, last) = match self.parts.get(part) {
                Some(part) => (part.chunk.rows(), part.chunk.span().1),
                None => (self.growing.rows(), u64::MAX),
            };
            let (mut at, mut before) = (None, *first);
            while let Some(sequence) = sequences.get(place).filter(|next| (before..=last).contains(*next)) {
                let found = match at {
                    Some(at) => rows.find_after(*sequence, at),
                    None => rows.find(*sequence),
                };
                if let Some(row) = found {
                    see(place, rows.row(row))?;
                    at = found;
                }
                (before, place) = (*sequence, place + 1);
            }
        }
        Ok(())
    }

    /// Adds a payment, by ascending sequence. False where the window has been there before: it had this row, or had let
    /// it go.
    ///
    /// # Errors
    /// `Full` while [`UNWRITTEN_MAX`] chunks wait to be written (nothing is changed: ask again after
    /// [`Window::write_full`] succeeded); `Invalid` as [`Growing::push`].
    pub fn push(&mut self, new: &NewRow<'_>) -> Result<bool, Error> {
        if new.taken.sequence <= self.last {
            return Ok(false);
        }
        if self.growing.len() >= self.chunk_rows || self.growing.is_full() {
            self.freeze()?;
        }
        self.growing.push(new)?;
        self.last = new.taken.sequence;
        Ok(true)
    }
    fn freeze(&mut self) -> Result<(), Error> {
        if self.parts.iter().filter(|part| part.file.is_none()).count() >= UNWRITTEN_MAX {
            let text = format!("window: {UNWRITTEN_MAX} full chunks wait for the disk");
            return Err(Error::new(ErrorKind::Full, text));
        }
        let chunk = Arc::new(Chunk::new(std::mem::take(&mut self.growing)));
        let from = std::mem::replace(&mut self.from, self.resume.clone());
        self.parts.push(Part { chunk, file: None, from });
        Ok(())
    }

    /// Says that all payments before a place of the journal have been pushed, and from where following would have to go
    /// on to meet those that were not ([`super::Pairs::resume`]). Writes the chunks that have become full.
    ///
    /// # Errors
    /// `Full` and `Io`: rows stay in memory, and it is tried again with the next call.
    pub fn reached(&mut self, reached: &At, resume: &At) -> Result<(), Error> {
        (self.resume, self.reached) = (Some(resume.clone()), Some(reached.clone()));
        if self.growing.is_empty() {
            self.from = self.resume.clone();
        }
        match self.parts.iter().any(|part| part.file.is_none()) {
            true => self.write_parts(),
            false => Ok(()),
        }
    }
    /// Writes the chunks that have become full, all of whose records lie before a place; says nothing of where following
    /// would go on. For whoever has more rows of one batch than [`Window::push`] takes.
    ///
    /// # Errors
    /// `Full` and `Io`, as [`Window::reached`].
    pub fn write_full(&mut self, reached: &At) -> Result<(), Error> {
        self.reached = Some(reached.clone());
        self.write_parts()
    }
    fn write_parts(&mut self) -> Result<(), Error> {
        let dir = &self.dir;
        for part in self.parts.iter_mut().filter(|part| part.file.is_none()) {
            part.file = Some(write_entry(dir, &part.chunk)?);
            part.from = None;
        }
        // The rows of the short file are in one of these, for it was the beginning of what grew.
        let short = self
            .short
            .take_if(|short| self.parts.last().is_some_and(|part| part.chunk.span().1 >= short.last));
        self.write_list()?;
        self.remove(short)
    }
    /// Writes all rows, those too of the chunk that grows, so that a start reads none of them from the journal. For a
    /// clean end, and before the journal's segments are removed.
    ///
    /// # Errors
    /// `Full` and `Io`.
    pub fn save(&mut self) -> Result<(), Error> {
        self.write_parts()?;
        let is_new = self.short.as_ref().is_none_or(|short| short.last < self.last);
        if !is_new || self.growing.is_empty() {
            return Ok(());
        }
        // The list stays as it is until the file is there; a chunk of its own, since what grows goes on growing.
        let mut copy = Growing::default();
        self.growing.rows().iter().for_each(|row| copy.push_row(&row));
        let before = self.short.replace(write_entry(&self.dir, &Chunk::new(copy))?);
        self.from = self.resume.clone();
        self.write_list()?;
        self.remove(before)
    }
    /// Writes the list of files, of the places that hold for all of them.
    fn write_list(&self) -> Result<(), Error> {
        let (Some(resume), Some(reached)) = (&self.from, &self.reached) else { return Ok(()) };
        let unwritten = self.parts.iter().find(|part| part.file.is_none());
        // From nowhere: it is of the first rows ever, and nothing has been listed yet.
        let Some(resume) = unwritten.map_or(Some(resume), |part| part.from.as_ref()) else { return Ok(()) };
        let mut files: Vec<Entry> =
            self.files().chain(self.lost.iter().map(|(_, file)| file)).cloned().collect();
        files.sort_by_key(|file| file.first);
        let (resume, reached) = (resume.clone(), reached.clone());
        Manifest { resume, reached, filed: self.filed(), files }.write(&self.dir)
    }
    /// The last sequence before the first row that is in no file.
    fn filed(&self) -> u64 {
        let unwritten = self.parts.iter().find(|part| part.file.is_none());
        let first = unwritten.map(|part| part.chunk.span().0);
        match (first, &self.short, self.growing.rows().sequence.first()) {
            (Some(first), ..) => first - 1,
            (None, Some(short), _) => short.last,
            (None, None, Some(first)) => first - 1,
            (None, None, None) => self.last,
        }
    }
    fn remove(&self, files: impl IntoIterator<Item = Entry>) -> Result<(), Error> {
        for file in files {
            // Another may have got its name by now.
            if self.files().any(|other| other.name == file.name) {
                continue;
            }
            std::fs::remove_file(self.dir.join(&file.name))
                .map_err(|e| Error::io(format_args!("window: removing {}", file.name), &e))?;
        }
        Ok(())
    }

    /// The rows that [`Window::drop_settled`] would let go of now, a chunk at a time, by sequence.
    pub fn settled(&self, until_ms: i64, keep: &mut dyn FnMut(&Row<'_, '_>) -> bool) -> Vec<Rows<'_>> {
        let parts = self.parts.iter().filter(|part| part.chunk.cut_off_ms_max() < until_ms);
        let chunks = parts.map(|part| part.chunk.rows());
        let grown = (!self.growing.is_empty()).then(|| self.growing.rows());
        let mut is_settled =
            |rows: &Rows<'_>| rows.iter().all(|row| row.cut_off_ms() < until_ms && !keep(&row));
        chunks.chain(grown).filter(|rows| is_settled(rows)).collect()
    }
    /// Lets go of each chunk all of whose rows had their cut-off before `until_ms` and are not to be kept.
    ///
    /// # Errors
    /// `Full` and `Io`; what could not be removed is at the next start.
    pub fn drop_settled(
        &mut self,
        until_ms: i64,
        keep: &mut dyn FnMut(&Row<'_, '_>) -> bool,
    ) -> Result<usize, Error> {
        let mut is_settled =
            |rows: &Rows<'_>| rows.iter().all(|row| row.cut_off_ms() < until_ms && !keep(&row));
        let (gone, left): (Vec<Part>, Vec<Part>) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(|part| part.chunk.cut_off_ms_max() < until_ms && is_settled(&part.chunk.rows()));
        self.parts = left;
        let mut dropped: usize = gone.iter().map(|part| part.chunk.len()).sum();
        let mut files: Vec<Entry> = gone.into_iter().filter_map(|part| part.file).collect();
        if !self.growing.is_empty() && is_settled(&self.growing.rows()) {
            dropped += self.growing.len();
            self.growing = Growing::default();
            self.from = self.resume.clone();
            files.extend(self.short.take());
        }
        if dropped > 0 {
            self.write_list()?;
            self.remove(files)?;
        }
        Ok(dropped)
    }

    /// Puts rows back in the place of a file that was refused: all that are to settle still of the payments of its
    /// sequences.
    ///
    /// # Errors
    /// `Invalid` where nothing of that name is lost, or the rows are not of its sequences; `Full` and `Io`.
    pub fn mend(&mut self, name: &str, rows: Growing) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, format!("window: {name}: {what}")));
        let Some(place) = self.lost.iter().position(|(lost, _)| lost.name == name) else {
            return invalid("it is not lost");
        };
        let lost = &self.lost[place].0;
        if rows.sequence.iter().any(|sequence| !(lost.first..=lost.last).contains(sequence)) {
            return invalid("rows of other sequences");
        }
        let part = match rows.is_empty() {
            true => None,
            false => {
                let chunk = Arc::new(Chunk::new(rows));
                let file = Some(write_entry(&self.dir, &chunk)?);
                Some(Part { chunk, file, from: None })
            }
        };
        let (_, gone) = self.lost.remove(place);
        if let Some(part) = part {
            let (first, _) = part.chunk.span();
            let place = self.parts.partition_point(|other| other.chunk.span().0 < first);
            self.parts.insert(place, part);
        }
        self.write_list()?;
        self.remove(Some(gone))
    }
}

fn write_entry(dir: &Path, chunk: &Chunk) -> Result<Entry, Error> {
    let (first, last) = chunk.span();
    let name = format!("{first:020}-{last:020}{SUFFIX}");
    let sum: Sum = write(dir, &name, chunk)?;
    Ok(Entry { name, first, last, sum })
}
