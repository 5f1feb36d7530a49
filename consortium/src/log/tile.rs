//! Tiles and entry bundles (C2SP tlog-tiles): 256 consecutive hashes of every eighth level of the tree, and the leaves
//! themselves in the same groups. A tile that is not full has its width in its path, so that no path ever changes what
//! it names.

use super::tree::{Hash, Node, node_hash};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::limits::LEAF_BYTES_MAX;
use std::fmt;

/// Hashes of a full tile, and leaves of a full bundle.
pub const WIDTH: u16 = 256;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// The leaves.
    Entries,
    /// Hashes of subtrees of 256^level leaves.
    Hashes(u8),
}

impl Content {
    /// How many hashes (or leaves) of this kind a tree of `size` leaves has.
    fn count(self, size: u64) -> u64 {
        match self {
            Content::Entries => size,
            Content::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
        }
    }
}

/// A tile or a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Of what.
    pub content: Content,
    /// Its place among those of its content, from 0.
    pub index: u64,
    /// How many hashes or leaves it holds: 1 to 256.
    pub width: u16,
}

impl Tile {
    /// The tile of an index as a tree of `size` leaves has it; `None` where it has none.
    pub fn at(content: Content, index: u64, size: u64) -> Option<Tile> {
        let left = content.count(size).checked_sub(index.checked_mul(u64::from(WIDTH))?)?;
        let width = left.min(u64::from(WIDTH)) as u16;
        (width > 0).then_some(Tile { content, index, width })
    }
    /// The tile that a tree of `size` leaves has a subtree's hash in, or those that it is made of.
    pub fn of(node: Node, size: u64) -> Option<Tile> {
        let (level, below) = (node.level / 8, node.level % 8);
        Tile::at(Content::Hashes(level), (node.index << below) / u64::from(WIDTH), size)
    }
    /// The bundle with a leaf.
    pub fn of_leaf(leaf: u64, size: u64) -> Option<Tile> {
        (leaf < size).then(|| Tile::at(Content::Entries, leaf / u64::from(WIDTH), size)).flatten()
    }
    /// What a tree of `size` leaves has that one of `held` leaves had not, from the leaves upwards: what a mirror
    /// fetches. With `held` 0: all.
    pub fn all_new(held: u64, size: u64) -> impl Iterator<Item = Tile> {
        let contents = std::iter::once(Content::Entries).chain((0..8).map(Content::Hashes));
        contents.flat_map(move |content| {
            let (from, to) = (content.count(held), content.count(size));
            let last = if from < to { to.div_ceil(u64::from(WIDTH)) } else { 0 };
            (from / u64::from(WIDTH)..last).filter_map(move |index| Tile::at(content, index, size))
        })
    }
    /// Whether nothing can follow in it.
    pub fn is_full(&self) -> bool {
        self.width == WIDTH
    }
    /// The same tile when it is full.
    #[must_use]
    pub fn full(self) -> Tile {
        Tile { width: WIDTH, ..self }
    }
    /// Where the partial ones of this tile are.
    pub fn partial_folder(&self) -> String {
        format!("{}.p", self.full())
    }
    /// Reads a path as [`Tile`] writes it: `tile/…`.
    ///
    /// # Errors
    /// `Malformed` for any other spelling.
    pub fn parse(path: &str) -> Result<Tile> {
        read(path).filter(|tile| tile.to_string() == path).ok_or_else(|| {
            let message = "expected tile/LEVEL/INDEX, the index in groups of three digits, and .p/WIDTH for a partial one";
            Error::new(ErrorKind::Malformed, message)
        })
    }
}

fn read(path: &str) -> Option<Tile> {
    let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => Content::Entries,
        level => Content::Hashes(level.parse().ok().filter(|level| *level < 64)?),
    };
    let (rest, width) = match rest.split_once(".p/") {
        Some((rest, width)) => (rest, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
        None => (rest, WIDTH),
    };
    let mut index = 0u64;
    for group in rest.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let number: u64 = digits.parse().ok().filter(|_| digits.len() == 3)?;
        index = index.checked_mul(1000)?.checked_add(number)?;
    }
    Some(Tile { content, index, width })
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Entries => f.write_str("tile/entries")?,
            Content::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "/x{:03}", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "/{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The hashes of a tile of `width`; what follows them is passed over, so that a full tile may stand for a partial one.
///
/// # Errors
/// `Corrupt` for too few bytes, or some that are no whole hash.
pub fn hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() < usize::from(width) || hashes.len() > usize::from(WIDTH) {
        let message = format!("a tile of {} bytes, expected {} hashes of 32", bytes.len(), width);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(hashes[..usize::from(width)].to_vec())
}

/// The root over the hashes of a full tile, or of a part of one that is a power of two wide.
pub fn root_of(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    level[0]
}

/// Appends a leaf to a bundle.
///
/// # Errors
/// `TooLarge` past `LEAF_BYTES_MAX`.
pub fn put_entry(bundle: &mut Vec<u8>, leaf: &[u8]) -> Result<()> {
    let length = u16::try_from(leaf.len()).map_err(|_| {
        Error::new(ErrorKind::TooLarge, format!("a leaf of {} bytes, limit {LEAF_BYTES_MAX}", leaf.len()))
    })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(leaf);
    Ok(())
}

/// The leaves of a bundle, `width` of them; what follows them is passed over, as in [`hashes`].
///
/// # Errors
/// `Corrupt`, with the byte, where it ends before.
pub fn entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>> {
    let (mut leaves, mut at) = (Vec::with_capacity(width.into()), 0);
    for _ in 0..width {
        let leaf = bundle.get(at..).and_then(|rest| {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            rest.get(..u16::from_be_bytes(*length).into())
        });
        let leaf = leaf.ok_or_else(|| {
            let message = format!("an entry bundle ends after {} of {width} leaves", leaves.len());
            Error::new(ErrorKind::Corrupt, message).at(Place::Byte(at as u64))
        })?;
        leaves.push(leaf);
        at += 2 + leaf.len();
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests;
