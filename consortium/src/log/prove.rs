//! Roots and proofs made from tiles, by whoever has them: the log, a mirror, a member who fetched a handful. Tiles are
//! not trusted: what is made from them is checked against the checkpoint before it is handed out.

use super::checkpoint::Checkpoint;
use super::tile::{self, Tile, WIDTH};
use super::tree::{
    Frontier, Hash, Node, consistency_ranges, cover, empty_root, fold, inclusion_ranges, verify_consistency,
    verify_inclusion,
};
use crate::error::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Where tiles come from.
pub trait Tiles {
    /// The bytes of a tile or bundle; `None` where it is not there. A partial one may be gone when the full one is
    /// there; who reads asks for that then.
    ///
    /// # Errors
    /// `Storage`.
    fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>>;
}

/// The bytes of a tile, or of the full one that has replaced it.
///
/// # Errors
/// `NotFound` with the tile's path; `Storage`.
pub fn read(tiles: &impl Tiles, tile: &Tile) -> Result<Vec<u8>> {
    if let Some(bytes) = tiles.tile(tile)? {
        return Ok(bytes);
    }
    let full = if tile.is_full() { None } else { tiles.tile(&tile.full())? };
    full.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{tile} is not there")))
}

/// The tiles from which a proof that leaf `index` is in a tree of `size` leaves is made: what to fetch.
pub fn inclusion_tiles(index: u64, size: u64) -> BTreeSet<Tile> {
    tiles_of(&inclusion_ranges(index, size), size)
}

/// The tiles from which a proof that a tree of `new` leaves begins with one of `old` is made.
pub fn consistency_tiles(old: u64, new: u64) -> BTreeSet<Tile> {
    tiles_of(&consistency_ranges(old, new), new)
}

fn tiles_of(ranges: &[(u64, u64)], size: u64) -> BTreeSet<Tile> {
    let nodes = ranges.iter().flat_map(|(start, end)| cover(*start, *end));
    nodes.filter_map(|node| Tile::of(node, size)).collect()
}

/// Makes proofs for a tree of one size; reads every tile at most once.
#[derive(Debug)]
pub struct Prover<'a, T> {
    tiles: &'a T,
    size: u64,
    read: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'a, T: Tiles> Prover<'a, T> {
    /// For a tree of `size` leaves.
    pub fn new(tiles: &'a T, size: u64) -> Self {
        Prover { tiles, size, read: BTreeMap::new() }
    }
    /// A subtree's hash, unverified.
    ///
    /// # Errors
    /// `NotFound` for a subtree or tile that is not there; `Corrupt`; `Storage`.
    pub fn node(&mut self, node: Node) -> Result<Hash> {
        let none = || {
            let message =
                format!("no subtree {} of height {} in {} leaves", node.index, node.level, self.size);
            Error::new(ErrorKind::NotFound, message)
        };
        let tile = Tile::of(node, self.size).ok_or_else(none)?;
        let (level, below) = (node.level / 8, node.level % 8);
        let first = (node.index << below) % u64::from(WIDTH);
        let range = first as usize..(first + (1 << below)) as usize;
        if range.end > tile.width.into() {
            return Err(none());
        }
        if !self.read.contains_key(&(level, tile.index)) {
            let bytes = read(self.tiles, &tile)?;
            let hashes = tile::hashes(&bytes, tile.width).map_err(|error| named(&tile, error))?;
            self.read.insert((level, tile.index), hashes);
        }
        Ok(tile::root_of(&self.read[&(level, tile.index)][range]))
    }
    /// The root over the leaves from `start` to before `end`, unverified.
    fn range(&mut self, (start, end): (u64, u64)) -> Result<Hash> {
        let nodes = cover(start, end).into_iter().map(|node| self.node(node)).collect::<Result<Vec<_>>>()?;
        Ok(fold(&nodes).unwrap_or_else(empty_root))
    }
    /// The root of the tree of its first `size` leaves, as the tiles have it.
    ///
    /// # Errors
    /// As [`Prover::node`].
    pub fn root(&mut self, size: u64) -> Result<Hash> {
        self.range((0, size))
    }
    /// The frontier of the whole tree, as the tiles have it.
    ///
    /// # Errors
    /// As [`Prover::node`].
    pub fn frontier(&mut self) -> Result<Frontier> {
        let nodes = cover(0, self.size);
        let peaks = nodes.into_iter().map(|node| self.node(node)).collect::<Result<Vec<_>>>()?;
        Frontier::new(self.size, peaks)
    }
    /// The proof that leaf `index` is in the tree that a checkpoint signs.
    ///
    /// # Errors
    /// `Invalid` for an index past the tree; `Corrupt` where the tiles are not those of that tree; as [`Prover::node`].
    pub fn inclusion(&mut self, index: u64, checkpoint: &Checkpoint) -> Result<Vec<Hash>> {
        if index >= self.size {
            let message = format!("leaf {index} of a tree of {} leaves", self.size);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let ranges = inclusion_ranges(index, self.size);
        let proof = ranges.into_iter().map(|range| self.range(range)).collect::<Result<Vec<_>>>()?;
        let leaf = self.node(Node { level: 0, index })?;
        verify_inclusion(&leaf, index, checkpoint.size, &proof, &checkpoint.root).map_err(not_its_tiles)?;
        Ok(proof)
    }
    /// The proof that the tree of `new`'s root begins with that of its first `old` leaves, and that tree's root.
    ///
    /// # Errors
    /// `Invalid` where `old` is larger; `Corrupt` where the tiles are not those of that tree; as [`Prover::node`].
    pub fn consistency(&mut self, old: u64, new: &Checkpoint) -> Result<(Vec<Hash>, Hash)> {
        let ranges = consistency_ranges(old, self.size);
        let proof = ranges.into_iter().map(|range| self.range(range)).collect::<Result<Vec<_>>>()?;
        let old_root = self.root(old)?;
        verify_consistency((old, &old_root), (new.size, &new.root), &proof).map_err(not_its_tiles)?;
        Ok((proof, old_root))
    }
    /// The hash of a leaf, as the tiles have it.
    ///
    /// # Errors
    /// As [`Prover::node`].
    pub fn leaf_hash(&mut self, index: u64) -> Result<Hash> {
        self.node(Node { level: 0, index })
    }
}

fn not_its_tiles(mut error: Error) -> Error {
    if error.kind == ErrorKind::Corrupt {
        error.message = "the tiles are not those of the tree that the checkpoint signs".into();
    }
    error
}

/// A leaf of a log of `size` leaves, from its bundle; unverified.
///
/// # Errors
/// `NotFound`, `Corrupt`, `Storage`.
pub fn leaf(tiles: &impl Tiles, index: u64, size: u64) -> Result<Vec<u8>> {
    let none = || Error::new(ErrorKind::NotFound, format!("leaf {index} of a log of {size} leaves"));
    let bundle = Tile::of_leaf(index, size).ok_or_else(none)?;
    let bytes = read(tiles, &bundle)?;
    let leaves = tile::entries(&bytes, bundle.width).map_err(|error| named(&bundle, error))?;
    Ok(leaves[(index % u64::from(WIDTH)) as usize].to_vec())
}

/// The leaves from `from` to before `to` of a log of `size` leaves, in order, bundle by bundle, each call with the index
/// of its first one; unverified.
///
/// # Errors
/// `NotFound`, `Corrupt`, `Storage`, and what `each` answers.
pub fn for_bundles(
    tiles: &impl Tiles,
    (from, to): (u64, u64),
    size: u64,
    mut each: impl FnMut(u64, &[&[u8]]) -> Result<()>,
) -> Result<()> {
    let (width, mut at) = (u64::from(WIDTH), from);
    while at < to {
        let none = || Error::new(ErrorKind::NotFound, format!("leaf {at} of a log of {size} leaves"));
        let bundle = Tile::of_leaf(at, size).ok_or_else(none)?;
        let bytes = read(tiles, &bundle)?;
        let leaves = tile::entries(&bytes, bundle.width).map_err(|error| named(&bundle, error))?;
        let (skip, take) = ((at % width) as usize, (to - at).min(width) as usize);
        let leaves = &leaves[skip..leaves.len().min(skip + take)];
        each(at, leaves)?;
        at += leaves.len() as u64;
    }
    Ok(())
}

/// An error of a tile, with its path.
fn named(tile: &Tile, mut error: Error) -> Error {
    error.message = format!("{tile}: {}", error.message);
    error
}

#[cfg(test)]
mod tests;
