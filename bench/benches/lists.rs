//! The lists stage: six identifiers of a transaction against a million entries in five lists, beside the maps one
//! would use without it; a delta's cost, with older versions of the overlay still held by lanes; and loading.
#![allow(missing_docs)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::lists::{Hits, ListBase, ListMeta, ListView, Overlay, Snapshot, build};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;

const LISTS: usize = 5;
const PER_LIST: usize = 200_000;
/// So many transactions that their probes do not find each other's lines in the cache.
const TRANSACTIONS: usize = 1 << 15;
/// Per mille of identifiers that are on a list.
const HIT_PER_MILLE: u32 = 10;
const IDENTIFIERS: [Field; 6] =
    [Field::Card, Field::Account, Field::Payee, Field::Device, Field::Merchant, Field::Email];

fn entry(subject: Subject) -> Entry {
    Entry {
        id: 0,
        subject,
        effect: Effect::Flag,
        overridable: true,
        overrides: None,
        reason: "stolen".into(),
        severity: 50,
        contributor: "bench".into(),
        valid_from_ms: None,
        valid_to_ms: None,
    }
}

struct World {
    subjects: Vec<Vec<Subject>>,
    snapshots: Vec<Vec<u8>>,
    base: ListBase,
    transactions: Vec<Transaction>,
}

fn world() -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let kinds = IDENTIFIERS.map(|field| SubjectKind::of_field(field).expect("identifiers have kinds"));
    let subjects: Vec<Vec<Subject>> = (0..LISTS)
        .map(|_| {
            (0..PER_LIST)
                .map(|n| Subject::Tag { kind: kinds[n % kinds.len()], tag: Tag(rng.random()) })
                .collect()
        })
        .collect();
    let snapshots: Vec<Vec<u8>> = (0..)
        .zip(&subjects)
        .map(|(list, subjects): (u32, _)| {
            let meta = ListMeta::new(format!("list-{list}"), None, 1);
            build(&meta, subjects.iter().copied().map(entry).collect()).expect("good entries")
        })
        .collect();
    let base = load(&snapshots);
    let transactions = (0..TRANSACTIONS)
        .map(|_| {
            let mut tx = Transaction::new("acme".into(), TransactionKind::Request, 1_700_000_000_000);
            for (place, field) in IDENTIFIERS.into_iter().enumerate() {
                let listed = rng.random_range(0..1000) < HIT_PER_MILLE;
                let of_kind = rng.random_range(0..PER_LIST / kinds.len()) * kinds.len() + place;
                let tag = match subjects[rng.random_range(0..LISTS)][of_kind] {
                    Subject::Tag { tag, .. } if listed => tag,
                    _ => Tag(rng.random()),
                };
                tx.add_tag(field, KeyId::SHARED, tag);
            }
            tx
        })
        .collect();
    World { subjects, snapshots, base, transactions }
}
fn load(snapshots: &[Vec<u8>]) -> ListBase {
    let open = |bytes: &Vec<u8>| Snapshot::open(Arc::new(bytes.clone())).expect("just built");
    ListBase::new(snapshots.iter().map(open).collect()).expect("five lists")
}

fn delta(add: Vec<Entry>) -> ListDelta {
    ListDelta { list: "noon".into(), shared: true, add, remove: vec![] }
}
fn card(tag: u128) -> Subject {
    // Spread like a real tag.
    Subject::Tag {
        kind: SubjectKind::Card,
        tag: Tag((tag + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
    }
}
fn overlay(base: &ListBase, entries: u128) -> Overlay {
    let all: Vec<Entry> = (0..entries).map(|tag| entry(card(tag))).collect();
    let chunks = all.chunks(10_000).zip(1..);
    chunks.fold(Overlay::new(base), |overlay, (chunk, sequence)| {
        overlay.apply(base, sequence, "acme", &delta(chunk.to_vec())).expect("within bounds")
    })
}

fn probes(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("lists/probe");
    let overlays = [("merged index, overlay 0", 0), ("merged index, overlay 100000", 100_000)]
        .map(|(name, entries)| (name, overlay(&world.base, entries)));
    for batch in [1usize, 8] {
        group.throughput(Throughput::Elements(batch as u64));
        for (name, overlay) in &overlays {
            let view = ListView { base: &world.base, overlay };
            let mut batches = world.transactions.chunks_exact(batch).cycle();
            let (mut hits, mut refs) = (Hits::new(), Vec::new());
            group.bench_function(BenchmarkId::new(*name, batch), |b| {
                b.iter(|| {
                    refs.clear();
                    refs.extend(batches.next().expect("it cycles"));
                    view.prefetch(&refs);
                    refs.iter()
                        .map(|tx| {
                            view.probe(tx, &mut hits);
                            hits.len()
                        })
                        .sum::<usize>()
                });
            });
        }
        let per_list: Vec<HashMap<(SubjectKind, Tag), u32>> =
            world.subjects.iter().map(|subjects| by_tag(subjects)).collect();
        let mut batches = world.transactions.chunks_exact(batch).cycle();
        let mut found: Vec<(usize, u32, Field)> = Vec::with_capacity(64);
        group.bench_function(BenchmarkId::new("std HashMap per list", batch), |b| {
            b.iter(|| {
                let mut count = 0;
                for tx in batches.next().expect("it cycles") {
                    found.clear();
                    for &(field, _, tag) in tx.tags() {
                        let kind = SubjectKind::of_field(field).expect("identifiers have kinds");
                        let rows = per_list.iter().map(|list| list.get(&(kind, tag)));
                        found.extend(rows.enumerate().filter_map(|(list, row)| Some((list, *row?, field))));
                    }
                    count += black_box(&found).len();
                }
                count
            });
        });
        let mut merged: HashMap<(SubjectKind, Tag), Vec<(usize, u32)>> = HashMap::new();
        for (list, rows) in per_list.iter().enumerate() {
            rows.iter().for_each(|(key, row)| merged.entry(*key).or_default().push((list, *row)));
        }
        let mut batches = world.transactions.chunks_exact(batch).cycle();
        group.bench_function(BenchmarkId::new("one std HashMap", batch), |b| {
            b.iter(|| {
                let mut count = 0;
                for tx in batches.next().expect("it cycles") {
                    found.clear();
                    for &(field, _, tag) in tx.tags() {
                        let kind = SubjectKind::of_field(field).expect("identifiers have kinds");
                        let rows = merged.get(&(kind, tag)).into_iter().flatten();
                        found.extend(rows.map(|&(list, row)| (list, row, field)));
                    }
                    count += black_box(&found).len();
                }
                count
            });
        });
    }
    group.finish();
}
fn by_tag(subjects: &[Subject]) -> HashMap<(SubjectKind, Tag), u32> {
    let rows = subjects.iter().zip(0..);
    rows.filter_map(|(subject, row)| match subject {
        Subject::Tag { kind, tag } => Some(((*kind, *tag), row)),
        _ => None,
    })
    .collect()
}

fn deltas(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("lists/delta");
    for (held, size) in [(0u128, 1usize), (100_000, 1), (100_000, 100)] {
        let mut current = overlay(&world.base, held);
        let (mut sequence, mut tag) = (1000, 0u128);
        // Lanes hold the last versions, so that every change copies its path.
        let mut lanes: VecDeque<Overlay> = VecDeque::new();
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(format!("apply to {held} entries"), size), |b| {
            b.iter_batched(
                || {
                    let tags = tag..tag + size as u128;
                    tag = if tag > 100_000 { 0 } else { tags.end };
                    delta(tags.map(|tag| entry(card(tag))).collect())
                },
                |delta| {
                    sequence += 1;
                    current = current.apply(&world.base, sequence, "acme", &delta).expect("within bounds");
                    lanes.push_back(current.clone());
                    if lanes.len() > 16 {
                        lanes.pop_front();
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn loading(c: &mut Criterion, world: &World) {
    let mut group = c.benchmark_group("lists/load");
    group.sample_size(10).throughput(Throughput::Elements(PER_LIST as u64));
    let meta = ListMeta::new("list-0", None, 1);
    let entries: Vec<Entry> = world.subjects[0].iter().copied().map(entry).collect();
    let bytes: Arc<Vec<u8>> = Arc::new(world.snapshots[0].clone());
    group.bench_function("build 200k", |b| {
        b.iter_batched(
            || entries.clone(),
            |entries| build(&meta, entries).expect("good entries"),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("open 200k", |b| b.iter(|| Snapshot::open(bytes.clone()).expect("just built")));
    group.throughput(Throughput::Elements((PER_LIST * LISTS) as u64));
    group.bench_function("merge 1M", |b| {
        let snapshots = || world.base.lists().iter().map(|list| list.layers()[0].snapshot().clone());
        b.iter(|| ListBase::new(snapshots().collect()).expect("five lists"))
    });
    group.finish();
    let (index, files) = (world.base.memory_bytes(), world.base.snapshot_bytes());
    println!("lists: 1 M entries: index {index} bytes, snapshots {files} bytes");
}

fn lists(c: &mut Criterion) {
    let world = world();
    probes(c, &world);
    deltas(c, &world);
    loading(c, &world);
}

criterion_group!(benches, lists);
criterion_main!(benches);
