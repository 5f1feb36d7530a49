//! `interdict verify`'s own pass over a journal: computes every checksum and chain hash anew, opens every sealed part,
//! and names the first place where anything is not as it was written. Changes nothing.

use super::walk::walk;
use super::{RecordKind, SegmentInfo, Torn};
use crate::error::{Error, ErrorKind};
use crate::sealing::Sealing;
use crate::storage::Storage;
use std::collections::HashMap;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The segments, in order; empty where there is damage.
    pub segments: Vec<SegmentInfo>,
    /// Batches that hold.
    pub batches: u64,
    /// `accepted` records that hold.
    pub accepted: u64,
    /// `decided` records that hold.
    pub decided: u64,
    /// `finished` records that hold.
    pub finished: u64,
    /// Records whose sealed part could not be opened, since their segment's key was destroyed.
    pub sealed_unreadable: u64,
    /// Sequence of the last `accepted` that holds; 0 where there is none.
    pub last_sequence: u64,
    /// The chain hash at the end: whoever keeps it elsewhere can tell later that nothing before it was changed or
    /// cut off.
    pub head: [u8; 32],
    /// Tails that a crash explains; opening the journal cuts them.
    pub torn: Vec<Torn>,
    /// The first damage, with its place (segment and offset) and what it is.
    pub damage: Option<Error>,
}

/// Checks a whole journal.
///
/// # Errors
/// `Io` and `WrongKey`: the check could not be done. Damage is in the report.
pub fn check(storage: &dyn Storage, keys: impl Into<Sealing>) -> Result<Report, Error> {
    let sealing = keys.into();
    let mut counts = Counts::default();
    let walked = walk(storage, &sealing, true, None, &mut |header, frame, key| {
        counts.batches += 1;
        for stored in frame.records(header.number, key) {
            let place = |e: Error| e.at(header.number, frame.at);
            let stored = stored.map_err(|what| place(Error::new(ErrorKind::Corrupt, what)))?;
            counts.unreadable += u64::from(stored.sealed().map_err(place)?.is_none());
            match stored.kind {
                RecordKind::Accepted => {
                    (counts.accepted, counts.last) = (counts.accepted + 1, stored.sequence)
                }
                RecordKind::Decided => {
                    counts.decided += 1;
                    once(&mut counts.seen, "decided", stored.sequence).map_err(place)?;
                }
                RecordKind::Finished => {
                    counts.finished += 1;
                    once(&mut counts.seen_finished, "finished", stored.sequence).map_err(place)?;
                }
            }
        }
        Ok(())
    });
    let mut report = Report {
        segments: Vec::new(),
        batches: counts.batches,
        accepted: counts.accepted,
        decided: counts.decided,
        finished: counts.finished,
        sealed_unreadable: counts.unreadable,
        last_sequence: counts.last,
        head: [0; 32],
        torn: Vec::new(),
        damage: None,
    };
    match walked {
        Ok(walk) => {
            report.segments = walk.index.infos();
            report.last_sequence = walk.last_sequence;
            report.head = walk.last.map_or([0; 32], |(_, scanned)| scanned.chain);
            report.torn = walk.torn.into_iter().chain(walk.unfinished).collect();
        }
        Err(e) if matches!(e.kind, ErrorKind::Corrupt | ErrorKind::Version) => report.damage = Some(e),
        Err(e) => return Err(e),
    }
    Ok(report)
}

#[derive(Default)]
struct Counts {
    batches: u64,
    accepted: u64,
    decided: u64,
    finished: u64,
    unreadable: u64,
    last: u64,
    seen: Seen,
    seen_finished: Seen,
}

fn once(seen: &mut Seen, what: &str, sequence: u64) -> Result<(), Error> {
    let again = || Error::new(ErrorKind::Corrupt, format!("{what} {sequence} a second time"));
    seen.insert(sequence).then_some(()).ok_or_else(again)
}

/// A set of sequences: one bit each, in pieces of 4096, so that 100 million take 12 MB and a gap takes nothing.
#[derive(Default)]
struct Seen(HashMap<u64, Box<[u64; 64]>>);

impl Seen {
    /// Whether the sequence is new.
    fn insert(&mut self, sequence: u64) -> bool {
        let piece = self.0.entry(sequence >> 12).or_insert_with(|| Box::new([0; 64]));
        let word = &mut piece[(sequence >> 6 & 63) as usize];
        let bit = 1 << (sequence & 63);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
