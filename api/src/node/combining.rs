//! `lanes = 0`: no thread of the node's own. Whoever brings a payment takes the core, if nobody has it, and does all that
//! waits, its own jobs and others'.

use super::core::Core;
use super::intake::{Batch, Intake};
use parking_lot::{Mutex, MutexGuard};

/// Drains what waits, and looks again after letting go of the core, so that no job is left by a caller that came while
/// the core was held. Whoever holds the core for something else calls this afterwards, for those who came meanwhile.
pub fn combine(intake: &Intake, core: &Mutex<Core>, micro_batch: usize) {
    let mut batch = Batch::default();
    while intake.waiting() > 0 {
        let Some(mut core) = core.try_lock() else { return };
        while intake.take(micro_batch, true, &mut batch) {
            let _in_hand = intake.hold(&batch);
            core.process_until(&mut batch.jobs, &mut batch.until);
            batch.until.clear();
            // Under load this goes on and on: whoever waits for the core (figures, a publication) comes between.
            MutexGuard::bump(&mut core);
        }
    }
}
