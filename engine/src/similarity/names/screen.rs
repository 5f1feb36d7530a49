//! Screening: one name against one watchlist, every match at or over the cut-off, best first.

use super::CUTOFF_DEFAULT;
use super::align::Alignment;
use super::bank::{Bank, Kind, Quality};
use super::candidates::{Found, find, scored_as};
use super::fold::{Folded, written};
use super::index::Index;
use super::rescore::score;
use crate::error::Error;
use interdict_shaders::Kernel;

/// An entry that a name matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The entry's number in the bank.
    pub entry: u32,
    /// The number, in the entry, of the name that matches best.
    pub name: u16,
    /// How well, 0..=1000.
    pub score: u16,
}

/// Memory that screenings reuse; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    folded: Folded,
    found: Found,
    alignment: Alignment,
}

/// A watchlist ready to be asked. Read-only; share it between threads.
#[derive(Debug)]
pub struct Screener {
    index: Index,
    kernel: Kernel,
}

impl Screener {
    /// Makes a watchlist ready. `kernel` finds the names; all kernels find the same.
    ///
    /// # Errors
    /// `TooLarge`, as [`Index::build`].
    pub fn new(bank: &Bank, kernel: Kernel) -> Result<Screener, Error> {
        Ok(Screener { index: Index::build(bank)?, kernel })
    }

    /// The index it asks.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Every entry that `name` matches with `cutoff` (at least 1) or more, each once with its best name, written to
    /// `out` by (score descending, entry ascending). `kind`: what the name names, if known; entries of another known
    /// kind are left out.
    pub fn screen(
        &self,
        name: &str,
        kind: Option<Kind>,
        cutoff: u16,
        scratch: &mut Scratch,
        out: &mut Vec<Match>,
    ) {
        out.clear();
        let cutoff = cutoff.max(1);
        let Scratch { folded, found, alignment } = scratch;
        for text in written(name) {
            folded.set(text);
            find(&self.index, self.kernel, folded.view(), kind, cutoff, found);
            for &at in &found.surfaces {
                let surface = &self.index.surfaces()[at as usize];
                if kind.is_some_and(|kind| !kind.may_be(surface.kind)) {
                    continue;
                }
                let kind = scored_as(surface.kind, kind);
                let raw = score(folded.view(), self.index.view(at), kind, alignment);
                let score = ranked(raw, surface.quality);
                if score >= cutoff {
                    out.push(Match { entry: surface.entry, name: surface.name, score });
                }
            }
        }
        out.sort_unstable_by_key(|hit| (hit.entry, u16::MAX - hit.score, hit.name));
        out.dedup_by_key(|hit| hit.entry);
        out.sort_unstable_by_key(|hit| (u16::MAX - hit.score, hit.entry));
    }
}

/// A weak name's score counts half above the default cut-off: it still matches, below a good name as like.
fn ranked(score: u16, quality: Quality) -> u16 {
    match quality {
        Quality::Weak if score > CUTOFF_DEFAULT => CUTOFF_DEFAULT + (score - CUTOFF_DEFAULT) / 2,
        _ => score,
    }
}
