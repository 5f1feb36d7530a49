//! Names that share a long enough common subsequence with a query: length window, letter-bag bound, then the
//! bit-parallel LCS (Hyyrö 2004) of 64 names at a time. Complete: every name that reaches its need is found.

use crate::kernel::{Kernel, with_kernel};
use crate::layout::{
    LANES, NAME_SYMBOLS_MAX, NameBank, NameHit, NameQuery, Need, Row, blocks_of, lanes_between,
};
use crate::simd::lanes_of;

mod portable;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// What an instruction set does with blocks of names.
pub(crate) trait NameKernel: Copy {
    /// The query as this instruction set wants to look it up.
    type Table;

    /// Up to this many survivors in a block are scored one by one; more of them cost less as one block.
    const SINGLES_MAX: u32;

    /// Prepares the query, once a search.
    fn prepare(self, query: &NameQuery) -> Self::Table;

    /// Sets in `masks` (one word a block of the bank) the lanes of the names `names` whose signature allows an LCS
    /// of `need` or more.
    fn signature_masks(
        self,
        bank: &NameBank,
        query: &NameQuery,
        need: u8,
        names: std::ops::Range<usize>,
        masks: &mut [u64],
    );

    /// Writes the LCS of the block's 64 lanes, and gives the lanes that reach `least`.
    fn score_block(
        self,
        table: &Self::Table,
        rows: &[Row],
        least: &[u8; LANES],
        lcs: &mut [u8; LANES],
    ) -> u64;
}

/// Memory that a search reuses. One for each thread that searches.
#[derive(Debug, Clone, Default)]
pub struct NameScratch {
    masks: Vec<u64>,
}

/// Every name of `bank` whose LCS with `query` reaches what `need` asks of its length, written to `out` sorted by
/// (id, lcs). Names that cannot reach it, by length or by letters, are not scored.
pub fn search_names(
    kernel: Kernel,
    bank: &NameBank,
    query: &NameQuery,
    need: &Need,
    scratch: &mut NameScratch,
    out: &mut Vec<NameHit>,
) {
    with_kernel!(kernel, proof => search(proof, bank, query, need, true, scratch, out));
}

/// As [`search_names`], scoring every name whose length counts. For benches, and as a check of the pruning.
pub fn search_names_exhaustive(
    kernel: Kernel,
    bank: &NameBank,
    query: &NameQuery,
    need: &Need,
    scratch: &mut NameScratch,
    out: &mut Vec<NameHit>,
) {
    with_kernel!(kernel, proof => search(proof, bank, query, need, false, scratch, out));
}

/// The LCS of every name of `bank` with `query`, written to `out` in the bank's order.
pub fn score_names(kernel: Kernel, bank: &NameBank, query: &NameQuery, out: &mut Vec<u8>) {
    with_kernel!(kernel, proof => score_all(proof, bank, query, out));
}

fn score_all<K: NameKernel>(kernel: K, bank: &NameBank, query: &NameQuery, out: &mut Vec<u8>) {
    let table = kernel.prepare(query);
    out.clear();
    out.resize(bank.blocks().len() * LANES, 0);
    let (blocks, _) = out.as_chunks_mut();
    for (block, lcs) in blocks.iter_mut().enumerate() {
        kernel.score_block(&table, bank.block_rows(block), &[Need::NEVER; LANES], lcs);
    }
    out.truncate(bank.len());
}

fn search<K: NameKernel>(
    kernel: K,
    bank: &NameBank,
    query: &NameQuery,
    need: &Need,
    prune: bool,
    scratch: &mut NameScratch,
    out: &mut Vec<NameHit>,
) {
    out.clear();
    let masks = &mut scratch.masks;
    masks.clear();
    masks.resize(bank.blocks().len(), 0);
    let mut window: Option<std::ops::Range<usize>> = None;
    for len in 1..=NAME_SYMBOLS_MAX as u8 {
        let least = need.least(len);
        let names = bank.range_of_length(len);
        if names.is_empty() || least > len.min(query.symbols_len()) {
            continue;
        }
        let blocks = blocks_of(&names);
        window = Some(window.map_or(blocks.start, |window| window.start)..blocks.end);
        if prune {
            kernel.signature_masks(bank, query, least, names, masks);
        } else {
            for (block, mask) in blocks.clone().zip(&mut masks[blocks]) {
                *mask |= lanes_between(block, names.start, names.end);
            }
        }
    }
    let table = kernel.prepare(query);
    let mut needs = LaneNeeds::new(need);
    let mut lcs = [0u8; LANES];
    for block in window.unwrap_or_default() {
        let mut lanes = masks[block];
        if lanes == 0 {
            continue;
        }
        let lengths = &bank.lengths()[block * LANES..(block + 1) * LANES];
        let ids = &bank.ids()[block * LANES..(block + 1) * LANES];
        let rows = bank.block_rows(block);
        if lanes.count_ones() <= K::SINGLES_MAX {
            for lane in lanes_of(lanes) {
                let score = score_lane(query, rows, lane);
                if score >= need.least(lengths[lane]) {
                    out.push(NameHit { id: ids[lane], lcs: u32::from(score) });
                }
            }
        } else {
            lanes &= kernel.score_block(&table, rows, needs.of(lengths), &mut lcs);
            for lane in lanes_of(lanes) {
                out.push(NameHit { id: ids[lane], lcs: u32::from(lcs[lane]) });
            }
        }
    }
    out.sort_unstable();
}

/// The LCS of one lane, bit-parallel over the query: for each symbol of the name, the first places of the query
/// that extend a common subsequence are cleared. The pad's mask is 0, which changes nothing.
fn score_lane(query: &NameQuery, rows: &[Row], lane: usize) -> u8 {
    let mut places = u64::MAX;
    for row in rows {
        let mut word = row.0[lane];
        while word != 0 {
            let matching = places & query.mask(word);
            places = places.wrapping_add(matching) | (places & !matching);
            word >>= 8;
        }
    }
    places.count_zeros() as u8
}

/// What each lane of a block must reach, kept while blocks of one length follow one another.
struct LaneNeeds<'a> {
    need: &'a Need,
    least: [u8; LANES],
    len: u8,
}

impl<'a> LaneNeeds<'a> {
    fn new(need: &'a Need) -> Self {
        Self { need, least: [Need::NEVER; LANES], len: 0 }
    }

    fn of(&mut self, lengths: &[u8]) -> &[u8; LANES] {
        let (first, last) = (lengths[0], lengths[LANES - 1]);
        if first != last {
            // Length 0, the pads of the last block, needs Need::NEVER.
            for (least, &len) in self.least.iter_mut().zip(lengths) {
                *least = self.need.least(len);
            }
            self.len = 0;
        } else if first != self.len {
            self.least = [self.need.least(first); LANES];
            self.len = first;
        }
        &self.least
    }
}

#[cfg(test)]
mod tests;
