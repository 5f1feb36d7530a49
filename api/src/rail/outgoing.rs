//! Messages as files, `DIR/rail/outgoing/NAME.xml`, for whatever carries them to the rail and removes what it has carried.
//! A file is whole or not there; the same message twice is one file; at the bound nothing more is written, and said.

use crate::node::store::write_whole;
use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It lies there now, synced.
    Now,
    /// It lay there already, with the same bytes.
    Before,
    /// There is no room: the bound of files is reached, and nobody takes them. It must be offered again.
    Full,
}

/// The folder of outgoing messages. One writer at a time.
#[derive(Debug)]
pub struct Outgoing {
    dir: PathBuf,
    files_max: usize,
    /// Files there when they were last counted, and those written since; takers make the true number smaller.
    count: Mutex<usize>,
}

impl Outgoing {
    /// Opens `DIR/rail/outgoing` of a data folder, and makes it where it is missing. What a killed process left
    /// half-written is removed.
    ///
    /// # Errors
    /// A folder that cannot be made or read.
    pub fn open(data: &Path, files_max: usize) -> Result<Outgoing> {
        let dir = data.join("rail/outgoing");
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end.to_string_lossy().starts_with("tmp")) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        let count = Mutex::new(count(&dir)?);
        Ok(Outgoing { dir, files_max, count })
    }

    /// Writes a message under its id.
    ///
    /// # Errors
    /// The disk does not take it; another message lies there under the same id.
    pub fn write(&self, message_id: &str, xml: &str) -> Result<Written> {
        let path = self.dir.join(file_name(message_id));
        let mut files = self.count.lock();
        match fs::read(&path) {
            Ok(there) if there == xml.as_bytes() => return Ok(Written::Before),
            Ok(_) => bail!("{}: another message has this id", path.display()),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(|| path.display().to_string()),
        }
        if *files >= self.files_max {
            *files = count(&self.dir)?;
            if *files >= self.files_max {
                return Ok(Written::Full);
            }
        }
        write_whole(&path, xml.as_bytes())?;
        *files += 1;
        Ok(Written::Now)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn count(dir: &Path) -> Result<usize> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    Ok(entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "xml")).count())
}

/// The name of a message's file. Bytes other than letters, digits, `-`, `_` and `.` are written as `%` and two hex digits,
/// as is a leading dot, so that no id leaves the folder and no two ids share a file.
pub fn file_name(message_id: &str) -> String {
    let mut name = String::with_capacity(message_id.len() + 4);
    for (place, byte) in message_id.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && place > 0) {
            name.push(byte.into());
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name.push_str(".xml");
    name
}
