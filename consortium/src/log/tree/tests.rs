#![allow(clippy::unwrap_used)]
//! Against `ct-merkle`, which keeps all leaves and shares nothing with us; the published vectors are in
//! `tests/conformance.rs`.

use super::*;
use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;

type Oracle = MemoryBackedTree<Sha256, Vec<u8>>;

fn leaf(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat((n % 3) as usize)
}
fn oracle(size: u64) -> Oracle {
    let mut tree = Oracle::new();
    (0..size).for_each(|n| tree.push(leaf(n)));
    tree
}
/// A proof by the recursion of RFC 6962 itself, over ranges.
fn proof(ranges: &[(u64, u64)]) -> Vec<Hash> {
    ranges.iter().map(|(start, end)| frontier(*start, *end).root()).collect()
}
fn frontier(start: u64, end: u64) -> Frontier {
    let mut frontier = Frontier::default();
    (start..end).for_each(|n| frontier.push(leaf_hash(&leaf(n))));
    frontier
}
fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.to_vec()
}

#[test]
fn roots_and_proofs_of_every_small_tree_are_the_oracles() {
    for size in 1..=70u64 {
        let (tree, own) = (oracle(size), frontier(0, size));
        let root = own.root();
        assert_eq!(root[..], tree.root().as_bytes()[..], "{size}");
        for index in 0..size {
            let own = proof(&inclusion_ranges(index, size));
            assert_eq!(own, hashes(tree.prove_inclusion(index as usize).as_bytes()), "{index} of {size}");
            verify_inclusion(&leaf_hash(&leaf(index)), index, size, &own, &root).unwrap();
        }
        for old in 1..size {
            let own = proof(&consistency_ranges(old, size));
            let oracles = tree.prove_consistency((size - old) as usize);
            assert_eq!(own, hashes(oracles.as_bytes()), "{old} of {size}");
            verify_consistency((old, &frontier(0, old).root()), (size, &root), &own).unwrap();
        }
    }
}

#[test]
fn a_frontier_is_the_cover_of_its_leaves() {
    assert_eq!(Frontier::default().root(), empty_root());
    for size in 0..300 {
        let nodes = cover(0, size);
        let of = |node: &Node| frontier(node.index << node.level, (node.index + 1) << node.level).root();
        let again = Frontier::new(size, nodes.iter().map(of).collect()).unwrap();
        assert_eq!(again, frontier(0, size));
    }
    assert_eq!(Frontier::new(3, vec![[0; 32]]).unwrap_err().kind, ErrorKind::Invalid);
}

proptest! {
    /// Whatever is changed in a proof, its statement is refused, by us and by the oracle; and what the oracle accepts we do.
    #[test]
    fn a_changed_proof_proves_nothing(
        size in 2u64..400, at in any::<u64>(), change in 0usize..5, byte in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let index = at % size;
        let tree = oracle(size);
        let root = frontier(0, size).root();
        let good = proof(&inclusion_ranges(index, size));
        let (mut proof, mut index, mut of_leaf, mut root) = (good.clone(), index, leaf_hash(&leaf(index)), root);
        match change {
            0 => { let at = byte.index(proof.len() * 32); proof[at / 32][at % 32] ^= 1 << bit; }
            1 => { proof.pop(); }
            2 => proof.push([bit; 32]),
            3 => of_leaf[byte.index(32)] ^= 1 << bit,
            _ => root[byte.index(32)] ^= 1 << bit,
        }
        prop_assert!(verify_inclusion(&of_leaf, index, size, &proof, &root).is_err());
        index = (index + 1) % size;
        prop_assert!(verify_inclusion(&of_leaf, index, size, &good, &root).is_err());
        let old = at % (size - 1) + 1;
        let roots = (frontier(0, old).root(), frontier(0, size).root());
        let good = self::proof(&consistency_ranges(old, size));
        let ct = tree.prove_consistency((size - old) as usize);
        let as_ct = |root: &Hash, size| RootHash::<Sha256>::new((*root).into(), size);
        prop_assert!(as_ct(&roots.1, size).verify_consistency(&as_ct(&roots.0, old), &ct).is_ok());
        verify_consistency((old, &roots.0), (size, &roots.1), &good).unwrap();
        let (mut proof, mut roots) = (good, roots);
        match change {
            0 => { let at = byte.index(proof.len() * 32); proof[at / 32][at % 32] ^= 1 << bit; }
            1 => { proof.pop(); }
            2 => proof.push([bit; 32]),
            3 => roots.0[byte.index(32)] ^= 1 << bit,
            _ => roots.1[byte.index(32)] ^= 1 << bit,
        }
        prop_assert!(verify_consistency((old, &roots.0), (size, &roots.1), &proof).is_err());
    }
}
