//! The store alone, and identity over it against a plain map: the same answers whenever its thread writes.
#![allow(clippy::unwrap_used)]

use super::*;
use interdict_engine::identity::{Identity, IdentityLimits, Seen};
use proptest::prelude::*;
use std::collections::HashMap;

fn entry(key: u128, sequence: u64) -> Entry {
    Entry { key, known: Known { sequence, digest: !key, arrival_ms: -5 } }
}

/// Keys all over the key space, as keyed hashes are.
fn hashed(n: u64) -> u128 {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (n << 7);
    u128::from(mixed) << 64 | u128::from(mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

#[test]
fn what_was_put_is_found_written_or_not_and_of_a_key_put_twice_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.redb");
    std::fs::write(&path, b"what a crash, or somebody else, left").unwrap();
    let mut store = IdentityStore::new(&path);
    assert_eq!(store.get(Drawer(1), 7), Ok(None));
    for flush in [false, true] {
        let drawer = Drawer(1 + u64::from(flush));
        store.put_all(drawer, vec![entry(u128::MAX, 1), entry(7, 2), entry(7, 3)].into()).unwrap();
        store.put_all(drawer, vec![entry(0, 4), entry(7, 5)].into()).unwrap();
        if flush {
            store.flush();
        }
        for (key, sequence) in [(u128::MAX, Some(1)), (7, Some(5)), (0, Some(4)), (8, None)] {
            let known = store.get(drawer, key).unwrap();
            assert_eq!(known, sequence.map(|sequence| entry(key, sequence).known), "{key}, flushed: {flush}");
        }
    }
    store.forget(Drawer(1)).unwrap();
    store.flush();
    assert_eq!(store.get(Drawer(1), 7), Ok(None));
    assert_eq!(store.get(Drawer(2), 7).unwrap().unwrap().sequence, 5);
    drop(store);
    let mut again = IdentityStore::new(&path);
    again.put_all(Drawer(2), vec![entry(1, 1)].into()).unwrap();
    again.flush();
    assert_eq!(again.get(Drawer(2), 7), Ok(None), "a new store begins empty");
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_each_time_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.redb");
    std::fs::create_dir(&path).unwrap();
    let mut store = IdentityStore::new(&path);
    for _ in 0..2 {
        let why = store.put_all(Drawer(1), vec![entry(1, 1)].into()).unwrap_err();
        assert!(why.to_string().starts_with("identity store: making the file: "), "{why}");
        assert!(store.get(Drawer(1), 1).is_err());
    }
}

#[test]
fn keys_on_disk_cost_no_more_than_they_are_counted_for() {
    const KEYS: usize = 120_000;
    const BYTES: usize = 96 * KEYS;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.redb");
    let limits = IdentityLimits { bytes_max: 1 << 20, disk_bytes_max: BYTES, ..IdentityLimits::default() };
    let mut ids = Identity::new(limits).with_cold(Box::new(IdentityStore::new(&path)));
    let tenant: Arc<str> = "t".into();
    for n in 0..3 * KEYS as u64 {
        ids.remember(&tenant, hashed(n), 0, n, 0);
    }
    let stats = ids.stats();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
    println!("{} keys on disk, {} bytes of the file, {blocks} on disk", stats.disk_keys, stats.disk_bytes);
    assert_eq!((stats.failures, stats.evicted.failed), (0, 0));
    assert!(stats.disk_keys as usize > KEYS * 3 / 4, "{stats:?}");
    // Pages being replaced wait a transaction before they are used again.
    assert!(blocks as usize <= BYTES + BYTES / 4, "{blocks} for {BYTES}");
    let last = 3 * KEYS as u64 - 1;
    let oldest_kept = last + 1 - stats.disk_keys - stats.memory_keys;
    for n in (oldest_kept..=last).step_by(997) {
        assert_eq!(ids.look_up("t", hashed(n), 0, 0), Seen::Same(n));
    }
    assert_eq!(ids.look_up("t", hashed(oldest_kept - 1), 0, 0), Seen::New);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn identity_over_it_answers_as_a_plain_map_whenever_it_writes(
        memory in 1usize..20,
        steps in prop::collection::vec((0usize..3, 0u64..200, 0u128..2, 0i64..3), 100..600),
    ) {
        const HORIZON_MS: i64 = 300;
        let dir = tempfile::tempdir().unwrap();
        let names: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
        let limits =
            IdentityLimits { horizon_ms: HORIZON_MS, bytes_max: 64 * memory, disk_bytes_max: 1 << 20, tenants_max: 2 };
        let path = dir.path().join("identity.redb");
        let mut ids = Identity::new(limits).with_cold(Box::new(IdentityStore::new(&path)));
        let mut plain: HashMap<(usize, u64), Known> = HashMap::new();
        let mut now_ms = 0;
        for (sequence, (who, key, digest, passes_ms)) in steps.into_iter().enumerate() {
            now_ms += passes_ms;
            let known = plain.get(&(who, key)).filter(|known| now_ms - known.arrival_ms <= HORIZON_MS);
            let expected = match known {
                None => Seen::New,
                Some(known) if known.digest == digest => Seen::Same(known.sequence),
                Some(known) => Seen::Different(known.sequence),
            };
            prop_assert_eq!(ids.look_up(&names[who], hashed(key), digest, now_ms), expected);
            if expected == Seen::New {
                let sequence = sequence as u64;
                ids.remember(&names[who], hashed(key), digest, sequence, now_ms);
                plain.insert((who, key), Known { sequence, digest, arrival_ms: now_ms });
            }
        }
        prop_assert_eq!(ids.stats().failures, 0);
    }
}
