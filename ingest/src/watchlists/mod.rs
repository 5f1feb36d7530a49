//! Watchlists as others publish them (OFAC's CSV files, the UN's XML, any CSV with a `name` column) to one neutral
//! shape: entries with their names as the list writes them. Screening is the similarity stage's; here nothing is folded.
//! Unlike exact lists a watchlist is public text, but its names still stay out of errors.

pub mod bank;
mod csv;
mod ofac;
mod un;
#[cfg(test)]
mod tests;

use crate::decode::entries::ERRORS_MAX;
use crate::error::FieldError;
use interdict_engine::limits::{TEXT_BYTES_MAX, WATCHLIST_ENTRIES_MAX, WATCHLIST_NAMES_PER_ENTRY_MAX};
use std::path::{Path, PathBuf};

/// Largest watchlist file, in bytes; a larger one is refused. OFAC's and the UN's are 2 MB.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// Most names of one watchlist, aliases counted; more are refused.
pub const NAMES_MAX: usize = WATCHLIST_ENTRIES_MAX;
/// Most aliases of one entry.
pub const ALIASES_MAX: usize = WATCHLIST_NAMES_PER_ENTRY_MAX - 1;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A natural person.
    Person,
    /// A company, bank, group or other organisation.
    Company,
    /// A ship.
    Vessel,
    /// An aircraft, and whatever the list does not say.
    Other,
}

impl EntryKind {
    /// The kind's name, as in CSV lists and `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            EntryKind::Person => "person",
            EntryKind::Company => "company",
            EntryKind::Vessel => "vessel",
            EntryKind::Other => "other",
        }
    }
    /// The kind that a list's word means, case aside: ours, OFAC's and the FollowTheMoney schemas' names.
    pub fn by_name(name: &str) -> Option<EntryKind> {
        Some(match name.to_ascii_lowercase().as_str() {
            "person" | "individual" => EntryKind::Person,
            "company" | "organization" | "organisation" | "entity" | "legalentity" => EntryKind::Company,
            "vessel" | "ship" => EntryKind::Vessel,
            "other" | "aircraft" | "airplane" | "thing" => EntryKind::Other,
            _ => return None,
        })
    }
}

/// How well an alias identifies the entry, by the list's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// As good as the name.
    Strong,
    /// A nickname or a very common name (OFAC: in quotes in the remarks; UN: `Low`).
    Weak,
}

/// Another name of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name as the list writes it.
    pub name: String,
    /// How well it identifies.
    pub quality: Quality,
}

/// An entry of a watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEntry {
    /// The list's own permanent number or reference; in a CSV without one, the row's number, from 1.
    pub id: String,
    /// What it is.
    pub kind: EntryKind,
    /// The primary name as the list writes it, never empty.
    pub name: String,
    /// Its other names, in the list's order, without repetitions.
    pub aliases: Vec<Alias>,
    /// Sanctions programmes or sub-lists.
    pub programs: Vec<String>,
    /// Countries, as the list writes them.
    pub countries: Vec<String>,
}

impl WatchEntry {
    fn new(id: String, kind: EntryKind, name: String) -> WatchEntry {
        WatchEntry { id, kind, name, aliases: Vec::new(), programs: Vec::new(), countries: Vec::new() }
    }
    /// Adds a name, if the entry does not have it yet.
    fn alias(&mut self, name: &str, quality: Quality) -> Result<(), FieldError> {
        let name = name.trim();
        if name.is_empty() || name == self.name {
            return Ok(());
        }
        if let Some(known) = self.aliases.iter_mut().find(|known| known.name == name) {
            known.quality = known.quality.min(quality);
            return Ok(());
        }
        check_name(name)?;
        if self.aliases.len() == ALIASES_MAX {
            return Err(FieldError::too_large("", format!("at most {ALIASES_MAX} aliases of one entry")));
        }
        self.aliases.push(Alias { name: name.to_owned(), quality });
        Ok(())
    }
    fn country(&mut self, country: &str) {
        add_text(&mut self.countries, country);
    }
    fn program(&mut self, program: &str) {
        add_text(&mut self.programs, program);
    }
}

fn add_text(texts: &mut Vec<String>, text: &str) {
    let text = text.trim();
    // Some hundred are plenty; a list that repeats itself must not cost quadratic time.
    if !text.is_empty() && texts.len() < 256 && !texts.iter().any(|known| known == text) {
        texts.push(text.to_owned());
    }
}

fn check_name(name: &str) -> Result<(), FieldError> {
    if name.len() > TEXT_BYTES_MAX {
        return Err(FieldError::too_large("name", format!("a name of at most {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// A watchlist file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchlist {
    /// `ofac-` or `un-` and the file's name without its ending; of other CSV files that alone.
    pub name: String,
    /// The entries in the file's order.
    pub entries: Vec<WatchEntry>,
    /// What a user should hear although the file was read: a companion file that is not there, say.
    pub notes: Vec<String>,
}

impl Watchlist {
    /// How many aliases there are in all.
    pub fn aliases(&self) -> usize {
        self.entries.iter().map(|entry| entry.aliases.len()).sum()
    }
}

/// Reads a watchlist file of whatever format: XML is the UN's consolidated list; CSV without a header and with OFAC's
/// twelve columns is OFAC's `sdn.csv` (with `alt.csv` and `add.csv` beside it); any other CSV has a header with a
/// `name` column.
///
/// # Errors
/// A file that cannot be read, is too large or of another format; every wrong row by line, at most 100; of XML the
/// first error by line and byte. A list with an error gives no entries.
pub fn read(path: &Path) -> Result<Watchlist, Vec<FieldError>> {
    let file = path.display().to_string();
    let bytes = file_bytes(path).map_err(|error| vec![error])?;
    let stem = path.file_stem().map_or_else(|| "list".into(), |stem| stem.to_string_lossy().into_owned());
    let start = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).trim_ascii_start();
    if start.starts_with(b"<") || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml")) {
        let entries = un::read_entries(&bytes).map_err(|error| vec![error.in_file(&file)])?;
        return Ok(Watchlist { name: format!("un-{stem}"), entries, notes: Vec::new() });
    }
    if !ofac::is_sdn(&bytes) {
        let entries = csv::read_entries(&bytes, &file)?;
        return Ok(Watchlist { name: stem, entries, notes: Vec::new() });
    }
    let mut notes = Vec::new();
    let mut beside = |kind: &str| -> Result<Option<(String, Vec<u8>)>, Vec<FieldError>> {
        let companion = companion(path, &stem, kind).filter(|path| path.is_file());
        let Some(companion) = companion else {
            if kind == "alt" {
                notes.push(format!(
                    "{file}: no alt.csv beside it, so only weak aliases from remarks are known"
                ));
            }
            return Ok(None);
        };
        let bytes = file_bytes(&companion).map_err(|error| vec![error])?;
        Ok(Some((companion.display().to_string(), bytes)))
    };
    let (alt, add) = (beside("alt")?, beside("add")?);
    let part = |part: &Option<(String, Vec<u8>)>| part.clone().unwrap_or_default();
    let ((alt_file, alt), (add_file, add)) = (part(&alt), part(&add));
    let files = ofac::Files { sdn: (&file, &bytes), alt: (&alt_file, &alt), add: (&add_file, &add) };
    let entries = ofac::read_entries(&files)?;
    Ok(Watchlist { name: format!("ofac-{stem}"), entries, notes })
}

/// The file beside `sdn.csv` that is called `alt.csv`, in the same case; for `cons_prim.csv`, `cons_alt.csv`.
fn companion(path: &Path, stem: &str, kind: &str) -> Option<PathBuf> {
    let lower = stem.to_ascii_lowercase();
    let (at, len) = ["sdn", "prim"].iter().find_map(|part| Some((lower.rfind(part)?, part.len())))?;
    let upper = stem.get(at..at + len)?.bytes().all(|byte| byte.is_ascii_uppercase());
    let kind = if upper { kind.to_ascii_uppercase() } else { kind.to_owned() };
    let name = format!("{}{kind}{}", stem.get(..at)?, stem.get(at + len..)?);
    Some(path.with_file_name(match path.extension() {
        Some(ending) => format!("{name}.{}", ending.to_string_lossy()),
        None => name,
    }))
}

fn file_bytes(path: &Path) -> Result<Vec<u8>, FieldError> {
    let file = path.display().to_string();
    let unread = |error: std::io::Error| {
        FieldError::malformed("", format!("a file that can be read: {error}")).in_file(&file)
    };
    let length = std::fs::metadata(path).map_err(unread)?.len();
    if length > FILE_BYTES_MAX {
        let expected = format!("at most {FILE_BYTES_MAX} bytes, found {length}");
        return Err(FieldError::too_large("", expected).in_file(&file));
    }
    std::fs::read(path).map_err(unread)
}

/// What is wrong with a file's rows, up to a bound.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    /// Notes a row's error; false when reading on makes no sense.
    fn add(&mut self, error: FieldError, line: u64, file: &str) -> bool {
        self.0.push(error.at_line(line).in_file(file));
        self.0.len() < ERRORS_MAX
    }
    fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
