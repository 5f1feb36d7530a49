//! The copies of banks on a device: each of a run of full segments, made off the payments' path. A copy is asked only
//! in the name of a version of the bank that has just these segments, so that no answer depends on when it was made.

use super::VectorScratch;
use super::banks::Learned;
use super::contents::{Asked, Contents, Piece, SEGMENT, Segment, rank, within};
use super::plan::Print;
use crate::limits::BANK_NEIGHBOURS_MAX;
use crate::packs::Likeness;
use interdict_shaders::layout::TOP_K_MAX;
use interdict_shaders::shader::Search;
use interdict_shaders::{BankHandle, Dispatcher, FingerprintBank, VectorBank};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A bank is copied anew when what its copy lacks is one part in so many of it: so the CPU's part stays small beside
/// the device's, and n lessons cost the transfer of about nine times their bytes.
const GROWTH: usize = 8;
/// The part of a full bank, one in so many, that is left out of its copy: the oldest segments, which leave next, and a
/// copy with a segment too many is of no use.
const LEAVING: usize = 16;
/// Removed payments that a copy may still hold before it is made anew.
const GONE_MAX: usize = 16;

/// A device and the copies of banks on it. Immutable: lanes that hold one see no other.
pub struct Frozen {
    dispatcher: Arc<Dispatcher>,
    /// By [`Contents::line`].
    runs: HashMap<u64, Arc<Run>>,
}

/// Consecutive full segments on the device.
struct Run {
    /// The seal of each, and how many payments had been removed from it when it was copied.
    pieces: Vec<(u64, usize)>,
    /// Payments of the copy.
    len: usize,
    copy: Copied,
}

enum Copied {
    Fingerprints(BankHandle<FingerprintBank>),
    Vectors(BankHandle<VectorBank>),
}

/// A run as a part of one version of a bank.
pub(super) struct Part<'a> {
    run: &'a Run,
    contents: &'a Contents,
    from: usize,
    /// Payments of the copy that this version has no more.
    gone: usize,
}

impl Frozen {
    /// A device that holds nothing yet.
    pub fn new(dispatcher: Arc<Dispatcher>) -> Frozen {
        Frozen { dispatcher, runs: HashMap::new() }
    }
    /// The device.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }
    /// Payments on the device, all banks together; those of a copy that the device refused too.
    pub fn payments(&self) -> usize {
        self.runs.values().map(|run| run.len).sum()
    }

    /// This with the copies that what was learned now asks for, and without those of banks that are gone; `None`
    /// where it is as it should be. A bank is copied from `least` payments on, or, where that is `None`, from as many
    /// as make the device sooner than the CPU by its own calibration. Blocks for the transfers.
    pub fn renewed(&self, learned: &Learned, least: Option<usize>) -> Option<Frozen> {
        let mut runs = HashMap::with_capacity(self.runs.len());
        let mut changed = false;
        for contents in learned.all().filter(|contents| !contents.is_empty()) {
            let known = self.runs.get(&contents.line());
            let run = match self.due(contents, known.map(|run| &**run), least) {
                Some(pieces) => {
                    changed = true;
                    Some(Arc::new(self.copy(&contents.pieces()[pieces])))
                }
                // One that fits no more is of no use, and frees its memory.
                None => known.filter(|run| run.within(contents).is_some()).cloned(),
            };
            runs.extend(run.map(|run| (contents.line(), run)));
        }
        changed |= runs.len() != self.runs.len();
        changed.then(|| Frozen { dispatcher: self.dispatcher.clone(), runs })
    }

    /// The segments to copy, where there are enough that are new.
    fn due(&self, contents: &Contents, known: Option<&Run>, least: Option<usize>) -> Option<Range<usize>> {
        let pieces = contents.pieces();
        let sealed = pieces.iter().take_while(|piece| piece.seal != 0).count();
        let leaving = contents.len() + contents.len() / LEAVING >= contents.capacity();
        let skip = if leaving { sealed / LEAVING } else { 0 };
        let first = pieces.first().filter(|_| skip < sealed)?;
        let payments = |range: Range<usize>| pieces[range].iter().map(|p| p.segment.len()).sum::<usize>();
        if payments(skip..sealed) < least.or_else(|| self.break_even(&first.segment))? {
            return None;
        }
        let is_due = known.and_then(|run| run.within(contents)).is_none_or(|part| {
            part.gone > GONE_MAX || payments(part.pieces().end..sealed) >= part.run.len / GROWTH
        });
        is_due.then_some(skip..sealed)
    }

    /// Payments from which the device is sooner; `None`: it never is.
    fn break_even(&self, segment: &Segment) -> Option<usize> {
        let search = match segment {
            Segment::Fingerprints(_) => Search::HammingTopk,
            Segment::Vectors(_) => Search::DotTopk,
        };
        let payments = self.dispatcher.calibration().of(search).break_even()?;
        usize::try_from(payments).ok()
    }

    fn copy(&self, pieces: &[Piece]) -> Run {
        let len = pieces.iter().map(|piece| piece.segment.len()).sum();
        let (mut prints, mut vectors) = (FingerprintBank::new(), VectorBank::new());
        const FITS: &str = "a bank's capacity is below what the device's form holds";
        // By id, so that the device finds those of the least ids where many are equally near.
        let mut order = Vec::with_capacity(len);
        for (number, piece) in pieces.iter().enumerate() {
            order.extend(piece.segment.ids().iter().enumerate().map(|(at, id)| (*id, number, at)));
        }
        order.sort_unstable();
        for (id, number, at) in order {
            match &*pieces[number].segment {
                Segment::Fingerprints(bank) => prints.push(id, &bank.fingerprint(at)).expect(FITS),
                Segment::Vectors(bank) => vectors.push(id, &bank.vector(at)).expect(FITS),
            }
        }
        let copy = if vectors.is_empty() {
            Copied::Fingerprints(self.dispatcher.upload_fingerprints(Arc::new(prints)))
        } else {
            Copied::Vectors(self.dispatcher.upload_vectors(Arc::new(vectors)))
        };
        Run { pieces: pieces.iter().map(|piece| (piece.seal, piece.gone().len())).collect(), len, copy }
    }

    /// What the device holds of this version of a bank, where it can be asked for the `k` nearest.
    pub(super) fn part_of<'a>(&'a self, contents: &'a Contents, k: usize) -> Option<Part<'a>> {
        let part = self.runs.get(&contents.line())?.within(contents)?;
        (k + part.gone <= TOP_K_MAX).then_some(part)
    }
}

impl Run {
    /// The run as a part of this version; `None` where the version lacks one of its segments, or is older than it.
    fn within<'a>(&'a self, contents: &'a Contents) -> Option<Part<'a>> {
        let (first, _) = *self.pieces.first()?;
        let from = contents.pieces().iter().position(|piece| piece.seal == first)?;
        let there = contents.pieces().get(from..from + self.pieces.len())?;
        let mut gone = 0;
        for (piece, (seal, gone_before)) in there.iter().zip(&self.pieces) {
            if piece.seal != *seal {
                return None;
            }
            gone += piece.gone().len().checked_sub(*gone_before)?;
        }
        Some(Part { run: self, contents, from, gone })
    }
}

impl Part<'_> {
    /// The segments that it stands for.
    pub(super) fn pieces(&self) -> Range<usize> {
        self.from..self.from + self.run.pieces.len()
    }
    /// What the copy holds and this version does not.
    fn gone(&self) -> impl Iterator<Item = &(u64, Print)> {
        let pieces = if self.gone == 0 { 0..0 } else { self.pieces() };
        let pieces = self.contents.pieces()[pieces].iter();
        pieces.zip(&self.run.pieces).flat_map(|(piece, (_, before))| &piece.gone()[*before..])
    }
    /// Adds the k nearest to `scratch.nearest`; of fingerprints, how many are near. As many more are asked for as the
    /// copy holds too much, so that k are left.
    pub(super) fn search(
        &self,
        asked: &Asked<'_>,
        frozen: &Frozen,
        left: Option<Duration>,
        scratch: &mut VectorScratch,
    ) -> usize {
        let (device, k) = (&frozen.dispatcher, asked.k + self.gone);
        match (&self.run.copy, asked.print, &asked.decl.likeness) {
            (Copied::Fingerprints(bank), Print::Fingerprint(query), Likeness::Fingerprint { range, .. }) => {
                let range = u32::from(*range);
                device.hamming_topk(bank, query, k, left, &mut scratch.hamming);
                let all = || device.hamming_range(bank, query, range, 0, left, &mut scratch.counted).0.found;
                let near = within(&scratch.hamming, k, range, all);
                scratch.hamming.retain(|hit| self.gone().all(|(id, _)| *id != hit.id));
                scratch.nearest.extend(scratch.hamming.iter().map(rank));
                near - self.gone().filter(|(_, print)| is_near(print, query, range)).count()
            }
            (Copied::Vectors(bank), Print::Vector(query), Likeness::Vector { .. }) => {
                device.dot_topk(bank, query, k, left, &mut scratch.dot);
                scratch.dot.retain(|hit| self.gone().all(|(id, _)| *id != hit.id));
                scratch.nearest.extend(scratch.dot.iter().map(|hit| (-i64::from(hit.dot), hit.id)));
                0
            }
            _ => unreachable!("a bank's declaration decides the kind of its prints"),
        }
    }
}

fn is_near(print: &Print, query: &[u64; 4], range: u32) -> bool {
    match print {
        Print::Fingerprint(print) => {
            print.iter().zip(query).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() <= range
        }
        Print::Vector(_) => unreachable!("a bank's declaration decides the kind of its prints"),
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({} banks, {} payments)", self.runs.len(), self.payments())
    }
}

#[cfg(test)]
mod tests;

// A device can be asked for as many as any bank declares, and a full segment is not empty.
const _: () = assert!(BANK_NEIGHBOURS_MAX <= TOP_K_MAX && SEGMENT > 0);
