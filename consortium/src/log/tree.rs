//! The Merkle tree of RFC 6962, section 2.1, under SHA-256: hashes, the frontier that an append needs, which subtrees
//! a proof consists of, and the verification of both kinds of proof (RFC 9162, sections 2.1.3.2 and 2.1.4.2, which
//! state as loops what RFC 6962 defines by recursion).

use crate::error::{Error, ErrorKind, Result};
use crate::limits::PROOF_HASHES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::new().finalize().into()
}

/// A hash as text: base64, as checkpoints and proofs have it.
pub fn text_of(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// A hash from its text; there is one spelling.
pub fn hash_of(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// What an append needs of a tree: the roots of its perfect subtrees from left to right, at most one a level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// A tree of `size` leaves from the roots of its perfect subtrees, those of [`cover`]`(0, size)`.
    ///
    /// # Errors
    /// `Invalid` where their number is another.
    pub fn new(size: u64, peaks: Vec<Hash>) -> Result<Frontier> {
        if peaks.len() != size.count_ones() as usize {
            let message = format!("{} subtrees for a tree of {size} leaves", peaks.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Frontier { size, peaks })
    }
    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for every bit of the size");
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// The root.
    pub fn root(&self) -> Hash {
        fold(&self.peaks).unwrap_or_else(empty_root)
    }
}

/// The root over perfect subtrees that lie side by side, the larger ones to the left.
pub fn fold(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// A perfect subtree: that over the leaves from `index << level` on, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The height: 0 is a leaf.
    pub level: u8,
    /// Its place among those of its height, from 0.
    pub index: u64,
}

/// The perfect subtrees that make up the leaves from `start` to before `end`, from left to right.
pub fn cover(mut start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    while start < end {
        let level = start.trailing_zeros().min((end - start).ilog2());
        nodes.push(Node { level: level as u8, index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The largest power of two below `n`, for `n` above 1: where RFC 6962 splits a tree.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The ranges of leaves whose roots prove that a tree of `size` leaves has its leaf `index`, from the leaf's sibling
/// upwards; empty where there is no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<(u64, u64)> {
    let (mut start, mut end, mut ranges) = (0, size, Vec::new());
    while index < end && end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges of leaves whose roots prove that a tree of `new` leaves begins with that of `old`; empty where either
/// says it by itself (`old` is 0 or `new`).
pub fn consistency_ranges(old: u64, new: u64) -> Vec<(u64, u64)> {
    let (mut start, mut end, mut ranges, mut is_known) = (0, new, Vec::new(), true);
    if old == 0 || old >= new {
        return ranges;
    }
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
            is_known = false;
        }
    }
    // The old root itself is not sent: who verifies has it.
    if !is_known {
        ranges.push((start, end));
    }
    ranges.reverse();
    ranges
}

/// Checks that the tree of `size` leaves with this root has a leaf of this hash at `index`.
///
/// # Errors
/// `Invalid` for an index past the tree; `Corrupt` where the proof does not prove it.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<()> {
    if index >= size {
        let message = format!("leaf {index} of a tree of {size} leaves");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let refused = || Error::new(ErrorKind::Corrupt, "the proof does not lead from the leaf to the root");
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for other in proof.iter().take(PROOF_HASHES_MAX + 2) {
        if last == 0 {
            return Err(refused());
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(other, &hash);
            skip(&mut at, &mut last);
        } else {
            hash = node_hash(&hash, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0 && hash == *root).then_some(()).ok_or_else(refused)
}

/// Checks that the tree of `new.0` leaves and root `new.1` begins with that of `old`.
///
/// # Errors
/// `Invalid` where the new tree is smaller; `Corrupt` where the proof does not prove it.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> Result<()> {
    if old.0 > new.0 {
        let message = format!("a tree of {} leaves does not begin with one of {}", new.0, old.0);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let refused =
        || Error::new(ErrorKind::Corrupt, "the proof does not lead from the old root to the new one");
    if old.0 == new.0 || old.0 == 0 {
        // Every tree begins with that of no leaves, which has one root.
        let is_right = (old.0 != 0 || *old.1 == empty_root()) && (old.0 != new.0 || old.1 == new.1);
        return (is_right && proof.is_empty()).then_some(()).ok_or_else(refused);
    }
    let (first, rest) = match old.0.is_power_of_two() {
        true => (old.1, proof),
        false => proof.split_first().ok_or_else(refused)?,
    };
    let (mut at, mut last) = (old.0 - 1, new.0 - 1);
    let whole = at.trailing_ones();
    (at, last) = (at >> whole, last >> whole);
    let (mut old_root, mut new_root) = (*first, *first);
    for other in rest.iter().take(PROOF_HASHES_MAX + 2) {
        if last == 0 {
            return Err(refused());
        }
        if at & 1 == 1 || at == last {
            old_root = node_hash(other, &old_root);
            new_root = node_hash(other, &new_root);
            skip(&mut at, &mut last);
        } else {
            new_root = node_hash(&new_root, other);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0 && old_root == *old.1 && new_root == *new.1).then_some(()).ok_or_else(refused)
}

/// Goes up past the levels at which a node on the right edge has no sibling.
fn skip(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        (*at, *last) = (*at >> 1, *last >> 1);
    }
}

#[cfg(test)]
mod tests;
