//! Which tenants have keys in memory. Past the bound the one unused for longest gives its keys to the cold store, a
//! few with each payment, so that no payment waits for a whole table; what is unused there for longest is forgotten.

use super::drawers::Drawers;
use super::table::Table;
use super::{IdentityLimits, Shared};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::IDENTITY_TENANTS_KNOWN;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

/// Keys of tenants that leave memory, moved with each key that comes: more than come, so they do leave.
const LEAVING_KEYS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has keys in memory.
    Hot,
    /// Is giving them up.
    Leaving,
    /// Has none.
    Cold,
}

#[derive(Debug)]
pub(super) struct Tenant {
    /// The latest arrival time; ages are judged by it.
    pub(super) clock_ms: i64,
    pub(super) table: Table,
    pub(super) drawers: Drawers,
    used: u64,
    state: State,
}

impl Tenant {
    /// Moves up to `count` of the oldest keys from memory to the cold store, but for those older than the horizon.
    pub(super) fn push_out(&mut self, count: usize, limits: &IdentityLimits, shared: &mut Shared) {
        let mut batch = self.table.take_front(count);
        let before = batch.len();
        let clock_ms = self.clock_ms;
        batch.retain(|entry| clock_ms.saturating_sub(entry.known.arrival_ms) <= limits.horizon_ms);
        shared.evicted.age += (before - batch.len()) as u64;
        self.drawers.put(batch, limits.disk_keys(), shared);
    }
}

impl Tenant {
    fn save(&self, to: &mut Writer<'_>) {
        to.i64(self.clock_ms);
        to.u64(self.used);
        to.u8(self.state as u8);
        self.table.save(to);
        self.drawers.save(to);
    }
    fn load(from: &mut Reader<'_>, limits: &IdentityLimits) -> Result<Tenant, Error> {
        let (clock_ms, used) = (from.i64()?, from.u64()?);
        let state = match from.u8()? {
            0 => State::Hot,
            1 => State::Leaving,
            2 => State::Cold,
            other => return Err(senseless(format_args!("a tenant in state {other}"))),
        };
        let table = Table::load(from, limits.chunk_keys(), limits.memory_keys())?;
        let drawers = Drawers::load(from, limits.disk_keys())?;
        Ok(Tenant { clock_ms, table, drawers, used, state })
    }
}

#[derive(Debug, Default)]
pub(super) struct Tenants {
    by_name: HashMap<Arc<str>, Tenant, foldhash::fast::FixedState>,
    /// Each hot tenant once, by when it was used, as far as is known here: the first is asked and put back.
    hot: BinaryHeap<Reverse<(u64, Arc<str>)>>,
    leaving: VecDeque<Arc<str>>,
    cold: BTreeSet<(u64, Arc<str>)>,
    ticks: u64,
}

impl Tenants {
    pub(super) fn get(&self, name: &str) -> Option<&Tenant> {
        self.by_name.get(name)
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.by_name.values()
    }
    /// The tenant, made where it is new, that gets a key now.
    pub(super) fn touch(&mut self, name: &Arc<str>, chunk: usize, arrival_ms: i64) -> &mut Tenant {
        self.ticks += 1;
        let tenant = self.by_name.entry(name.clone()).or_insert_with(|| Tenant {
            clock_ms: i64::MIN,
            table: Table::new(chunk),
            drawers: Drawers::default(),
            used: 0,
            state: State::Cold,
        });
        if tenant.state != State::Hot {
            self.cold.remove(&(tenant.used, name.clone()));
            self.hot.push(Reverse((self.ticks, name.clone())));
            tenant.state = State::Hot;
        }
        tenant.used = self.ticks;
        tenant.clock_ms = tenant.clock_ms.max(arrival_ms);
        tenant
    }
    /// Keeps the bounds of tenants.
    pub(super) fn keep_within(&mut self, limits: &IdentityLimits, shared: &mut Shared) {
        while self.hot.len() > limits.tenants_max.max(1) {
            self.retire(shared.cold.is_some() && limits.disk_keys() > 0, shared);
        }
        if !self.leaving.is_empty() {
            self.move_out(limits, shared);
        }
        let known_max = limits.tenants_max.max(1).saturating_mul(IDENTITY_TENANTS_KNOWN);
        while self.by_name.len() > known_max {
            let Some((_, name)) = self.cold.pop_first() else { return };
            if let Some(mut tenant) = self.by_name.remove(&name) {
                while tenant.drawers.len() > 0 {
                    shared.evicted.tenants += tenant.drawers.forget_oldest(shared);
                }
            }
        }
    }
    /// Names and tables, by name.
    pub(super) fn sorted(&self) -> Vec<(&Arc<str>, &Tenant)> {
        let mut all: Vec<_> = self.by_name.iter().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
    /// Writes all of them, by name. Which are cold their states say.
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        to.u64(self.ticks);
        to.count(self.by_name.len());
        for (name, tenant) in self.sorted() {
            to.text(name);
            tenant.save(to);
        }
        let mut hot: Vec<_> = self.hot.iter().collect();
        hot.sort_unstable();
        to.count(hot.len());
        for Reverse((used, name)) in hot {
            to.u64(*used);
            to.text(name);
        }
        to.count(self.leaving.len());
        self.leaving.iter().for_each(|name| to.text(name));
    }
    /// What [`Tenants::save`] wrote, under the same bounds.
    pub(super) fn load(from: &mut Reader<'_>, limits: &IdentityLimits) -> Result<Tenants, Error> {
        let mut tenants = Tenants { ticks: from.u64()?, ..Tenants::default() };
        let known_max = limits.tenants_max.max(1).saturating_mul(IDENTITY_TENANTS_KNOWN);
        for _ in 0..from.count(known_max)? {
            let name: Arc<str> = from.text()?.into();
            let tenant = Tenant::load(from, limits)?;
            if tenant.state == State::Cold {
                tenants.cold.insert((tenant.used, name.clone()));
            }
            tenants.by_name.insert(name, tenant);
        }
        for _ in 0..from.count(known_max)? {
            tenants.hot.push(Reverse((from.u64()?, from.text()?.into())));
        }
        for _ in 0..from.count(usize::MAX)? {
            tenants.leaving.push_back(from.text()?.into());
        }
        Ok(tenants)
    }
    /// Takes memory from the tenant unused for longest.
    fn retire(&mut self, to_disk: bool, shared: &mut Shared) {
        let Some(Reverse((used, name))) = self.hot.pop() else { return };
        let Some(tenant) = self.by_name.get_mut(&name) else { return };
        if tenant.used != used {
            self.hot.push(Reverse((tenant.used, name)));
        } else if to_disk {
            tenant.state = State::Leaving;
            self.leaving.push_back(name);
        } else {
            shared.evicted.tenants += tenant.table.len() as u64;
            self.by_name.remove(&name);
        }
    }
    fn move_out(&mut self, limits: &IdentityLimits, shared: &mut Shared) {
        let mut room = LEAVING_KEYS;
        while let Some(name) = self.leaving.front() {
            let tenant = self.by_name.get_mut(name).filter(|tenant| tenant.state == State::Leaving);
            if let Some(tenant) = tenant {
                let places = tenant.table.places();
                tenant.push_out(room, limits, shared);
                room -= places - tenant.table.places();
                if tenant.table.places() > 0 && room == 0 {
                    return;
                }
                if tenant.table.places() > 0 {
                    continue;
                }
                tenant.state = State::Cold;
                if tenant.drawers.len() == 0 {
                    self.by_name.remove(name);
                } else {
                    self.cold.insert((tenant.used, name.clone()));
                }
            }
            self.leaving.pop_front();
            if room == 0 {
                return;
            }
        }
    }
}
