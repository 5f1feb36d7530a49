//! The journal's append by batch size, beside a plain write(2) of the same number of bytes and redb without syncs;
//! then what a reader and recovery cost. Records are 300 bytes: 200 open and 100 sealed, or 300 open.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use interdict_ledger::MasterKey;
use interdict_ledger::journal::{Durability, Journal, Options, Reader, Record, RecordKind, check};
use interdict_ledger::storage::FileStorage;
use redb::{Database, ReadableDatabase, TableDefinition};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Files are begun anew after this many bytes, off the clock, so that the disk is never filled.
const FRESH_BYTES: u64 = 128 << 20;
const BYTES: [u8; 300] = [0x5a; 300];
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

fn key() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

fn journal(dir: &Path, durability: Durability) -> Journal {
    let storage = Arc::new(FileStorage::create(dir).unwrap());
    Journal::open(storage, &key(), Options::new(durability, "bench", [0; 32])).unwrap().0
}

fn records(first: u64, count: usize, sealed: usize) -> Vec<Record<'static>> {
    let (open, sealed) = BYTES.split_at(BYTES.len() - sealed);
    let record = |n| Record { kind: RecordKind::Accepted, sequence: first + n as u64, open, sealed };
    (0..count).map(record).collect()
}

/// Times `iters` appends; whatever else has to be done in between is off the clock.
fn time_appends(dir: &Path, iters: u64, count: usize, sealed: usize, durability: Durability) -> Duration {
    let (mut journal, mut total) = (journal(dir, durability), Duration::ZERO);
    let syncer = journal.syncer();
    let mut batch = records(journal.last_sequence() + 1, count, sealed);
    let chunk = FRESH_BYTES / (count * 360) as u64;
    let mut left = iters;
    while left > 0 {
        let now = left.min(chunk);
        let start = Instant::now();
        for _ in 0..now {
            let position = journal.append(&batch).unwrap();
            if durability == Durability::Disk {
                syncer.wait(position).unwrap();
            }
            batch.iter_mut().for_each(|record| record.sequence += count as u64);
        }
        total += start.elapsed();
        left -= now;
        journal.roll().unwrap();
        let closed = journal.segments().iter().rev().nth(1).unwrap().number;
        journal.remove_through(closed).unwrap();
    }
    total
}

fn time_writes(path: &Path, iters: u64, bytes: &[u8]) -> Duration {
    let chunk = FRESH_BYTES / bytes.len() as u64;
    let (mut left, mut total) = (iters, Duration::ZERO);
    while left > 0 {
        let (now, file) = (left.min(chunk), std::fs::File::create(path).unwrap());
        let start = Instant::now();
        for n in 0..now {
            file.write_all_at(bytes, n * bytes.len() as u64).unwrap();
        }
        total += start.elapsed();
        left -= now;
    }
    total
}

fn time_redb(dir: &Path, iters: u64, count: usize) -> Duration {
    let path = dir.join("redb");
    let _ = std::fs::remove_file(&path);
    let db = Database::create(&path).unwrap();
    let mut sequence = 0;
    let start = Instant::now();
    for _ in 0..iters {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(redb::Durability::None).unwrap();
        {
            let mut table = tx.open_table(TABLE).unwrap();
            for _ in 0..count {
                sequence += 1;
                table.insert(sequence, &BYTES[..]).unwrap();
            }
        }
        tx.commit().unwrap();
    }
    let total = start.elapsed();
    assert!(db.begin_read().unwrap().open_table(TABLE).unwrap().get(sequence).unwrap().is_some());
    total
}

/// Nanoseconds this thread has had a core. On shared cores wall time says more about the neighbours.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

/// Prints the cpu time per record, user and kernel, of the same appends; the kernel's count lags by up to a tick
/// (4 ms), so each runs long enough for that not to matter.
fn cpu_per_record(_: &mut Criterion) {
    const RECORDS: usize = 300_000;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for count in [1, 8, 64] {
        let per_record = |run: &mut dyn FnMut(u64)| {
            let start = cpu_ns();
            run((RECORDS / count) as u64);
            (cpu_ns() - start) / RECORDS as u64
        };
        let sealed =
            per_record(&mut |n| _ = time_appends(&dir.path().join("a"), n, count, 100, Durability::Os));
        let open = per_record(&mut |n| _ = time_appends(&dir.path().join("b"), n, count, 0, Durability::Os));
        let bytes = vec![0x5a; 56 + count * 333];
        let plain = per_record(&mut |n| _ = time_writes(&dir.path().join("plain"), n, &bytes));
        println!(
            "cpu ns/record, batch {count}: 100 sealed {sealed}, none sealed {open}, plain write(2) {plain}"
        );
    }
}

fn appends(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = c.benchmark_group("journal/append");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for count in [1, 8, 64] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("os, 100 sealed", count), |b| {
            b.iter_custom(|iters| time_appends(&dir.path().join("a"), iters, count, 100, Durability::Os))
        });
        group.bench_function(BenchmarkId::new("os, none sealed", count), |b| {
            b.iter_custom(|iters| time_appends(&dir.path().join("b"), iters, count, 0, Durability::Os))
        });
        let bytes = vec![0x5a; 56 + count * 333];
        group.bench_function(BenchmarkId::new("plain write(2)", count), |b| {
            b.iter_custom(|iters| time_writes(&dir.path().join("plain"), iters, &bytes))
        });
        group.bench_function(BenchmarkId::new("redb, no sync", count), |b| {
            b.iter_custom(|iters| time_redb(dir.path(), iters, count))
        });
        group.bench_function(BenchmarkId::new("disk, 100 sealed, each waited for", count), |b| {
            b.iter_custom(|iters| time_appends(&dir.path().join("c"), iters, count, 100, Durability::Disk))
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    const BATCHES: u64 = 40_000;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut journal = journal(dir.path(), Durability::Os);
    for n in 0..BATCHES {
        journal.append(&records(1 + n * 16, 16, 100)).unwrap();
    }
    let reader = journal.reader();
    let bytes: u64 = journal.segments().iter().map(|segment| segment.bytes).sum();
    let storage = Arc::new(FileStorage::open(dir.path()).unwrap());
    let mut group = c.benchmark_group("journal/read");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let mut sequence = 1;
    group.bench_function("one by sequence", |b| {
        b.iter(|| {
            sequence = 1 + (sequence * 7919) % (BATCHES * 16);
            reader.read_accepted(sequence).unwrap().unwrap()
        })
    });
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("recovery pass", |b| b.iter(|| Reader::open(storage.clone(), &key()).unwrap()));
    group.bench_function("check", |b| b.iter(|| check(&*storage, &key()).unwrap()));
    group.finish();
}

criterion_group!(benches, cpu_per_record, appends, reads);
criterion_main!(benches);
