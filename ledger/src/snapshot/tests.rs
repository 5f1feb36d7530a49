//! The folder of the images: which are there, and which go.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn the_newest_stay_and_what_is_half_written_goes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(list(&dir.path().join("none")).unwrap().is_empty());
    for sequence in [7, 900, 12] {
        std::fs::write(path(dir.path(), sequence), "").unwrap();
    }
    let part = dir.path().join("00000000000000000950.img.part");
    std::fs::write(&part, "").unwrap();
    std::fs::write(dir.path().join("identity.redb"), "").unwrap();
    let sequences = || -> Vec<u64> { list(dir.path()).unwrap().into_iter().map(|(s, _)| s).collect() };
    assert_eq!(sequences(), [900, 12, 7]);
    assert_eq!(prune(dir.path(), 2).unwrap(), 1);
    assert_eq!(sequences(), [900, 12]);
    assert!(!part.exists() && dir.path().join("identity.redb").exists());
}
