//! Watchlist files to the bank of a generation's watchlist: several files, of any format, become one list.

use anyhow::{Result, anyhow};
use interdict_engine::similarity::names::Bank;
use interdict_ingest::watchlists::bank::{LoadedBank, load};
use std::path::{Path, PathBuf};

/// Reads a watchlist file; what a user should hear besides goes to the log.
///
/// # Errors
/// Everything wrong with the file, a line each.
pub fn load_bank(path: &Path) -> Result<LoadedBank> {
    let loaded = load(path).map_err(|errors| {
        anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    loaded.notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(loaded)
}

/// The bank of a watchlist: the entries of its files, in order.
///
/// # Errors
/// As [`load_bank`]; no file; more entries than a bank holds.
pub fn watchlist_bank(files: &[PathBuf]) -> Result<Bank> {
    let mut entries = Vec::new();
    for file in files {
        entries.extend_from_slice(load_bank(file)?.bank.entries());
    }
    if files.is_empty() {
        return Err(anyhow!("no files: expected at least one"));
    }
    Ok(Bank::new(entries)?)
}
