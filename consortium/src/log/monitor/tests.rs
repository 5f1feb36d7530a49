#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::log::{Folder, Memory, Writer};

fn key() -> SignerKey {
    SignerKey::from_seed("log.example", KeyType::Ed25519, &[1; 32]).unwrap()
}
fn keys() -> [VerifierKey; 1] {
    [key().verifier().clone()]
}
/// A log whose leaves are of one kind from `fork` on, and of another before.
fn log(kind: &str, fork: u64, size: u64) -> Writer<Memory> {
    let mut writer = Writer::open(Memory::default(), key()).unwrap();
    let leaf = |n| format!("{} {n}", if n < fork { "a" } else { kind });
    writer.append(&(0..size).map(leaf).collect::<Vec<_>>()).unwrap();
    writer.checkpoint().unwrap();
    writer
}
fn note(log: &Writer<Memory>) -> &Note {
    log.published().unwrap().1
}

#[test]
fn it_follows_a_log_and_hands_over_every_leaf_once() {
    let (mut monitor, mut leaves) = (Monitor::new(&keys()), 0);
    for size in [0, 1, 256, 256, 700] {
        let log = log("a", 0, size);
        let from = monitor.held().map_or(0, |(held, _)| held.size);
        let report = monitor
            .advance_with(note(&log), log.folder(), |index, leaf| {
                assert_eq!((index, leaf), (leaves, format!("a {leaves}").as_bytes()));
                leaves += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!((report.from, report.to, leaves), (from, size, size));
        assert_eq!(report.bytes, (from..size).map(|n| format!("a {n}").len() as u64).sum::<u64>());
        monitor = Monitor::resume(&keys(), note(&log), log.folder()).unwrap();
    }
    let old = log("a", 0, 300);
    let error = monitor.advance(note(&old), log("a", 0, 700).folder()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stale);
    assert!(monitor.evidence().is_none());
    // What its caller refuses is not taken over.
    let longer = log("a", 0, 702);
    let refuse = |_, _: &[u8]| Err(Error::new(ErrorKind::Invalid, "no"));
    assert_eq!(
        monitor.advance_with(note(&longer), longer.folder(), refuse).unwrap_err().kind,
        ErrorKind::Invalid
    );
    assert_eq!(monitor.advance(note(&longer), longer.folder()).unwrap().from, 700);
}

#[test]
fn two_histories_are_told_apart_from_bad_tiles_and_shown() {
    let held = log("a", 0, 300);
    let mut monitor = Monitor::new(&keys());
    monitor.advance(note(&held), held.folder()).unwrap();
    for (fork, size) in [(0, 300), (299, 300), (299, 500), (0, 301), (0, 256), (10, 20)] {
        let other = log("b", fork, size);
        let mut monitor = monitor.clone();
        // The tiles of the longer one join them, or rather do not.
        let tiles = if size < 300 { held.folder() } else { other.folder() };
        let error = monitor.advance(note(&other), tiles).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Equivocation, "{fork} {size}: {error}");
        let evidence = monitor.evidence().unwrap();
        evidence.verify(&keys()).unwrap();
        let shown = evidence.to_string();
        assert!(shown.contains(note(&held).text()) && shown.contains(note(&other).text()), "{shown}");
        assert_eq!(monitor.held().unwrap().0.size, 300);
    }
    // A log that is honest and a server that is not: no accusation.
    let (longer, other) = (log("a", 0, 500), log("b", 250, 500));
    let error = monitor.advance(note(&longer), other.folder()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    for path in ["tile/entries/001", "tile/entries/001.p/244"] {
        let Some(bytes) = longer.folder().read(path).unwrap() else { continue };
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        longer.folder().write(path, &changed).unwrap();
        assert_eq!(monitor.advance(note(&longer), longer.folder()).unwrap_err().kind, ErrorKind::Corrupt);
        longer.folder().write(path, &bytes).unwrap();
    }
    assert!(monitor.evidence().is_none());
    assert_eq!(monitor.advance(note(&longer), longer.folder()).unwrap().to, 500);
    let forged = note(&longer).encode().replace("\n500\n", "\n501\n");
    let forged = Note::parse(forged.as_bytes()).unwrap();
    assert_eq!(monitor.advance(&forged, longer.folder()).unwrap_err().kind, ErrorKind::Corrupt);
    assert!(Monitor::resume(&keys(), note(&longer), other.folder()).is_err());
}
