//! What a unit of each stage's work costs on this machine: the real components over generated packs, names and payments,
//! for about a second. Each figure is fitted so that the estimate of what was timed comes to what it took.

mod workload;

use anyhow::Result;
use interdict_engine::calibration::Calibration;
use interdict_engine::limits::COST_PS_MAX;
use std::time::{Duration, Instant};

/// How long one round of calls takes at least, and how many rounds there are; the fastest counts, since whatever else the
/// machine does only adds.
const ROUND: Duration = Duration::from_millis(2);
const ROUNDS: usize = 8;
/// A figure is at least this part of the built-in one: a probe is of one shape, and what packs hold has many.
const FLOOR: u64 = 10;
/// Passes over the probes: two figures of which both probes contain both settle within a few.
const PASSES: usize = 32;

/// Something that was timed.
struct Probe {
    /// The figure that it tells.
    figure: fn(&mut Calibration) -> &mut u64,
    /// Its estimate under a table, in ps.
    estimate: Box<dyn Fn(&Calibration) -> u64>,
    /// What it took, in ps.
    took_ps: u64,
}

/// This machine's table. What no probe tells (starting on trees, a multiplication on tract, a comparison of numbers) is
/// the built-in table's.
///
/// # Errors
/// None that a sound build gives: the generated packs are refused.
pub fn measure() -> Result<Calibration> {
    let probes = workload::probes()?;
    Ok(fitted(&probes))
}

fn fitted(probes: &[Probe]) -> Calibration {
    let mut costs = Calibration::default();
    for _ in 0..PASSES {
        for probe in probes {
            fit(&mut costs, probe);
        }
    }
    costs
}

/// Sets the probe's figure so that its estimate is what it took, as far as a figure within the bounds can.
fn fit(costs: &mut Calibration, probe: &Probe) {
    let (mut with_one, mut with_two) = (*costs, *costs);
    (*(probe.figure)(&mut with_one), *(probe.figure)(&mut with_two)) = (1, 2);
    // Estimates are sums of figures, each so many times.
    let (one, two) = ((probe.estimate)(&with_one), (probe.estimate)(&with_two));
    let count = (two - one).max(1);
    let rest = one - count;
    let floor = (*(probe.figure)(&mut Calibration::default()) / FLOOR).max(1);
    *(probe.figure)(costs) = (probe.took_ps.saturating_sub(rest) / count).clamp(floor, COST_PS_MAX);
}

/// ps of one call.
fn time(mut call: impl FnMut()) -> u64 {
    let mut round = |calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed()
    };
    let mut calls = 1;
    while round(calls) < ROUND && calls < 1 << 24 {
        calls *= 2;
    }
    let fastest = (0..ROUNDS).map(|_| round(calls)).min().unwrap_or_default();
    let ps = fastest.as_nanos() * 1000 / u128::from(calls);
    u64::try_from(ps).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What was timed comes out as what it took, whatever the figures were: two of which both probes contain both, too.
    #[test]
    fn estimates_are_fitted_to_what_was_timed() {
        let truth =
            Calibration { scan_ps: 400_000, pattern_ps: 3_000, slot_ps: 9_000, ..Calibration::default() };
        let few = |c: &Calibration| c.scan_ps + 8 * c.pattern_ps;
        let many = |c: &Calibration| c.scan_ps + 400 * c.pattern_ps;
        let slots = |c: &Calibration| 16 * (c.slot_ps + 2 * c.step_ps);
        let probes = [
            Probe { figure: |c| &mut c.pattern_ps, estimate: Box::new(many), took_ps: many(&truth) },
            Probe { figure: |c| &mut c.scan_ps, estimate: Box::new(few), took_ps: few(&truth) },
            Probe { figure: |c| &mut c.slot_ps, estimate: Box::new(slots), took_ps: slots(&truth) },
        ];
        assert_eq!(fitted(&probes), truth);
        let too_fast = Probe {
            took_ps: 3,
            ..Probe { figure: |c| &mut c.slot_ps, estimate: Box::new(slots), took_ps: 0 }
        };
        assert_eq!(fitted(&[too_fast]).slot_ps, Calibration::default().slot_ps / FLOOR);
    }

    #[test]
    fn this_machine_s_table_is_sound_and_every_probe_tells_its_figure() {
        let probes = workload::probes().unwrap();
        for probe in &probes {
            let mut more = Calibration::default();
            *(probe.figure)(&mut more) += 1;
            assert!((probe.estimate)(&more) > (probe.estimate)(&Calibration::default()));
            assert!(probe.took_ps > 0);
        }
        assert_eq!(probes.len(), 20);
        assert!(fitted(&probes).check().is_ok());
    }
}
