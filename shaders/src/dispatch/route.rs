//! Whether a query goes to the GPU, and how long its caller then waits. Pure, so that it can be tested without one.

use std::time::Duration;

use super::Why;

/// Watchdogs that a caller without a deadline waits: the batch in flight, a full queue, and one to spare.
const PATIENCE_WATCHDOGS: u32 = 6;

/// How long to wait for a GPU that is expected to answer after `gpu_ns` (`None`: it is to be asked whatever it
/// costs), or why not to ask it. The CPU would take `simd_ns`.
pub(super) fn patience(
    gpu_ns: Option<u64>,
    simd_ns: u64,
    budget: Option<Duration>,
    watchdog: Duration,
) -> Result<Duration, Why> {
    if let Some(gpu_ns) = gpu_ns {
        if gpu_ns >= simd_ns {
            return Err(Why::BreakEven);
        }
        // Half of what is left: the other half is the CPU's, should the GPU not answer.
        if budget.is_some_and(|budget| 2 * u128::from(gpu_ns) > budget.as_nanos()) {
            return Err(Why::Budget);
        }
    }
    Ok(match budget {
        // What the CPU needs is kept back; where even that is more than half, the two share alike.
        Some(budget) => budget.saturating_sub(Duration::from_nanos(simd_ns)).max(budget / 2),
        None => watchdog * PATIENCE_WATCHDOGS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHDOG: Duration = Duration::from_secs(1);

    fn micros(us: u64) -> Option<Duration> {
        Some(Duration::from_micros(us))
    }

    #[test]
    fn the_sooner_side_is_asked_if_the_budget_allows_it() {
        assert_eq!(patience(Some(50_000), 40_000, None, WATCHDOG), Err(Why::BreakEven));
        assert_eq!(patience(Some(50_000), 50_000, micros(9), WATCHDOG), Err(Why::BreakEven));
        assert_eq!(patience(Some(50_000), 60_000, micros(99), WATCHDOG), Err(Why::Budget));
        assert_eq!(patience(Some(50_000), 60_000, micros(100), WATCHDOG), Ok(Duration::from_micros(50)));
        assert_eq!(patience(Some(50_000), 60_000, None, WATCHDOG), Ok(Duration::from_secs(6)));
    }

    #[test]
    fn the_caller_keeps_back_what_the_cpu_needs() {
        assert_eq!(patience(Some(10_000), 60_000, micros(1000), WATCHDOG), Ok(Duration::from_micros(940)));
        assert_eq!(patience(None, 60_000, micros(10), WATCHDOG), Ok(Duration::from_micros(5)));
    }
}
