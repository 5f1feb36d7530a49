//! What opens the leaves of the query log, in their order: one file that grows, and one of where each ends. They are synced
//! before their leaves are, so at a start there are as many as leaves, or more, which are cut.

use crate::alliance::folder::Files;
use anyhow::{Context, Result, bail};
use std::ops::Range;

/// The openings, end to end.
const DATA: &str = "data";
/// Where each ends in `data`: u64, big endian.
const ENDS: &str = "ends";
const END_BYTES: u64 = 8;

/// The openings of a log.
#[derive(Debug)]
pub struct Openings {
    files: Files,
    count: u64,
    end: u64,
}

impl Openings {
    /// Of a log that has so many leaves.
    ///
    /// # Errors
    /// Fewer openings than leaves: the folder is not whole, as after a copy in another order than the documented one.
    pub fn open(files: Files, leaves: u64) -> Result<Openings> {
        let there = files.len(ENDS)?.unwrap_or(0) / END_BYTES;
        if there < leaves {
            bail!(
                "{}: {there} openings of {leaves} leaves: restore the folder from a copy",
                files.path().display()
            );
        }
        let end = if leaves == 0 { 0 } else { end_of(&files, leaves - 1)? };
        let bytes = files.len(DATA)?.unwrap_or(0);
        if bytes < end {
            bail!("{}: {DATA} ends at byte {bytes}, and leaf {leaves} at {end}", files.path().display());
        }
        for (name, bytes) in [(ENDS, leaves * END_BYTES), (DATA, end)] {
            if files.len(name)?.is_some_and(|there| there > bytes) {
                files.cut(name, bytes)?;
            }
        }
        Ok(Openings { files, count: leaves, end })
    }
    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Adds those of the next leaves; they last when this returns.
    ///
    /// # Errors
    /// The system's. The hub then stops taking queries; its next start cuts what was written.
    pub fn append(&mut self, openings: &[Vec<u8>]) -> Result<()> {
        let (mut data, mut ends, mut end) = (Vec::new(), Vec::new(), self.end);
        for opening in openings {
            data.extend_from_slice(opening);
            end += opening.len() as u64;
            ends.extend_from_slice(&end.to_be_bytes());
        }
        let write = || -> std::io::Result<()> {
            self.files.append(DATA, &data)?;
            self.files.sync(DATA)?;
            self.files.append(ENDS, &ends)?;
            self.files.sync(ENDS)
        };
        write().context("openings")?;
        self.count += openings.len() as u64;
        self.end = end;
        Ok(())
    }
    /// Those of a range of leaves.
    ///
    /// # Errors
    /// A range past what is there; the system's.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>> {
        if range.end > self.count || range.start >= range.end {
            bail!("leaves {}..{} of {}", range.start, range.end, self.count);
        }
        let mut from = if range.start == 0 { 0 } else { end_of(&self.files, range.start - 1)? };
        let leaves = usize::try_from(range.end - range.start)?;
        let ends = self.files.read_at(ENDS, range.start * END_BYTES, leaves * END_BYTES as usize)?;
        let mut all = Vec::with_capacity(leaves);
        for end in ends.chunks_exact(END_BYTES as usize) {
            let end = u64::from_be_bytes(end.try_into().expect("eight bytes"));
            let bytes = end.checked_sub(from).context("openings: an end lies before its beginning")?;
            all.push(self.files.read_at(DATA, from, usize::try_from(bytes)?)?);
            from = end;
        }
        Ok(all)
    }
}

fn end_of(files: &Files, leaf: u64) -> Result<u64> {
    let bytes = files.read_at(ENDS, leaf * END_BYTES, END_BYTES as usize)?;
    Ok(u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_a_leaf_and_what_no_leaf_follows_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let open = |leaves| Openings::open(Files::open(dir.path()).unwrap(), leaves);
        let mut openings = open(0).unwrap();
        openings.append(&[b"one".to_vec(), b"".to_vec()]).unwrap();
        openings.append(&[b"three".to_vec()]).unwrap();
        assert_eq!(openings.read(0..3).unwrap(), [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        assert_eq!(openings.read(2..3).unwrap(), [b"three".to_vec()]);
        assert!(openings.read(2..4).is_err() && openings.read(2..2).is_err());
        // The process ended before the last leaf was in the log.
        let mut openings = open(2).unwrap();
        openings.append(&[b"other".to_vec()]).unwrap();
        assert_eq!(open(3).unwrap().read(1..3).unwrap(), [b"".to_vec(), b"other".to_vec()]);
        let refused = open(4).unwrap_err().to_string();
        assert!(refused.contains("3 openings of 4 leaves"), "{refused}");
    }
}
