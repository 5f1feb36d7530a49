//! Any bytes as a delta: refused, or as many changes as it counts.
#![no_main]

use interdict_consortium::epoch::Delta;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(delta) = Delta::open(bytes) else { return };
    let counts = delta.counts();
    assert_eq!(delta.changes().count() as u64, counts.added + counts.changed + counts.removed);
});
