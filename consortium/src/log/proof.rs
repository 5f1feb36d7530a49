//! Offline proofs that something is in a log (C2SP tlog-proof): index, hashes, and the checkpoint with its cosignatures;
//! an `extra` line carries what the leaf is rebuilt from. Text, so that it can be kept, sent and looked at.

use super::policy::{Policy, Verdict};
use super::tree::{Hash, hash_of, text_of, verify_inclusion};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::limits::{NOTE_BYTES_MAX, PROOF_BYTES_MAX, PROOF_HASHES_MAX};
use crate::note::Note;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The first line.
const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// A proof as read: nothing of it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What goes with it; proves nothing by itself.
    pub extra: Option<Vec<u8>>,
    /// Which leaf, from 0.
    pub index: u64,
    /// From the leaf's sibling upwards.
    pub hashes: Vec<Hash>,
    /// The checkpoint.
    pub checkpoint: Note,
}

impl Proof {
    /// Reads a proof; every byte must be as it would be written.
    ///
    /// # Errors
    /// `Malformed` with the line; `TooLarge` past the bounds of notes, `PROOF_BYTES_MAX` and `PROOF_HASHES_MAX`.
    pub fn parse(bytes: &[u8]) -> Result<Proof> {
        if bytes.len() > NOTE_BYTES_MAX + PROOF_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("a proof of {} bytes", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Error::new(ErrorKind::Malformed, "not UTF-8").at(Place::Byte(e.valid_up_to() as u64))
        })?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "no empty line before a checkpoint: this is no proof")
        })?;
        let malformed =
            |line, what: &str| Error::new(ErrorKind::Malformed, what.to_owned()).at(Place::Line(line));
        let mut lines = (1..).zip(head.split('\n')).peekable();
        if lines.next() != Some((1, FIRST)) {
            return Err(Error::new(ErrorKind::Version, format!("expected {FIRST:?}")).at(Place::Line(1)));
        }
        let mut extra = None;
        if let Some((line, value)) =
            lines.peek().and_then(|(n, line)| Some((*n, line.strip_prefix("extra ")?)))
        {
            let bytes = STANDARD.decode(value).ok().filter(|bytes| !bytes.is_empty());
            extra = Some(bytes.ok_or_else(|| malformed(line, "expected \"extra\" and base64"))?);
            lines.next();
        }
        let index = lines.next().and_then(|(_, line)| {
            let digits = line.strip_prefix("index ")?;
            digits.parse().ok().filter(|n: &u64| n.to_string() == digits)
        });
        let at = 2 + usize::from(extra.is_some());
        let index = index.ok_or_else(|| malformed(at, "expected \"index\" and a number"))?;
        let mut hashes = Vec::new();
        for (line, text) in lines {
            if hashes.len() == PROOF_HASHES_MAX {
                let message = format!("more than {PROOF_HASHES_MAX} hashes");
                return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Line(line)));
            }
            hashes.push(hash_of(text).ok_or_else(|| malformed(line, "expected 32 bytes in base64"))?);
        }
        Ok(Proof { extra, index, hashes, checkpoint: Note::parse(note.as_bytes())? })
    }
    /// The bytes that are kept and sent.
    pub fn encode(&self) -> String {
        self.to_string()
    }
    /// Checks that a log of the policy has a leaf of this hash at the index, under a checkpoint that the policy's
    /// quorum has cosigned.
    ///
    /// # Errors
    /// As [`Policy::verify`] and [`verify_inclusion`].
    pub fn verify(&self, policy: &Policy, leaf: &Hash) -> Result<Verdict> {
        let verdict = policy.verify(&self.checkpoint)?;
        let Verdict { checkpoint, .. } = &verdict;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root)?;
        Ok(verdict)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", text_of(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests;
