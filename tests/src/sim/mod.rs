//! The simulator: sequencer, lanes, journal and recovery of production in one thread, on a faulty disk and a virtual clock,
//! with clients that retry, duplicate, reorder and reverse, people who end holds, a hunter of sorts and a settlement
//! gate that is asked. A seed decides everything that happens, so a failure is
//! repeated by its seed.

pub mod clock;
pub mod plan;
pub mod disk;
pub mod clients;
pub mod wishes;
pub mod packs;
pub mod lanes;
pub mod node;
pub mod books;
pub mod law;
pub mod holds;
pub mod again;
pub mod world;

use interdict_ledger::journal::Durability;
use plan::Plan;
use world::World;

/// What can be broken on purpose, to see that the simulator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Under `disk`, syncs say yes and do nothing, and nobody knows.
    LyingSync,
    /// Answers are told when they are written, though only what is synced was promised.
    TellsBeforeSync,
    /// Writes go elsewhere, and nobody knows.
    LostWrites,
    /// A lane loses work.
    LostWork,
    /// A verdict depends on the lane that made it.
    LaneShows,
    /// A lane forgets the hold that begins with a verdict.
    LostHold,
    /// A restart forgets what is held, has gone and was learned.
    ForgottenBook,
    /// Whoever asks at the gate says that nothing is lacking and that nothing counts for a payment.
    OpenGate,
}

impl Broken {
    /// All of them.
    pub const ALL: [Broken; 8] = [
        Broken::LyingSync,
        Broken::TellsBeforeSync,
        Broken::LostWrites,
        Broken::LostWork,
        Broken::LaneShows,
        Broken::LostHold,
        Broken::ForgottenBook,
        Broken::OpenGate,
    ];
    /// Makes a plan in which it can matter, on an otherwise good disk.
    fn prepare(self, plan: &mut Plan) {
        (plan.durability, plan.power, plan.crashes) = (Durability::Disk, true, 3);
        (plan.faults, plan.damage, plan.lying_sync) = (false, false, 0);
        match self {
            Broken::LyingSync => plan.lying_sync = 700,
            Broken::LostWrites => (plan.faults, plan.damage) = (true, true),
            Broken::TellsBeforeSync => plan.sync_max_ns = 800_000_000,
            Broken::LostWork | Broken::LaneShows | Broken::LostHold => (plan.lanes, plan.crashes) = (2, 0),
            Broken::ForgottenBook | Broken::OpenGate => {}
        }
    }
}

/// What a seed came to: counts, to see that seeds meet what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Answers that were acknowledged.
    pub acknowledged: usize,
    /// Answers that the same payment got again.
    pub same: usize,
    /// Payments that were another under a known key.
    pub different: usize,
    /// Answers told before they were safe.
    pub early: usize,
    /// Jobs refused while the disk failed, or for want of time or room.
    pub refused: usize,
    /// Verdicts without all their stages.
    pub skipped: usize,
    /// Killed processes.
    pub kills: usize,
    /// Lost power.
    pub power_losses: usize,
    /// Crashes in the middle of a call to the disk.
    pub in_call: usize,
    /// Verdicts made at a recovery.
    pub recovered: usize,
    /// Starts that failed for the disk's sake, and were tried again.
    pub failed_starts: usize,
    /// Starts that were refused because of damage, which ended the seed.
    pub damaged: usize,
    /// Acknowledged answers that a disk took that did what no durability is promised against.
    pub lost: usize,
    /// Journals compared with the oracles.
    pub judged: usize,
    /// Holds that began.
    pub holds: usize,
    /// Holds that were ended.
    pub ended: usize,
    /// Cases that were too late.
    pub too_late: usize,
    /// Payments with go.
    pub gone: usize,
    /// Everything that was seen, in a number: the same for the same seed.
    pub digest: u64,
}

/// Runs a seed to its end.
///
/// # Errors
/// What was not as it must be.
pub fn run(seed: u64, broken: Option<Broken>, trace: bool) -> Result<Summary, String> {
    World::new(seed, broken, trace).run()
}
