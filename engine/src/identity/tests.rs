//! Identity against a plain map: whatever is within horizon and bounds is known, whatever is past the horizon is not.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

/// Drawers in memory; can be told to fail.
#[derive(Debug, Default)]
struct Shelf {
    drawers: HashMap<Drawer, Vec<Entry>>,
    broken: Arc<AtomicBool>,
}

impl Shelf {
    fn check(&self) -> Result<(), ColdError> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(ColdError("told to fail".into())),
            false => Ok(()),
        }
    }
}

impl Cold for Shelf {
    fn get(&self, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError> {
        self.check()?;
        let drawer = self.drawers.get(&drawer).expect("a drawer that was put to");
        Ok(drawer.iter().rev().find(|entry| entry.key == key).map(|entry| entry.known))
    }
    fn put_all(&mut self, drawer: Drawer, batch: Arc<[Entry]>) -> Result<(), ColdError> {
        self.check()?;
        self.drawers.entry(drawer).or_default().extend(batch.iter());
        Ok(())
    }
    fn forget(&mut self, drawer: Drawer) -> Result<(), ColdError> {
        self.drawers.remove(&drawer).expect("a drawer that was put to");
        self.check()
    }
    fn each(&self, drawer: Drawer, each: &mut dyn FnMut(&Entry)) -> Result<(), ColdError> {
        self.check()?;
        let drawer = self.drawers.get(&drawer).expect("a drawer that was put to");
        let by_key: std::collections::BTreeMap<u128, &Entry> = drawer.iter().map(|e| (e.key, e)).collect();
        by_key.values().for_each(|entry| each(entry));
        Ok(())
    }
    fn bytes(&self) -> u64 {
        self.drawers.values().map(|drawer| drawer.len() as u64).sum()
    }
}

fn limits(memory: usize, disk: usize, horizon_ms: i64, tenants_max: usize) -> IdentityLimits {
    let (bytes_max, disk_bytes_max) = (memory * ENTRY_BYTES, disk * DISK_ENTRY_BYTES);
    IdentityLimits { horizon_ms, bytes_max, disk_bytes_max, tenants_max }
}

#[test]
fn the_same_payment_is_known_and_another_one_under_its_key_is_told_apart() {
    let mut ids = Identity::new(limits(8, 0, 1000, 8));
    let acme: Arc<str> = "acme".into();
    assert_eq!(ids.look_up("acme", 1, 10, 0), Seen::New);
    ids.remember(&acme, 1, 10, 7, 0);
    assert_eq!(ids.look_up("acme", 1, 10, 1000), Seen::Same(7));
    assert_eq!(ids.look_up("acme", 1, 11, 0), Seen::Different(7));
    assert_eq!(ids.look_up("other", 1, 10, 0), Seen::New, "tenants do not share keys");
    assert_eq!(ids.look_up("acme", 1, 10, 1001), Seen::New, "past the horizon, whoever else came meanwhile");
}

#[test]
fn without_a_store_the_oldest_goes_for_room_and_by_age_and_is_counted() {
    let mut ids = Identity::new(limits(2, 0, 1000, 8));
    let acme: Arc<str> = "acme".into();
    for (key, arrival) in [(1, 0), (2, 10), (3, 20)] {
        ids.remember(&acme, key, 0, key as u64, arrival);
    }
    assert_eq!((ids.sequence("acme", 1), ids.sequence("acme", 3)), (None, Some(3)));
    ids.remember(&acme, 4, 0, 4, 1021);
    assert_eq!((ids.sequence("acme", 3), ids.stats().memory_keys), (None, 1), "2 and 3 are too old");
    assert_eq!(ids.stats().evicted, Evicted { age: 2, room: 1, ..Evicted::default() });
}

#[test]
fn a_store_that_fails_costs_what_it_holds_and_is_counted() {
    let shelf = Shelf::default();
    let broken = shelf.broken.clone();
    let mut ids = Identity::new(limits(1, 100, 1000, 8)).with_cold(Box::new(shelf));
    let acme: Arc<str> = "acme".into();
    (1..=3).for_each(|key| ids.remember(&acme, key, 0, key as u64, 0));
    assert_eq!(ids.look_up("acme", 1, 0, 0), Seen::Same(1));
    broken.store(true, Ordering::Relaxed);
    assert_eq!(ids.look_up("acme", 1, 0, 0), Seen::New);
    assert_eq!(ids.look_up("acme", 3, 0, 0), Seen::Same(3), "memory is as it was");
    ids.remember(&acme, 4, 0, 4, 0);
    let stats = ids.stats();
    assert_eq!((stats.failures, stats.evicted.failed), (2, 1));
    broken.store(false, Ordering::Relaxed);
    assert_eq!(ids.look_up("acme", 2, 0, 0), Seen::Same(2));
    assert_eq!(ids.look_up("acme", 3, 0, 0), Seen::New, "it was to be put while the store failed");
}

#[test]
fn tenants_past_the_bound_are_found_on_disk_and_at_last_forgotten() {
    let mut ids = Identity::new(limits(64, 64, 1000, 2)).with_cold(Box::new(Shelf::default()));
    let tenant = |n: u64| -> Arc<str> { format!("t{n}").into() };
    for n in 0..32 {
        (0..5).for_each(|key| ids.remember(&tenant(n), key, 0, 10 * n + key as u64, 0));
    }
    for n in 0..32 {
        (0..5).for_each(|key| assert_eq!(ids.sequence(&tenant(n), key), Some(10 * n + key as u64)));
    }
    let stats = ids.stats();
    assert_eq!((stats.memory_keys, stats.disk_keys, stats.evicted), (10, 150, Evicted::default()));
    // The first comes back, so the second is the one unused for longest.
    ids.remember(&tenant(0), 9, 0, 9, 0);
    ids.remember(&tenant(32), 0, 0, 320, 0);
    assert_eq!(
        (ids.sequence("t0", 0), ids.sequence("t0", 9), ids.sequence("t1", 0)),
        (Some(0), Some(9), None)
    );
    assert_eq!(ids.stats().evicted, Evicted { tenants: 5, ..Evicted::default() });
}

#[test]
fn a_full_table_of_an_idle_tenant_leaves_memory_bit_by_bit() {
    let mut ids = Identity::new(limits(4096, 1 << 20, 1000, 1)).with_cold(Box::new(Shelf::default()));
    let (big, other): (Arc<str>, Arc<str>) = ("big".into(), "other".into());
    (0..4000).for_each(|key| ids.remember(&big, key, 0, key as u64, 0));
    let mut before = 4000;
    for n in 0..=62 {
        ids.remember(&other, n, 0, 0, 0);
        let (memory, disk) = (ids.stats().memory_keys - (n as u64 + 1), ids.stats().disk_keys);
        assert_eq!((memory + disk, before - memory), (4000, before.min(LEAVING)), "after {n}");
        assert_eq!(ids.sequence("big", n * 64), Some(n as u64 * 64));
        before = memory;
    }
    assert_eq!(before, 0);
    ids.remember(&big, 4000, 0, 4000, 0);
    (0..=4000).for_each(|key| assert_eq!(ids.sequence("big", key), Some(key as u64)));
}
const LEAVING: u64 = 64;

/// A tenant's keys in the order they came, never thrown away.
#[derive(Default)]
struct Plain {
    clock_ms: i64,
    order: Vec<(u128, Known)>,
}

impl Plain {
    fn known(&self, key: u128, now_ms: i64, horizon_ms: i64) -> Option<(usize, Known)> {
        let at = self.order.iter().rposition(|(known, _)| *known == key)?;
        let known = self.order[at].1;
        (now_ms.max(self.clock_ms) - known.arrival_ms <= horizon_ms).then_some((self.order.len() - at, known))
    }
}

proptest! {
    #[test]
    fn it_answers_as_a_plain_map_within_horizon_and_bounds(
        memory in 1usize..40,
        disk in prop::sample::select(vec![0, 7, 64, 4000]),
        tenants_max in 1usize..4,
        steps in prop::collection::vec((0usize..5, 0u128..60, 0u128..2, -3i64..12), 0..400),
    ) {
        const HORIZON_MS: i64 = 600;
        let names: Vec<Arc<str>> = (0..5).map(|n| format!("t{n}").into()).collect();
        let mut ids = Identity::new(limits(memory, disk, HORIZON_MS, tenants_max));
        if disk > 0 {
            ids = ids.with_cold(Box::new(Shelf::default()));
        }
        let mut plain: Vec<Plain> = names.iter().map(|_| Plain::default()).collect();
        let mut now_ms = 0;
        for (sequence, (who, key, digest, passes_ms)) in steps.into_iter().enumerate() {
            now_ms += passes_ms;
            let (name, model) = (&names[who], &mut plain[who]);
            let seen = ids.look_up(name, key, digest, now_ms);
            let known = model.known(key, now_ms, HORIZON_MS);
            let expected = match known {
                None => Seen::New,
                Some((_, known)) if known.digest == digest => Seen::Same(known.sequence),
                Some((_, known)) => Seen::Different(known.sequence),
            };
            // Other tenants may push this one's keys to disk, which keeps seven eighths of its bound and more.
            let kept = if disk == 4000 { usize::MAX } else { disk - disk / 4 };
            if known.is_none_or(|(age, _)| age <= kept) {
                prop_assert_eq!(seen, expected, "key {} of {} at step {}", key, name, sequence);
            } else {
                prop_assert!(seen == expected || seen == Seen::New, "never what was outdated since");
            }
            // Every other one is remembered although known: ids of payments under a header key come again.
            if seen == Seen::New || sequence % 2 == 0 {
                let sequence = sequence as u64;
                ids.remember(name, key, digest, sequence, now_ms);
                model.clock_ms = model.clock_ms.max(now_ms);
                model.order.push((key, Known { sequence, digest, arrival_ms: model.clock_ms }));
            }
            let stats = ids.stats();
            // Tables being moved out are beside the tenants' bound, here never more than the other ones.
            prop_assert!(stats.memory_keys as usize <= memory * names.len());
            prop_assert!(stats.disk_keys as usize <= disk * names.len());
        }
    }
}
