//! Checkpoints (C2SP tlog-checkpoint): a note whose text says which log, how many leaves and which root. Two of one log
//! that no proof can join are evidence of two histories.

use super::tree::{Hash, empty_root, hash_of, text_of};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::{KeyType, VerifierKey};
use crate::note::Note;
use std::fmt;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Lines after the third, each with its newline; we write none.
    pub extension: String,
}

impl Checkpoint {
    /// Of a tree.
    ///
    /// # Errors
    /// `Malformed` for an origin that cannot be a line.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Checkpoint> {
        let checkpoint = Checkpoint { origin: origin.into(), size, root, extension: String::new() };
        Checkpoint::parse(&checkpoint.to_string())
    }
    /// Reads a note's text; what is read is written again byte for byte.
    ///
    /// # Errors
    /// `Malformed`, with the line; `Invalid` for a tree without leaves and a root of one with some.
    pub fn parse(text: &str) -> Result<Checkpoint> {
        let malformed = |line, what: &str| {
            Err(Error::new(ErrorKind::Malformed, format!("a checkpoint: {what}")).at(Place::Line(line)))
        };
        let mut lines = text.split_inclusive('\n');
        let mut line =
            || lines.next().and_then(|line| line.strip_suffix('\n')).filter(|line| !line.is_empty());
        let Some(origin) = line().filter(|origin| !origin.contains(|c: char| c.is_control())) else {
            return malformed(1, "expected the log's origin");
        };
        let size = line().and_then(|line| line.parse().ok().filter(|n: &u64| n.to_string() == line));
        let Some(size) = size else {
            return malformed(2, "expected the number of leaves");
        };
        let Some(root) = line().and_then(hash_of) else {
            return malformed(3, "expected the root, 32 bytes in base64");
        };
        let extension: String = lines.collect();
        if !extension.is_empty() && (!extension.ends_with('\n') || format!("\n{extension}").contains("\n\n"))
        {
            return malformed(4, "an extension line is not empty and ends with a newline");
        }
        if size == 0 && root != empty_root() {
            let message = "a checkpoint of no leaves has the root of no leaves";
            return Err(Error::new(ErrorKind::Invalid, message).at(Place::Line(3)));
        }
        Ok(Checkpoint { origin: origin.into(), size, root, extension })
    }
    /// Reads a note and checks that one of these keys, those of the log, has signed it; other signatures may be there.
    ///
    /// # Errors
    /// As [`Checkpoint::parse`] and [`Note::verify_known`]; `Invalid` for a key under another name than the origin.
    pub fn verify(note: &Note, log_keys: &[VerifierKey]) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::parse(note.text())?;
        for signed in note.verify_known(log_keys)? {
            if signed.key.name() != checkpoint.origin || signed.key.key_type() != KeyType::Ed25519 {
                let message = format!(
                    "a checkpoint of {:?} signed by a key of {:?}: it has to be the log's own",
                    checkpoint.origin,
                    signed.key.name()
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n{}", self.origin, self.size, text_of(&self.root), self.extension)
    }
}

/// Two checkpoints that one log signed and no history has both of. Whoever holds it can show it to anybody who knows
/// the log's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The one that was held.
    pub held: Note,
    /// The one that was offered.
    pub offered: Note,
    /// Where their sizes differ: the root that the smaller tree has within the larger one, and the consistency proof
    /// of that.
    pub bridge: Option<(Hash, Vec<Hash>)>,
}

impl Evidence {
    /// Checks it, as a third party would.
    ///
    /// # Errors
    /// `Invalid` where the two do not exclude each other, and as [`Checkpoint::verify`].
    pub fn verify(&self, log_keys: &[VerifierKey]) -> Result<()> {
        let held = Checkpoint::verify(&self.held, log_keys)?;
        let offered = Checkpoint::verify(&self.offered, log_keys)?;
        let (old, new) = if held.size <= offered.size { (&held, &offered) } else { (&offered, &held) };
        let is_split = match &self.bridge {
            None => old.size == new.size && old.root != new.root,
            Some((root, proof)) => {
                super::tree::verify_consistency((old.size, root), (new.size, &new.root), proof)?;
                *root != old.root
            }
        };
        if held.origin == offered.origin && is_split {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "the two checkpoints do not exclude each other"))
    }
    /// The error that says so.
    pub(crate) fn error(&self) -> Error {
        let short = |note: &Note| {
            let mut lines = note.text().lines().skip(1);
            format!("{} {}", lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
        };
        let origin = self.held.text().lines().next().unwrap_or_default();
        let message = format!(
            "{origin} signed two histories: held {}, offered {}",
            short(&self.held),
            short(&self.offered)
        );
        Error::new(ErrorKind::Equivocation, message)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held:\n{}\noffered:\n{}", self.held, self.offered)?;
        if let Some((root, proof)) = &self.bridge {
            writeln!(f, "\nthe larger tree begins with {}, not with the smaller, by:", text_of(root))?;
            proof.iter().try_for_each(|hash| writeln!(f, "{}", text_of(hash)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
