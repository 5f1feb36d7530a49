//! `lanes = 0`: no thread of the node's own. Whoever brings a payment takes the core, if nobody has it, and does all that
//! waits, its own jobs and others'.

use super::core::Core;
use super::intake::{Batch, Intake};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};

/// Drains what waits, and looks again after letting go of the core, so that no job is left by a caller that came while
/// the core was held. Whoever holds the core for something else calls this afterwards, for those who came meanwhile.
/// `wanted`: somebody found the core taken, or is about to try it.
pub fn combine(intake: &Intake, core: &Mutex<Core>, wanted: &AtomicBool, micro_batch: usize) {
    let mut batch = Batch::default();
    while intake.waiting() > 0 {
        // Said before the core is tried: whoever only looks at it meanwhile takes what waits afterwards.
        wanted.swap(true, Ordering::SeqCst);
        let Some(mut core) = core.try_lock() else { return };
        wanted.store(false, Ordering::SeqCst);
        while intake.take(micro_batch, true, &mut batch) {
            let _in_hand = intake.hold(&batch);
            core.process_until(&mut batch.jobs, &mut batch.until);
            batch.until.clear();
            // Under load this goes on and on: whoever waits for the core (figures, a publication) comes between.
            MutexGuard::bump(&mut core);
        }
    }
}
