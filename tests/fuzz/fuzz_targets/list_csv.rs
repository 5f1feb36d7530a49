//! Any bytes as a list file: no panic, and either entries or errors, never more than the bound of them.
#![no_main]

use interdict_ingest::TagKeys;
use interdict_ingest::decode::entries::ERRORS_MAX;
use interdict_ingest::lists::{csv, jsonl};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEYS: LazyLock<TagKeys> = LazyLock::new(|| TagKeys::new(&[7; 32]));

fuzz_target!(|file: &[u8]| {
    for read in [csv::read_entries(file, "f", KEYS.shared(), ""), jsonl::read_entries(file, "f", KEYS.shared(), "")] {
        if let Err(errors) = read {
            assert!((1..=ERRORS_MAX + 1).contains(&errors.len()));
        }
    }
});
