//! The receipt of a query: a C2SP tlog-proof whose `extra` is the opening. The member makes it from the log's tiles;
//! anybody with the policy can check it, offline, and learn who asked how much, when, and under which request.

use super::opening::{Opening, Query};
use crate::error::{Error, ErrorKind, Result};
use crate::log::checkpoint::Checkpoint;
use crate::log::policy::{Policy, Verdict};
use crate::log::tree::leaf_hash;
use crate::log::{Proof, Prover, Tiles};
use crate::note::Note;

/// A receipt that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf's index.
    pub index: u64,
    /// The record.
    pub query: Query,
    /// Who vouches for the checkpoint.
    pub verdict: Verdict,
}

/// Makes the receipt of a leaf from tiles of a checkpoint's tree (which: [`crate::log::prove::inclusion_tiles`]).
///
/// # Errors
/// `Corrupt` where the opening is not that leaf's or the tiles are not that tree's; as [`Prover::inclusion`].
pub fn build(tiles: &impl Tiles, checkpoint: &Note, index: u64, opening: &Opening) -> Result<Proof> {
    let tree = Checkpoint::parse(checkpoint.text())?;
    let mut prover = Prover::new(tiles, tree.size);
    let hashes = prover.inclusion(index, &tree)?;
    if prover.leaf_hash(index)? != leaf_hash(&opening.leaf()) {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("leaf {index} of the log is not that of the opening"),
        ));
    }
    Ok(Proof { extra: Some(opening.encode()), index, hashes, checkpoint: checkpoint.clone() })
}

/// Checks a receipt.
///
/// # Errors
/// `Malformed` for a proof without opening; as [`Proof::parse`] and [`Proof::verify`].
pub fn verify(bytes: &[u8], policy: &Policy) -> Result<Receipt> {
    let proof = Proof::parse(bytes)?;
    let none = || Error::new(ErrorKind::Malformed, "a receipt carries its opening in the line \"extra\"");
    let opening = Opening::decode(proof.extra.as_deref().ok_or_else(none)?)?;
    let verdict = proof.verify(policy, &leaf_hash(&opening.leaf()))?;
    Ok(Receipt { index: proof.index, query: opening.query, verdict })
}
