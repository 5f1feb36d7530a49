//! How far a hunt through all payments has come, in a small file, so that one that was cut off goes on. It says no more
//! than the journal has: what was found is written there first.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "hunt.json";

/// How far one has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The event that asks for it: the last by which any payment may be judged otherwise.
    pub(super) learned: u64,
    /// All payments up to this sequence have been judged.
    pub(super) done: u64,
    /// The journal's last sequence then: one that was cut back behind it may lack what was found.
    pub(super) journal: u64,
}

impl Progress {
    /// That of a window's folder, where it is of this hunt and of a journal that goes as far.
    pub(super) fn read(dir: &Path, learned: u64, journal: u64) -> u64 {
        let read = fs::read(path(dir)).ok();
        let known = read.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok());
        known
            .filter(|known| known.learned == learned && known.journal <= journal)
            .map_or(0, |known| known.done)
    }
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn write(self, dir: &Path) -> Result<()> {
        let part = dir.join("hunt.json.part");
        fs::write(&part, serde_json::to_vec(&self)?)?;
        Ok(fs::rename(part, path(dir))?)
    }
    /// Removes it.
    pub(super) fn forget(dir: &Path) {
        // Where it stays it is of another hunt, and not used.
        drop(fs::remove_file(path(dir)));
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}
