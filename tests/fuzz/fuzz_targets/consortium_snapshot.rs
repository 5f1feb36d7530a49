//! Any bytes as a snapshot: refused, or rows that are exported and that differ in nothing from themselves; nothing panics.
#![no_main]

use interdict_consortium::epoch::{Delta, Snapshot, delta, export};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::open(bytes) else { return };
    assert!(snapshot.rows().all(|row| snapshot.find(&row.key) == Some(row)));
    export::csv(&snapshot, ()).expect("rows that were read");
    let (mut written, mut again) = (Vec::new(), Vec::new());
    let (_, counts) = delta::write(&snapshot, &[0; 32], &snapshot, &mut written).expect("a delta of nothing");
    assert_eq!(counts, delta::Counts::default());
    let delta = Delta::open(&written).expect("a delta that was written");
    delta::apply(&snapshot, &[0; 32], &delta, &mut again).expect("a delta of its parent");
    assert_eq!(again, bytes);
});
