//! An epoch of a million and of ten million signals: contributions merged into a state, the snapshot built of it, checked as
//! a member checks it before use; and what a day's ten thousand new ones cost on top. One thread.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use interdict_consortium::epoch::{Admitted, Delta, Snapshot, State, View, build, consolidate, delta};
use interdict_consortium::kind::{Kind, MemberId, Privacy};
use interdict_consortium::signal::reputation::Smoothing;
use interdict_consortium::signal::{Body, Contributor, Key, Op, Policies, Policy, Reason, Row, Tags};
use std::hint::black_box;

const MEMBERS: u16 = 10;
const NEW: usize = 10_000;
const BUILT_MS: u64 = 1_800_000_000_000;

/// Numbers without a pattern (SplitMix64): tags are hashes.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn row(signal: u64) -> Row<'static> {
    let half = |salt: u64| u128::from(mix(signal ^ salt)) << 64 | u128::from(mix(signal ^ salt ^ 0xff));
    let tags = Tags { tag: half(1 << 60).to_be_bytes(), exact: half(1 << 61).to_be_bytes() };
    let key = Key { kind: Kind::Card, key_version: 7, tags: tags.cut_to(30) };
    let seen = BUILT_MS - 1 - mix(signal) % 1_000_000_000;
    Row {
        reason: Some(Reason::OTHER),
        severity: 70,
        first_seen_ms: seen - 1_000,
        last_seen_ms: seen,
        expires_ms: seen + 2_000_000_000,
        ..Row::bare(key, Op::Add)
    }
}

/// Bodies of ten members; every tenth signal is one that the member before has contributed too.
fn bodies(signals: usize) -> Vec<Vec<u8>> {
    let each = signals as u64 / u64::from(MEMBERS);
    let body = |member: u64| {
        let own = (0..each)
            .map(|n| if n % 10 == 9 && member > 0 { (member - 1) * each + n - 1 } else { member * each + n });
        Body::write(&mut own.map(row).collect::<Vec<_>>()).unwrap()
    };
    (0..u64::from(MEMBERS)).map(body).collect()
}

fn admitted(bodies: &[Vec<u8>]) -> Vec<Admitted<'_>> {
    let mut all = Vec::new();
    for (leaf, bytes) in (0u16..).zip(bodies) {
        let (member, body) = (MemberId(leaf % MEMBERS), Body::read(bytes).unwrap());
        all.push(Admitted { leaf: leaf.into(), member, number: leaf.into(), body });
    }
    all
}

fn view(number: u64) -> View {
    let mut policies = Policies::default();
    let (privacy, lifetime_ms) = (Privacy::Oblivious, 10_000_000_000);
    let policy =
        Policy { privacy, bits: 30, trusted_min: 1, independent_min: 2, lifetime_ms, names_member: false };
    policies.set(Kind::Card, policy).unwrap();
    let contributors =
        (0..MEMBERS).map(|id| Contributor { id: MemberId(id), trusted: true, active: true }).collect();
    let (key_versions, smoothing) = (vec![7], Smoothing::default());
    View { number, built_ms: BUILT_MS, key_versions, policies, contributors, smoothing }
}

fn epochs(c: &mut Criterion) {
    for (name, signals) in [("1M", 1_000_000), ("10M", 10_000_000)] {
        let bodies = bodies(signals);
        let admitted = admitted(&bodies);
        let mut group = c.benchmark_group("epoch");
        group
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Elements(signals as u64));
        group.bench_function(BenchmarkId::new("merge", name), |b| {
            b.iter(|| consolidate(None, black_box(&admitted), &[7], 100, ()).unwrap());
        });
        let mut state = Vec::new();
        consolidate(None, &admitted, &[7], 100, &mut state).unwrap();
        drop(admitted);
        drop(bodies);
        let state = State::open(&state).unwrap();
        group.bench_function(BenchmarkId::new("build", name), |b| {
            b.iter(|| build(black_box(&state), &view(1), ()).unwrap());
        });
        let mut snapshot = Vec::new();
        let written = build(&state, &view(1), &mut snapshot).unwrap();
        println!("epoch/{name}: {} rows, {} bytes", written.rows, written.bytes);
        group.bench_function(BenchmarkId::new("check", name), |b| {
            b.iter(|| Snapshot::open(black_box(&snapshot)).unwrap().len());
        });
        drop(group);
        differences(c, name, &state, &snapshot);
    }
}

/// Ten thousand new signals on top.
fn differences(c: &mut Criterion, name: &str, state: &State<'_>, snapshot: &[u8]) {
    let body = Body::write(&mut (0..NEW as u64).map(|n| row(1 << 40 | n)).collect::<Vec<_>>()).unwrap();
    let new = [Admitted { leaf: 100, member: MemberId(0), number: 100, body: Body::read(&body).unwrap() }];
    let mut next = Vec::new();
    consolidate(Some(state), &new, &[7], 101, &mut next).unwrap();
    let mut after = Vec::new();
    build(&State::open(&next).unwrap(), &view(2), &mut after).unwrap();
    let (old, later) = (Snapshot::open(snapshot).unwrap(), Snapshot::open(&after).unwrap());
    let mut bytes = Vec::new();
    let (written, counts) = delta::write(&old, &[0; 32], &later, &mut bytes).unwrap();
    println!("epoch/delta/{name}: {counts:?}, {} bytes", written.bytes);
    let difference = Delta::open(&bytes).unwrap();
    let mut group = c.benchmark_group("epoch");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(NEW as u64));
    group.bench_function(BenchmarkId::new("merge 10k on top", name), |b| {
        b.iter(|| consolidate(Some(state), black_box(&new), &[7], 101, ()).unwrap());
    });
    group.bench_function(BenchmarkId::new("delta of 10k", name), |b| {
        b.iter(|| delta::write(black_box(&old), &[0; 32], &later, ()).unwrap());
    });
    group.bench_function(BenchmarkId::new("apply 10k", name), |b| {
        b.iter(|| delta::apply(black_box(&old), &[0; 32], &difference, ()).unwrap());
    });
}

criterion_group!(benches, epochs);
criterion_main!(benches);
