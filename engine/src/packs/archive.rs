//! A pack's files as one run of bytes that is the same wherever it is made: sorted paths, lengths, no times, no owners.
//! Its hash is the pack's identity.

use crate::error::{Error, ErrorKind, Place};
use crate::limits::{PACK_BYTES_MAX, PACK_FILE_BYTES_MAX, PACK_FILES_MAX, PACK_PATH_BYTES_MAX};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The files of a pack by their paths, `/` between folders.
pub type Files = BTreeMap<String, Vec<u8>>;

const MAGIC: &[u8; 8] = b"INTPACK1";

/// Checks the bounds of a pack's files and the form of their paths.
///
/// # Errors
/// `TooLarge` or `Invalid`, one for every offending file.
pub(super) fn check_files(files: &Files) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    let mut refuse =
        |kind, path: &str, message: String| errors.push(Error::new(kind, message).at(Place::file(path)));
    if files.len() > PACK_FILES_MAX {
        refuse(ErrorKind::TooLarge, "", format!("pack has {} files, limit {PACK_FILES_MAX}", files.len()));
    }
    let total: usize = files.values().map(Vec::len).sum();
    if total > PACK_BYTES_MAX {
        refuse(ErrorKind::TooLarge, "", format!("pack has {total} bytes, limit {PACK_BYTES_MAX}"));
    }
    for (path, bytes) in files {
        if bytes.len() > PACK_FILE_BYTES_MAX {
            let message = format!("file has {} bytes, limit {PACK_FILE_BYTES_MAX}", bytes.len());
            refuse(ErrorKind::TooLarge, path, message);
        }
        if !is_path(path) {
            let message = format!(
                "path {path:?}: expected a relative path of plain names, at most {PACK_PATH_BYTES_MAX} bytes"
            );
            refuse(ErrorKind::Invalid, "", message);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Whether a path is relative, of plain names, and stays inside.
fn is_path(path: &str) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    path.len() <= PACK_PATH_BYTES_MAX && path.split('/').all(plain)
}

/// The canonical bytes of a pack's files.
///
/// # Panics
/// When the files pass the bounds of `limits.rs`; `load` admits none that do.
pub fn archive(files: &Files) -> Vec<u8> {
    let total: usize = files.iter().map(|(path, bytes)| path.len() + bytes.len() + 6).sum();
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + total);
    out.extend(MAGIC);
    out.extend(u32::try_from(files.len()).expect("at most PACK_FILES_MAX files").to_le_bytes());
    for (path, bytes) in files {
        out.extend(u16::try_from(path.len()).expect("at most PACK_PATH_BYTES_MAX bytes").to_le_bytes());
        out.extend(path.as_bytes());
        out.extend(u32::try_from(bytes.len()).expect("at most PACK_FILE_BYTES_MAX bytes").to_le_bytes());
        out.extend(bytes);
    }
    out
}

/// The files of an archive.
///
/// # Errors
/// `Version` for another first word, `Corrupt` for bytes that `archive` does not write, `TooLarge` past a bound.
pub fn unarchive(bytes: &[u8]) -> Result<Files, Error> {
    let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("pack archive: {what}"));
    // Every file costs at most its bytes, its path and six bytes of lengths.
    if bytes.len() > PACK_BYTES_MAX + PACK_FILES_MAX * (PACK_PATH_BYTES_MAX + 6) + 12 {
        let message = format!("pack archive has {} bytes, limit {PACK_BYTES_MAX}", bytes.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(Error::new(ErrorKind::Version, "pack archive: not an archive of this version"));
    };
    let mut rest = rest;
    let mut take = |length: usize| -> Result<&[u8], Error> {
        let (head, tail) = rest.split_at_checked(length).ok_or_else(|| corrupt("truncated"))?;
        rest = tail;
        Ok(head)
    };
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
    let count = number(take(4)?);
    if count > PACK_FILES_MAX {
        let message = format!("pack archive has {count} files, limit {PACK_FILES_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut files = Files::new();
    for _ in 0..count {
        let length = number(take(2)?);
        let path =
            std::str::from_utf8(take(length)?).map_err(|_| corrupt("a path is not UTF-8"))?.to_string();
        if files.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(corrupt("paths are not in order"));
        }
        let length = number(take(4)?);
        files.insert(path, take(length)?.to_vec());
    }
    if !rest.is_empty() {
        return Err(corrupt("bytes after the last file"));
    }
    check_files(&files).map_err(|mut errors| errors.remove(0))?;
    Ok(files)
}

/// SHA-256 of the canonical bytes.
pub fn content_hash(files: &Files) -> [u8; 32] {
    Sha256::digest(archive(files)).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_archived_comes_back(files in prop::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}\\.yaml)?", any::<Vec<u8>>(), 0..8)) {
            let bytes = archive(&files);
            prop_assert_eq!(unarchive(&bytes).unwrap(), files);
            for cut in 0..bytes.len() {
                prop_assert!(unarchive(&bytes[..cut]).is_err(), "cut at {}", cut);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(tail in any::<Vec<u8>>()) {
            let bytes = [MAGIC.as_slice(), &tail].concat();
            if let Ok(files) = unarchive(&bytes) {
                prop_assert_eq!(archive(&files), bytes);
            }
        }
    }

    #[test]
    fn paths_stay_inside() {
        for bad in ["../x", "/x", "a//b", "a/../b", "", "a/.b", "a\\b", "é"] {
            let files = Files::from([(bad.to_string(), vec![])]);
            assert!(unarchive(&archive(&files)).is_err(), "{bad:?}");
        }
    }
}
