//! The consortium's log beside ct-merkle, which keeps every leaf and node in memory: an append (ours keeps the right edge
//! only), a proof of a million leaves (ours from tiles, checked against the root), and both verifications. And what a
//! batch with its checkpoint costs, all tiles in memory: hashing, tiles, one signature.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::log::tree::{Frontier, leaf_hash, verify_consistency, verify_inclusion};
use interdict_consortium::log::{Checkpoint, Memory, Prover, Writer};
use sha2::{Digest, Sha256};
use std::hint::black_box;

/// Leaves of the tree that is proved from.
const LEAVES: u64 = 1_000_000;
/// The size that the consistency proof starts from.
const OLD: u64 = 654_321;

fn key() -> SignerKey {
    SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[1; 32]).unwrap()
}
/// A commitment, as the log of queries has them.
fn leaf(n: u64) -> [u8; 32] {
    Sha256::digest(n.to_be_bytes()).into()
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("consortium/log append");
    let leaves: Vec<[u8; 32]> = (0..10_000).map(leaf).collect();
    group.throughput(Throughput::Elements(leaves.len() as u64));
    group.bench_function("ours", |b| {
        b.iter(|| {
            let mut tree = Frontier::default();
            leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
            tree.root()
        });
    });
    group.bench_function("ct-merkle", |b| {
        b.iter(|| {
            let mut tree = MemoryBackedTree::<Sha256, [u8; 32]>::new();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            tree.root()
        });
    });
    group.finish();
    let mut group = c.benchmark_group("consortium/log batch and checkpoint");
    for count in [1, 100, 10_000] {
        group.throughput(Throughput::Elements(count));
        let leaves = &leaves[..count as usize];
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let begun = || {
                let mut writer = Writer::open(Memory::default(), key()).unwrap();
                writer.append(&[leaf(u64::MAX)]).unwrap();
                writer.checkpoint().unwrap();
                writer
            };
            b.iter_batched_ref(
                begun,
                |writer| {
                    writer.append(leaves).unwrap();
                    writer.checkpoint().unwrap().text().len()
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn proofs(c: &mut Criterion) {
    let (mut tree, folder) = (MemoryBackedTree::<Sha256, [u8; 32]>::new(), Memory::default());
    let mut writer = Writer::open(&folder, key()).unwrap();
    let (mut old, mut count) = (Frontier::default(), 0);
    while count < LEAVES {
        let batch: Vec<[u8; 32]> = (count..LEAVES.min(count + 65_536)).map(leaf).collect();
        batch.iter().for_each(|leaf| tree.push(*leaf));
        batch.iter().take(OLD.saturating_sub(count) as usize).for_each(|leaf| old.push(leaf_hash(leaf)));
        writer.append(&batch).unwrap();
        writer.checkpoint().unwrap();
        count += batch.len() as u64;
    }
    let checkpoint = writer.published().unwrap().0.clone();
    assert_eq!(checkpoint.root[..], tree.root().as_bytes()[..]);
    inclusion(c, &tree, &folder, &checkpoint);
    let (proof, root) = Prover::new(&folder, LEAVES).consistency(OLD, &checkpoint).unwrap();
    assert_eq!(root, old.root());
    let theirs = tree.prove_consistency((LEAVES - OLD) as usize);
    let roots = (ct_merkle::RootHash::<Sha256>::new(root.into(), OLD), tree.root());
    let mut group = c.benchmark_group("consortium/log consistency verified");
    group.bench_function("ours", |b| {
        let (old, new) = ((OLD, &root), (LEAVES, &checkpoint.root));
        b.iter(|| verify_consistency(black_box(old), new, &proof).unwrap());
    });
    group.bench_function("ct-merkle", |b| {
        b.iter(|| roots.1.verify_consistency(black_box(&roots.0), &theirs).unwrap());
    });
    group.finish();
}

fn inclusion(c: &mut Criterion, tree: &MemoryBackedTree<Sha256, [u8; 32]>, folder: &Memory, at: &Checkpoint) {
    let mut next = 0u64;
    let mut index = move || {
        next = (next + 382_111) % LEAVES;
        next
    };
    let mut group = c.benchmark_group("consortium/log proof");
    group.bench_function("ours", |b| {
        b.iter(|| Prover::new(folder, LEAVES).inclusion(index(), at).unwrap());
    });
    group.bench_function("ct-merkle", |b| b.iter(|| tree.prove_inclusion(index() as usize)));
    group.finish();
    let (index, root) = (654_322, tree.root());
    let (ours, theirs) =
        (Prover::new(folder, LEAVES).inclusion(index, at).unwrap(), tree.prove_inclusion(index as usize));
    let leaf = leaf(index);
    let mut group = c.benchmark_group("consortium/log proof verified");
    group.bench_function("ours", |b| {
        b.iter(|| verify_inclusion(&leaf_hash(black_box(&leaf)), index, LEAVES, &ours, &at.root).unwrap());
    });
    group.bench_function("ct-merkle", |b| {
        b.iter(|| root.verify_inclusion(black_box(&leaf), index, &theirs).unwrap());
    });
    group.finish();
}

criterion_group!(benches, append, proofs);
criterion_main!(benches);
