//! Identity (idempotency): the same payment again is the same verdict again. One table per tenant, bounded in time
//! and in entries, oldest out first; past the bound a retry is a new decision, and that is counted.

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes one entry costs, table and queue together (measured by filling one: 16-byte keys in a table at most 7/8
/// full, and a queue slot).
const ENTRY_BYTES: usize = 96;

/// Bounds of the identity tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityLimits {
    /// How long a key is remembered, in ms of arrival time.
    pub horizon_ms: i64,
    /// Memory of one tenant's table, in bytes.
    pub bytes_max: usize,
}

/// What identity says of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not known: a new decision.
    New,
    /// The same payment, decided or being decided at this sequence.
    Same(u64),
    /// Another payment under the same key, at this sequence.
    Different(u64),
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<u128, (u64, u128), foldhash::fast::FixedState>,
    /// Keys with their arrival time, in the order they came.
    order: VecDeque<(i64, u128)>,
}

/// All tenants' identity tables.
#[derive(Debug)]
pub struct Identity {
    limits: IdentityLimits,
    tenants: HashMap<Arc<str>, Table, foldhash::fast::FixedState>,
    evicted: u64,
}

impl Identity {
    /// Empty tables under bounds.
    pub fn new(limits: IdentityLimits) -> Identity {
        Identity { limits, tenants: HashMap::default(), evicted: 0 }
    }
    /// What is known of a key.
    pub fn look_up(&self, tenant: &str, key: u128, digest: u128) -> Seen {
        match self.tenants.get(tenant).and_then(|table| table.by_key.get(&key)) {
            None => Seen::New,
            Some((sequence, known)) if *known == digest => Seen::Same(*sequence),
            Some((sequence, _)) => Seen::Different(*sequence),
        }
    }
    /// The sequence of a key, whatever its digest.
    pub fn sequence(&self, tenant: &str, key: u128) -> Option<u64> {
        self.tenants.get(tenant)?.by_key.get(&key).map(|(sequence, _)| *sequence)
    }
    /// Remembers a key that `look_up` did not know. Arrival times come from one clock; one that goes back is taken
    /// as it is and merely lives a little longer.
    pub fn remember(&mut self, tenant: &Arc<str>, key: u128, digest: u128, sequence: u64, arrival_ms: i64) {
        let table = self.tenants.entry(tenant.clone()).or_default();
        let entries_max = (self.limits.bytes_max / ENTRY_BYTES).max(1);
        while let Some(&(oldest_ms, oldest)) = table.order.front() {
            if table.order.len() < entries_max && arrival_ms - oldest_ms <= self.limits.horizon_ms {
                break;
            }
            table.order.pop_front();
            table.by_key.remove(&oldest);
            self.evicted += 1;
        }
        table.by_key.insert(key, (sequence, digest));
        table.order.push_back((arrival_ms, key));
    }
    /// Keys forgotten so far, by age or for room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
    /// Keys remembered.
    pub fn len(&self) -> usize {
        self.tenants.values().map(|table| table.order.len()).sum()
    }
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(entries: usize, horizon_ms: i64) -> Identity {
        Identity::new(IdentityLimits { horizon_ms, bytes_max: entries * ENTRY_BYTES })
    }

    #[test]
    fn the_same_payment_is_known_and_another_one_under_its_key_is_told_apart() {
        let mut ids = identity(8, 1000);
        let acme: Arc<str> = "acme".into();
        assert_eq!(ids.look_up("acme", 1, 10), Seen::New);
        ids.remember(&acme, 1, 10, 7, 0);
        assert_eq!(ids.look_up("acme", 1, 10), Seen::Same(7));
        assert_eq!(ids.look_up("acme", 1, 11), Seen::Different(7));
        assert_eq!(ids.look_up("other", 1, 10), Seen::New, "tenants do not share keys");
    }

    #[test]
    fn the_oldest_goes_first_by_age_and_for_room() {
        let mut ids = identity(2, 1000);
        let acme: Arc<str> = "acme".into();
        for (key, arrival) in [(1, 0), (2, 10), (3, 20)] {
            ids.remember(&acme, key, 0, key as u64, arrival);
        }
        assert_eq!((ids.sequence("acme", 1), ids.sequence("acme", 3)), (None, Some(3)));
        ids.remember(&acme, 4, 0, 4, 1021);
        assert_eq!((ids.sequence("acme", 3), ids.len()), (None, 1), "2 and 3 are older than the horizon");
        assert_eq!(ids.evicted(), 3);
    }
}
