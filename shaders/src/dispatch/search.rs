//! The searches. Each blocks its caller until it is answered, by whichever side; out and result are those of the
//! function of the same name that runs on the CPU alone.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::bank::Uploaded;
use super::{Ask, BankHandle, Dispatcher, Ran, Route, Why, fingerprint_hits, name_hits, route, vector_hits};
use crate::gpu::{Fault, Found};
use crate::layout::batch::HITS_MAX;
use crate::layout::{
    DotHit, FingerprintBank, HammingHit, LANES, NameBank, NameHit, NameQuery, Need, TOP_K_MAX, VECTOR_DIMS,
    VectorBank,
};
use crate::shader::Search;
use crate::simd::{dot, hamming, names};
use crate::{NameScratch, RangeFound};

/// What a search is asked for: a count is exact however many hits there are, and hits only as far as they are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    Hits,
    Count,
}

impl Wants {
    const fn up_to(hits: usize) -> Self {
        if hits == 0 { Self::Count } else { Self::Hits }
    }
}

impl Dispatcher {
    /// As [`search_names`](crate::search_names), and where it ran. `budget` is what is left of the query's time.
    pub fn search_names(
        &self,
        handle: &BankHandle<NameBank>,
        query: &NameQuery,
        need: &Need,
        budget: Option<Duration>,
        scratch: &mut NameScratch,
        out: &mut Vec<NameHit>,
    ) -> Ran {
        let ask = || Ask::name(handle.bank(), query, need);
        let percent = u32::from(need.least(query.symbols_len())) * 100 / u32::from(query.symbols_len());
        let costs = |ask: &Ask| {
            let names = ask.blocks_len() * LANES;
            let cost = self.calibration.of(Search::NameLcs);
            // SIMD's own figure holds the length window of the whole bank, the GPU reads the window alone.
            (cost.gpu_ns(names), self.calibration.names_simd_ns(handle.bank().len(), percent))
        };
        let found = self.found(Search::NameLcs, &handle.gpu, ask, costs, budget, Wants::Hits);
        self.ended(
            Search::NameLcs,
            found.and_then(|found| self.checked(name_hits(handle.bank(), &found, out))),
        )
        .unwrap_or_else(|ran| {
            names::search_names(self.options.kernel, handle.bank(), query, need, scratch, out);
            ran
        })
    }

    /// As [`hamming_range`](crate::hamming_range), and where it ran.
    pub fn hamming_range(
        &self,
        handle: &BankHandle<FingerprintBank>,
        query: &[u64; 4],
        distance_max: u32,
        cap: usize,
        budget: Option<Duration>,
        out: &mut Vec<HammingHit>,
    ) -> (RangeFound, Ran) {
        let search = Search::HammingRange;
        let bank = handle.bank();
        let ask = || Ask::hamming_range(query, distance_max);
        let costs = |_: &Ask| self.costs(search, bank.len());
        let found = self.found(search, &handle.gpu, ask, costs, budget, Wants::up_to(cap));
        let mut all = 0;
        let done = found.and_then(|found| {
            all = found.count as usize;
            self.checked(fingerprint_hits(bank, &found, cap, out))
        });
        match self.ended(search, done) {
            Ok(ran) => (RangeFound { found: all, truncated: all > cap }, ran),
            Err(ran) => {
                (hamming::hamming_range(self.options.kernel, bank, query, distance_max, cap, out), ran)
            }
        }
    }

    /// As [`hamming_topk`](crate::hamming_topk), and where it ran.
    ///
    /// # Panics
    /// When `k` is above [`TOP_K_MAX`].
    pub fn hamming_topk(
        &self,
        handle: &BankHandle<FingerprintBank>,
        query: &[u64; 4],
        k: usize,
        budget: Option<Duration>,
        out: &mut Vec<HammingHit>,
    ) -> Ran {
        assert!(k <= TOP_K_MAX, "k is {k}, limit {TOP_K_MAX}");
        let search = Search::HammingTopk;
        let bank = handle.bank();
        let ask = || Ask::hamming_topk(query, k);
        let asked = if k == 0 { Err(Why::BreakEven) } else { Ok(()) };
        let costs = |_: &Ask| self.costs(search, bank.len());
        let found = asked.and_then(|()| self.found(search, &handle.gpu, ask, costs, budget, Wants::Hits));
        let done = found.and_then(|found| self.checked(fingerprint_hits(bank, &found, k, out)));
        self.ended(search, done).unwrap_or_else(|ran| {
            hamming::hamming_topk(self.options.kernel, bank, query, k, out);
            ran
        })
    }

    /// As [`dot_range`](crate::dot_range), and where it ran.
    pub fn dot_range(
        &self,
        handle: &BankHandle<VectorBank>,
        query: &[i8; VECTOR_DIMS],
        at_least: i32,
        cap: usize,
        budget: Option<Duration>,
        out: &mut Vec<DotHit>,
    ) -> (RangeFound, Ran) {
        let search = Search::DotRange;
        let bank = handle.bank();
        let ask = || Ask::dot_range(query, at_least);
        let costs = |_: &Ask| self.costs(search, bank.len());
        let found = self.found(search, &handle.gpu, ask, costs, budget, Wants::up_to(cap));
        let mut all = 0;
        let done = found.and_then(|found| {
            all = found.count as usize;
            self.checked(vector_hits(bank, &found, cap, out))
        });
        match self.ended(search, done) {
            Ok(ran) => (RangeFound { found: all, truncated: all > cap }, ran),
            Err(ran) => (dot::dot_range(self.options.kernel, bank, query, at_least, cap, out), ran),
        }
    }

    /// As [`dot_topk`](crate::dot_topk), and where it ran.
    ///
    /// # Panics
    /// When `k` is above [`TOP_K_MAX`].
    pub fn dot_topk(
        &self,
        handle: &BankHandle<VectorBank>,
        query: &[i8; VECTOR_DIMS],
        k: usize,
        budget: Option<Duration>,
        out: &mut Vec<DotHit>,
    ) -> Ran {
        assert!(k <= TOP_K_MAX, "k is {k}, limit {TOP_K_MAX}");
        let search = Search::DotTopk;
        let bank = handle.bank();
        let ask = || Ask::dot_topk(query, k, handle.largest);
        let asked = if k == 0 { Err(Why::BreakEven) } else { Ok(()) };
        let costs = |_: &Ask| self.costs(search, bank.len());
        let found = asked.and_then(|()| self.found(search, &handle.gpu, ask, costs, budget, Wants::Hits));
        let done = found.and_then(|found| self.checked(vector_hits(bank, &found, k, out)));
        self.ended(search, done).unwrap_or_else(|ran| {
            dot::dot_topk(self.options.kernel, bank, query, k, out);
            ran
        })
    }

    /// Nanoseconds that GPU and CPU are expected to take for a search of `vectors`.
    fn costs(&self, search: Search, vectors: usize) -> (u64, u64) {
        let cost = self.calibration.of(search);
        (cost.gpu_ns(vectors), cost.simd_ns(vectors))
    }

    /// What the GPU found, or why the CPU has to look. The query is prepared for the GPU only if it may go there.
    fn found(
        &self,
        search: Search,
        uploaded: &Result<Arc<Uploaded>, Fault>,
        ask: impl FnOnce() -> Ask,
        costs: impl FnOnce(&Ask) -> (u64, u64),
        budget: Option<Duration>,
        wants: Wants,
    ) -> Result<Found, Why> {
        if self.shared.card.gpu().health.is_retired() {
            return Err(Why::Fault);
        }
        let uploaded = uploaded.as_ref().map_err(|_| Why::NotUploaded)?;
        let ask = ask();
        debug_assert_eq!(ask.search, search);
        let (gpu_ns, simd_ns) = costs(&ask);
        let expected = match self.options.route {
            Route::GpuFirst => None,
            Route::Calibrated => Some(gpu_ns.saturating_add(self.shared.wait_ns())),
        };
        let patience = route::patience(expected, simd_ns, budget, self.shared.watchdog)?;
        let answer = self.shared.submit(ask, Arc::clone(&uploaded.bank))?;
        let found = answer.recv_timeout(patience).map_err(|e| match e {
            RecvTimeoutError::Timeout => Why::Late,
            RecvTimeoutError::Disconnected => Why::Fault,
        })?;
        let overflows = wants == Wants::Hits && found.count as usize > HITS_MAX;
        if overflows { Err(Why::Overflow) } else { Ok(found) }
    }

    /// A wrong answer takes the device out of service.
    fn checked(&self, answer: Result<(), Fault>) -> Result<(), Why> {
        answer.map_err(|fault| {
            self.shared.card.gpu().health.retire(&fault);
            Why::Fault
        })
    }

    /// Counts where the query ends: `Ok` where it is answered, `Err` where the CPU must.
    fn ended(&self, search: Search, done: Result<(), Why>) -> Result<Ran, Ran> {
        let ran = match done {
            Ok(()) => Ran::Gpu,
            Err(why) => Ran::Simd(why),
        };
        self.shared.counters.count(search, ran);
        if ran == Ran::Gpu { Ok(ran) } else { Err(ran) }
    }
}
