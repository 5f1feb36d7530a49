//! An open-loop load generator: requests have intended start times that do not wait for answers, and latency counts
//! from the intended start, so a stalled server is charged for every request it kept waiting (no coordinated
//! omission).

pub mod bodies;
pub mod empty;
pub mod overload;
pub mod saturation;
pub mod surge;
pub mod swap;
mod schedule;
mod worker;

pub use schedule::Arrival;

use crate::client::Target;
use crate::sys;
use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker::Shared;

/// How long after the last intended start answers are still waited for.
const DRAIN: Duration = Duration::from_secs(10);
/// Longest latency that is told apart, in ns; longer ones count as this.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// What load to make.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The server.
    pub target: Target,
    /// Intended starts a second.
    pub rate: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Starts within the first so many seconds are made but not measured.
    pub warmup_s: f64,
    /// Connections; a request whose start has come waits while all are busy, and its waiting counts.
    pub connections: usize,
    /// When requests start.
    pub arrival: Arrival,
    /// Seed of a Poisson arrival.
    pub seed: u64,
    /// The server's process, for its CPU time.
    pub pid: Option<u32>,
}

/// Percentiles of a histogram, in µs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    pub mean: f64,
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
            mean: histogram.mean() / 1000.0,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadReport {
    /// Intended starts a second.
    pub rate: f64,
    /// Measured seconds (without warm-up).
    pub seconds: f64,
    /// Connections.
    pub connections: usize,
    /// Requests whose start was measured.
    pub requests: u64,
    /// Of these, answered with 200, per second of the measured time.
    pub answered_per_s: f64,
    /// Answers by HTTP status, warm-up included.
    pub statuses: BTreeMap<u16, u64>,
    /// Connections that broke, with the request on them.
    pub errors: u64,
    /// Requests without an answer when the drain ended; they count in the latencies with the time they had waited.
    pub unfinished: u64,
    /// Bytes of all answers' bodies.
    pub answer_bytes: u64,
    /// Completion − intended start.
    pub latency_us: Percentiles,
    /// Completion − actual start: what a closed-loop generator would report. Not the figure to quote.
    pub service_us: Percentiles,
    /// How late the generator itself woke for an intended start; part of `latency_us`.
    pub generator_lag_us: Percentiles,
    /// Most requests whose start had come and that no connection had taken.
    pub backlog_max: u64,
    /// CPU time of the server's process per answered request, in µs; only with its pid.
    pub server_cpu_us_per_request: Option<f64>,
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("fixed bounds that hdrhistogram admits")
}

/// Makes the load: one request for each body, in order, at its intended start. Blocks until all is answered or given
/// up.
///
/// # Errors
/// When no connection can be opened, or the server's CPU time cannot be read.
pub fn run(config: &LoadConfig, bodies: Vec<Bytes>) -> anyhow::Result<LoadReport> {
    let starts_ns = schedule::starts_ns(config.arrival, config.rate, bodies.len(), config.seed);
    let cpu_before = config.pid.map(sys::cpu_us).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = runtime.block_on(drive(config, starts_ns.into(), bodies))?;
    let cpu_us =
        config.pid.map(sys::cpu_us).transpose()?.zip(cpu_before).map(|(after, before)| after - before);
    Ok(shared.report(config, cpu_us))
}

/// How many requests a configuration makes.
pub fn requests(config: &LoadConfig) -> usize {
    (config.rate * config.seconds).round() as usize
}

async fn drive(config: &LoadConfig, starts_ns: Arc<[u64]>, bodies: Vec<Bytes>) -> anyhow::Result<Shared> {
    let mut connections = Vec::new();
    for _ in 0..config.connections {
        connections.push(config.target.connect().await.context("opening the load's connections")?);
    }
    // Some time for the connections to settle before the first start.
    let began = Instant::now() + Duration::from_millis(50);
    let warmup_ns = (config.warmup_s * 1e9) as u64;
    let shared = Shared::new(began, starts_ns.clone(), bodies, warmup_ns);
    let pacer = schedule::spawn_pacer(began, starts_ns.clone(), shared.gate(), config.connections);
    let workers: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(worker::run(shared.handle(), config.target.clone(), connection)))
        .collect();
    let last_ns = starts_ns.last().copied().unwrap_or_default();
    let until = began + Duration::from_nanos(last_ns) + DRAIN;
    for worker in workers {
        let abort = worker.abort_handle();
        if tokio::time::timeout_at(until.into(), worker).await.is_err() {
            abort.abort();
        }
    }
    let lag = pacer.join().expect("the pacer does not panic");
    Ok(shared.finish(lag))
}

#[cfg(test)]
mod tests;
