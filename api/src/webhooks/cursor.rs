//! How far an endpoint has got, in a small file, `DIR/webhooks/cursor/NAME`: one line with a checksum, replaced whole. It
//! may be behind (then some notices come again, under the same ids), never ahead of what was delivered.

use crate::node::store::write_whole;
use anyhow::{Context, Result, anyhow};
use interdict_engine::generation::hex;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// First word of the line, with the format's version.
const HEAD: &str = "interdict-webhook-cursor-1";

/// The cursor file of one endpoint.
#[derive(Debug, Clone)]
pub struct Cursor {
    path: PathBuf,
    name: String,
}

impl Cursor {
    /// Of an endpoint in a data folder.
    pub fn of(data: &Path, name: &str) -> Cursor {
        Cursor { path: data.join("webhooks/cursor").join(name), name: name.to_owned() }
    }

    /// Of something else that follows notices.
    pub fn at(path: PathBuf, name: &str) -> Cursor {
        Cursor { path, name: name.to_owned() }
    }

    /// The last sequence that was dealt with; `None` where there is no file.
    ///
    /// # Errors
    /// A file that does not read, is damaged, or is another endpoint's, by name.
    pub fn read(&self) -> Result<Option<u64>> {
        let place = || format!("webhook cursor {}", self.path.display());
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(place),
        };
        let damaged = || anyhow!("{}: damaged", place());
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        let words: Vec<&str> = text.trim_end().split(' ').collect();
        let [_, _, sequence, _] = words[..] else { return Err(damaged()) };
        let sequence = sequence.parse().map_err(|_| damaged())?;
        if text == self.line(sequence) { Ok(Some(sequence)) } else { Err(damaged()) }
    }

    /// Writes it, synced.
    ///
    /// # Errors
    /// The disk does not take it; the file before is still there.
    pub fn write(&self, sequence: u64) -> Result<()> {
        fs::create_dir_all(self.path.parent().context("a cursor lies in a folder")?)?;
        write_whole(&self.path, self.line(sequence).as_bytes())
    }

    /// Puts a damaged file aside, as `NAME.damaged`, so that it can be looked at and is not met again.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn put_aside(&self) -> Result<()> {
        let aside = self.path.with_extension("damaged");
        fs::rename(&self.path, &aside).with_context(|| aside.display().to_string())
    }

    fn line(&self, sequence: u64) -> String {
        let said = format!("{HEAD} {} {sequence}", self.name);
        let sum = hex(&Sha256::digest(said.as_bytes()));
        format!("{said} {}\n", &sum[..16])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_is_damage_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::of(dir.path(), "ops");
        assert_eq!(cursor.read().unwrap(), None);
        cursor.write(12_345).unwrap();
        assert_eq!(cursor.read().unwrap(), Some(12_345));
        let good = fs::read(&cursor.path).unwrap();
        for place in 0..good.len() {
            for cut in [false, true] {
                let mut bad = good.clone();
                if cut {
                    bad.truncate(place);
                } else {
                    bad[place] ^= 1;
                }
                fs::write(&cursor.path, bad).unwrap();
                let error = cursor.read().unwrap_err().to_string();
                assert!(error.contains("cursor/ops") && error.contains("damaged"), "{error}");
            }
        }
        let other = Cursor { name: "other".into(), ..cursor.clone() };
        fs::write(&cursor.path, &good).unwrap();
        assert!(other.read().is_err(), "it is another's");
        cursor.put_aside().unwrap();
        assert_eq!(cursor.read().unwrap(), None);
    }
}
