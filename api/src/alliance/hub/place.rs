//! Whether a folder is where it was served last. One that was copied or restored may be older than what members have seen,
//! and going on from it would be a second history: it is served again only after members' checkpoints were shown to it.

use crate::alliance::folder::{Files, Held};
use anyhow::{Context, Result};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file that says where the folder is.
const PLACE: &str = "place";

/// Device, inode and birth of the folder's lock: a copy has others. An inode alone may be given again to the next file. Where
/// the file system keeps no births, the last change of the inode stands for it.
fn here(held: &Held) -> Result<String> {
    let path = held.path().join("lock");
    let about = std::fs::metadata(&path).with_context(|| path.display().to_string())?;
    let born = about.created().ok().and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or((about.ctime(), about.ctime_nsec()), |born| {
        (born.as_secs() as i64, i64::from(born.subsec_nanos()))
    });
    Ok(format!("{} {} {}.{:09}\n", about.dev(), about.ino(), born.0, born.1))
}

/// Whether the folder was served here last, or never.
///
/// # Errors
/// The system's.
pub fn is_here(held: &Held) -> Result<bool> {
    let files: Files = held.files("")?;
    match files.read(PLACE)? {
        None => Ok(!Path::new(&held.path().join("governance/checkpoint")).exists()),
        Some(said) => Ok(said == here(held)?.as_bytes()),
    }
}

/// Says that it is served here from now on.
///
/// # Errors
/// The system's.
pub fn settle(held: &Held) -> Result<()> {
    Ok(held.files("")?.write(PLACE, here(held)?.as_bytes())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_knows_that_it_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        let held = Held::take(&first).unwrap();
        assert!(is_here(&held).unwrap(), "a folder that never served");
        settle(&held).unwrap();
        held.files("governance").unwrap().write("checkpoint", b"signed").unwrap();
        assert!(is_here(&held).unwrap());
        let copy = Held::take(&second).unwrap();
        for name in ["place", "governance/checkpoint"] {
            copy.files("").unwrap().write(name, &std::fs::read(first.join(name)).unwrap()).unwrap();
        }
        assert!(!is_here(&copy).unwrap());
        settle(&copy).unwrap();
        assert!(is_here(&copy).unwrap());
        std::fs::remove_file(first.join(PLACE)).unwrap();
        assert!(!is_here(&held).unwrap(), "a log without its place");
    }
}
