//! The simulated disk's weather: which faults are likely for a while, by what a seed's plan allows.

use super::plan::Plan;
use interdict_ledger::faulty::{Faults, MemoryStorage};
use rand::{Rng, RngExt};

/// Draws the faults of the next while; none in about a third of the cases.
pub fn weather(plan: &Plan, disk: &MemoryStorage, random: &mut impl Rng) -> Faults {
    if !plan.faults || random.random_range(0..3) == 0 {
        return Faults { lying_sync: plan.lying_sync, ..Faults::default() };
    }
    let mut rate = |often: u32, most: u32| match random.random_range(0..often) {
        0 => random.random_range(0..=most),
        _ => 0,
    };
    let mut faults = Faults {
        write: rate(3, 700),
        short_write: rate(4, 300),
        truncate: rate(3, 600),
        create: rate(4, 600),
        read: rate(6, 300),
        sync: rate(3, 800),
        lying_sync: plan.lying_sync,
        ..Faults::default()
    };
    if plan.damage {
        (faults.misdirect, faults.rot) = (rate(2, 60), rate(2, 60));
    }
    if random.random_range(0..4) == 0 {
        faults.capacity_bytes = disk.used_bytes() + random.random_range(0..3000);
    }
    faults
}
