//! The fuzzers' corpora as an ordinary test: whatever a fuzzer has found stays found. Every file goes to every reader.

use crate::import::{canonical, policies};
use interdict_consortium::epoch::{self, Delta, Snapshot, State, export};
use interdict_consortium::signal::draft::Defaults;
use interdict_consortium::signal::{Body, Manifest, Reason, csv, misp};
use std::path::PathBuf;

#[test]
fn the_fuzzers_corpora_break_nothing() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let policies = policies();
    let defaults = Defaults { policies: &policies, reason: Reason::OTHER, now_ms: 1_795_132_800_000 };
    let mut right = [0; 7];
    for folder in std::fs::read_dir(corpus).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            let read = [
                Body::read(&bytes).is_ok(),
                // What is read can be exported.
                Snapshot::open(&bytes)
                    .is_ok_and(|snapshot| export::csv(&snapshot, ()).map(|()| true).unwrap()),
                Delta::open(&bytes).is_ok(),
                State::open(&bytes).is_ok(),
                Manifest::parse(text).is_ok() || epoch::Manifest::parse(text).is_ok(),
                csv::read(&bytes, &defaults, &mut canonical).is_ok(),
                misp::read(&bytes, &defaults, &mut canonical).is_ok(),
            ];
            right.iter_mut().zip(read).for_each(|(count, read)| *count += u32::from(read));
        }
    }
    assert!(
        right.iter().all(|count| *count > 0),
        "a reader that no file of the corpora is right for: {right:?}"
    );
}
