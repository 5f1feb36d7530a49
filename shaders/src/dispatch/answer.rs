//! From a query to what the GPU is asked, and from the GPU's raw hits to the answer that SIMD would give.

use std::ops::Range;

use crate::gpu::{Batch, Fault, FaultKind, Found, GpuBank};
use crate::layout::batch::{BatchHead, FingerprintItem, HITS_MAX, NameItem, RawHit, VectorItem, window};
use crate::layout::{DotHit, FingerprintBank, HammingHit, NameBank, NameHit, NameQuery, Need, VectorBank};
use crate::shader::Search;

/// One query as the GPU takes it.
#[derive(Clone)]
pub(crate) struct Ask {
    pub search: Search,
    item: Item,
    wide: bool,
    blocks: Range<u32>,
}

#[derive(Clone)]
enum Item {
    Name(Box<NameItem>),
    Fingerprint(FingerprintItem),
    Vector(VectorItem),
}

impl Ask {
    pub(crate) fn name(bank: &NameBank, query: &NameQuery, need: &Need) -> Self {
        Self {
            search: Search::NameLcs,
            item: Item::Name(Box::new(NameItem::new(query, need))),
            wide: !query.is_narrow(),
            blocks: window(bank, query.symbols_len(), need),
        }
    }

    pub(crate) fn hamming_range(query: &[u64; 4], distance_max: u32) -> Self {
        Self::whole(Search::HammingRange, Item::Fingerprint(FingerprintItem::range(query, distance_max)))
    }

    pub(crate) fn hamming_topk(query: &[u64; 4], k: usize) -> Self {
        Self::whole(Search::HammingTopk, Item::Fingerprint(FingerprintItem::new(query, k as u32)))
    }

    pub(crate) fn dot_range(query: &[i8; 64], at_least: i32) -> Self {
        Self::whole(Search::DotRange, Item::Vector(VectorItem::range(query, at_least)))
    }

    pub(crate) fn dot_topk(query: &[i8; 64], k: usize, largest: u32) -> Self {
        Self::whole(Search::DotTopk, Item::Vector(VectorItem::topk(query, k as u32, largest)))
    }

    fn whole(search: Search, item: Item) -> Self {
        Self { search, item, wide: false, blocks: 0..u32::MAX }
    }

    /// Blocks of names that the query reads.
    pub(crate) fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    fn bytes(&self) -> &[u8] {
        match &self.item {
            Item::Name(item) => bytemuck::bytes_of(&**item),
            Item::Fingerprint(item) => bytemuck::bytes_of(item),
            Item::Vector(item) => bytemuck::bytes_of(item),
        }
    }

    /// `asks`, all of one search, as one batch against `bank`; `items` is memory to reuse.
    pub(crate) fn batch<'a>(
        asks: impl Iterator<Item = &'a Self>,
        bank: &'a GpuBank,
        items: &'a mut Vec<u8>,
    ) -> Option<Batch<'a>> {
        items.clear();
        let mut search = None;
        let mut head = BatchHead {
            queries: 0,
            cap: HITS_MAX as u32,
            wide: 0,
            block_low: u32::MAX,
            block_high: 0,
            ordered: bank.ordered,
            reserved: [0; 2],
        };
        for ask in asks {
            search = Some(ask.search);
            head.queries += 1;
            head.wide |= u32::from(ask.wide);
            if !ask.blocks.is_empty() {
                head.block_low = head.block_low.min(ask.blocks.start);
                head.block_high = head.block_high.max(ask.blocks.end);
            }
            items.extend_from_slice(ask.bytes());
        }
        Some(Batch { search: search?, bank, head, items })
    }
}

fn wrong(raw: &RawHit) -> Fault {
    Fault::new(FaultKind::Wrong, format!("a hit at index {}, past the end of its bank", raw.index))
}

/// Writes the answer sorted by (id, lcs).
pub(crate) fn name_hits(bank: &NameBank, found: &Found, out: &mut Vec<NameHit>) -> Result<(), Fault> {
    out.clear();
    for raw in &found.hits {
        let id = *bank.ids()[..bank.len()].get(raw.index as usize).ok_or_else(|| wrong(raw))?;
        out.push(NameHit { id, lcs: raw.score });
    }
    out.sort_unstable();
    Ok(())
}

/// Writes the first `cap` of the answer sorted by (distance, id).
pub(crate) fn fingerprint_hits(
    bank: &FingerprintBank,
    found: &Found,
    cap: usize,
    out: &mut Vec<HammingHit>,
) -> Result<(), Fault> {
    out.clear();
    for raw in &found.hits {
        let id = *bank.ids().get(raw.index as usize).ok_or_else(|| wrong(raw))?;
        out.push(HammingHit { distance: raw.score, id });
    }
    out.sort_unstable();
    out.truncate(cap);
    Ok(())
}

/// Writes the first `cap` of the answer sorted by (dot descending, id).
pub(crate) fn vector_hits(
    bank: &VectorBank,
    found: &Found,
    cap: usize,
    out: &mut Vec<DotHit>,
) -> Result<(), Fault> {
    out.clear();
    for raw in &found.hits {
        let id = *bank.ids().get(raw.index as usize).ok_or_else(|| wrong(raw))?;
        out.push(DotHit { dot: raw.score.cast_signed(), id });
    }
    out.sort_unstable();
    out.truncate(cap);
    Ok(())
}
