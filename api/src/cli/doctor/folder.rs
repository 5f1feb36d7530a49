//! The key folder: who may read it. Keys that others can read are no keys.

use super::{Row, State};
use crate::node::ring::{RING, Ring};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Modes of a key folder and of every file in it.
pub(super) fn keys(dir: &Path) -> Row {
    let mode = |path: &Path| std::fs::symlink_metadata(path).map(|meta| meta.permissions().mode() & 0o7777);
    let Ok(folder) = mode(dir) else {
        let advice =
            "They are made at the first start; back them up, without them no list and no letter can be read.";
        return Row::new("keys", State::Ok, format!("{}: none yet", dir.display()), advice);
    };
    let mut wrong = Vec::new();
    if folder & 0o077 != 0 {
        wrong.push(format!("{} is {folder:04o}, must be 0700", dir.display()));
    }
    let mut files = 0;
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
                files += 1;
                match mode(&path) {
                    Ok(0o600) => {}
                    Ok(mode) => wrong.push(format!("{} is {mode:04o}, must be 0600", path.display())),
                    Err(e) => wrong.push(format!("{}: {e}", path.display())),
                }
            }
        }
        Err(e) => wrong.push(format!("{}: {e}", dir.display())),
    }
    // Which of the ring's keys is lost or damaged; a folder without any key has none to lose.
    if wrong.is_empty()
        && dir.join(RING).exists()
        && let Err(e) = Ring::open(dir)
    {
        let advice = "Put the key back from a backup of the keys: what hangs on it cannot be read without.";
        return Row::new("keys", State::Fail, format!("{e:#}"), advice);
    }
    if wrong.is_empty() {
        let found = format!("{}: {files} files, only their owner may read them", dir.display());
        return Row::new("keys", State::Ok, found, "Back them up apart from the data.");
    }
    let advice = "Run chmod, and make new keys if others could have read these; `serve` refuses such files.";
    Row::new("keys", State::Fail, wrong.join("; "), advice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_fails() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let key = dir.path().join("master.key");
        std::fs::write(&key, [0; 32]).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        let row = keys(dir.path());
        assert!(row.state == State::Fail && row.found.contains("master.key is 0644"), "{row:?}");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(keys(dir.path()).state, State::Ok);
        assert_eq!(keys(&dir.path().join("none")).state, State::Ok);
        Ring::add(dir.path(), &[crate::node::ring::Purpose::Sealing], 1).unwrap();
        assert_eq!(keys(dir.path()).state, State::Ok);
        std::fs::remove_file(dir.path().join("master-2.key")).unwrap();
        let row = keys(dir.path());
        assert!(row.state == State::Fail && row.found.contains("key 2 is lost"), "{row:?}");
    }
}
