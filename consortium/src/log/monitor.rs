//! A monitor: holds the last checkpoint it saw, and of a newer one checks that it extends it, by reading every leaf
//! between and computing the root itself. What does not fit is told apart: an old checkpoint, tiles that are not the
//! log's, or a log with two histories, with both checkpoints to show.

use super::checkpoint::{Checkpoint, Evidence};
use super::prove::{Prover, Tiles, for_bundles};
use super::tree::{Frontier, Hash, leaf_hash};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::VerifierKey;
use crate::note::Note;
use sha2::{Digest, Sha256};

/// Watches one log.
#[derive(Debug, Clone)]
pub struct Monitor {
    keys: Vec<VerifierKey>,
    held: Option<(Checkpoint, Note)>,
    frontier: Frontier,
    evidence: Option<Box<Evidence>>,
}

/// What a monitor has seen between two checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Leaves before.
    pub from: u64,
    /// Leaves now.
    pub to: u64,
    /// Bytes of the leaves between.
    pub bytes: u64,
    /// The root now, recomputed.
    pub root: Hash,
}

impl Monitor {
    /// Of the log that these keys name; it has seen nothing.
    pub fn new(log_keys: &[VerifierKey]) -> Monitor {
        Monitor { keys: log_keys.to_vec(), held: None, frontier: Frontier::default(), evidence: None }
    }
    /// One that has seen a checkpoint before, with the tiles of its tree.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`] and [`Prover`]; `Corrupt` where the tiles are another tree's.
    pub fn resume(log_keys: &[VerifierKey], held: &Note, tiles: &impl Tiles) -> Result<Monitor> {
        let checkpoint = Checkpoint::verify(held, log_keys)?;
        let frontier = Prover::new(tiles, checkpoint.size).frontier()?;
        if frontier.root() != checkpoint.root {
            let message = "the tiles are not those of the tree that the checkpoint signs";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let held = Some((checkpoint, held.clone()));
        Ok(Monitor { keys: log_keys.to_vec(), held, frontier, evidence: None })
    }
    /// The last checkpoint that was good.
    pub fn held(&self) -> Option<(&Checkpoint, &Note)> {
        self.held.as_ref().map(|(checkpoint, note)| (checkpoint, note))
    }
    /// What was found against the log, once [`Monitor::advance`] has answered `Equivocation`.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_deref()
    }
    /// Checks a checkpoint and takes it over where it extends the one held.
    ///
    /// # Errors
    /// `Equivocation` where no history has both ([`Monitor::evidence`]); `Stale` for an older one of the same history;
    /// `Corrupt` where what `tiles` hands over is not that tree, `NotFound`, `Storage`; as [`Checkpoint::verify`].
    pub fn advance(&mut self, offered: &Note, tiles: &impl Tiles) -> Result<Report> {
        self.advance_with(offered, tiles, |_, _| Ok(()))
    }
    /// As [`Monitor::advance`], and hands over every new leaf, in order, once all of them are known to be the log's.
    ///
    /// # Errors
    /// As there, and what `each` answers: the checkpoint is not taken over then.
    pub fn advance_with(
        &mut self,
        offered: &Note,
        tiles: &impl Tiles,
        mut each: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<Report> {
        let checkpoint = Checkpoint::verify(offered, &self.keys)?;
        let from = self.frontier.size();
        if self.held.as_ref().is_some_and(|(held, _)| checkpoint.size <= held.size) {
            if self.held.as_ref().is_some_and(|(held, _)| *held == checkpoint) {
                return Ok(Report { from, to: from, bytes: 0, root: checkpoint.root });
            }
            return Err(self.judge(&checkpoint, offered, tiles));
        }
        let (frontier, bytes, digests) = follow(&self.frontier, checkpoint.size, tiles)?;
        if frontier.root() != checkpoint.root {
            return Err(self.judge(&checkpoint, offered, tiles));
        }
        hand_over((from, checkpoint.size), &digests, tiles, &mut each)?;
        let report = Report { from, to: checkpoint.size, bytes, root: checkpoint.root };
        self.frontier = frontier;
        self.held = Some((checkpoint, offered.clone()));
        Ok(report)
    }
    /// Why a checkpoint does not follow the one held.
    fn judge(&mut self, offered: &Checkpoint, note: &Note, tiles: &impl Tiles) -> Error {
        let Some((held, held_note)) = &self.held else { return not_the_leaves() };
        let mut evidence = Evidence { held: held_note.clone(), offered: note.clone(), bridge: None };
        if held.size != offered.size {
            let (old, new) = if held.size < offered.size { (held, offered) } else { (offered, held) };
            match Prover::new(tiles, new.size).consistency(old.size, new) {
                Err(error) => return error,
                Ok((_, root)) if root == old.root && held.size < offered.size => return not_the_leaves(),
                Ok((_, root)) if root == old.root => {
                    let message = format!("a checkpoint of {} leaves, held is {}", offered.size, held.size);
                    return Error::new(ErrorKind::Stale, message);
                }
                Ok((proof, root)) => evidence.bridge = Some((root, proof)),
            }
        }
        let error = evidence.error();
        self.evidence = Some(Box::new(evidence));
        error
    }
}

fn not_the_leaves() -> Error {
    Error::new(ErrorKind::Corrupt, "the leaves are not those of the tree that the checkpoint signs")
}

/// Extends a tree by what bundles hold: the tree, the bytes of the new leaves, and a digest of each bundle's, by which
/// it is known again.
fn follow(frontier: &Frontier, size: u64, tiles: &impl Tiles) -> Result<(Frontier, u64, Vec<Hash>)> {
    let (mut frontier, from, mut bytes, mut digests) = (frontier.clone(), frontier.size(), 0, Vec::new());
    for_bundles(tiles, (from, size), size, |_, leaves| {
        let mut digest = Sha256::new();
        for leaf in leaves {
            let hash = leaf_hash(leaf);
            digest.update(hash);
            frontier.push(hash);
            bytes += leaf.len() as u64;
        }
        digests.push(digest.finalize().into());
        Ok(())
    })?;
    Ok((frontier, bytes, digests))
}

/// Reads the bundles again and hands over their leaves if they are still the same.
fn hand_over(
    range: (u64, u64),
    digests: &[Hash],
    tiles: &impl Tiles,
    each: &mut impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut digests = digests.iter();
    for_bundles(tiles, range, range.1, |first, leaves| {
        let mut digest = Sha256::new();
        leaves.iter().for_each(|leaf| digest.update(leaf_hash(leaf)));
        if digests.next() != Some(&digest.finalize().into()) {
            return Err(not_the_leaves().at(Place::Leaf("log", first)));
        }
        (first..).zip(leaves).try_for_each(|(index, leaf)| each(index, leaf))
    })
}

#[cfg(test)]
mod tests;
