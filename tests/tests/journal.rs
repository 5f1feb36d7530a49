//! The journal against what disks, crashes and intruders do to it: torn at every byte, flipped at every byte, faulty
//! by seed. What was acknowledged is there once, in order, byte-equal; what was not appears whole or not at all.
#![allow(clippy::unwrap_used)]

#[path = "journal/outages.rs"]
mod outages;

use interdict_ledger::faulty::{Crash, Faults, MemoryStorage};
use interdict_ledger::journal::{
    Durability, Journal, KeyState, Options, OwnedRecord, Position, Reader, Record, RecordKind, check,
};
use interdict_ledger::storage::{FileStorage, Storage};
use interdict_ledger::{ErrorKind, MasterKey};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

type Batch = Vec<OwnedRecord>;

/// Bytes of a segment's header, from docs/formats/journal.md.
const HEADER: usize = 240;

fn key() -> MasterKey {
    MasterKey::from_bytes([42; 32])
}

fn options(durability: Durability, segment_bytes: u64) -> Options {
    let mut options = Options::new(durability, "0.1.0-test", [9; 32]);
    options.segment_bytes = segment_bytes;
    options.clock = Arc::new(|| 1_700_000_000_000);
    options
}

fn open(disk: &MemoryStorage, durability: Durability, segment_bytes: u64) -> Journal {
    Journal::open(Arc::new(disk.clone()), &key(), options(durability, segment_bytes)).unwrap().0
}

fn record(kind: RecordKind, sequence: u64, open: &[u8], sealed: &[u8]) -> OwnedRecord {
    OwnedRecord { kind, sequence, open: open.to_vec(), sealed: Some(sealed.to_vec()) }
}

fn append(journal: &mut Journal, batch: &[OwnedRecord]) -> Result<Position, interdict_ledger::Error> {
    let views: Vec<Record<'_>> = batch.iter().map(view).collect();
    journal.append(&views)
}

fn view(record: &OwnedRecord) -> Record<'_> {
    let sealed = record.sealed.as_deref().unwrap();
    Record { kind: record.kind, sequence: record.sequence, open: &record.open, sealed }
}

fn read_all(disk: &MemoryStorage) -> Vec<OwnedRecord> {
    let reader = Reader::open(Arc::new(disk.clone()), &key()).unwrap();
    reader.records(1).collect::<Result<_, _>>().unwrap()
}

/// Batches as the sequencer makes them: each accepts some and decides some that wait, out of order.
struct Feed {
    random: ChaCha8Rng,
}

impl Feed {
    fn batch(&mut self, last_sequence: u64, undecided: &mut Vec<u64>) -> Batch {
        let mut batch = Vec::new();
        let accepts = self.random.random_range(0..4u64);
        for sequence in last_sequence + 1..=last_sequence + accepts {
            batch.push(self.record(RecordKind::Accepted, sequence));
            undecided.push(sequence);
        }
        for _ in 0..self.random.random_range(0..4) {
            if !undecided.is_empty() {
                let at = self.random.random_range(0..undecided.len());
                let sequence = undecided.swap_remove(at);
                batch.push(self.record(RecordKind::Decided, sequence));
            }
        }
        batch
    }
    fn record(&mut self, kind: RecordKind, sequence: u64) -> OwnedRecord {
        let mut open = vec![0; self.random.random_range(0..60)];
        let mut sealed = vec![0; self.random.random_range(0..2) * self.random.random_range(1..40)];
        self.random.fill_bytes(&mut open);
        self.random.fill_bytes(&mut sealed);
        record(kind, sequence, &open, &sealed)
    }
}

/// A journal of three segments, the last one open, with two batches in each; returns the disk and all records.
fn small_journal(durability: Durability) -> (MemoryStorage, Vec<OwnedRecord>) {
    let disk = MemoryStorage::new(1);
    let mut journal = open(&disk, durability, 1 << 20);
    let mut records = Vec::new();
    for n in 0..6u64 {
        let batch = vec![
            record(RecordKind::Accepted, n + 1, b"numbers and tags", b"Ana Silva, the rent of May"),
            record(RecordKind::Decided, n + 1, b"a verdict", b""),
        ];
        let position = append(&mut journal, &batch).unwrap();
        journal.syncer().wait(position).unwrap();
        records.extend(batch);
        if n == 1 || n == 3 {
            journal.roll().unwrap();
        }
    }
    drop(journal);
    let disk = disk.crash(Crash::Process);
    (disk, records)
}

fn segment_names(disk: &MemoryStorage) -> Vec<String> {
    disk.dump().into_keys().filter(|name| name.ends_with(".seg")).collect()
}

/// Where the last frame of a segment's bytes begins.
fn last_frame(bytes: &[u8]) -> usize {
    let mut at = HEADER;
    loop {
        let next = at + 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if next >= bytes.len() {
            return at;
        }
        at = next;
    }
}

#[test]
fn a_tail_torn_at_any_byte_of_the_last_batch_is_cut_and_said_so() {
    for durability in [Durability::Os, Durability::Disk] {
        let (disk, records) = small_journal(durability);
        let name = segment_names(&disk).pop().unwrap();
        let bytes = disk.dump()[&name].clone();
        let start = last_frame(&bytes);
        for cut in start..bytes.len() {
            // What a killed write leaves; and what a power loss leaves where the length went to disk first.
            for zeros in [0, bytes.len() - cut] {
                let mut torn = bytes[..cut].to_vec();
                torn.resize(cut + zeros, 0);
                if torn == bytes {
                    continue;
                }
                let len = torn.len() as u64;
                let disk = disk.crash(Crash::Process);
                disk.put(&name, torn);
                let opened = Journal::open(Arc::new(disk.clone()), &key(), options(durability, 1 << 20));
                let (journal, recovery) = opened.unwrap();
                let cuts: Vec<_> = recovery.torn.iter().map(|t| (t.segment, t.offset, t.bytes_cut)).collect();
                let expected =
                    if len == start as u64 { vec![] } else { vec![(3, start as u64, len - start as u64)] };
                assert_eq!(cuts, expected, "cut at {cut}, {zeros} zeros");
                assert_eq!((recovery.last_sequence, recovery.epoch), (5, 2));
                let back: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
                assert_eq!(back, records[..10]);
                journal.close().unwrap();
                let report = check(&disk, &key()).unwrap();
                assert_eq!((report.damage, report.torn.len(), report.accepted), (None, 0, 5));
                disk.remove(&segment_names(&disk).pop().unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn a_header_torn_at_any_byte_is_a_torn_tail() {
    let (disk, records) = small_journal(Durability::Os);
    drop(open(&disk, Durability::Os, 1 << 20));
    let name = segment_names(&disk).pop().unwrap();
    let bytes = disk.dump()[&name].clone();
    assert_eq!(bytes.len(), HEADER);
    for cut in 0..HEADER {
        let disk = disk.crash(Crash::Process);
        disk.put(&name, bytes[..cut].to_vec());
        let opened = Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Os, 1 << 20));
        let (journal, recovery) = opened.unwrap();
        let torn = recovery.torn[0];
        assert_eq!((torn.segment, torn.offset, torn.bytes_cut), (4, 0, cut as u64));
        drop(journal);
        assert_eq!(read_all(&disk), records);
        assert_eq!(check(&disk, &key()).unwrap().damage, None);
    }
}

#[test]
fn one_flipped_byte_anywhere_is_found_and_named() {
    let (disk, _) = small_journal(Durability::Os);
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.torn.len(), report.accepted, report.decided), (None, 0, 6, 6));
    let names = segment_names(&disk);
    for (n, name) in names.iter().enumerate() {
        let good = disk.dump()[name].clone();
        let is_last = n + 1 == names.len();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            disk.put(name, bad);
            let report = check(&disk, &key()).unwrap();
            let in_last_batch = is_last && at >= last_frame(&good);
            match report.damage {
                Some(damage) => {
                    let place = damage.place.unwrap();
                    assert_eq!(place.segment, n as u64 + 1, "{name} at {at}: {damage}");
                    assert!(place.offset <= at as u64, "{name} at {at}: {damage}");
                }
                None => assert!(in_last_batch && report.torn.len() == 1, "{name} at {at}: not found"),
            }
            if !in_last_batch {
                let opened = Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Os, 1 << 20));
                let error = opened.map(|_| ()).unwrap_err();
                let kinds = [ErrorKind::Corrupt, ErrorKind::Version];
                assert!(kinds.contains(&error.kind), "{name} at {at}: {error}");
            }
        }
        disk.put(name, good);
    }
    assert_eq!(check(&disk, &key()).unwrap().damage, None);
}

#[test]
fn what_is_missing_or_moved_is_found() {
    let (disk, _) = small_journal(Durability::Os);
    let names = segment_names(&disk);
    let good = disk.dump();
    let damaged = |disk: &MemoryStorage, what: &str| {
        let damage = check(disk, &key()).unwrap().damage.unwrap_or_else(|| panic!("{what}: not found"));
        let opened = Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Os, 1 << 20));
        assert_eq!(opened.map(|_| ()).unwrap_err().kind, ErrorKind::Corrupt, "{what}");
        damage.place.unwrap().segment
    };
    // A closed segment cut anywhere behind its header, at a batch's end too.
    for cut in HEADER..good[&names[0]].len() {
        disk.put(&names[0], good[&names[0]][..cut].to_vec());
        assert_eq!(damaged(&disk, "a cut closed segment"), 1);
    }
    disk.put(&names[0], good[&names[0]].clone());
    // A whole segment gone from the middle.
    disk.remove(&names[1]).unwrap();
    assert_eq!(damaged(&disk, "a missing segment"), 2);
    // A segment in another's place.
    disk.put(&names[1], good[&names[0]].clone());
    assert_eq!(damaged(&disk, "a segment in another's place"), 2);
    disk.put(&names[1], good[&names[1]].clone());
    // A batch taken out of the middle, and two of equal length swapped.
    let bytes = &good[&names[2]];
    let second = last_frame(bytes);
    let (first_batch, second_batch) = (&bytes[HEADER..second], &bytes[second..]);
    disk.put(&names[2], [&bytes[..HEADER], second_batch].concat());
    assert_eq!(damaged(&disk, "a batch taken out"), 3);
    disk.put(&names[2], [&bytes[..HEADER], second_batch, first_batch].concat());
    assert_eq!(damaged(&disk, "two batches swapped"), 3);
    disk.put(&names[2], [bytes, first_batch].concat());
    assert_eq!(damaged(&disk, "a batch repeated"), 3);
}

#[test]
fn the_last_batch_in_another_place_is_damage_and_no_torn_tail() {
    for durability in [Durability::Os, Durability::Disk] {
        let (disk, _) = small_journal(durability);
        let name = segment_names(&disk).pop().unwrap();
        let good = disk.dump()[&name].clone();
        let at = last_frame(&good);
        for gap in [1, 7, 600] {
            disk.put(&name, [&good[..at], &vec![0; gap], &good[at..]].concat());
            let damage =
                check(&disk, &key()).unwrap().damage.expect("a frame that was moved is no torn tail");
            let place = damage.place.unwrap();
            assert_eq!((place.segment, place.offset), (3, at as u64), "{damage}");
        }
    }
}

/// Found by the simulator, seeds 53516 and 61608: where a segment ends is in the next one's header. If that cannot be
/// read, bytes that a failed write left behind are no damage, and what is said is what cannot be read.
#[test]
fn what_is_wrong_with_the_next_header_is_not_laid_on_the_segment_before() {
    let (disk, _) = small_journal(Durability::Os);
    let names = segment_names(&disk);
    let good = disk.dump();
    disk.put(&names[1], [&good[&names[1]][..], b"left"].concat());
    assert_eq!(check(&disk, &key()).unwrap().damage, None, "excess bytes do not count");
    let mut bad = good[&names[2]].clone();
    bad[20] ^= 1;
    disk.put(&names[2], bad);
    let damage = check(&disk, &key()).unwrap().damage.unwrap();
    assert_eq!(damage.place.unwrap().segment, 3, "{damage}");
}

/// What one run by seed knows of the journal's content.
struct Model {
    /// Batches that `append` took, in order.
    written: Vec<Batch>,
    /// How many of them are acknowledged.
    acknowledged: usize,
    /// Batches that `append` refused since the last one it took.
    refused: Vec<Batch>,
}

impl Model {
    fn records(&self) -> Vec<OwnedRecord> {
        self.written.concat()
    }
    /// Checks what a restart found and takes it as the new truth.
    fn settle(&mut self, found: &[OwnedRecord], seed: u64) {
        let mut rest = found;
        let mut whole = 0;
        while let Some(after) = self.written.get(whole).and_then(|batch| rest.strip_prefix(&batch[..])) {
            (rest, whole) = (after, whole + 1);
        }
        assert!(whole >= self.acknowledged, "seed {seed}: {whole} of {} acknowledged", self.acknowledged);
        if !rest.is_empty() {
            assert_eq!(whole, self.written.len(), "seed {seed}: something else in place of a batch");
            let extra = self.refused.iter().find(|batch| batch[..] == *rest);
            let extra = extra.unwrap_or_else(|| panic!("seed {seed}: part of a batch, or one never written"));
            self.written.push(extra.clone());
            whole += 1;
        }
        self.written.truncate(whole);
        self.acknowledged = whole;
        self.refused.clear();
    }
    /// Last sequence and the sequences without `decided`.
    fn state(&self) -> (u64, Vec<u64>) {
        let records = self.records();
        let of = |kind| records.iter().filter(move |r| r.kind == kind).map(|r| r.sequence);
        let decided: std::collections::HashSet<u64> = of(RecordKind::Decided).collect();
        let last = of(RecordKind::Accepted).max().unwrap_or(0);
        (last, of(RecordKind::Accepted).filter(|sequence| !decided.contains(sequence)).collect())
    }
}

fn faulty_run(seed: u64, durability: Durability) -> (usize, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut feed = Feed { random: ChaCha8Rng::seed_from_u64(seed ^ 0xfeed) };
    let mut disk = MemoryStorage::new(seed);
    let mut model = Model { written: Vec::new(), acknowledged: 0, refused: Vec::new() };
    let mut failures = 0;
    for _life in 0..5 {
        let opened = Journal::open(Arc::new(disk.clone()), &key(), options(durability, 1500));
        let (mut journal, recovery) = opened.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let found: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
        model.settle(&found, seed);
        let (mut last, mut undecided) = model.state();
        assert_eq!(recovery.last_sequence, last, "seed {seed}");
        disk.set_faults(Faults {
            write: random.random_range(0..150),
            short_write: random.random_range(0..100),
            truncate: random.random_range(0..600),
            create: random.random_range(0..200),
            sync: if random.random_range(0..3) == 0 { random.random_range(0..60) } else { 0 },
            capacity_bytes: if random.random_range(0..4) == 0 {
                random.random_range(2000..20_000)
            } else {
                0
            },
            ..Faults::default()
        });
        for _ in 0..random.random_range(1..60) {
            let mut undecided_after = undecided.clone();
            let batch = feed.batch(last, &mut undecided_after);
            if batch.is_empty() {
                continue;
            }
            match append(&mut journal, &batch) {
                Ok(position) => {
                    last += batch.iter().filter(|r| r.kind == RecordKind::Accepted).count() as u64;
                    undecided = undecided_after;
                    model.written.push(batch);
                    model.refused.clear();
                    if durability == Durability::Os
                        || random.random_range(0..3) == 0 && journal.syncer().wait(position).is_ok()
                    {
                        model.acknowledged = model.written.len();
                    }
                }
                Err(_) => {
                    failures += 1;
                    model.refused.push(batch);
                }
            }
            if random.random_range(0..20) == 0 {
                let found: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
                let (written, waits) = (model.records(), journal.unwritten_records() as usize);
                assert_eq!(found, written[..written.len() - waits], "seed {seed}: read beside the writer");
            }
        }
        match random.random_range(0..4) {
            0 => {
                disk.set_faults(Faults::default());
                if journal.close().is_ok() {
                    model.acknowledged = model.written.len();
                }
                disk = disk.crash(Crash::Process);
            }
            _ => {
                let crash = match (durability, random.random_range(0..3)) {
                    (Durability::Os, _) | (_, 0) => Crash::Process,
                    _ => Crash::Power,
                };
                disk = disk.crash(crash);
                drop(journal);
            }
        }
    }
    let found = {
        let journal = open(&disk, durability, 1500);
        let reader = journal.reader();
        for expected in model.records().iter().take(model.written[..model.acknowledged].concat().len()) {
            let read = match expected.kind {
                RecordKind::Accepted => reader.read_accepted(expected.sequence),
                RecordKind::Decided => reader.read_decided(expected.sequence),
                RecordKind::Finished => reader.read_finished(expected.sequence),
            };
            assert_eq!(read.unwrap().as_ref(), Some(expected), "seed {seed}");
        }
        reader.records(1).collect::<Result<Vec<_>, _>>().unwrap()
    };
    model.settle(&found, seed);
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.torn.len()), (None, 0), "seed {seed}");
    assert_eq!((report.accepted + report.decided) as usize, found.len(), "seed {seed}");
    (model.acknowledged, failures)
}

#[test]
fn on_a_faulty_disk_what_was_acknowledged_is_there_once_and_in_order() {
    for durability in [Durability::Os, Durability::Disk] {
        let runs: Vec<_> = (0..400).map(|seed| faulty_run(seed, durability)).collect();
        let (kept, failures): (usize, usize) =
            runs.iter().fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
        assert!(kept > 5000 && failures > 2000, "the faults and the work are real: {kept}, {failures}");
    }
}

#[test]
fn a_disk_that_lies_about_syncs_costs_a_tail_or_is_named_but_never_invents() {
    let (mut tails, mut named) = (0, 0);
    for seed in 0..300 {
        let disk = MemoryStorage::new(seed);
        let mut feed = Feed { random: ChaCha8Rng::seed_from_u64(seed) };
        let mut journal = open(&disk, Durability::Disk, 6000);
        disk.set_faults(Faults { lying_sync: 60, ..Faults::default() });
        let (mut written, mut undecided, mut last) = (Vec::new(), Vec::new(), 0);
        for _ in 0..40 {
            let batch = feed.batch(last, &mut undecided);
            last += batch.iter().filter(|r| r.kind == RecordKind::Accepted).count() as u64;
            let position = append(&mut journal, &batch).unwrap();
            journal.syncer().wait(position).unwrap();
            written.extend(batch);
        }
        let disk = disk.crash(Crash::Power);
        drop(journal);
        match Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Disk, 1500)) {
            Ok((journal, _)) => {
                let found: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
                assert!(written.starts_with(&found), "seed {seed}");
                tails += usize::from(found.len() < written.len());
            }
            Err(e) => {
                assert_eq!(e.kind, ErrorKind::Corrupt, "seed {seed}: {e}");
                assert!(e.place.is_some());
                named += 1;
            }
        }
    }
    assert!(tails > 10 && named > 10, "both happen: {tails} {named}");
}

#[test]
fn a_failed_write_leaves_the_segment_and_its_key_for_good() {
    let disk = MemoryStorage::new(3);
    let mut journal = open(&disk, Durability::Os, 1 << 20);
    let first = vec![record(RecordKind::Accepted, 1, b"open", b"sealed text of one")];
    append(&mut journal, &first).unwrap();
    let second = vec![record(RecordKind::Accepted, 2, b"open too", &[b's'; 200])];
    // The disk takes some of the bytes, says no, and cannot cut either.
    disk.set_faults(Faults { write: 1000, truncate: 1000, ..Faults::default() });
    assert_eq!(append(&mut journal, &second).unwrap_err().kind, ErrorKind::Full);
    assert_eq!(append(&mut journal, &second).unwrap_err().kind, ErrorKind::Full);
    assert_eq!(journal.last_sequence(), 1);
    disk.set_faults(Faults::default());
    append(&mut journal, &second).unwrap();
    let numbers: Vec<u64> = journal.segments().iter().map(|segment| segment.number).collect();
    assert_eq!(numbers, [1, 2]);
    drop(journal);
    assert_eq!(read_all(&disk), [first, second].concat());
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.torn.len()), (None, 0));
    assert!(report.segments[0].excess_bytes > 0, "the partial batch is there and does not count");
    assert!(!report.segments[0].closed);
}

#[test]
fn equal_records_never_give_equal_sealed_bytes() {
    let disk = MemoryStorage::new(4);
    let text = [b'x'; 64];
    for life in 0..3u64 {
        let mut journal = open(&disk, Durability::Os, 600);
        for n in 1..=4 {
            append(&mut journal, &[record(RecordKind::Accepted, life * 4 + n, b"", &text)]).unwrap();
        }
    }
    let mut sealed = Vec::new();
    for (name, bytes) in disk.dump() {
        assert!(!bytes.windows(8).any(|w| w == &text[..8]), "the text is never on the disk");
        let mut at = HEADER;
        while name.ends_with(".seg") && at < bytes.len() {
            // A frame's head is 24 bytes, a record's 17; a footer is shorter than that and the text.
            let next = at + 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            if next - at > 24 + 17 + text.len() {
                sealed.push(bytes[at + 24 + 17..][..text.len()].to_vec());
            }
            at = next;
        }
    }
    assert_eq!(sealed.len(), 12);
    // The same key and nonce would give the same 16 bytes somewhere.
    let mut blocks: Vec<&[u8]> = sealed.iter().flat_map(|bytes| bytes.chunks(16)).collect();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 12 * 4);
}

#[test]
fn sealed_text_is_never_on_the_disk_and_open_text_is() {
    let (disk, _) = small_journal(Durability::Os);
    let all: Vec<u8> = disk.dump().into_values().flatten().collect();
    assert!(!all.windows(4).any(|w| w == b"Ana " || w == b"rent" || w == b"May"));
    assert!(all.windows(16).any(|w| w == b"numbers and tags"));
}

#[test]
fn another_master_key_is_refused_by_name() {
    let (disk, _) = small_journal(Durability::Os);
    let other = MasterKey::from_bytes([43; 32]);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let before = disk.dump();
    let opened = Journal::open(storage.clone(), &other, options(Durability::Os, 1 << 20));
    let error = opened.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::WrongKey);
    assert!(error.message.contains("written under master key"), "{error}");
    assert_eq!(Reader::open(storage, &other).map(|_| ()).unwrap_err().kind, ErrorKind::WrongKey);
    assert_eq!(check(&disk, &other).unwrap_err().kind, ErrorKind::WrongKey);
    assert_eq!(disk.dump(), before, "nothing was changed");
}

#[test]
fn a_folder_has_one_writer_and_epochs_go_up() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::create(dir.path().join("journal")).unwrap());
    let opened = |storage: &Arc<dyn Storage>| {
        Journal::open(storage.clone(), &key(), options(Durability::Disk, 1 << 20))
    };
    let (journal, recovery) = opened(&storage).unwrap();
    assert_eq!((recovery.epoch, journal.epoch(), recovery.segments.len()), (1, 1, 0));
    let error = opened(&storage).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Locked);
    assert!(error.message.contains(&format!("pid {}", std::process::id())), "{error}");
    journal.close().unwrap();
    let (_journal, recovery) = opened(&storage).unwrap();
    assert_eq!((recovery.epoch, recovery.segments.len(), recovery.torn.len()), (2, 1, 0));
    assert!(recovery.segments[0].closed);
}

#[test]
fn a_destroyed_key_takes_the_sealed_parts_and_nothing_else() {
    let (disk, records) = small_journal(Durability::Os);
    let mut journal = open(&disk, Durability::Os, 1 << 20);
    let reader = journal.reader();
    assert_eq!(reader.read_accepted(3).unwrap().as_ref(), Some(&records[4]));
    journal.destroy_key(2).unwrap();
    journal.destroy_key(2).unwrap();
    assert_eq!(journal.destroy_key(4).unwrap_err().kind, ErrorKind::Invalid, "still written");
    assert_eq!(journal.destroy_key(9).unwrap_err().kind, ErrorKind::Invalid);
    let read = reader.read_accepted(3).unwrap().unwrap();
    assert_eq!((read.open, read.sealed), (records[4].open.clone(), None));
    assert_eq!(reader.read_decided(3).unwrap().as_ref(), Some(&records[5]), "it has no sealed part");
    assert_eq!(journal.segments()[1].key, KeyState::Destroyed);
    append(&mut journal, &[record(RecordKind::Accepted, 7, b"on", b"and on")]).unwrap();
    drop(journal);
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.sealed_unreadable, report.accepted), (None, 2, 7));
    let sealed: Vec<bool> = read_all(&disk).iter().map(|r| r.sealed.is_some()).collect();
    assert_eq!(sealed.iter().filter(|there| !**there).count(), 2);
}

#[test]
fn removed_segments_leave_a_journal_that_checks_and_goes_on() {
    let (disk, records) = small_journal(Durability::Os);
    let mut journal = open(&disk, Durability::Os, 1 << 20);
    assert_eq!(journal.remove_through(4).unwrap_err().kind, ErrorKind::Invalid);
    // With no segment begun behind them, the last of the closed ones stays: epoch and sequences go on from it.
    disk.set_faults(Faults { create: 1000, ..Faults::default() });
    assert!(journal.roll().is_err());
    assert_eq!(journal.remove_through(4).unwrap_err().kind, ErrorKind::Invalid);
    disk.set_faults(Faults::default());
    journal.remove_through(2).unwrap();
    assert_eq!(journal.reader().read_accepted(1).unwrap(), None);
    append(&mut journal, &[record(RecordKind::Accepted, 7, b"on", b"")]).unwrap();
    journal.close().unwrap();
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.segments[0].number, report.last_sequence), (None, 3, 7));
    assert_eq!(read_all(&disk)[..4], records[8..]);
    let journal = open(&disk, Durability::Os, 1 << 20);
    assert_eq!(journal.last_sequence(), 7);
}

#[test]
fn records_out_of_order_are_refused_and_change_nothing() {
    let disk = MemoryStorage::new(5);
    let mut journal = open(&disk, Durability::Os, 1 << 20);
    let accepted = |sequence| record(RecordKind::Accepted, sequence, b"a", b"");
    let decided = |sequence| record(RecordKind::Decided, sequence, b"d", b"");
    append(&mut journal, &[accepted(1), decided(1), accepted(3)]).unwrap();
    let before = disk.dump();
    for batch in
        [vec![accepted(3)], vec![accepted(4), accepted(2)], vec![decided(4), accepted(4)], vec![decided(0)]]
    {
        assert_eq!(append(&mut journal, &batch).unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(disk.dump(), before);
    append(&mut journal, &[accepted(4), decided(4), decided(3)]).unwrap();
    drop(journal);
    assert_eq!(check(&disk, &key()).unwrap().damage, None);
}

#[test]
fn a_second_decided_is_damage() {
    let disk = MemoryStorage::new(6);
    let mut journal = open(&disk, Durability::Os, 1 << 20);
    let decided = record(RecordKind::Decided, 1, b"d", b"");
    append(&mut journal, &[record(RecordKind::Accepted, 1, b"a", b""), decided.clone()]).unwrap();
    append(&mut journal, &[decided]).unwrap();
    drop(journal);
    let damage = check(&disk, &key()).unwrap().damage.unwrap();
    assert!(damage.message.contains("decided 1 a second time"), "{damage}");
}

#[test]
fn finished_records_come_after_their_payment_once_each_and_are_read_back_together() {
    let disk = MemoryStorage::new(61);
    let mut journal = open(&disk, Durability::Os, 4096);
    let (mut wanted, mut expected) = (Vec::new(), Vec::new());
    for sequence in 1..=200u64 {
        let batch = [
            record(RecordKind::Accepted, sequence, &sequence.to_le_bytes(), &[7; 90]),
            record(RecordKind::Decided, sequence, &[1; 40], b""),
        ];
        append(&mut journal, &batch).unwrap();
        if sequence % 3 == 0 {
            let finished = record(RecordKind::Finished, sequence - 2, &[sequence as u8; 50], b"");
            append(&mut journal, std::slice::from_ref(&finished)).unwrap();
            wanted.push((RecordKind::Finished, sequence - 2));
            expected.push(Some(finished));
        }
        if sequence % 50 == 0 {
            wanted.extend([(RecordKind::Accepted, sequence), (RecordKind::Finished, 1000 + sequence)]);
            expected.extend([Some(batch[0].clone()), None]);
        }
    }
    let late = append(&mut journal, &[record(RecordKind::Finished, 201, b"", b"")]);
    assert_eq!(late.unwrap_err().kind, ErrorKind::Invalid);
    let reader = journal.reader();
    assert!(reader.any_finished());
    assert_eq!(reader.read_many(&wanted).unwrap(), expected);
    assert_eq!(reader.read_finished(1).unwrap(), expected[0]);
    drop(journal);
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.accepted, report.decided, report.finished), (None, 200, 200, 66));
    let mut journal = open(&disk, Durability::Os, 4096);
    append(&mut journal, &[record(RecordKind::Finished, 1, b"again", b"")]).unwrap();
    drop(journal);
    let damage = check(&disk, &key()).unwrap().damage.unwrap();
    assert!(damage.message.contains("finished 1 a second time"), "{damage}");
}

#[test]
fn on_a_real_disk_waiters_of_every_kind_are_released() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::create(dir.path().join("journal")).unwrap());
    let (mut journal, _) = Journal::open(storage.clone(), &key(), options(Durability::Disk, 4096)).unwrap();
    let (syncer, called) = (journal.syncer(), Arc::new(AtomicU32::new(0)));
    let mut futures = Vec::new();
    for sequence in 1..=100 {
        let position =
            append(&mut journal, &[record(RecordKind::Accepted, sequence, &[1; 150], &[2; 50])]).unwrap();
        let called = called.clone();
        syncer.when_durable(position, move |result| {
            assert_eq!(result, Ok(()));
            called.fetch_add(1, Ordering::SeqCst);
        });
        futures.push(syncer.durable(position));
        if sequence % 10 == 0 {
            syncer.wait(position).unwrap();
            assert!(journal.durable(position));
        }
    }
    for future in futures {
        assert_eq!(block_on(future), Ok(()));
    }
    assert_eq!(called.load(Ordering::SeqCst), 100);
    journal.close().unwrap();
    assert_eq!(check(&*storage, &key()).unwrap().accepted, 100);
}

#[test]
fn after_a_failed_sync_every_waiter_is_told_and_the_batches_are_written_again_elsewhere() {
    let disk = MemoryStorage::new(8);
    let mut journal = open(&disk, Durability::Disk, 1 << 20);
    let safe = vec![record(RecordKind::Accepted, 1, b"a", b"synced")];
    let position = append(&mut journal, &safe).unwrap();
    journal.syncer().wait(position).unwrap();
    disk.set_faults(Faults { sync: 1000, ..Faults::default() });
    let doubtful = vec![record(RecordKind::Accepted, 2, b"a", b"not synced")];
    let position = append(&mut journal, &doubtful).unwrap();
    assert_eq!(journal.syncer().wait(position).unwrap_err().kind, ErrorKind::Sync);
    assert_eq!(block_on(journal.syncer().durable(position)).unwrap_err().kind, ErrorKind::Sync);
    let next = vec![record(RecordKind::Accepted, 3, b"a", b"")];
    assert!(append(&mut journal, &next).is_err(), "nothing can be synced yet");
    assert_eq!(journal.unwritten_records(), 1);
    assert_eq!(journal.reader().read_accepted(2).unwrap().as_ref(), Some(&doubtful[0]), "from memory");
    disk.set_faults(Faults::default());
    journal.flush().unwrap();
    journal.syncer().wait(position).unwrap();
    append(&mut journal, &next).unwrap();
    let segments = journal.segments();
    assert!(segments[0].bytes < disk.dump()[&segment_names(&disk)[0]].len() as u64, "the first ends earlier");
    journal.close().unwrap();
    let disk = disk.crash(Crash::Power);
    assert_eq!(read_all(&disk), [safe, doubtful, next].concat());
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.torn.len()), (None, 0));
    assert!(!report.segments[0].closed);
}

/// Runs a future on this thread; what tokio would do, without it.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_is_what_was_appended(
        sizes in prop::collection::vec(prop::collection::vec((0..3000usize, 0..300usize), 1..8), 1..30),
        segment_bytes in 300..200_000u64,
        from in 0..100u64,
    ) {
        let disk = MemoryStorage::new(7);
        let mut journal = open(&disk, Durability::Os, segment_bytes);
        let (mut records, mut sequence) = (Vec::new(), 0);
        for batch in sizes {
            let mut appended = Vec::new();
            for (open, sealed) in batch {
                sequence += 1;
                let byte = sequence as u8;
                appended.push(record(RecordKind::Accepted, sequence, &vec![byte; open], &vec![!byte; sealed]));
                if sequence % 3 != 0 {
                    let decided = sequence / 2 + 1;
                    appended.push(record(RecordKind::Decided, decided, &vec![!byte; sealed], b""));
                }
            }
            append(&mut journal, &appended).unwrap();
            records.extend(appended);
        }
        let live: Vec<_> = journal.reader().records(from).collect::<Result<_, _>>().unwrap();
        let expected: Vec<_> = records.iter().filter(|r| r.sequence >= from).cloned().collect();
        prop_assert_eq!(&live, &expected);
        let mut streamed = Vec::new();
        journal.reader().for_each(from, &mut |stored| {
            streamed.push(stored.to_owned()?);
            Ok(())
        }).unwrap();
        prop_assert_eq!(&streamed, &expected);
        journal.close().unwrap();
        prop_assert_eq!(read_all(&disk), records);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0..2000usize, part in 0..3usize,
    ) {
        let (disk, _) = small_journal(Durability::Os);
        let name = segment_names(&disk)[part].clone();
        let mut file = disk.dump()[&name].clone();
        let at = at.min(file.len());
        file.splice(at.., bytes);
        disk.put(&name, file);
        let _ = check(&disk, &key()).unwrap();
        if let Ok((journal, _)) = Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Os, 1 << 20)) {
            drop(journal);
            prop_assert_eq!(check(&disk, &key()).unwrap().damage, None);
        }
    }
}
