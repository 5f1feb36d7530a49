//! From what was measured to a profile's values: rules that are declared here, and nothing else.

use super::{Batched, Handed, Judged, Measured};
use crate::config::profiles::Machine;
use crate::config::schema::Hardware;
use interdict_engine::calibration::Calibration;

/// Turns before parking that are tried.
pub(super) const SPINS: [u32; 4] = [0, 64, 512, 4096];
/// Most lanes that are tried.
const LANES_TRIED_MAX: usize = 16;
/// A larger micro-batch, or one more lane, must be worth a twentieth.
const WORTH: f64 = 0.05;
/// A payment alone may take so many times what it takes at best, at p99: more throughput is not bought with latency.
const SLOWER_MAX: f64 = 2.0;
/// More turns must make the p99 of a hand-over a fifth shorter.
const SPINS_WORTH: f64 = 0.2;

/// Lane counts to try: none, one, two, then twice as many while there are cores for them.
pub(super) fn lanes_to_try(cores: usize) -> Vec<usize> {
    let more = std::iter::successors(Some(4), |lanes| Some(lanes * 2));
    let more = more.take_while(|lanes| lanes + 2 <= cores && *lanes <= LANES_TRIED_MAX);
    [0, 1, 2].into_iter().chain(more).collect()
}

/// HTTP threads beside so many lanes: what sequencer and lanes leave, and one at least.
pub(super) fn io_threads(cores: usize, lanes: usize) -> usize {
    let own = if lanes == 0 { 0 } else { lanes + 1 };
    cores.saturating_sub(own).max(1)
}

/// The smallest size at which a payment takes hardly more than at the best.
pub(super) fn micro_batch(batches: &[Batched]) -> usize {
    let best = batches.iter().map(|one| one.us).fold(f64::INFINITY, f64::min);
    let fits = batches.iter().filter(|one| one.us <= best * (1.0 + WORTH));
    fits.map(|one| one.size).min().unwrap_or(1)
}

/// Of the lane counts whose threads have a core each, one left for HTTP, and at which a payment alone is not slow, the
/// fewest that judge hardly less than the best of them. HTTP's own work is not measured here: where it shares cores
/// with sequencer and lanes, they wait for it, and more lanes look better than they are.
fn lanes(judged: &[Judged], cores: usize) -> usize {
    let fits = |one: &&Judged| one.lanes == 0 || one.lanes + 2 <= cores;
    let judged: Vec<&Judged> = judged.iter().filter(fits).collect();
    let fastest = judged.iter().map(|one| one.alone.p99).min().unwrap_or_default();
    let in_time: Vec<&Judged> =
        judged.into_iter().filter(|one| one.alone.p99 <= fastest.mul_f64(SLOWER_MAX)).collect();
    let best = in_time.iter().map(|one| one.per_s).fold(0.0, f64::max);
    let fits = in_time.iter().filter(|one| one.per_s >= best * (1.0 - WORTH));
    fits.map(|one| one.lanes).min().unwrap_or(0)
}

/// What was measured of costs, but where it came to nothing: a figure too small to tell on a busy machine would let
/// every pack pass its budget.
fn costs(measured: Calibration) -> Calibration {
    let (Ok(mut table), Ok(built_in)) =
        (toml::Table::try_from(measured), toml::Table::try_from(Calibration::default()))
    else {
        return measured;
    };
    for (figure, ps) in &mut table {
        if ps.as_integer() == Some(1)
            && let Some(known) = built_in.get(figure)
        {
            *ps = known.clone();
        }
    }
    table.try_into().unwrap_or(measured)
}

/// The fewest turns whose hand-over is hardly slower than the best.
fn spins(handoffs: &[Handed]) -> Option<u32> {
    let best = handoffs.iter().map(|one| one.delays.p99).min()?;
    let fits = handoffs.iter().filter(|one| one.delays.p99.mul_f64(1.0 - SPINS_WORTH) <= best);
    fits.map(|one| one.spins).min()
}

/// The values for this machine: `base`'s where measuring says nothing.
pub(super) fn pick(base: &Hardware, measured: &Measured, machine: &Machine) -> Hardware {
    let mut picked = base.clone();
    picked.micro_batch = micro_batch(&measured.batches);
    picked.lanes = lanes(&measured.lanes, machine.cores);
    picked.io_threads = io_threads(machine.cores, picked.lanes);
    picked.pin = picked.lanes > 0 && machine.cores > picked.lanes + 1;
    if picked.lanes > 0 {
        picked.spins = spins(&measured.handoffs).unwrap_or(base.spins);
    }
    picked.costs = costs(measured.costs);
    picked
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::cli::doctor::measure::Delays;
    use crate::config::profiles::profile;
    use std::path::Path;
    use std::time::Duration;

    pub(in super::super) fn delays(p99_us: u64) -> Delays {
        let us = Duration::from_micros;
        Delays { count: 100, p50: us(p99_us / 2), p99: us(p99_us), max: us(p99_us * 2) }
    }

    /// A machine on which two lanes judge most.
    pub(in super::super) fn measured() -> Measured {
        let judged = |lanes, per_s, p99_us| Judged { lanes, per_s, alone: delays(p99_us) };
        let handed = |spins, p99_us| Handed { spins, delays: delays(p99_us) };
        Measured {
            wake_up: delays(10),
            sync: delays(900),
            batches: vec![(1, 30.0), (2, 24.0), (4, 20.5), (8, 20.0), (16, 20.1)]
                .into_iter()
                .map(|(size, us)| Batched { size, us })
                .collect(),
            lanes: vec![judged(0, 40_000.0, 60), judged(1, 52_000.0, 100), judged(2, 90_000.0, 110)],
            handoffs: vec![handed(0, 90), handed(64, 60), handed(512, 55), handed(4096, 54)],
            costs: Calibration::default(),
            judged_by: "a test".into(),
            seconds: 1,
        }
    }

    #[test]
    fn values_are_picked_by_the_declared_rules() {
        let base = profile("server", Path::new(".")).unwrap();
        let machine = Machine { cores: 8, memory_mib: None, card: false };
        let mut measured = measured();
        let picked = pick(&base, &measured, &machine);
        assert_eq!((picked.micro_batch, picked.lanes, picked.io_threads), (4, 2, 5));
        assert_eq!((picked.spins, picked.pin, picked.ring), (64, true, base.ring));
        // Two cores have none to spare for a sequencer and a lane beside HTTP.
        assert_eq!(pick(&base, &measured, &Machine { cores: 2, ..machine }).lanes, 0);
        // Parked threads that wake in 4 ms are no gain, whatever they judge.
        measured.lanes[2].alone = delays(4_000);
        assert_eq!(pick(&base, &measured, &machine).lanes, 1);
        measured.lanes[1].per_s = 41_000.0;
        let none = pick(&base, &measured, &Machine { cores: 2, ..machine });
        assert_eq!((none.lanes, none.io_threads, none.pin, none.spins), (0, 2, false, base.spins));
        assert_eq!(none.durability, base.durability);
        let built_in = Calibration::default();
        measured.costs = Calibration { pattern_bare_ps: 1, slot_ps: 5, ..built_in };
        let picked = pick(&base, &measured, &machine).costs;
        assert_eq!((picked.pattern_bare_ps, picked.slot_ps), (built_in.pattern_bare_ps, 5));
    }

    #[test]
    fn lanes_are_tried_while_there_are_cores() {
        assert_eq!(lanes_to_try(2), [0, 1, 2]);
        assert_eq!(lanes_to_try(10), [0, 1, 2, 4, 8]);
        assert_eq!(lanes_to_try(256), [0, 1, 2, 4, 8, 16]);
        assert_eq!((io_threads(2, 0), io_threads(2, 2), io_threads(8, 4)), (2, 1, 3));
    }
}
