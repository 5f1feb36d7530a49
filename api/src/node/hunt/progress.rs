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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// After a kill in the midst of a run over all: what is found there counts only for the same run, and for a journal that
    /// has what was found by then.
    #[test]
    fn a_run_that_was_cut_off_goes_on_where_it_was_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert_eq!(Progress::read(folder, 9, 100), 0, "there is none");
        Progress { learned: 9, done: 40, journal: 50 }.write(folder).unwrap();
        assert_eq!(Progress::read(folder, 9, 50), 40);
        assert_eq!(Progress::read(folder, 9, 51), 40);
        assert_eq!(Progress::read(folder, 9, 49), 0, "the journal was cut back behind it");
        assert_eq!(Progress::read(folder, 8, 50), 0, "another event asks");
        // Killed while the next was being written: the one before stands.
        fs::write(folder.join("hunt.json.part"), b"{\"learned\": 9, \"do").unwrap();
        assert_eq!(Progress::read(folder, 9, 50), 40);
        Progress { learned: 9, done: 45, journal: 60 }.write(folder).unwrap();
        assert_eq!(Progress::read(folder, 9, 60), 45);
        fs::write(path(folder), b"{\"learned\": 9").unwrap();
        assert_eq!(Progress::read(folder, 9, 60), 0, "damaged");
        Progress::forget(folder);
        Progress::forget(folder);
        assert_eq!(Progress::read(folder, 9, 60), 0);
    }
}
