//! The leaves that are durable and in no checkpoint yet: a file of frames, one a batch, each with its own hash. A frame
//! that a power cut tore was never promised and is dropped; one that is damaged before a whole one was, and is an error.

use super::tile::{entries, put_entry};
use crate::error::{Error, ErrorKind, Place, Result};
use sha2::{Digest, Sha256};

/// What a frame begins with.
const MAGIC: [u8; 4] = *b"ITLF";
/// Magic, first index (u64), number of leaves (u32), bytes of them (u32); big-endian.
const HEADER_BYTES: usize = 20;
const HASH_BYTES: usize = 32;

/// The frame of a batch whose first leaf has this index.
///
/// # Errors
/// `TooLarge` for a leaf past `LEAF_BYTES_MAX`.
pub fn frame(first: u64, leaves: &[impl AsRef<[u8]>]) -> Result<Vec<u8>> {
    let mut frame = MAGIC.to_vec();
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&(leaves.len() as u32).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    leaves.iter().try_for_each(|leaf| put_entry(&mut frame, leaf.as_ref()))?;
    let bytes = (frame.len() - HEADER_BYTES) as u32;
    frame[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&bytes.to_be_bytes());
    let hash = Sha256::digest(&frame);
    frame.extend_from_slice(&hash);
    Ok(frame)
}

/// A tail as read.
#[derive(Debug, Default)]
pub struct Tail {
    /// The index of the first leaf.
    pub first: u64,
    /// The leaves.
    pub leaves: Vec<Box<[u8]>>,
    /// Whether there was a torn frame behind them.
    pub is_torn: bool,
}

impl Tail {
    /// The index after the last leaf.
    pub fn end(&self) -> u64 {
        self.first + self.leaves.len() as u64
    }
}

/// Reads the file; `None` where it has no frame.
///
/// # Errors
/// `Corrupt` for a damaged frame before a whole one, or frames that do not follow each other.
pub fn read(bytes: &[u8]) -> Result<Option<Tail>> {
    let (mut tail, mut at) = (None, 0);
    while at < bytes.len() {
        let Some((frame, length)) = whole_frame(&bytes[at..]) else {
            let mut later = (at + 1..bytes.len()).filter(|at| bytes[*at..].starts_with(&MAGIC));
            if later.any(|at| whole_frame(&bytes[at..]).is_some()) {
                let message = "the tail has a damaged frame before a whole one: what was promised is lost";
                return Err(Error::new(ErrorKind::Corrupt, message).at(Place::Byte(at as u64)));
            }
            tail.get_or_insert_with(Tail::default).is_torn = true;
            break;
        };
        let tail = tail.get_or_insert_with(|| Tail { first: frame.first, ..Tail::default() });
        if tail.end() != frame.first {
            let message =
                format!("a frame of the tail begins at leaf {}, expected {}", frame.first, tail.end());
            return Err(Error::new(ErrorKind::Corrupt, message).at(Place::Byte(at as u64)));
        }
        tail.leaves.extend(frame.leaves);
        at += length;
    }
    Ok(tail)
}

/// The frame that these bytes begin with, if it is whole, and its length in bytes.
fn whole_frame(bytes: &[u8]) -> Option<(Tail, usize)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let hash = rest.get(length..length.checked_add(HASH_BYTES)?)?;
    if Sha256::digest(&bytes[..HEADER_BYTES + length])[..] != *hash {
        return None;
    }
    let (mut leaves, mut left) = (Vec::new(), &rest[..length]);
    for _ in 0..u32::from_be_bytes(*count) {
        let leaf = entries(left, 1).ok()?[0];
        leaves.push(leaf.into());
        left = &left[2 + leaf.len()..];
    }
    let frame = Tail { first: u64::from_be_bytes(*first), leaves, is_torn: false };
    left.is_empty().then_some((frame, HEADER_BYTES + length + HASH_BYTES))
}

#[cfg(test)]
mod tests;
