//! The settlement window: 10,000 new tags looked for in ten million payments by six identifiers, all hits compared whole,
//! beside a copy of the columns that are read and a set that is asked for every value. One thread.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use interdict_engine::domain::Field;
use interdict_ledger::window::scan::Scratch;
use interdict_ledger::window::{
    Blobs, CHUNK_ROWS, Coded, Kernel, Query, Rows, TagColumn, TagColumns, Tags, Wanted, fingerprint,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

const ROWS: usize = 10_000_000;
const IDENTIFIERS: [Field; 6] =
    [Field::Card, Field::Account, Field::Payee, Field::Device, Field::Merchant, Field::Email];
/// Values that are on the delta, of all of them.
const HITS: usize = 1_000;

/// A column of tags, 20 bytes a row.
struct Column {
    number: TagColumn,
    fingerprints: Vec<u32>,
    tags: Vec<[u8; 16]>,
}

/// What a window of files has beside the tags, for as many rows as a chunk has.
struct Rest {
    words: Vec<u64>,
    times: Vec<i64>,
    codes: Vec<i32>,
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    addresses: Vec<[u8; 16]>,
    numbers: Vec<u32>,
    text: [Box<str>; 1],
    hash: [[u8; 32]; 1],
}

struct World {
    columns: Vec<Column>,
    rest: Rest,
    wanted: Vec<u128>,
}

fn columns() -> TagColumns {
    let of = IDENTIFIERS.map(|field| TagColumn::of(field, true).unwrap());
    of.into_iter().fold(TagColumns::default(), TagColumns::with)
}

fn world(wanted: usize) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let wanted: Vec<u128> = (0..wanted).map(|_| rng.random()).collect();
    let mut columns: Vec<Column> = IDENTIFIERS
        .iter()
        .map(|field| {
            let tags: Vec<u128> = (0..ROWS).map(|_| rng.random()).collect();
            let fingerprints = tags.iter().map(|tag| fingerprint(*tag)).collect();
            let tags = tags.into_iter().map(u128::to_be_bytes).collect();
            Column { number: TagColumn::of(*field, true).unwrap(), fingerprints, tags }
        })
        .collect();
    let mut taken = HashSet::new();
    while taken.len() < HITS {
        let (column, row) = (rng.random_range(0..columns.len()), rng.random_range(0..ROWS));
        if taken.insert((column, row)) {
            // Of the first eight, so that a delta of eight has them all.
            let tag = wanted[rng.random_range(0..8)];
            columns[column].fingerprints[row] = fingerprint(tag);
            columns[column].tags[row] = tag.to_be_bytes();
        }
    }
    let rest = Rest {
        words: (0..CHUNK_ROWS as u64).collect(),
        times: vec![0; CHUNK_ROWS],
        codes: vec![0; CHUNK_ROWS],
        bytes: vec![0; CHUNK_ROWS],
        offsets: vec![0; CHUNK_ROWS + 1],
        addresses: vec![[0; 16]; CHUNK_ROWS],
        numbers: vec![0; CHUNK_ROWS],
        text: ["acme".into()],
        hash: [[0; 32]],
    };
    World { columns, rest, wanted }
}

impl World {
    fn chunk(&self, from: usize) -> Rows<'_> {
        let rest = &self.rest;
        let len = CHUNK_ROWS.min(ROWS - from);
        let mut tags = [None; TagColumn::COUNT];
        for column in &self.columns {
            let (fingerprints, whole) =
                (&column.fingerprints[from..from + len], &column.tags[from..from + len]);
            tags[column.number.number()] = Some(Tags { fingerprints, tags: whole });
        }
        let text = Coded { codes: &rest.codes[..len], values: &rest.text };
        let blobs = Blobs { offsets: &rest.offsets[..=len], bytes: &[] };
        Rows {
            sequence: &rest.words[..len],
            tenant: text,
            time_ms: &rest.times[..len],
            arrival_ms: &rest.times[..len],
            kind: &rest.bytes[..len],
            channel: text,
            amount_minor: &rest.times[..len],
            currency: text,
            cut_off_ms: &rest.times[..len],
            outcome: &rest.bytes[..len],
            lever: &rest.bytes[..len],
            generation: Coded { codes: &rest.codes[..len], values: &rest.hash },
            overlay: &rest.words[..len],
            ip_family: &rest.bytes[..len],
            ip: &rest.addresses[..len],
            ip_fingerprint: &rest.numbers[..len],
            bin: &rest.numbers[..len],
            bin_digits: &rest.bytes[..len],
            tags,
            open: blobs,
            decided: blobs,
            segment: &rest.words[..len],
            offset: &rest.words[..len],
            sealed: blobs,
        }
    }
    fn query(&self, tags: usize) -> Query {
        let mut wanted = Wanted::default();
        self.wanted[..tags].iter().for_each(|tag| wanted.add_tag(*tag, columns()));
        wanted.build()
    }
    fn hunt(&self, query: &Query, kernel: Kernel) -> usize {
        let (mut scratch, mut hits) = (Scratch::default(), Vec::new());
        for from in (0..ROWS).step_by(CHUNK_ROWS) {
            query.scan(&self.chunk(from), kernel, &mut scratch, &mut hits);
        }
        hits.len()
    }
}

fn hunt(c: &mut Criterion) {
    let world = world(100_000);
    let mut group = c.benchmark_group("window/hunt");
    group.sample_size(10).warm_up_time(Duration::from_millis(200));
    group.throughput(Throughput::Elements((ROWS * IDENTIFIERS.len()) as u64));
    for tags in [8, 10_000, 100_000] {
        let query = world.query(tags);
        group.bench_function(BenchmarkId::new("ours", tags), |b| {
            b.iter(|| assert_eq!(world.hunt(&query, Kernel::best()), HITS));
        });
        if tags != 10_000 {
            continue;
        }
        for kernel in Kernel::available() {
            group.bench_function(BenchmarkId::new(format!("ours, {}", kernel.name()), tags), |b| {
                b.iter(|| assert_eq!(world.hunt(&query, kernel), HITS));
            });
        }
        let mut copy: Vec<Vec<u32>> =
            world.columns.iter().map(|column| column.fingerprints.clone()).collect();
        group.bench_function(BenchmarkId::new("memcpy", tags), |b| {
            b.iter(|| {
                for (column, copy) in world.columns.iter().zip(&mut copy) {
                    copy.copy_from_slice(black_box(&column.fingerprints));
                }
                black_box(&mut copy);
            });
        });
        drop(copy);
        let set: HashSet<u128> = world.wanted[..tags].iter().copied().collect();
        group.bench_function(BenchmarkId::new("std HashSet", tags), |b| {
            b.iter(|| {
                let all = world.columns.iter().flat_map(|column| &column.tags);
                assert_eq!(all.filter(|tag| set.contains(&u128::from_be_bytes(**tag))).count(), HITS);
            });
        });
        let small: HashSet<u32> = world.wanted[..tags].iter().map(|tag| fingerprint(*tag)).collect();
        group.bench_function(BenchmarkId::new("std HashSet of fingerprints", tags), |b| {
            b.iter(|| {
                let all =
                    world.columns.iter().flat_map(|column| column.fingerprints.iter().zip(&column.tags));
                let may = all.filter(|(fingerprint, _)| small.contains(fingerprint));
                assert_eq!(may.filter(|(_, tag)| set.contains(&u128::from_be_bytes(**tag))).count(), HITS);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hunt);
criterion_main!(benches);
