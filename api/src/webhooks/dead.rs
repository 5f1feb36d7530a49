//! Notices that were tried as often as is configured and not taken: a file each, `DIR/webhooks/dead/NAME/SEQUENCE-ID.json`,
//! until somebody sends them again (`interdict webhooks resend`) or removes them.

use super::notice::{Notice, NoticeKind};
use crate::node::store::write_whole;
use crate::rail::outgoing::file_name;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A notice that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// The notice's id.
    pub id: String,
    /// Its place.
    pub sequence: u64,
    /// Whose it is.
    pub tenant: String,
    /// What happened, by name.
    pub kind: String,
    /// When, ms since the Unix epoch.
    pub time_ms: i64,
    /// When it was given up, ms since the Unix epoch.
    pub dead_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of the last try: a status, `timeout`, `failed`.
    pub last: String,
    /// What was to be told.
    pub body: serde_json::Value,
}

impl Letter {
    /// The notice.
    ///
    /// # Errors
    /// A kind that this version does not know.
    pub fn notice(&self) -> Result<Notice> {
        let kind =
            NoticeKind::by_name(&self.kind).with_context(|| format!("unknown kind {:?}", self.kind))?;
        Ok(Notice {
            id: self.id.clone(),
            sequence: self.sequence,
            tenant: self.tenant.clone(),
            kind,
            time_ms: self.time_ms,
            body: self.body.clone(),
        })
    }
}

/// The dead letters of one endpoint.
#[derive(Debug, Clone)]
pub struct Dead {
    dir: PathBuf,
    letters_max: usize,
}

impl Dead {
    /// Of an endpoint in a data folder.
    pub fn of(data: &Path, name: &str, letters_max: usize) -> Dead {
        Dead { dir: data.join("webhooks/dead").join(name), letters_max }
    }

    /// Keeps a letter; false where as many are kept as may be.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn put(&self, letter: &Letter) -> Result<bool> {
        let path = self.path(letter.sequence, &letter.id);
        if !path.exists() && self.count()? >= self.letters_max {
            return Ok(false);
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.with_context(|| self.dir.display().to_string())?;
        write_whole(&path, &serde_json::to_vec(letter)?)?;
        Ok(true)
    }

    /// How many there are.
    ///
    /// # Errors
    /// A folder that does not read.
    pub fn count(&self) -> Result<usize> {
        Ok(self.paths()?.len())
    }

    /// All of them, in the order of their sequences, each with its file.
    ///
    /// # Errors
    /// A letter that does not read, by name.
    pub fn read(&self) -> Result<Vec<(PathBuf, Letter)>> {
        let mut paths = self.paths()?;
        paths.sort();
        let read = |path: PathBuf| {
            let place = || format!("dead letter {}", path.display());
            let letter = serde_json::from_slice(&fs::read(&path).with_context(place)?).with_context(place)?;
            Ok((path, letter))
        };
        paths.into_iter().map(read).collect()
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(|| self.dir.display().to_string()),
        };
        let paths = entries.map(|entry| Ok(entry?.path()));
        let paths: Result<Vec<PathBuf>> = paths.collect();
        Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")).collect())
    }

    fn path(&self, sequence: u64, id: &str) -> PathBuf {
        let name = file_name(&format!("{sequence:020}-{id}"));
        self.dir.join(name).with_extension("json")
    }
}
