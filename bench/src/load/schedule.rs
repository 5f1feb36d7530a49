//! Intended start times, and the thread that keeps them. A thread of its own, because tokio's timer has a resolution
//! of 1 ms; it only opens the gate, so that sending never delays the schedule.

use super::histogram;
use crate::sys;
use hdrhistogram::Histogram;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// When requests start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrival {
    /// Evenly.
    Constant,
    /// As independent clients would: exponential gaps, by seed.
    Poisson,
}

/// Intended starts of `count` requests, in ns after the beginning, ascending.
pub(crate) fn starts_ns(arrival: Arrival, rate: f64, count: usize, seed: u64) -> Vec<u64> {
    let gap_ns = 1e9 / rate;
    match arrival {
        Arrival::Constant => (0..count).map(|number| (number as f64 * gap_ns) as u64).collect(),
        Arrival::Poisson => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut at_ns = 0.0;
            let next = |_| {
                // 53 random bits as a number in (0, 1].
                let uniform = ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
                at_ns += -uniform.ln() * gap_ns;
                at_ns as u64
            };
            (0..count).map(next).collect()
        }
    }
}

/// The gate that the pacer opens once for each request.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) permits: Semaphore,
    /// How many starts have come.
    pub(crate) due: AtomicUsize,
}

/// Opens the gate at each intended start, and once more for each worker at the end; gives back how late it woke.
pub(crate) fn spawn_pacer(
    began: Instant,
    starts_ns: Arc<[u64]>,
    gate: Arc<Gate>,
    workers: usize,
) -> JoinHandle<Histogram<u64>> {
    std::thread::spawn(move || {
        sys::sleep_punctually();
        let mut lag = histogram();
        for start_ns in starts_ns.iter() {
            let due = began + Duration::from_nanos(*start_ns);
            let mut now = Instant::now();
            while now < due {
                std::thread::sleep(due - now);
                now = Instant::now();
            }
            lag.saturating_record((now - due).as_nanos() as u64);
            gate.due.fetch_add(1, Ordering::Relaxed);
            gate.permits.add_permits(1);
        }
        gate.permits.add_permits(workers);
        lag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_gaps_are_even_and_poisson_gaps_have_the_mean_and_spread_of_poisson() {
        assert_eq!(starts_ns(Arrival::Constant, 1000.0, 3, 0), [0, 1_000_000, 2_000_000]);
        let starts = starts_ns(Arrival::Poisson, 1000.0, 20_000, 5);
        assert_eq!(starts, starts_ns(Arrival::Poisson, 1000.0, 20_000, 5));
        assert!(starts.is_sorted());
        let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!(
            (mean - 1.0).abs() < 0.03 && (variance - 1.0).abs() < 0.1,
            "mean {mean}, variance {variance}"
        );
    }
}
