//! The examination behind `interdict gpu-check`: what the adapter is, whether every shader gives its twin's results
//! on full-size banks, and how long it takes beside SIMD on the same machine.

mod cases;

use std::time::{Duration, Instant};

use cases::{Case, NameCase, PrintCase, VectorCase};

use crate::Kernel;
use crate::dispatch::{Ask, Calibration, best_ns, calibrated};
use crate::gpu::{AdapterFacts, Card, Fault, Found, GpuBank, Wanted};
use crate::layout::batch::HITS_MAX;
use crate::sample;
use crate::shader::Search;

/// Bank sizes where none are named: full ones on a card, and what a software adapter does in seconds.
const CARD_SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const SOFTWARE_SIZES: [usize; 3] = [1_000, 10_000, 50_000];
/// Queries of the batches that are timed.
const BATCHES: [usize; 4] = [1, 4, 16, 64];
/// Queries of one batch; all are compared with SIMD, and these with the plain twin too, which is slow.
const QUERIES: usize = 64;
const TWIN_QUERIES: usize = 2;
/// A timing ends after so many rounds or so long.
const ROUNDS_MAX: usize = 200;
const TIMING_MAX: Duration = Duration::from_millis(400);
const WATCHDOG: Duration = Duration::from_secs(60);

/// What to examine.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// A software adapter is no finding.
    pub allow_software: bool,
    /// Bank sizes, ascending; empty for the adapter's own. Equality is checked on the largest.
    pub sizes: Vec<usize>,
    /// The CPU kernel to compare with.
    pub kernel: Kernel,
}

/// Whether a search gave its twin's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equality {
    /// The search.
    pub search: Search,
    /// Vectors or names of the bank.
    pub bank_len: usize,
    /// Queries compared with SIMD.
    pub queries: usize,
    /// Of those, compared with the plain twin too.
    pub twin_queries: usize,
    /// Of those, with more hits than a batch keeps: in service the CPU answers them.
    pub overflowed: usize,
    /// Hits that agreed.
    pub hits: usize,
    /// The first difference, if there is one.
    pub difference: Option<String>,
}

/// One timing.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// The search.
    pub search: Search,
    /// Vectors or names of the bank.
    pub bank_len: usize,
    /// Queries of a batch.
    pub batch: usize,
    /// Batches timed.
    pub rounds: usize,
    /// Median round trip of a batch, in microseconds.
    pub gpu_p50_us: f64,
    /// 99th percentile, in microseconds.
    pub gpu_p99_us: f64,
    /// Nanoseconds of the GPU for each pair of query and vector, at the median.
    pub gpu_ns_per_pair: f64,
    /// One query on one core by SIMD, in microseconds (names: pruned at 80 %).
    pub simd_us: f64,
    /// Nanoseconds of one core for each pair.
    pub simd_ns_per_pair: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The adapter, if there is one.
    pub adapter: Option<AdapterFacts>,
    /// The CPU kernel that it was compared with.
    pub kernel: Kernel,
    /// Equality with the twins.
    pub equality: Vec<Equality>,
    /// The sweep over bank sizes and batches.
    pub sweep: Vec<Timing>,
    /// The costs by which queries would be routed.
    pub calibration: Option<Calibration>,
    /// What is wrong, in words; empty when all is well.
    pub findings: Vec<String>,
}

/// Examines this machine. `progress` is told what is being done.
pub fn run(options: &CheckOptions, mut progress: impl FnMut(&str)) -> Report {
    let mut report = Report {
        adapter: None,
        kernel: options.kernel,
        equality: Vec::new(),
        sweep: Vec::new(),
        calibration: None,
        findings: Vec::new(),
    };
    progress("opening the adapter");
    let card =
        match Card::open(Wanted { allow_software: true, binding_bytes_max: None, memory_percent_max: 90 }) {
            Ok(card) => card,
            Err(no_gpu) => {
                report.findings.push(no_gpu.why);
                return report;
            }
        };
    let facts = card.gpu().facts.clone();
    if facts.is_software && !options.allow_software {
        report.findings.push(format!("{} is a software adapter: it never serves, SIMD does", facts.name));
    }
    let sizes = match (options.sizes.as_slice(), facts.is_software) {
        ([], false) => CARD_SIZES.as_slice(),
        ([], true) => SOFTWARE_SIZES.as_slice(),
        (named, _) => named,
    };
    report.adapter = Some(facts);
    if let Err(fault) = examine(&card, options.kernel, sizes, &mut report, &mut progress) {
        report.findings.push(fault.to_string());
    }
    report
}

fn examine(
    card: &Card,
    kernel: Kernel,
    sizes: &[usize],
    report: &mut Report,
    progress: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    progress("comparing with the twins, and calibrating");
    report.calibration = Some(calibrated(card, kernel)?);
    for (place, &len) in sizes.iter().enumerate() {
        let is_largest = place + 1 == sizes.len();
        progress(&format!("names, {len}"));
        let bank = sample::names(100, len);
        let gpu = card.upload_names(&bank)?;
        let mut names = NameCase::new(&bank, QUERIES);
        one(card, &gpu, kernel, len, is_largest, &mut names, report)?;
        drop((gpu, bank));

        progress(&format!("fingerprints, {len}"));
        let bank = sample::fingerprints(101, len);
        let gpu = card.upload_vectors(&bank)?;
        for search in [Search::HammingRange, Search::HammingTopk] {
            let mut prints = PrintCase::new(search, &bank, QUERIES, kernel);
            one(card, &gpu, kernel, len, is_largest, &mut prints, report)?;
        }
        drop((gpu, bank));

        progress(&format!("vectors, {len}"));
        let bank = sample::vectors(102, len);
        let gpu = card.upload_vectors(&bank)?;
        for search in [Search::DotRange, Search::DotTopk] {
            let mut vectors = VectorCase::new(search, &bank, QUERIES, kernel);
            one(card, &gpu, kernel, len, is_largest, &mut vectors, report)?;
        }
    }
    Ok(())
}

fn one(
    card: &Card,
    gpu: &GpuBank,
    kernel: Kernel,
    len: usize,
    compare: bool,
    case: &mut dyn Case,
    report: &mut Report,
) -> Result<(), Fault> {
    let asks: Vec<Ask> = (0..QUERIES).map(|query| case.ask(query)).collect();
    if compare {
        let equality = equality(card, gpu, kernel, len, &asks, case)?;
        if let Some(difference) = &equality.difference {
            report.findings.push(format!("{} over {len}: {difference}", equality.search.name()));
        }
        report.equality.push(equality);
    }
    let mut query = 0;
    let simd_ns = best_ns(9, || {
        case.simd(kernel, query % QUERIES);
        query += 1;
    });
    for batch in BATCHES {
        let took = timed(card, gpu, &asks[..batch])?;
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_nanos() as f64;
        let pairs = |queries: usize| (queries * len).max(1) as f64;
        report.sweep.push(Timing {
            search: asks[0].search,
            bank_len: len,
            batch,
            rounds: took.len(),
            gpu_p50_us: at(50) / 1e3,
            gpu_p99_us: at(99) / 1e3,
            gpu_ns_per_pair: at(50) / pairs(batch),
            simd_us: simd_ns / 1e3,
            simd_ns_per_pair: simd_ns / pairs(1),
        });
    }
    Ok(())
}

fn asked(card: &Card, gpu: &GpuBank, asks: &[Ask], items: &mut Vec<u8>) -> Result<Vec<Found>, Fault> {
    match Ask::batch(asks.iter(), gpu, items) {
        Some(batch) => card.run(&batch, WATCHDOG),
        None => Ok(Vec::new()),
    }
}

fn equality(
    card: &Card,
    gpu: &GpuBank,
    kernel: Kernel,
    len: usize,
    asks: &[Ask],
    case: &mut dyn Case,
) -> Result<Equality, Fault> {
    let mut done = Equality {
        search: asks[0].search,
        bank_len: len,
        queries: asks.len(),
        twin_queries: TWIN_QUERIES.min(asks.len()),
        overflowed: 0,
        hits: 0,
        difference: None,
    };
    for (query, found) in asked(card, gpu, asks, &mut Vec::new())?.iter().enumerate() {
        case.simd(kernel, query);
        let simd = case.hits();
        if query < TWIN_QUERIES {
            case.twin(query);
            if case.hits() != simd {
                done.difference.get_or_insert(format!("query {query}: simd is not the twin"));
            }
        }
        if found.count as usize > HITS_MAX {
            done.overflowed += 1;
            continue;
        }
        case.answer(found)?;
        let gpu = case.hits();
        if gpu == simd {
            done.hits += gpu.len();
        } else {
            let difference =
                format!("query {query}: {} hits on the gpu, {} by simd, or others", gpu.len(), simd.len());
            done.difference.get_or_insert(difference);
        }
    }
    Ok(done)
}

/// Round trips, ascending.
fn timed(card: &Card, gpu: &GpuBank, asks: &[Ask]) -> Result<Vec<Duration>, Fault> {
    let mut items = Vec::new();
    asked(card, gpu, asks, &mut items)?;
    let began = Instant::now();
    let mut took = Vec::new();
    while took.len() < ROUNDS_MAX && (took.len() < 3 || began.elapsed() < TIMING_MAX) {
        let started = Instant::now();
        asked(card, gpu, asks, &mut items)?;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}
