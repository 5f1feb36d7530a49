//! Any bytes as a state, and any bytes with the hash that makes them one: refused, or groups of stands.
#![no_main]

use interdict_consortium::epoch::State;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|bytes: &[u8]| {
    let hashed = [bytes, &Sha256::digest(bytes)].concat();
    for bytes in [bytes, &hashed] {
        let Ok(state) = State::open(bytes) else { continue };
        let (mut groups, mut stands, mut count) = (state.groups(), Vec::new(), 0);
        while groups.next(&mut stands).is_some() {
            count += stands.len();
        }
        assert_eq!(count, state.len());
        state.tallies();
    }
});
