//! The one who keeps a log. A leaf is durable, at its index, before its promise can be given; a checkpoint is signed
//! only over durable tiles, and is durable before it is handed out. So whatever a kill leaves is a log that has every
//! promised leaf at its place and extends every checkpoint that anybody has seen.

use super::checkpoint::Checkpoint;
use super::folder::Folder;
use super::proof::Proof;
use super::prove::{Prover, leaf};
use super::tail;
use super::tile::{Content, Tile, WIDTH, entries, put_entry, root_of};
use super::tree::{Frontier, Hash, leaf_hash};
use super::witness::AddCheckpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{SignerKey, VerifierKey};
use crate::limits::{PENDING_BYTES_MAX, PENDING_LEAVES_MAX};
use crate::note::Note;
use std::ops::Range;

/// The file of the last checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// The file of the leaves that no checkpoint has yet.
pub const TAIL: &str = "tail";

/// Keeps a log in a folder. One process, one writer: who calls sees to that.
#[derive(Debug)]
pub struct Writer<F> {
    folder: F,
    key: SignerKey,
    published: Option<(Checkpoint, Note)>,
    edge: Edge,
    pending: Vec<Box<[u8]>>,
    pending_bytes: usize,
    /// Over all that is durable.
    frontier: Frontier,
    /// After an error of the folder nobody knows what it holds; only opening it anew tells.
    is_lost: bool,
}

/// The right edge of the tree in tiles: what an append adds to.
#[derive(Debug, Default)]
struct Edge {
    size: u64,
    /// The leaves of the bundle that is not full.
    bundle: Vec<u8>,
    /// The hashes of each level's tile that is not full.
    hashes: [Vec<Hash>; 8],
}

/// Files to write, by path.
type Files = Vec<(String, Vec<u8>)>;

impl Edge {
    /// Adds a leaf; what becomes full goes to `files`.
    fn push(&mut self, leaf: &[u8], files: &mut Files) -> Result<()> {
        put_entry(&mut self.bundle, leaf)?;
        self.size += 1;
        let mut hash = leaf_hash(leaf);
        let mut count = self.size;
        for level in 0..8u8 {
            let hashes = &mut self.hashes[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < WIDTH.into() {
                return Ok(());
            }
            let full = |content| Tile { content, index: count / u64::from(WIDTH) - 1, width: WIDTH };
            if level == 0 {
                files.push((full(Content::Entries).to_string(), std::mem::take(&mut self.bundle)));
            }
            files.push((full(Content::Hashes(level)).to_string(), hashes.as_flattened().to_vec()));
            hash = root_of(hashes);
            hashes.clear();
            count /= u64::from(WIDTH);
        }
        Ok(())
    }
    /// The partial tiles that are not those of a tree of `held` leaves.
    fn put_partial(&self, held: u64, files: &mut Files) {
        for tile in Tile::all_new(held, self.size).filter(|tile| !tile.is_full()) {
            let bytes = match tile.content {
                Content::Entries => self.bundle.clone(),
                Content::Hashes(level) => self.hashes[usize::from(level)].as_flattened().to_vec(),
            };
            files.push((tile.to_string(), bytes));
        }
    }
    /// Reads it for the tree of a checkpoint.
    fn read(folder: &impl Folder, size: u64) -> Result<Edge> {
        let mut edge = Edge { size, ..Edge::default() };
        for level in 0..8u8 {
            let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            let tile = Tile::at(Content::Hashes(level), count / u64::from(WIDTH), size);
            if let Some(tile) = tile {
                let bytes = super::prove::read(folder, &tile)?;
                edge.hashes[usize::from(level)] = super::tile::hashes(&bytes, tile.width)?;
            }
        }
        if let Some(bundle) = Tile::at(Content::Entries, size / u64::from(WIDTH), size) {
            let bytes = super::prove::read(folder, &bundle)?;
            let leaves = entries(&bytes, bundle.width)?;
            if !leaves.iter().map(|leaf| leaf_hash(leaf)).eq(edge.hashes[0].iter().copied()) {
                return Err(Error::new(ErrorKind::Corrupt, format!("{bundle} is not what its tile says")));
            }
            leaves.iter().try_for_each(|leaf| put_entry(&mut edge.bundle, leaf))?;
        }
        Ok(edge)
    }
}

impl<F: Folder> Writer<F> {
    /// Opens a log, or begins one in an empty folder. The key's name is the log's origin.
    ///
    /// # Errors
    /// `Corrupt` where the folder does not hold what its checkpoint signs, `UnknownKey` or `Quorum` where another key
    /// signed it; `Storage`.
    pub fn open(folder: F, key: SignerKey) -> Result<Writer<F>> {
        let mut writer = Writer {
            folder,
            key,
            published: None,
            edge: Edge::default(),
            pending: Vec::new(),
            pending_bytes: 0,
            frontier: Frontier::default(),
            is_lost: false,
        };
        if let Some(bytes) = writer.folder.read(CHECKPOINT)? {
            writer.read_published(&bytes)?;
        }
        writer.read_tail()?;
        Ok(writer)
    }
    fn read_published(&mut self, bytes: &[u8]) -> Result<()> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::verify(&note, std::slice::from_ref(self.key.verifier()))?;
        self.frontier = Prover::new(&self.folder, checkpoint.size).frontier()?;
        if self.frontier.root() != checkpoint.root {
            let message = "the tiles are not those of the tree that the checkpoint signs";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        self.edge = Edge::read(&self.folder, checkpoint.size)?;
        self.published = Some((checkpoint, note));
        Ok(())
    }
    /// Takes over what is durable and in no checkpoint, and does again what a kill may have left half done.
    fn read_tail(&mut self) -> Result<()> {
        // What a killed process wrote may still be in memory only; it counts once it is on the disk.
        self.folder.sync(TAIL)?;
        let Some(bytes) = self.folder.read(TAIL)?.filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let size = self.edge.size;
        if let Some(tail) = tail::read(&bytes)? {
            if tail.first > size && !tail.leaves.is_empty() {
                let message = format!(
                    "the checkpoint has {size} leaves and the tail begins at {}: the folder was copied in the wrong order",
                    tail.first
                );
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            let known = (size - tail.first.min(size)).min(tail.leaves.len() as u64) as usize;
            let mut prover = Prover::new(&self.folder, size);
            for (index, leaf) in (tail.first..).zip(&tail.leaves[..known]) {
                if prover.leaf_hash(index)? != leaf_hash(leaf) {
                    let message = format!("leaf {index} is one in the tail and another in the tiles");
                    return Err(Error::new(ErrorKind::Corrupt, message));
                }
            }
            if known > 0 {
                self.remove_partial(tail.first)?;
            }
            for leaf in tail.leaves.into_iter().skip(known) {
                self.frontier.push(leaf_hash(&leaf));
                self.pending_bytes += leaf.len();
                self.pending.push(leaf);
            }
        }
        let rest = if self.pending.is_empty() { Vec::new() } else { tail::frame(size, &self.pending)? };
        if rest != bytes { self.folder.write(TAIL, &rest) } else { Ok(()) }
    }

    /// Appends leaves, durably: when it returns they are at these indices for good, and that may be promised.
    ///
    /// # Errors
    /// `TooLarge` for a leaf past `LEAF_BYTES_MAX` or more than may wait for a checkpoint: nothing is appended.
    /// `Storage`: nobody knows whether they were; this writer does nothing more, and opening anew tells.
    pub fn append(&mut self, leaves: &[impl AsRef<[u8]>]) -> Result<Range<u64>> {
        self.check_lost()?;
        let first = self.size();
        if leaves.is_empty() {
            return Ok(first..first);
        }
        let bytes = self.pending_bytes + leaves.iter().map(|leaf| leaf.as_ref().len()).sum::<usize>();
        if self.pending.len() + leaves.len() > PENDING_LEAVES_MAX || bytes > PENDING_BYTES_MAX {
            let message = format!(
                "{} leaves of {bytes} bytes would wait for a checkpoint, limit {PENDING_LEAVES_MAX} of {PENDING_BYTES_MAX}",
                self.pending.len() + leaves.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let frame = tail::frame(first, leaves)?;
        self.is_lost = true;
        self.folder.append(TAIL, &frame)?;
        self.folder.sync(TAIL)?;
        self.is_lost = false;
        for leaf in leaves {
            self.frontier.push(leaf_hash(leaf.as_ref()));
            self.pending.push(leaf.as_ref().into());
        }
        self.pending_bytes = bytes;
        Ok(first..self.size())
    }

    /// Signs a checkpoint over all that is durable and returns it when it is durable itself; the one held where nothing
    /// has come since.
    ///
    /// # Errors
    /// `Storage`, as in [`Writer::append`].
    pub fn checkpoint(&mut self) -> Result<&Note> {
        self.check_lost()?;
        if self.published.is_none() || !self.pending.is_empty() {
            self.is_lost = true;
            self.publish()?;
            self.is_lost = false;
        }
        Ok(&self.published.as_ref().expect("published above").1)
    }
    fn publish(&mut self) -> Result<()> {
        let held = self.edge.size;
        let mut files = Files::new();
        for leaf in std::mem::take(&mut self.pending) {
            self.edge.push(&leaf, &mut files)?;
        }
        self.pending_bytes = 0;
        self.edge.put_partial(held, &mut files);
        self.folder.write_all(&files)?;
        drop(files);
        let checkpoint = Checkpoint::new(self.origin(), self.edge.size, self.frontier.root())?;
        assert_eq!(checkpoint.size, self.frontier.size(), "the tiles are those of the tree");
        assert!(self.published.as_ref().is_none_or(|(old, _)| old.size <= checkpoint.size), "a log grows");
        let mut note = Note::new(checkpoint.to_string())?;
        note.sign(&self.key);
        self.folder.write(CHECKPOINT, note.encode().as_bytes())?;
        self.published = Some((checkpoint, note));
        self.remove_partial(held)?;
        self.folder.write(TAIL, &[])
    }
    /// Removes the partial tiles of a tree of `held` leaves whose full ones are there now.
    fn remove_partial(&self, held: u64) -> Result<()> {
        let full = Tile::all_new(held, self.edge.size).filter(Tile::is_full);
        // Only the tile that was the last of its level can have had partial ones.
        for tile in full.filter(|tile| Tile::at(tile.content, tile.index, held).is_some()) {
            let folder = tile.partial_folder();
            for name in self.folder.list(&folder)? {
                self.folder.remove(&format!("{folder}/{name}"))?;
            }
        }
        Ok(())
    }

    /// Adds the cosignatures of witnesses to the checkpoint that is held: signature lines as they answered. Those by
    /// unknown keys are passed over. How many the checkpoint has now.
    ///
    /// # Errors
    /// `Corrupt` or `Malformed` for lines that are none over this checkpoint (it may be older by now); `NotFound`
    /// before the first checkpoint; `Storage`.
    pub fn add_cosignatures(&mut self, lines: &str, known: &[VerifierKey]) -> Result<usize> {
        self.check_lost()?;
        let none = || Error::new(ErrorKind::NotFound, "the log has no checkpoint yet");
        let (_, held) = self.published.as_ref().ok_or_else(none)?;
        let answer = Note::parse(format!("{}\n{lines}", held.text()).as_bytes())?;
        let signed = answer.verify_known(known)?;
        let is_known = |name: &str, id| signed.iter().any(|s| s.key.name() == name && s.key.id() == id);
        let mut verified = format!("{}\n", held.text());
        for signature in answer.signatures().iter().filter(|s| is_known(&s.name, s.key_id)) {
            verified += &format!("{signature}\n");
        }
        let mut note = held.clone();
        note.merge(&Note::parse(verified.as_bytes())?)?;
        if note != *held {
            self.is_lost = true;
            self.folder.write(CHECKPOINT, note.encode().as_bytes())?;
            self.is_lost = false;
        }
        let count = note.signatures().len() - 1;
        self.published.as_mut().expect("held above").1 = note;
        Ok(count)
    }
    /// Checks that this log extends a checkpoint of it that somebody has seen: what an operator asks after a folder was
    /// restored from a copy, before it signs anything.
    ///
    /// # Errors
    /// `Stale` where the log is shorter; `Equivocation` where it has another root at that size.
    pub fn check_extends(&self, seen: &Checkpoint) -> Result<()> {
        let (size, root) = self.published.as_ref().map_or((0, None), |(c, _)| (c.size, Some(c.root)));
        if seen.size > size {
            let message =
                format!("a checkpoint of {} leaves was seen, and the last one here has {size}", seen.size);
            return Err(Error::new(ErrorKind::Stale, message));
        }
        let own = match root.filter(|_| seen.size == size) {
            Some(root) => root,
            None => Prover::new(&self.folder, size).root(seen.size)?,
        };
        if seen.origin != self.origin() || own != seen.root {
            let message = format!("a checkpoint of {} leaves was seen that is not this log's", seen.size);
            return Err(Error::new(ErrorKind::Equivocation, message));
        }
        Ok(())
    }

    /// What a witness is asked that last cosigned a tree of `old` leaves.
    ///
    /// # Errors
    /// `NotFound` before the first checkpoint; `Invalid` for an old size past it; `Storage`.
    pub fn add_checkpoint(&self, old: u64) -> Result<AddCheckpoint> {
        let (checkpoint, note) = self.held()?;
        let (proof, _) = Prover::new(&self.folder, checkpoint.size).consistency(old, checkpoint)?;
        Ok(AddCheckpoint { old, proof, checkpoint: note.clone() })
    }
    /// The proof that a leaf is in the last checkpoint.
    ///
    /// # Errors
    /// `NotFound` before the first checkpoint; `Invalid` for a leaf that it has not; `Storage`.
    pub fn prove(&self, index: u64, extra: Option<Vec<u8>>) -> Result<Proof> {
        let (checkpoint, note) = self.held()?;
        let hashes = Prover::new(&self.folder, checkpoint.size).inclusion(index, checkpoint)?;
        Ok(Proof { extra, index, hashes, checkpoint: note.clone() })
    }
    /// A leaf that is durable, in a checkpoint or not.
    ///
    /// # Errors
    /// `NotFound`, `Storage`.
    pub fn leaf(&self, index: u64) -> Result<Vec<u8>> {
        match index.checked_sub(self.edge.size) {
            None => leaf(&self.folder, index, self.edge.size),
            Some(at) => self.pending.get(at as usize).map(|leaf| leaf.to_vec()).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("leaf {index} of a log of {} leaves", self.size()))
            }),
        }
    }
    /// The log's name.
    pub fn origin(&self) -> &str {
        self.key.verifier().name()
    }
    /// Durable leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }
    /// Those of them that no checkpoint has yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
    /// The last checkpoint, with the cosignatures that have come.
    pub fn published(&self) -> Option<(&Checkpoint, &Note)> {
        self.published.as_ref().map(|(checkpoint, note)| (checkpoint, note))
    }
    /// Where it is kept.
    pub fn folder(&self) -> &F {
        &self.folder
    }
    fn held(&self) -> Result<(&Checkpoint, &Note)> {
        self.published().ok_or_else(|| Error::new(ErrorKind::NotFound, "the log has no checkpoint yet"))
    }
    fn check_lost(&self) -> Result<()> {
        if self.is_lost {
            let message = "the folder failed before: open the log anew to learn what it holds";
            return Err(Error::new(ErrorKind::Storage, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
