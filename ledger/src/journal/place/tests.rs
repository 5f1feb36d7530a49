//! Opening from a place gives what lies behind it, and the same journal otherwise; a journal that was cut back behind
//! it, or is another, does not hold it.
#![allow(clippy::unwrap_used)]

use super::super::{Durability, Go, Journal, Options, Record, RecordKind, Recovery};
use super::*;
use crate::MasterKey;
use crate::storage::FileStorage;
use interdict_engine::image::{Reader as From, Writer};
use std::sync::Arc;

const BATCHES: u64 = 60;

fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::new(Durability::Os, "t", [0; 32]) }
}
fn storage(dir: &std::path::Path) -> Arc<FileStorage> {
    Arc::new(FileStorage::create(dir).unwrap())
}
fn key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}
fn append(journal: &mut Journal, sequence: u64) {
    let open = sequence.to_le_bytes();
    let kinds = [RecordKind::Accepted, RecordKind::Decided];
    let batch = kinds.map(|kind| Record { kind, sequence, open: &open, sealed: &[] });
    journal.append(&batch).unwrap();
}
/// A journal of several segments, with the places after each batch.
fn journal(dir: &std::path::Path) -> (Journal, Vec<At>) {
    let (mut journal, _) = Journal::open(storage(dir), &key(), options(2000)).unwrap();
    let mut places = vec![journal.at().unwrap()];
    for sequence in 1..=BATCHES {
        append(&mut journal, sequence);
        places.push(journal.at().unwrap());
    }
    (journal, places)
}
fn copy(from: &std::path::Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}
/// Opens from a place; what was read, and the journal.
fn open_from(dir: &std::path::Path, resume: Option<Resume>) -> (Vec<u64>, Journal, Recovery) {
    let mut read = Vec::new();
    let opened = Journal::open_from(storage(dir), &key(), options(2000), resume, &mut |stored| {
        if stored.kind == RecordKind::Accepted {
            read.push(stored.sequence);
        }
        Ok(())
    });
    let (journal, recovery) = opened.unwrap();
    (read, journal, recovery)
}

#[test]
fn from_every_place_the_rest_is_read_and_the_journal_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, places) = journal(dir.path());
    assert!(places.last().unwrap().segment() > 3, "several segments");
    let resumes: Vec<Vec<u8>> = places
        .iter()
        .map(|at| {
            let mut bytes = Vec::new();
            let mut to = Writer::new(&mut bytes);
            journal.resume(at.clone()).save(&mut to);
            to.end();
            bytes
        })
        .collect();
    drop(journal);
    let (_, _, whole) = open_from(copy(dir.path()).path(), None);
    for (sequence, bytes) in (0..).zip(resumes) {
        let dir = copy(dir.path());
        let resume = Resume::load(&mut From::new(&mut &bytes[..])).unwrap();
        resume.at().check(&*storage(dir.path())).unwrap();
        let (read, mut journal, recovery) = open_from(dir.path(), Some(resume));
        assert_eq!(read, (sequence + 1..=BATCHES).collect::<Vec<u64>>());
        assert_eq!((recovery.last_sequence, &recovery.torn), (BATCHES, &whole.torn));
        assert_eq!(recovery.segments, whole.segments);
        for old in [1, sequence.max(1), BATCHES] {
            assert!(journal.reader().read_decided(old).unwrap().is_some(), "{old} from {sequence}");
        }
        append(&mut journal, BATCHES + 1);
        drop(journal);
        let (read, ..) = open_from(dir.path(), None);
        assert_eq!(read.len() as u64, BATCHES + 1);
    }
}

#[test]
fn a_journal_that_was_cut_back_or_is_another_does_not_hold_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, places) = journal(dir.path());
    drop(journal);
    let last = places.last().unwrap();
    let path = dir.path().join(segment_name(last.segment()));
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(last.offset() - 1).unwrap();
    let held = |dir: &std::path::Path, at: &At| at.check(&*storage(dir)).is_ok();
    assert!(!held(dir.path(), last));
    assert!(places[..places.len() - 1].iter().all(|at| held(dir.path(), at)));
    // Opened and gone on with: the cut place is not there any more, whatever has its number.
    let (_, mut journal, _) = open_from(dir.path(), None);
    (BATCHES..BATCHES + 5).for_each(|sequence| append(&mut journal, sequence));
    assert!(!held(dir.path(), last) && held(dir.path(), &journal.at().unwrap()));
    assert!(places[..places.len() - 1].iter().all(|at| held(dir.path(), at)));
    let other = tempfile::tempdir().unwrap();
    let (_other, others) = self::journal(other.path());
    assert!(
        places.iter().all(|at| !held(other.path(), at)) && others.iter().all(|at| held(other.path(), at))
    );
}

#[test]
fn a_header_before_the_place_that_was_exchanged_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, places) = journal(dir.path());
    let resume = journal.resume(places.last().unwrap().clone());
    drop(journal);
    let other = tempfile::tempdir().unwrap();
    drop(self::journal(other.path()));
    std::fs::copy(other.path().join(segment_name(2)), dir.path().join(segment_name(2))).unwrap();
    let error = Journal::open_from(storage(dir.path()), &key(), options(2000), Some(resume), &mut |_| Ok(()));
    let error = error.map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.place.unwrap().segment), (ErrorKind::Corrupt, 2), "{error}");
}

#[test]
fn following_goes_to_the_end_and_on_from_there_over_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, places) = journal(dir.path());
    let reader = journal.reader();
    let (mut at, mut seen) = (reader.beginning().unwrap().unwrap(), Vec::new());
    assert_eq!(at.chain(), places[0].chain());
    let mut stops = [7, 8, 30].into_iter().peekable();
    for more in 0..6 {
        let each = &mut |stored: &super::super::Stored<'_>| {
            seen.extend((stored.kind == RecordKind::Accepted).then_some(stored.sequence));
            Ok(())
        };
        let stop = stops.next();
        at = reader
            .follow(at, each, &mut |at| if Some(at.last_sequence()) == stop { Go::Stop } else { Go::On })
            .unwrap();
        let reached = stop.unwrap_or(BATCHES + more.max(3) - 3);
        assert_eq!(at.last_sequence(), reached);
        if let Some(place) = places.get(reached as usize).filter(|_| stop.is_some()) {
            assert_eq!(
                (at.segment(), at.offset(), at.chain()),
                (place.segment(), place.offset(), place.chain())
            );
        }
        at.check(&*storage(dir.path())).unwrap();
        if more >= 3 {
            append(&mut journal, BATCHES + more - 2);
        }
    }
    assert!(seen.iter().copied().eq(1..=seen.len() as u64), "{seen:?}");
}
