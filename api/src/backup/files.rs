//! Files in and out of a backup: hashed while they are copied, written aside, synced, and only then given their name.

use anyhow::{Context, Result, anyhow};
use interdict_engine::generation::hex;
use interdict_ledger::journal::ORIGIN_BYTES;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// What a file's bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// How many there were.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// The SHA-256 of the first of them, as many as tell a segment from all others.
    pub origin: [u8; 32],
}

/// Makes a folder that only this user may enter, and those it lies in.
///
/// # Errors
/// The system's.
pub fn make_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| path.display().to_string())
}

/// Makes the names in a folder last.
///
/// # Errors
/// The system's.
pub fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).with_context(|| path.display().to_string())
}

/// Hashes a file, at most its first `limit` bytes.
///
/// # Errors
/// The system's.
pub fn hash(path: &Path, limit: u64) -> std::io::Result<Hashed> {
    pour(File::open(path)?.take(limit), &mut std::io::sink())
}

/// Copies a file, at most its first `limit` bytes, to a path where nothing is, and syncs it.
///
/// # Errors
/// The system's.
pub fn copy(from: &Path, limit: u64, to: &Path) -> std::io::Result<Hashed> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let hashed = pour(File::open(from)?.take(limit), &mut file)?;
    file.sync_all()?;
    Ok(hashed)
}

fn pour(mut from: impl Read, to: &mut impl Write) -> std::io::Result<Hashed> {
    let (mut all, mut first, mut bytes) = (Sha256::new(), Sha256::new(), 0_u64);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            break;
        }
        let part = &buffer[..read];
        to.write_all(part)?;
        all.update(part);
        // Below the bound, so it fits.
        let left = (ORIGIN_BYTES as u64).saturating_sub(bytes) as usize;
        first.update(&part[..left.min(read)]);
        bytes += read as u64;
    }
    Ok(Hashed { bytes, sha256: hex(&<[u8; 32]>::from(all.finalize())), origin: first.finalize().into() })
}

/// Keeps a file in the backup's folder `files` under the hash of its first `limit` bytes; whether it had to be copied.
/// A kept file is hashed again: one that has changed since is replaced.
///
/// # Errors
/// The system's, which `NotFound` is told by its kind.
pub fn keep(from: &Path, limit: u64, files: &Path) -> std::io::Result<(Hashed, bool)> {
    let now = hash(from, limit)?;
    let kept = files.join(&now.sha256);
    if hash(&kept, u64::MAX).is_ok_and(|known| known == now) {
        return Ok((now, false));
    }
    let aside = files.join("aside");
    match fs::remove_file(&aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // Its own bytes name it: a key destroyed in between changes them.
    let copied = copy(from, limit, &aside)?;
    fs::rename(&aside, files.join(&copied.sha256))?;
    Ok((copied, true))
}

/// The names of the files of a folder, sorted; none where there is no folder.
///
/// # Errors
/// The system's; a name that is not UTF-8.
pub fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = || dir.display().to_string();
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(failed)?;
        if entry.file_type().with_context(failed)?.is_file() {
            let name = entry.file_name().into_string();
            names.push(name.map_err(|name| anyhow!("{}: {name:?} is not UTF-8", dir.display()))?);
        }
    }
    names.sort();
    Ok(names)
}
