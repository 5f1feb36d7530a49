//! A journal that lives through a failing disk: whatever it has taken is there once the disk takes it again, once and
//! in order, without being opened anew; and what it has called durable outlives any crash on the way.

use super::*;
use interdict_ledger::Error;
use std::sync::Mutex;

fn keep(journal: &mut Journal, batch: &[OwnedRecord]) -> Position {
    let views: Vec<Record<'_>> = batch.iter().map(view).collect();
    journal.keep(&views).unwrap()
}

/// What may go wrong on the way, by seed.
fn faults(random: &mut ChaCha8Rng, used: u64) -> Faults {
    let mut rate = |often: u32, most: u32| match random.random_range(0..often) {
        0 => random.random_range(0..=most),
        _ => 0,
    };
    Faults {
        write: rate(2, 1000),
        short_write: rate(3, 300),
        truncate: rate(2, 600),
        create: rate(3, 600),
        sync: rate(2, 1000),
        capacity_bytes: if random.random_range(0..3) == 0 { used + random.random_range(1..4000) } else { 0 },
        ..Faults::default()
    }
}

fn used(disk: &MemoryStorage) -> u64 {
    disk.dump().values().map(|bytes| bytes.len() as u64).sum()
}

/// What the journal has taken, and how much of it it has called durable.
#[derive(Default)]
struct Told {
    batches: Vec<Batch>,
    /// Greatest position that a waiter was told is durable.
    durable: Arc<Mutex<usize>>,
}

impl Told {
    fn take(&mut self, journal: &mut Journal, batch: Batch) {
        let position = keep(journal, &batch);
        self.batches.push(batch);
        let (count, durable) = (self.batches.len(), self.durable.clone());
        journal.syncer().when_durable(position, move |told| {
            if told.is_ok() {
                let mut durable = durable.lock().unwrap();
                *durable = count.max(*durable);
            }
        });
    }
    fn durable(&self) -> usize {
        *self.durable.lock().unwrap()
    }
    /// A record of some batch is read as it was given, wherever it is now.
    fn look(&self, journal: &Journal, random: &mut ChaCha8Rng, seed: u64) {
        let at = random.random_range(0..self.batches.len());
        let Some(expected) = self.batches[at].first() else { return };
        let reader = journal.reader();
        let read = match expected.kind {
            RecordKind::Accepted => reader.read_accepted(expected.sequence),
            RecordKind::Decided => reader.read_decided(expected.sequence),
            RecordKind::Finished => reader.read_finished(expected.sequence),
        };
        assert_eq!(read.unwrap().as_ref(), Some(expected), "seed {seed}");
    }
}

struct Counts {
    batches: usize,
    troubles: usize,
    unsynced: usize,
}

/// One life with outages in it, which ends whole, or by a crash in the middle.
fn outages(seed: u64, durability: Durability) -> Counts {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut feed = Feed { random: ChaCha8Rng::seed_from_u64(seed ^ 0xfeed) };
    let disk = MemoryStorage::new(seed);
    let mut journal = open(&disk, durability, 1500);
    let (lost, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let on_loss = lost.clone();
    journal.syncer().on_loss(move || {
        on_loss.fetch_add(1, Ordering::SeqCst);
    });
    let (mut told, mut last, mut undecided) = (Told::default(), 0, Vec::new());
    let mut troubles = 0;
    let crash_after = (random.random_range(0..2) == 0).then(|| random.random_range(1..200));
    for step in 0..200 {
        if Some(step) == crash_after {
            let crash = match durability {
                Durability::Os => Crash::Process,
                Durability::Disk if random.random_range(0..3) == 0 => Crash::Process,
                Durability::Disk => Crash::Power,
            };
            // What is told after this instant is told to nobody.
            let (disk, durable) = (disk.crash(crash), told.durable());
            drop(journal);
            return crashed(&disk, seed, durability, &told, durable, troubles);
        }
        if random.random_range(0..12) == 0 {
            let good = random.random_range(0..2) == 0;
            disk.set_faults(if good { Faults::default() } else { faults(&mut random, used(&disk)) });
        }
        let batch = feed.batch(last, &mut undecided);
        last += batch.iter().filter(|r| r.kind == RecordKind::Accepted).count() as u64;
        if !batch.is_empty() {
            told.take(&mut journal, batch);
        }
        if lost.load(Ordering::SeqCst) > seen.swap(lost.load(Ordering::SeqCst), Ordering::SeqCst)
            || random.random_range(0..4) == 0
        {
            assert_eq!(journal.flush().is_err(), journal.trouble().is_some(), "seed {seed}");
        }
        troubles += usize::from(journal.trouble().is_some());
        if !told.batches.is_empty() {
            told.look(&journal, &mut random, seed);
        }
    }
    disk.set_faults(Faults::default());
    let failed = |e: Error| panic!("seed {seed}: {e}");
    journal.flush().unwrap_or_else(failed);
    assert_eq!((journal.unwritten_records(), journal.trouble()), (0, None), "seed {seed}");
    let failures = journal.failures();
    journal.close().unwrap_or_else(failed);
    let disk = disk.crash(if durability == Durability::Disk { Crash::Power } else { Crash::Process });
    assert_eq!(read_all(&disk), told.batches.concat(), "seed {seed}");
    let report = check(&disk, &key()).unwrap();
    assert_eq!((report.damage, report.torn.len()), (None, 0), "seed {seed}");
    Counts { batches: told.batches.len(), troubles, unsynced: failures.sync as usize }
}

/// After a crash: whole batches from the front, all durable ones among them; and a second crash takes none of them.
fn crashed(
    disk: &MemoryStorage,
    seed: u64,
    durability: Durability,
    told: &Told,
    durable: usize,
    troubles: usize,
) -> Counts {
    let opened = Journal::open(Arc::new(disk.clone()), &key(), options(durability, 1500));
    let (journal, _) = opened.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let found: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
    let (mut rest, mut whole) = (&found[..], 0);
    while let Some(after) = told.batches.get(whole).and_then(|batch| rest.strip_prefix(&batch[..])) {
        (rest, whole) = (after, whole + 1);
    }
    assert!(rest.is_empty(), "seed {seed}: part of a batch, or one in another's place");
    assert!(whole >= durable, "seed {seed}: {whole} are there, {durable} were durable");
    if durability == Durability::Disk {
        let disk = disk.crash(Crash::Power);
        drop(journal);
        let opened = Journal::open(Arc::new(disk.clone()), &key(), options(durability, 1500));
        let (journal, _) = opened.unwrap_or_else(|e| panic!("seed {seed}: after the second crash: {e}"));
        let again: Vec<_> = journal.reader().records(1).collect::<Result<_, _>>().unwrap();
        assert_eq!(again, found, "seed {seed}: what was there after the first crash");
    }
    Counts { batches: whole, troubles, unsynced: 0 }
}

#[test]
fn what_was_taken_is_there_once_and_in_order_when_the_disk_takes_it_again() {
    for durability in [Durability::Os, Durability::Disk] {
        let (mut batches, mut troubles, mut unsynced) = (0, 0, 0);
        for seed in 0..400 {
            let counts = outages(seed, durability);
            batches += counts.batches;
            troubles += counts.troubles;
            unsynced += counts.unsynced;
        }
        assert!(batches > 30_000 && troubles > 5_000, "{batches} batches, {troubles} steps in trouble");
        assert_eq!(unsynced > 100, durability == Durability::Disk, "{unsynced} syncs failed");
    }
}

#[test]
fn a_full_disk_that_gets_room_again_has_everything() {
    for durability in [Durability::Os, Durability::Disk] {
        let disk = MemoryStorage::new(11);
        let mut journal = open(&disk, durability, 1 << 20);
        let mut taken = Vec::new();
        for sequence in 1..=60u64 {
            if sequence == 20 {
                disk.set_faults(Faults { capacity_bytes: used(&disk) + 300, ..Faults::default() });
            }
            let batch = vec![record(RecordKind::Accepted, sequence, &[7; 100], b"sealed")];
            let position = keep(&mut journal, &batch);
            taken.extend(batch);
            let is_safe = journal.syncer().wait(position);
            assert_eq!(is_safe.is_ok(), journal.trouble().is_none(), "{sequence}: {is_safe:?}");
            if let Err(e) = is_safe {
                assert_eq!(e.kind, ErrorKind::Full, "{e}");
            }
        }
        let waits = journal.unwritten_records();
        assert!((30..=41).contains(&waits), "{waits}");
        assert!(journal.kept_bytes() > waits * 106);
        assert_eq!(journal.flush().unwrap_err().kind, ErrorKind::Full);
        assert!(journal.failures().full >= 2);
        disk.set_faults(Faults::default());
        journal.flush().unwrap();
        assert_eq!(journal.unwritten_records(), 0);
        let position = keep(&mut journal, &[record(RecordKind::Decided, 60, b"on", b"")]);
        journal.syncer().wait(position).unwrap();
        assert_eq!(journal.kept_bytes(), 0, "all of it is safe");
        taken.push(record(RecordKind::Decided, 60, b"on", b""));
        drop(journal);
        assert_eq!(read_all(&disk), taken);
        assert_eq!(check(&disk, &key()).unwrap().damage, None);
    }
}

#[test]
fn whoever_waits_for_a_sync_that_failed_is_released_by_the_one_that_is_made_again() {
    let disk = MemoryStorage::new(12);
    let mut journal = open(&disk, Durability::Disk, 1 << 20);
    let (send, lost) = std::sync::mpsc::channel();
    journal.syncer().on_loss(move || send.send(()).unwrap());
    disk.set_faults(Faults { sync: 1000, ..Faults::default() });
    let position = keep(&mut journal, &[record(RecordKind::Accepted, 1, b"a", b"")]);
    let (send, told) = std::sync::mpsc::channel();
    journal.syncer().when_durable(position, move |result| send.send(result).unwrap());
    lost.recv().unwrap();
    assert!(told.try_recv().is_err(), "not told before it was tried again");
    disk.set_faults(Faults::default());
    journal.flush().unwrap();
    assert_eq!(told.recv().unwrap(), Ok(()));
    assert_eq!(journal.failures().sync, 1);
    let disk = disk.crash(Crash::Power);
    drop(journal);
    assert_eq!(read_all(&disk).len(), 1);
}

/// Found by the simulator, seeds 629 and 1859: a start that fails between the footer and its sync must not leave a
/// footer that calls safe what is not.
#[test]
fn a_start_whose_sync_fails_is_made_good_by_the_next_one() {
    let disk = MemoryStorage::new(13);
    let mut stepped = options(Durability::Disk, 1 << 20);
    stepped.stepped = true;
    let (mut journal, _) = Journal::open(Arc::new(disk.clone()), &key(), stepped).unwrap();
    keep(&mut journal, &[record(RecordKind::Accepted, 1, b"never synced", b"")]);
    let disk = disk.crash(Crash::Process);
    drop(journal);
    disk.set_faults(Faults { sync: 1000, ..Faults::default() });
    let failed = Journal::open(Arc::new(disk.clone()), &key(), options(Durability::Disk, 1 << 20));
    assert_eq!(failed.map(|_| ()).unwrap_err().kind, ErrorKind::Io);
    disk.set_faults(Faults::default());
    let journal = open(&disk, Durability::Disk, 1 << 20);
    assert_eq!(journal.last_sequence(), 1);
    let disk = disk.crash(Crash::Power);
    drop(journal);
    assert_eq!(read_all(&disk).len(), 1, "what a start has found is safe");
}
