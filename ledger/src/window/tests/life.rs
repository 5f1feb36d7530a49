//! A window that follows a real journal through writes, starts, crashes and settlements has the rows that it should,
//! and every file that is damaged is refused by name, alone, and put back.
#![allow(clippy::unwrap_used)]

use super::super::*;
use super::{Payment, payment, transaction};
use crate::faulty::MemoryStorage;
use crate::journal::{At, Durability, Go, Journal, Options, Reader, Record, RecordKind};
use crate::storage::Storage;
use crate::{ErrorKind, MasterKey};
use interdict_engine::domain::{Field, KeyId, Tag};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub(super) const CHUNK: usize = 5;
const FIRST_MS: i64 = 1_700_000_000_000;

/// A journal of payments, of which every third settles nowhere.
pub(super) struct World {
    pub dir: tempfile::TempDir,
    pub disk: MemoryStorage,
    pub journal: Journal,
    pub payments: BTreeMap<u64, Payment>,
    pub undecided: Vec<u64>,
}

pub(super) fn settles(sequence: u64) -> bool {
    !sequence.is_multiple_of(3)
}
fn cut_off_ms(sequence: u64) -> i64 {
    // Not in the order of sequences.
    FIRST_MS + 1_000 * (sequence as i64 ^ 3)
}

impl World {
    pub fn new() -> World {
        let disk = MemoryStorage::new(0);
        let options = Options::new(Durability::Os, "test", [3; 32]);
        let key = MasterKey::from_bytes([5; 32]);
        let (journal, _) = Journal::open(Arc::new(disk.clone()), &key, options).unwrap();
        let dir = tempfile::tempdir().unwrap();
        World { dir, disk, journal, payments: BTreeMap::new(), undecided: Vec::new() }
    }
    /// One batch: some payments, and the decisions of so many that wait for one, the last first.
    pub fn append(&mut self, payments: usize, decisions: usize) {
        let next = self.journal.last_sequence() + 1;
        for sequence in next..next + payments as u64 {
            let mut tx = transaction(if sequence % 2 == 0 { "acme" } else { "beta" });
            tx.set_text(Field::PayerName, &format!("Ana Silva {sequence}"));
            tx.add_tag(Field::Card, KeyId::STATE, Tag(u128::from(sequence % 4) << 96));
            if sequence > 12 {
                tx.add_tag(Field::Email, KeyId::SHARED, Tag(u128::from(sequence)));
            }
            self.payments.insert(sequence, payment(sequence, tx));
            self.undecided.push(sequence);
        }
        let decided: Vec<u64> = (0..decisions).filter_map(|_| self.undecided.pop()).collect();
        let parts: Vec<(u64, RecordKind, Vec<u8>, Vec<u8>)> = (next..next + payments as u64)
            .map(|sequence| {
                let accepted = &self.payments[&sequence].accepted;
                (sequence, RecordKind::Accepted, accepted.encode_open(), accepted.encode_sealed())
            })
            .chain(decided.iter().map(|sequence| {
                (*sequence, RecordKind::Decided, self.payments[sequence].decided_bytes.clone(), Vec::new())
            }))
            .collect();
        let records = parts.iter().map(|(sequence, kind, open, sealed)| Record {
            kind: *kind,
            sequence: *sequence,
            open,
            sealed,
        });
        let records: Vec<Record<'_>> = records.collect();
        if !records.is_empty() {
            self.journal.append(&records).unwrap();
        }
    }
    pub fn window_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("window")
    }
    pub fn open(&self) -> Window {
        let (window, why) = Window::open_sized(&self.window_dir(), &self.disk, CHUNK).unwrap();
        assert_eq!(why, None);
        window
    }
    /// What must be a row: decided, with all before it.
    fn expected(&self, dropped: &BTreeSet<u64>) -> Vec<u64> {
        let first = self.undecided.iter().min().copied().unwrap_or(u64::MAX);
        let all = self.payments.keys().copied().take_while(|sequence| *sequence < first);
        all.filter(|sequence| settles(*sequence) && !dropped.contains(sequence)).collect()
    }
}

/// What whoever follows the journal does.
pub(super) struct Follower {
    pub window: Window,
    pairs: Pairs,
    at: At,
}

impl Follower {
    pub fn new(window: Window, reader: &Reader) -> Follower {
        let at = window.resume().cloned().unwrap_or_else(|| reader.beginning().unwrap().unwrap());
        Follower { window, pairs: Pairs::new(at.clone()), at }
    }
    pub fn follow(&mut self, reader: &Reader) {
        let (window, pairs) = (&mut self.window, std::cell::RefCell::new(&mut self.pairs));
        let reached =
            reader.follow(self.at.clone(), &mut |stored| pairs.borrow_mut().take(stored), &mut |at| {
                let mut pairs = pairs.borrow_mut();
                while let Some(pair) = pairs.pop().unwrap() {
                    push(window, &pair, at);
                }
                window.reached(at, &pairs.resume(at)).unwrap();
                Go::On
            });
        self.at = reached.unwrap();
    }
}

fn row(pair: &Pair) -> NewRow<'_> {
    NewRow {
        taken: &pair.taken,
        accepted: &pair.accepted,
        decided_bytes: &pair.decided_bytes,
        decided: &pair.decided,
        outcome: pair.decided.verdict.outcome,
        cut_off_ms: cut_off_ms(pair.taken.sequence),
        lever: pair.decided.verdict.lever,
    }
}
fn push(window: &mut Window, pair: &Pair, at: &At) {
    if !settles(pair.taken.sequence) {
        return;
    }
    match window.push(&row(pair)) {
        // One decision may let many payments through.
        Err(e) if e.kind == ErrorKind::Full => {
            window.write_full(at).unwrap();
            window.push(&row(pair)).unwrap();
        }
        other => drop(other.unwrap()),
    }
}

fn sequences(window: &Window) -> Vec<u64> {
    window.rows().flat_map(|rows| rows.sequence.to_vec()).collect()
}
/// Every row is what the journal was given.
fn check(window: &Window, world: &World) {
    let mut keys = world.journal.reader().unsealer();
    for rows in window.rows() {
        for row in rows.iter() {
            let payment = &world.payments[&row.sequence()];
            assert_eq!(row.accepted(&mut keys).unwrap(), payment.accepted);
            assert_eq!(row.decided().unwrap(), payment.decided);
            assert_eq!(row.cut_off_ms(), cut_off_ms(row.sequence()));
            assert_eq!(window.row(row.sequence(), |row| row.arrival_ms()), Some(row.arrival_ms()));
            for column in TagColumn::all() {
                let interdict_engine::domain::Body::Payment(tx) = &payment.accepted.event.body else {
                    panic!()
                };
                assert_eq!(row.tag(column), column.tag_of(tx));
            }
        }
    }
    let all = window.last_sequence() + 3;
    let looks: [Vec<u64>; 4] = [
        (0..all).collect(),
        (0..all).rev().collect(),
        (0..all).step_by(7).chain((0..all).step_by(5)).collect(),
        vec![u64::MAX, 0, 4, 4],
    ];
    for sequences in looks {
        let mut found = vec![None; sequences.len()];
        let see = &mut |place: usize, row: Row<'_, '_>| {
            found[place] = Some((row.sequence(), row.in_short()?));
            Ok(())
        };
        window.look_up(&sequences, see).unwrap();
        let one = |sequence: &u64| {
            window.row(*sequence, |row| {
                let verdict = row.decided().unwrap().verdict;
                (*sequence, (verdict.outcome, !verdict.skipped.is_empty()))
            })
        };
        assert_eq!(found, sequences.iter().map(one).collect::<Vec<_>>());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize, usize),
    Follow,
    Roll,
    Save,
    /// A new start, from what is on disk.
    Restart,
    Settle(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..6, 0usize..7).prop_map(|(payments, decisions)| Step::Append(payments, decisions)),
        4 => Just(Step::Follow),
        1 => Just(Step::Roll),
        1 => Just(Step::Save),
        2 => Just(Step::Restart),
        1 => (0u64..60).prop_map(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_window_has_the_rows_that_it_should_whatever_happens(steps in prop::collection::vec(step(), 1..50)) {
        let mut world = World::new();
        let reader = world.journal.reader();
        let mut follower = Follower::new(world.open(), &reader);
        let mut dropped = BTreeSet::new();
        for step in steps.into_iter().chain([Step::Restart, Step::Follow]) {
            match step {
                Step::Append(payments, decisions) => world.append(payments, decisions),
                Step::Roll => world.journal.roll().unwrap(),
                Step::Save => follower.window.save().unwrap(),
                Step::Restart => {
                    drop(follower);
                    follower = Follower::new(world.open(), &reader);
                    prop_assert_eq!(follower.window.lost().count(), 0);
                }
                Step::Settle(sequence) => {
                    // One in eleven is held, whatever the time.
                    let keep = |row: &Row<'_, '_>| row.sequence().is_multiple_of(11);
                    let before = sequences(&follower.window);
                    follower.window.drop_settled(cut_off_ms(sequence), &mut |row| keep(row)).unwrap();
                    let after: BTreeSet<u64> = sequences(&follower.window).into_iter().collect();
                    let gone: Vec<u64> = before.into_iter().filter(|sequence| !after.contains(sequence)).collect();
                    prop_assert!(gone.iter().all(|gone| cut_off_ms(*gone) < cut_off_ms(sequence) && gone % 11 != 0));
                    dropped.extend(gone);
                }
                Step::Follow => {
                    follower.follow(&reader);
                    prop_assert_eq!(sequences(&follower.window), world.expected(&dropped));
                }
            }
        }
        check(&follower.window, &world);
        let sizes: Vec<usize> = follower.window.chunks().map(|chunk| chunk.len()).collect();
        prop_assert!(sizes.iter().all(|len| *len == CHUNK), "{sizes:?}");
    }
}

/// Twenty-eight rows: five files and three rows that grow.
pub(super) fn full() -> (World, Window) {
    let mut world = World::new();
    (0..7).for_each(|_| world.append(6, 6));
    let reader = world.journal.reader();
    let mut follower = Follower::new(world.open(), &reader);
    follower.follow(&reader);
    assert_eq!((follower.window.len(), follower.window.chunks().count()), (28, 5));
    let window = follower.window;
    (world, window)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_that_is_cut_damaged_or_another_is_refused_by_name_and_its_rows_put_back() {
    let (world, mut window) = full();
    window.save().unwrap();
    let dir = world.window_dir();
    let files: Vec<String> = names(&dir).into_iter().filter(|name| name.ends_with(".arrow")).collect();
    assert_eq!(files.len(), 6);
    let expected = sequences(&window);
    drop(window);
    let reader = world.journal.reader();
    for (n, name) in files.iter().enumerate() {
        let good = std::fs::read(dir.join(name)).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() * (n + 1) / 8] ^= 4;
        let another = std::fs::read(dir.join(&files[(n + 1) % files.len()])).unwrap();
        for bad in
            [Some(flipped), Some(good[..good.len() - 1].to_vec()), Some(another), Some(Vec::new()), None]
        {
            match bad {
                Some(bad) => std::fs::write(dir.join(name), bad).unwrap(),
                None => std::fs::remove_file(dir.join(name)).unwrap(),
            }
            let mut window = world.open();
            let lost: Vec<Lost> = window.lost().cloned().collect();
            assert_eq!(lost.iter().map(|lost| &lost.name).collect::<Vec<_>>(), [name]);
            let why = lost[0].why.to_string();
            assert!(why.contains(name), "{why}");
            let left: Vec<u64> =
                expected.iter().copied().filter(|s| !(lost[0].first..=lost[0].last).contains(s)).collect();
            assert_eq!(sequences(&window), left);
            // Still lost at the next start, until it is put back.
            window.save().unwrap();
            drop(window);
            let mut window = world.open();
            assert_eq!(window.lost().next(), Some(&lost[0]));
            let mut rows = Growing::default();
            let mut pairs = Pairs::new(reader.beginning().unwrap().unwrap());
            reader.for_each(lost[0].first, &mut |stored| pairs.take(stored)).unwrap();
            while let Some(pair) = pairs.pop().unwrap() {
                if (lost[0].first..=lost[0].last).contains(&pair.taken.sequence)
                    && settles(pair.taken.sequence)
                {
                    rows.push(&row(&pair)).unwrap();
                }
            }
            window.mend(name, rows).unwrap();
            assert_eq!((window.lost().count(), sequences(&window)), (0, expected.clone()));
            drop(window);
            let window = world.open();
            assert_eq!((window.lost().count(), sequences(&window)), (0, expected.clone()));
            check(&window, &world);
        }
    }
}

#[test]
fn a_window_of_another_journal_or_of_one_that_was_cut_back_is_begun_anew() {
    let (world, mut window) = full();
    window.save().unwrap();
    drop(window);
    let dir = world.window_dir();
    let kept: BTreeMap<String, Vec<u8>> =
        names(&dir).into_iter().map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap())).collect();
    let put_back = || kept.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());
    let refused = |journal: &dyn Storage, kind, text: &str| {
        put_back();
        let (window, why) = Window::open_sized(&dir, journal, CHUNK).unwrap();
        let why = why.unwrap();
        assert_eq!(why.kind, kind, "{why}");
        assert!(why.to_string().contains(text), "{why}");
        assert!(window.is_empty() && window.resume().is_none());
        assert_eq!(names(&dir), Vec::<String>::new());
    };
    let other = full().0;
    refused(&other.disk, ErrorKind::Invalid, "not of this journal");
    // Cut back to before its last batch, as a power loss may leave it.
    let cut = MemoryStorage::new(0);
    for (name, bytes) in world.disk.dump() {
        let len = bytes.len() - 10;
        cut.put(&name, bytes[..len].to_vec());
    }
    refused(&cut, ErrorKind::Invalid, "not of this journal");
    put_back();
    // The list of files itself.
    let list = dir.join("window");
    let mut bytes = std::fs::read(&list).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&list, bytes).unwrap();
    let (window, why) = Window::open_sized(&dir, &world.disk, CHUNK).unwrap();
    assert!(window.is_empty() && why.unwrap().to_string().contains("checksum"));
    // And what nobody knows of is removed, what is not its own left.
    put_back();
    std::fs::write(dir.join("note.txt"), "x").unwrap();
    std::fs::write(dir.join("00000000000000000001-00000000000000000009.arrow.part"), "x").unwrap();
    assert_eq!(world.open().len(), 28);
    let expected: Vec<String> = kept.keys().cloned().chain(["note.txt".to_owned()]).collect();
    assert_eq!(names(&dir), {
        let mut sorted = expected;
        sorted.sort();
        sorted
    });
}

#[test]
fn full_chunks_wait_in_memory_for_a_disk_and_only_so_many() {
    let world = World::new();
    let (mut window, _) = Window::open_sized(&world.window_dir(), &world.disk, 1).unwrap();
    std::fs::remove_dir(world.window_dir()).unwrap();
    let payments: Vec<Payment> = (1..=9).map(|sequence| payment(sequence, transaction("acme"))).collect();
    for payment in &payments[..1 + UNWRITTEN_MAX] {
        assert!(window.push(&payment.row()).unwrap());
    }
    let error = window.push(&payments[1 + UNWRITTEN_MAX].row()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full);
    let at = world.journal.at().unwrap();
    assert_eq!(window.reached(&at, &at).unwrap_err().kind, ErrorKind::Io);
    assert_eq!((window.len(), window.file_bytes()), (1 + UNWRITTEN_MAX, 0));
    std::fs::create_dir(world.window_dir()).unwrap();
    window.reached(&at, &at).unwrap();
    assert!(window.push(&payments[1 + UNWRITTEN_MAX].row()).unwrap());
    assert!(!window.push(&payments[3].row()).unwrap(), "it was there before");
    assert_eq!(sequences(&window), [1, 2, 3, 4, 5, 6]);
}
