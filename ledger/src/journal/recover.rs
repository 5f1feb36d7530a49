//! What opening a journal changes on disk before it writes anything new: cuts what a crash left and closes the last
//! segment, so that every segment but the one being written is final.

use super::frame::{Stamp, encode_footer};
use super::index::Index;
use super::scan::Scanned;
use super::walk::{Found, Tail, segment_name};
use super::{Durability, Torn};
use crate::error::Error;
use crate::storage::{File, Storage, read_exact_at, write_once_at};

/// Bytes written again at once.
const AGAIN_BYTES: u64 = 1 << 20;

/// Cuts what a crash left, closes the last segment with a footer, and returns where the journal ends.
pub(super) fn recover_tail(
    storage: &dyn Storage,
    last: Option<(Found, Scanned)>,
    index: &mut Index,
    torn: Option<Torn>,
    unfinished: Option<Torn>,
    last_sequence: u64,
    durability: Durability,
) -> Result<Tail, Error> {
    if let Some(unfinished) = unfinished {
        let removed = storage.remove(&segment_name(unfinished.segment));
        removed.map_err(|e| Error::io("removing an unfinished segment", &e).at(unfinished.segment, 0))?;
    }
    let Some((found, scanned)) = last else {
        // After removals of all else, numbers must not begin again; an unfinished first segment is number 1.
        let number = unfinished.map_or(0, |unfinished| unfinished.segment - 1);
        return Ok(Tail { number, bytes: 0, chain: [0; 32] });
    };
    let number = found.header.number;
    let failed = |e: &std::io::Error| Error::io("making the last segment safe", e).at(number, scanned.end);
    if torn.is_some() {
        found.file.truncate(scanned.end).map_err(|e| failed(&e))?;
    }
    if durability == Durability::Disk && found.header.durability == Durability::Disk {
        // Before the footer, which says that all before it is on disk: a start that fails in between must not leave
        // one that lies, or the next start would take these bytes as safe.
        write_again(&*found.file, scanned.durable, scanned.end)
            .and_then(|()| found.file.sync())
            .map_err(|e| failed(&e))?;
    }
    let mut tail = Tail { number, bytes: scanned.end, chain: scanned.chain };
    let info = &mut index.segments.last_mut().expect("the walk indexed its last segment").info;
    if !scanned.closed {
        let mut bytes = Vec::new();
        let durable = if durability == Durability::Disk { scanned.end } else { 0 };
        let (seed, ordinal) = (found.header.seed(), scanned.frames);
        let stamp = Stamp { seed, chain: &scanned.chain, at: scanned.end, ordinal, durable };
        tail.chain = encode_footer(&mut bytes, info.records, last_sequence, &stamp);
        write_once_at(&*found.file, &bytes, scanned.end)
            .map_err(|e| Error::io("closing the last segment", &e).at(number, scanned.end))?;
        tail.bytes += bytes.len() as u64;
    }
    (info.closed, info.bytes, info.excess_bytes) = (true, tail.bytes, 0);
    if durability == Durability::Disk {
        // Its name too: the process before may have ended in the middle of making it, and the next one's name must not
        // outlive it.
        let synced = found.file.sync().and_then(|()| storage.sync_names());
        synced.map_err(|e| Error::io("syncing the last segment", &e).at(number, tail.bytes))?;
    }
    Ok(tail)
}

/// Writes what no frame says to be on disk once more, as it is: if the process before ended after a failed sync, those
/// pages may be in memory only and pass for clean, so that a sync alone would not write them.
fn write_again(file: &dyn File, mut at: u64, to: u64) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while at < to {
        bytes.resize((to - at).min(AGAIN_BYTES) as usize, 0);
        read_exact_at(file, &mut bytes, at)?;
        write_once_at(file, &bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}
