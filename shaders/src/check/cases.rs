//! One bank with its queries, for each kind of search: asked of the GPU, of SIMD and of the plain twin.

use crate::dispatch::{Ask, fingerprint_hits, largest, name_hits, vector_hits};
use crate::gpu::{Fault, Found};
use crate::layout::{
    DotHit, FingerprintBank, HAMMING_MAX, HammingHit, NameBank, NameHit, NameQuery, Need, TOP_K_MAX,
    VectorBank,
};
use crate::sample::Numbers;
use crate::shader::Search;
use crate::{
    Kernel, NameScratch, cpu, dot_range, dot_topk, hamming_range, hamming_topk, sample, search_names,
};

/// Neighbours of a top-k search, and the cut-off of a name search in percent.
const K: usize = 10;
const PERCENT: u8 = 80;

/// Queries against one bank. Each of the three sides leaves its answer where [`Case::hits`] finds it.
pub(super) trait Case {
    fn ask(&self, query: usize) -> Ask;
    fn simd(&mut self, kernel: Kernel, query: usize);
    fn twin(&mut self, query: usize);
    fn answer(&mut self, found: &Found) -> Result<(), Fault>;
    /// The last answer as (score, id), in its order.
    fn hits(&self) -> Vec<(i64, u64)>;
}

pub(super) struct NameCase<'a> {
    bank: &'a NameBank,
    queries: Vec<(Vec<u8>, NameQuery, Need)>,
    scratch: NameScratch,
    hits: Vec<NameHit>,
}

impl<'a> NameCase<'a> {
    /// Stored names with up to three edits.
    pub(super) fn new(bank: &'a NameBank, queries: usize) -> Self {
        let mut numbers = Numbers::new(200);
        let query = |_| {
            let stored = match bank.len() {
                0 => sample::name(&mut numbers),
                len => bank.symbols(numbers.below(len as u64) as usize, &mut [0; 64]).to_vec(),
            };
            let symbols = sample::disturbed(&mut numbers, &stored, 3);
            let prepared = NameQuery::new(&symbols).expect("a disturbed name has 1 to 64 symbols of 1 to 31");
            let need = Need::indel_percent(prepared.symbols_len(), PERCENT);
            (symbols, prepared, need)
        };
        let queries = (0..queries).map(query).collect();
        Self { bank, queries, scratch: NameScratch::default(), hits: Vec::new() }
    }
}

impl Case for NameCase<'_> {
    fn ask(&self, query: usize) -> Ask {
        let (_, query, need) = &self.queries[query];
        Ask::name(self.bank, query, need)
    }

    fn simd(&mut self, kernel: Kernel, query: usize) {
        let (_, query, need) = &self.queries[query];
        search_names(kernel, self.bank, query, need, &mut self.scratch, &mut self.hits);
    }

    fn twin(&mut self, query: usize) {
        let (symbols, _, need) = &self.queries[query];
        self.hits = cpu::name_lcs::search(self.bank, symbols, need);
    }

    fn answer(&mut self, found: &Found) -> Result<(), Fault> {
        name_hits(self.bank, found, &mut self.hits)
    }

    fn hits(&self) -> Vec<(i64, u64)> {
        self.hits.iter().map(|hit| (i64::from(hit.lcs), u64::from(hit.id))).collect()
    }
}

pub(super) struct PrintCase<'a> {
    search: Search,
    bank: &'a FingerprintBank,
    /// Each with the radius within which about [`TOP_K_MAX`] lie.
    queries: Vec<([u64; 4], u32)>,
    hits: Vec<HammingHit>,
}

impl<'a> PrintCase<'a> {
    pub(super) fn new(search: Search, bank: &'a FingerprintBank, queries: usize, kernel: Kernel) -> Self {
        let mut numbers = Numbers::new(201);
        let mut near = Vec::new();
        let query = |_| {
            let print = sample::fingerprint(&mut numbers);
            hamming_topk(kernel, bank, &print, TOP_K_MAX, &mut near);
            (print, near.last().map_or(HAMMING_MAX, |hit| hit.distance))
        };
        Self { search, bank, queries: (0..queries).map(query).collect(), hits: Vec::new() }
    }
}

impl Case for PrintCase<'_> {
    fn ask(&self, query: usize) -> Ask {
        let (print, radius) = &self.queries[query];
        match self.search {
            Search::HammingRange => Ask::hamming_range(print, *radius),
            _ => Ask::hamming_topk(print, K),
        }
    }

    fn simd(&mut self, kernel: Kernel, query: usize) {
        let (print, radius) = &self.queries[query];
        match self.search {
            Search::HammingRange => {
                hamming_range(kernel, self.bank, print, *radius, usize::MAX, &mut self.hits);
            }
            _ => hamming_topk(kernel, self.bank, print, K, &mut self.hits),
        }
    }

    fn twin(&mut self, query: usize) {
        let (print, radius) = &self.queries[query];
        self.hits = match self.search {
            Search::HammingRange => cpu::hamming_range::search(self.bank, print, *radius),
            _ => cpu::hamming_topk::search(self.bank, print, K),
        };
    }

    fn answer(&mut self, found: &Found) -> Result<(), Fault> {
        let cap = if self.search == Search::HammingRange { usize::MAX } else { K };
        fingerprint_hits(self.bank, found, cap, &mut self.hits)
    }

    fn hits(&self) -> Vec<(i64, u64)> {
        self.hits.iter().map(|hit| (i64::from(hit.distance), hit.id)).collect()
    }
}

pub(super) struct VectorCase<'a> {
    search: Search,
    bank: &'a VectorBank,
    largest: u32,
    /// Each with the product that about [`TOP_K_MAX`] reach.
    queries: Vec<([i8; 64], i32)>,
    hits: Vec<DotHit>,
}

impl<'a> VectorCase<'a> {
    pub(super) fn new(search: Search, bank: &'a VectorBank, queries: usize, kernel: Kernel) -> Self {
        let mut numbers = Numbers::new(202);
        let mut near = Vec::new();
        let query = |_| {
            let vector = sample::vector(&mut numbers);
            dot_topk(kernel, bank, &vector, TOP_K_MAX, &mut near);
            (vector, near.last().map_or(0, |hit| hit.dot))
        };
        let queries = (0..queries).map(query).collect();
        Self { search, bank, largest: largest(bank), queries, hits: Vec::new() }
    }
}

impl Case for VectorCase<'_> {
    fn ask(&self, query: usize) -> Ask {
        let (vector, least) = &self.queries[query];
        match self.search {
            Search::DotRange => Ask::dot_range(vector, *least),
            _ => Ask::dot_topk(vector, K, self.largest),
        }
    }

    fn simd(&mut self, kernel: Kernel, query: usize) {
        let (vector, least) = &self.queries[query];
        match self.search {
            Search::DotRange => {
                dot_range(kernel, self.bank, vector, *least, usize::MAX, &mut self.hits);
            }
            _ => dot_topk(kernel, self.bank, vector, K, &mut self.hits),
        }
    }

    fn twin(&mut self, query: usize) {
        let (vector, least) = &self.queries[query];
        self.hits = match self.search {
            Search::DotRange => cpu::dot_range::search(self.bank, vector, *least),
            _ => cpu::dot_topk::search(self.bank, vector, K),
        };
    }

    fn answer(&mut self, found: &Found) -> Result<(), Fault> {
        let cap = if self.search == Search::DotRange { usize::MAX } else { K };
        vector_hits(self.bank, found, cap, &mut self.hits)
    }

    fn hits(&self) -> Vec<(i64, u64)> {
        self.hits.iter().map(|hit| (i64::from(hit.dot), hit.id)).collect()
    }
}
