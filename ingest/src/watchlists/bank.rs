//! Watchlist files to the bank that names are screened against; a built bank is taken as it is.

use super::{EntryKind, Quality, WatchEntry, file_bytes, read};
use crate::error::FieldError;
use interdict_engine::error::Error;
use interdict_engine::similarity::names::{self, Bank};
use std::path::Path;

/// Ending of a built watchlist.
pub const BANK_ENDING: &str = "inames";
const BANK_MAGIC: &[u8] = b"IWLB";

/// A watchlist ready to be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedBank {
    /// As [`super::Watchlist::name`]; of a built one the file's name without its ending.
    pub name: String,
    /// Whom it lists.
    pub bank: Bank,
    /// What a user should hear although the file was read.
    pub notes: Vec<String>,
}

/// Reads a watchlist of any format, or a built one.
///
/// # Errors
/// As [`super::read`]; a built one that is damaged or of another version; more names than a bank holds.
pub fn load(path: &Path) -> Result<LoadedBank, Vec<FieldError>> {
    let file = path.display().to_string();
    let wrong =
        |error: Error| vec![FieldError::malformed("", format!("a watchlist: {error}")).in_file(&file)];
    if is_built(path) {
        let bytes = file_bytes(path).map_err(|error| vec![error])?;
        let bank = Bank::decode(&bytes).map_err(wrong)?;
        let name = path.file_stem().map_or_else(|| "list".into(), |stem| stem.to_string_lossy().into_owned());
        return Ok(LoadedBank { name, bank, notes: Vec::new() });
    }
    let list = read(path)?;
    let bank = bank(list.entries).map_err(wrong)?;
    Ok(LoadedBank { name: list.name, bank, notes: list.notes })
}

/// Whether a file is a built watchlist, by its ending or its first bytes.
pub fn is_built(path: &Path) -> bool {
    let mut begins = [0; BANK_MAGIC.len()];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut begins));
    path.extension().is_some_and(|ending| ending == BANK_ENDING) || (read.is_ok() && begins == BANK_MAGIC)
}

/// The bank of entries, in their order. Programmes and countries are not part of it: they decide nothing.
///
/// # Errors
/// More entries or names than a bank holds.
pub fn bank(entries: Vec<WatchEntry>) -> Result<Bank, Error> {
    let quality = |quality| match quality {
        Quality::Strong => names::Quality::Strong,
        Quality::Weak => names::Quality::Weak,
    };
    let convert = |entry: WatchEntry| {
        let primary = names::Alias { name: entry.name, quality: names::Quality::Strong };
        let aliases = entry.aliases.into_iter();
        let aliases = aliases.map(|alias| names::Alias { name: alias.name, quality: quality(alias.quality) });
        let kind = match entry.kind {
            EntryKind::Person => names::Kind::Person,
            EntryKind::Company => names::Kind::Company,
            EntryKind::Vessel => names::Kind::Vessel,
            EntryKind::Other => names::Kind::Other,
        };
        names::Entry { id: entry.id, kind, names: std::iter::once(primary).chain(aliases).collect() }
    };
    Bank::new(entries.into_iter().map(convert).collect())
}
