//! What a search costs on either side of this machine, measured at start: the break-even of GPU and CPU is a
//! property of the card, the bus and the CPU, and no constant would hold on the next machine.

use std::time::{Duration, Instant};

use super::{Ask, START_WAIT};
use crate::gpu::{Card, Fault, GpuBank};
use crate::layout::{NameQuery, Need};
use crate::shader::Search;
use crate::simd::{dot, hamming, names};
use crate::{Kernel, NameScratch, sample};

/// The cut-offs, in percent of the query's length, at which SIMD's pruned name search is measured.
pub const NAME_PERCENTS: [u32; 3] = [0, 70, 85];
/// Vectors or names of the bank that slopes are measured on: on a card large enough to be more than its floor, on
/// a software adapter as few as tell the two sides apart.
const CARD_LEN: usize = 1 << 18;
const SOFTWARE_LEN: usize = 1 << 12;
/// A measurement is the best of so many: the floor of the machine, not its noise.
const ROUNDS: usize = 7;

/// What one search costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchCost {
    /// A round trip to the GPU that scores next to nothing, in nanoseconds.
    pub gpu_floor_ns: f64,
    /// Nanoseconds that the GPU takes for each further vector or name of one query.
    pub gpu_ns_each: f64,
    /// Nanoseconds that the CPU takes for each vector; of names, each name of a pruned search at 85 %.
    pub simd_ns_each: f64,
}

impl SearchCost {
    /// Nanoseconds that the GPU takes for a query over `vectors`.
    #[must_use]
    pub fn gpu_ns(&self, vectors: usize) -> u64 {
        (self.gpu_floor_ns + self.gpu_ns_each * vectors as f64) as u64
    }

    /// Nanoseconds that the CPU takes for a query over `vectors`.
    #[must_use]
    pub fn simd_ns(&self, vectors: usize) -> u64 {
        (self.simd_ns_each * vectors as f64) as u64
    }

    /// Vectors or names from which the GPU is sooner; `None` where it never is.
    #[must_use]
    pub fn break_even(&self) -> Option<u64> {
        let gain = self.simd_ns_each - self.gpu_ns_each;
        (gain > 0.0).then(|| (self.gpu_floor_ns / gain).ceil() as u64)
    }
}

/// The costs of every search.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// By search, in the order of [`Search::ALL`].
    pub costs: [SearchCost; Search::ALL.len()],
    /// Nanoseconds that SIMD takes for each name of a bank, at each of [`NAME_PERCENTS`].
    pub names_simd_ns_each: [f64; NAME_PERCENTS.len()],
}

impl Calibration {
    /// The costs of `search`.
    #[must_use]
    pub fn of(&self, search: Search) -> &SearchCost {
        &self.costs[search as usize]
    }

    /// Nanoseconds that SIMD takes for a query over a bank of `names` whose own length must be matched to `percent`.
    #[must_use]
    pub fn names_simd_ns(&self, names: usize, percent: u32) -> u64 {
        let measured = NAME_PERCENTS.iter().rposition(|&at| at <= percent).unwrap_or(0);
        (self.names_simd_ns_each[measured] * names as f64) as u64
    }
}

/// The best of some rounds of `work`, in nanoseconds.
pub(crate) fn best_ns(rounds: usize, mut work: impl FnMut()) -> f64 {
    let took = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..rounds).map(|_| took(&mut work)).min().unwrap_or(Duration::ZERO).as_nanos() as f64
}

pub(super) fn measure(card: &Card, kernel: Kernel) -> Result<Calibration, Fault> {
    let software = card.gpu().facts.is_software;
    let (len, rounds) = if software { (SOFTWARE_LEN, 3) } else { (CARD_LEN, ROUNDS) };
    let mut numbers = sample::Numbers::new(len as u64);
    let side = Side { card, rounds, len };

    let (names, few_names) = (sample::names(1, len), sample::names(2, 64));
    let query = NameQuery::new(&sample::name(&mut numbers)).expect("a generated name has 3 to 42 symbols");
    let needs = NAME_PERCENTS.map(|percent| need(query.symbols_len(), percent));
    let (mut scratch, mut hits) = (NameScratch::default(), Vec::new());
    let names_simd_ns_each = needs.map(|need| {
        best_ns(rounds, || names::search_names(kernel, &names, &query, &need, &mut scratch, &mut hits))
            / len as f64
    });
    let all = need(query.symbols_len(), 0);
    let (large, small) = (card.upload_names(&names)?, card.upload_names(&few_names)?);
    let name_gpu =
        side.gpu(&large, &Ask::name(&names, &query, &all), &small, &Ask::name(&few_names, &query, &all))?;

    let prints = sample::fingerprints(3, len);
    let print = sample::fingerprint(&mut numbers);
    let (large, small) = (card.upload_vectors(&prints)?, card.upload_vectors(&sample::fingerprints(4, 64))?);
    let mut near = Vec::new();
    let range = Ask::hamming_range(&print, 30);
    let range = side.cost(&large, &small, &range, || {
        hamming::hamming_range(kernel, &prints, &print, 30, 100, &mut near);
    })?;
    let topk = side.cost(&large, &small, &Ask::hamming_topk(&print, 10), || {
        hamming::hamming_topk(kernel, &prints, &print, 10, &mut near);
    })?;

    let vectors = sample::vectors(5, len);
    let vector = sample::vector(&mut numbers);
    let (large, small) = (card.upload_vectors(&vectors)?, card.upload_vectors(&sample::vectors(6, 64))?);
    let mut near = Vec::new();
    let dot_range = side.cost(&large, &small, &Ask::dot_range(&vector, 300_000), || {
        dot::dot_range(kernel, &vectors, &vector, 300_000, 100, &mut near);
    })?;
    let dot_topk = side.cost(&large, &small, &Ask::dot_topk(&vector, 10, 127), || {
        dot::dot_topk(kernel, &vectors, &vector, 10, &mut near);
    })?;
    let simd_ns_each = names_simd_ns_each[NAME_PERCENTS.len() - 1];
    let names = SearchCost { gpu_floor_ns: name_gpu.0, gpu_ns_each: name_gpu.1, simd_ns_each };
    Ok(Calibration { costs: [names, range, topk, dot_range, dot_topk], names_simd_ns_each })
}

/// At 0 % every name is scored and only those that hold the query, or that it holds, are hits: what is measured is
/// the search, not the copying of hits.
fn need(query_len: u8, percent: u32) -> Need {
    match percent {
        0 => Need::per_length(|len| len.min(query_len)),
        _ => Need::indel_percent(query_len, percent as u8),
    }
}

struct Side<'a> {
    card: &'a Card,
    rounds: usize,
    len: usize,
}

impl Side<'_> {
    /// The floor and the slope of the GPU, in nanoseconds.
    fn gpu(&self, large: &GpuBank, ask: &Ask, small: &GpuBank, small_ask: &Ask) -> Result<(f64, f64), Fault> {
        let floor = self.round_trip(small, small_ask)?;
        let slope = (self.round_trip(large, ask)? - floor).max(0.0) / self.len as f64;
        Ok((floor, slope))
    }

    fn round_trip(&self, bank: &GpuBank, ask: &Ask) -> Result<f64, Fault> {
        let mut items = Vec::new();
        let mut fault = None;
        // One more, for what the driver does at a first time.
        let mut run = || {
            let batch = Ask::batch(std::iter::once(ask), bank, &mut items);
            if let Some(Err(e)) = batch.map(|batch| self.card.run(&batch, START_WAIT)) {
                fault = Some(e);
            }
        };
        run();
        let took = best_ns(self.rounds, &mut run);
        fault.map_or(Ok(took), Err)
    }

    fn cost(
        &self,
        large: &GpuBank,
        small: &GpuBank,
        ask: &Ask,
        simd: impl FnMut(),
    ) -> Result<SearchCost, Fault> {
        let (gpu_floor_ns, gpu_ns_each) = self.gpu(large, ask, small, ask)?;
        let simd_ns_each = best_ns(self.rounds, simd) / self.len as f64;
        Ok(SearchCost { gpu_floor_ns, gpu_ns_each, simd_ns_each })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_break_even_is_where_the_lines_cross() {
        let cost = SearchCost { gpu_floor_ns: 1000.0, gpu_ns_each: 0.5, simd_ns_each: 1.0 };
        assert_eq!(cost.break_even(), Some(2000));
        assert_eq!(cost.gpu_ns(2000), cost.simd_ns(2000));
        assert_eq!(SearchCost { gpu_ns_each: 1.5, ..cost }.break_even(), None);
    }

    #[test]
    fn a_names_cost_is_that_of_the_nearest_cut_off_below() {
        let cost = SearchCost { gpu_floor_ns: 0.0, gpu_ns_each: 0.0, simd_ns_each: 0.0 };
        let calibration =
            Calibration { costs: [cost; Search::ALL.len()], names_simd_ns_each: [4.0, 2.0, 1.0] };
        assert_eq!(
            [0, 69, 70, 84, 100].map(|percent| calibration.names_simd_ns(10, percent)),
            [40, 40, 20, 20, 10]
        );
    }
}
