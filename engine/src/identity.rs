//! Identity (idempotency): the same payment again is the same verdict again. One table per tenant, its newest keys in
//! memory, older ones in a cold store; bounded in time, in bytes of both, and in tenants, oldest out first. Past a
//! bound a retry is a new decision, and that is counted.

mod cold;
mod drawers;
mod filter;
mod table;
mod tenants;

pub use cold::{Cold, ColdError, Drawer, Entry, Known};

use crate::error::Error;
use crate::image::{Reader, Writer};
use crate::limits::IDENTITY_TENANTS_MAX;
use drawers::{DISK_ENTRY_BYTES, DRAWERS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use table::{CHUNK_MAX, ENTRY_BYTES};
use tenants::Tenants;

/// Bounds of the identity tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityLimits {
    /// How long a key is remembered, in ms of arrival time.
    pub horizon_ms: i64,
    /// Memory of one tenant's newest keys, in bytes.
    pub bytes_max: usize,
    /// Room of one tenant's older keys in the cold store, in bytes; 0: none goes there.
    pub disk_bytes_max: usize,
    /// Most tenants with keys in memory, at least 1. The keys of the one unused for longest go to the cold store; of
    /// sixteen times as many tenants there, that one's are forgotten.
    pub tenants_max: usize,
}

impl Default for IdentityLimits {
    /// A week, 256 MiB, 1 GiB on disk.
    fn default() -> Self {
        IdentityLimits {
            horizon_ms: 7 * 86_400_000,
            bytes_max: 256 << 20,
            disk_bytes_max: 1 << 30,
            tenants_max: IDENTITY_TENANTS_MAX,
        }
    }
}

impl IdentityLimits {
    /// Keys of a tenant in memory.
    fn memory_keys(&self) -> usize {
        (self.bytes_max / ENTRY_BYTES).clamp(1, 1 << 31)
    }
    /// Keys of a tenant on disk.
    fn disk_keys(&self) -> usize {
        self.disk_bytes_max / DISK_ENTRY_BYTES
    }
    /// Keys that leave memory at once: at most an eighth of either bound.
    fn chunk_keys(&self) -> usize {
        let disk = if self.disk_keys() == 0 { CHUNK_MAX } else { self.disk_keys() / DRAWERS };
        CHUNK_MAX.min(self.memory_keys() / 8).min(disk).max(1)
    }
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

/// Keys forgotten so far, by what for. A key that was given twice may count twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Older than the horizon.
    pub age: u64,
    /// For a bound of bytes, before the horizon had passed.
    pub room: u64,
    /// For the bound of tenants, before the horizon had passed.
    pub tenants: u64,
    /// The cold store did not take them.
    pub failed: u64,
}

/// Figures of the identity tables, all tenants together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdentityStats {
    /// Keys in memory.
    pub memory_keys: u64,
    /// Keys in the cold store.
    pub disk_keys: u64,
    /// Bytes of the keys in memory.
    pub memory_bytes: u64,
    /// Bytes of the filters over the cold store, in memory too.
    pub filter_bytes: u64,
    /// Bytes of the cold store.
    pub disk_bytes: u64,
    /// Keys forgotten.
    pub evicted: Evicted,
    /// Reads and writes that the cold store failed.
    pub failures: u64,
}

/// What all tenants share: the store, and the counts.
#[derive(Debug, Default)]
struct Shared {
    cold: Option<Box<dyn Cold>>,
    drawers: u64,
    evicted: Evicted,
    /// Atomic only because a look-up counts too, and changes nothing else.
    failures: AtomicU64,
}

impl Shared {
    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
    fn next_drawer(&mut self) -> Drawer {
        self.drawers += 1;
        Drawer(self.drawers)
    }
}

/// All tenants' identity tables.
#[derive(Debug)]
pub struct Identity {
    limits: IdentityLimits,
    tenants: Tenants,
    shared: Shared,
}

impl Identity {
    /// Empty tables under bounds, in memory only.
    pub fn new(limits: IdentityLimits) -> Identity {
        Identity { limits, tenants: Tenants::default(), shared: Shared::default() }
    }
    /// With a store for what memory has no room for. It must be empty, and is to be given before the first key.
    #[must_use]
    pub fn with_cold(mut self, cold: Box<dyn Cold>) -> Identity {
        self.shared.cold = Some(cold);
        self
    }
    /// Its bounds.
    pub fn limits(&self) -> &IdentityLimits {
        &self.limits
    }
    /// What is known of a key at a moment, in ms. What is older than the horizon is new, whether it is still kept or
    /// not. Changes nothing, so that answers do not depend on who asked before.
    pub fn look_up(&self, tenant: &str, key: u128, digest: u128, now_ms: i64) -> Seen {
        match self.known(tenant, key, now_ms) {
            None => Seen::New,
            Some(known) if known.digest == digest => Seen::Same(known.sequence),
            Some(known) => Seen::Different(known.sequence),
        }
    }
    /// The sequence of a key, whatever its digest, as of the tenant's last arrival.
    pub fn sequence(&self, tenant: &str, key: u128) -> Option<u64> {
        self.sequence_at(tenant, key, i64::MIN)
    }
    /// The sequence of a key, whatever its digest, at a moment, in ms.
    pub fn sequence_at(&self, tenant: &str, key: u128, now_ms: i64) -> Option<u64> {
        self.known(tenant, key, now_ms).map(|known| known.sequence)
    }

    fn known(&self, tenant: &str, key: u128, now_ms: i64) -> Option<Known> {
        let tenant = self.tenants.get(tenant)?;
        // A clock that goes back does not bring forgotten keys back.
        let now_ms = now_ms.max(tenant.clock_ms);
        let known = tenant.table.get(key).or_else(|| tenant.drawers.get(key, &self.shared))?;
        (now_ms.saturating_sub(known.arrival_ms) <= self.limits.horizon_ms).then_some(known)
    }

    /// Remembers a key; what it was known for before is forgotten. Arrival times come from one clock; one that goes
    /// back counts as the tenant's latest, and its key merely lives a little longer.
    pub fn remember(&mut self, tenant: &Arc<str>, key: u128, digest: u128, sequence: u64, arrival_ms: i64) {
        let IdentityLimits { horizon_ms, .. } = self.limits;
        let (limits, shared) = (&self.limits, &mut self.shared);
        let chunk = limits.chunk_keys();
        let known = self.tenants.touch(tenant, chunk, arrival_ms);
        let clock_ms = known.clock_ms;
        let old = |ms: i64| clock_ms.saturating_sub(ms) > horizon_ms;
        while known.table.front_newest_ms().is_some_and(old) {
            shared.evicted.age += known.table.take_front(chunk).len() as u64;
        }
        known.drawers.expire(clock_ms, horizon_ms, shared);
        while known.table.places() >= limits.memory_keys() {
            known.push_out(chunk, limits, shared);
        }
        // In order of arrival, so that what comes first is oldest everywhere, and a key's newest entry outlives others.
        known.table.push(Entry { key, known: Known { sequence, digest, arrival_ms: clock_ms } });
        self.tenants.keep_within(limits, shared);
    }

    /// Writes all but what lies in the cold store ([`Identity::each_cold`]) and how often that failed.
    pub fn save(&self, to: &mut Writer<'_>) {
        let Evicted { age, room, tenants, failed } = self.shared.evicted;
        to.u64s(&[self.shared.drawers, age, room, tenants, failed]);
        self.tenants.save(to);
    }
    /// What [`Identity::save`] wrote, into empty tables under the same bounds, whose store holds already what it held
    /// then.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Error> {
        let mut counts = [0; 5];
        from.u64s(&mut counts)?;
        let [drawers, age, room, tenants, failed] = counts;
        (self.shared.drawers, self.shared.evicted) = (drawers, Evicted { age, room, tenants, failed });
        self.tenants = Tenants::load(from, &self.limits)?;
        Ok(())
    }
    /// The drawers of the cold store that are in use, tenant by tenant by name, oldest first.
    pub fn drawers(&self) -> impl Iterator<Item = Drawer> {
        self.tenants.sorted().into_iter().flat_map(|(_, tenant)| tenant.drawers.names())
    }
    /// What the cold store holds of a drawer, each key once, in ascending order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn each_cold(&self, drawer: Drawer, each: &mut dyn FnMut(&Entry)) -> Result<(), ColdError> {
        self.shared.cold.as_ref().map_or(Ok(()), |cold| cold.each(drawer, each))
    }

    /// Figures, for metrics; looks at every tenant.
    pub fn stats(&self) -> IdentityStats {
        let mut stats = IdentityStats {
            evicted: self.shared.evicted,
            failures: self.shared.failures.load(Ordering::Relaxed),
            ..IdentityStats::default()
        };
        if let Some(cold) = &self.shared.cold {
            stats.disk_bytes = cold.bytes();
            stats.evicted.failed += cold.lost();
        }
        for tenant in self.tenants.iter() {
            stats.memory_keys += tenant.table.len() as u64;
            stats.disk_keys += tenant.drawers.len() as u64;
            stats.memory_bytes += tenant.table.bytes() as u64;
            stats.filter_bytes += tenant.drawers.bytes() as u64;
        }
        stats
    }
}

#[cfg(test)]
mod tests;
