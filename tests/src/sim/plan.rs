//! What a seed draws before anything happens: which node, which disk, which clients.

use super::Broken;
use interdict::node::disk::{Policy, SyncLate, WhenUnwritable};
use interdict_ledger::journal::Durability;
use rand::{Rng, RngExt};

/// A seed's plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Lanes; 0: whoever brings a payment does it.
    pub lanes: usize,
    /// What acknowledged means.
    pub durability: Durability,
    /// What the node does while its disk fails.
    pub policy: Policy,
    /// Jobs taken at once.
    pub micro_batch: usize,
    /// Work that may be with the lanes.
    pub room: usize,
    /// Longest that a lane takes for one, ns.
    pub lane_max_ns: u64,
    /// Longest that a sync takes, ns.
    pub sync_max_ns: u64,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// What a look at the clock costs.
    pub tick_ns: u64,
    /// What clients ask for.
    pub ops: usize,
    /// How long they do so, ms.
    pub storm_ms: u64,
    /// Whether calls to the disk fail.
    pub faults: bool,
    /// Whether the disk damages what it holds.
    pub damage: bool,
    /// Thousandths of syncs that lie.
    pub lying_sync: u32,
    /// Crashes that are planned; there may be fewer.
    pub crashes: u32,
    /// Whether a crash may take the power.
    pub power: bool,
    /// Whether one tenant's rate is bounded.
    pub quota: bool,
    /// What is broken on purpose.
    pub broken: Option<Broken>,
}

impl Plan {
    /// Draws one.
    pub fn draw(random: &mut impl Rng, broken: Option<Broken>) -> Plan {
        let mut one_in = |n: u32| random.random_range(0..n) == 0;
        let durability = if one_in(2) { Durability::Os } else { Durability::Disk };
        let policy = Policy {
            when_unwritable: if one_in(3) { WhenUnwritable::Continue } else { WhenUnwritable::Refuse },
            sync_late: if one_in(3) { SyncLate::Answer } else { SyncLate::Wait },
            unwritten_bytes_max: if one_in(4) { 4096 } else { 1 << 20 },
        };
        let damage = one_in(6);
        // Under `os` a power loss may take what was acknowledged: then only that the rest is right is checked.
        let power = durability == Durability::Disk || one_in(8);
        // Nothing that `os` promises rests on a sync.
        let lying_sync = if durability == Durability::Os && one_in(2) { 500 } else { 0 };
        let (faults, quota) = (!one_in(4), one_in(4));
        let tick = one_in(2);
        let mut plan = Plan {
            lanes: [0, 0, 1, 2, 3][random.random_range(0..5)],
            durability,
            policy,
            micro_batch: [1, 4, 16][random.random_range(0..3)],
            room: 0,
            lane_max_ns: [1_000, 1_000_000, 40_000_000][random.random_range(0..3)],
            sync_max_ns: [10_000, 3_000_000, 800_000_000][random.random_range(0..3)],
            segment_bytes: [900, 3_000, 12_000][random.random_range(0..3)],
            tick_ns: if tick { random.random_range(1..40_000) } else { 0 },
            ops: random.random_range(8..60),
            storm_ms: random.random_range(20..3_000),
            faults,
            damage,
            lying_sync,
            crashes: random.random_range(0..4),
            power,
            quota,
            broken,
        };
        plan.room = plan.micro_batch * random.random_range(1..5);
        if let Some(broken) = broken {
            broken.prepare(&mut plan);
        }
        plan
    }
}
