//! What one tenant has in the cold store: drawers from oldest to newest, each with its filter. Small ones first, each
//! up to twice the one before, so that a tenant with few keys costs little and one with many has few drawers to ask.

use super::Shared;
use super::cold::{Drawer, Entry, Known};
use super::filter::Filter;
use crate::error::Error;
use crate::image::{Reader, Writer};
use std::collections::VecDeque;

/// Bytes a key costs on disk at most (measured in `ledger/src/identity_store.rs`: pages of a tree of 48-byte entries
/// are 60 to 70 % full, and pages being replaced are there twice).
pub(super) const DISK_ENTRY_BYTES: usize = 96;
/// Keys of the smallest drawer.
const DRAWER_MIN: usize = 64;
/// A full disk bound is this many drawers, so at most this part of it is forgotten at once.
pub(super) const DRAWERS: usize = 8;

#[derive(Debug)]
struct Held {
    drawer: Drawer,
    filter: Filter,
    /// Keys put, and keys it is made for.
    keys: usize,
    keys_max: usize,
    newest_ms: i64,
}

/// One tenant's drawers.
#[derive(Debug, Default)]
pub(super) struct Drawers {
    held: VecDeque<Held>,
    keys: usize,
}

impl Drawers {
    /// Writes all but what lies in the store.
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        to.count(self.held.len());
        for Held { drawer, filter, keys, keys_max, newest_ms } in &self.held {
            to.u64s(&[drawer.0, *keys as u64, *keys_max as u64]);
            to.i64(*newest_ms);
            filter.save(to);
        }
    }
    /// What [`Drawers::save`] wrote, with at most so many keys.
    pub(super) fn load(from: &mut Reader<'_>, most: usize) -> Result<Drawers, Error> {
        let mut drawers = Drawers::default();
        for _ in 0..from.count(most)? {
            let drawer = Drawer(from.u64()?);
            let (keys, keys_max, newest_ms) = (from.count(most)?, from.count(most)?, from.i64()?);
            let filter = Filter::load(from, keys_max)?;
            drawers.keys += keys;
            drawers.held.push_back(Held { drawer, filter, keys, keys_max, newest_ms });
        }
        Ok(drawers)
    }
    /// Their names, oldest first.
    pub(super) fn names(&self) -> impl Iterator<Item = Drawer> {
        self.held.iter().map(|held| held.drawer)
    }
    /// Keys in them.
    pub(super) fn len(&self) -> usize {
        self.keys
    }
    /// Memory of their filters, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().map(|held| held.filter.bytes()).sum()
    }
    /// What they hold under a key, newest drawer first. A store that cannot be read is counted, and the key is then
    /// not known: what an older drawer says may be outdated.
    pub(super) fn get(&self, key: u128, shared: &Shared) -> Option<Known> {
        let cold = shared.cold.as_ref()?;
        for held in self.held.iter().rev().filter(|held| held.filter.may_hold(key)) {
            match cold.get(held.drawer, key) {
                Ok(Some(known)) => return Some(known),
                Ok(None) => {}
                Err(_) => {
                    shared.failed();
                    return None;
                }
            }
        }
        None
    }
    /// Puts a batch. What it pushes out, oldest drawers first, and what the store does not take is counted.
    pub(super) fn put(&mut self, batch: Vec<Entry>, keys_max: usize, shared: &mut Shared) {
        // Batches come in order of arrival.
        let Some(newest_ms) = batch.last().map(|entry| entry.known.arrival_ms) else { return };
        let count = batch.len();
        if shared.cold.is_none() || count > keys_max {
            shared.evicted.room += count as u64;
            return;
        }
        while self.keys + count > keys_max {
            shared.evicted.room += self.forget_oldest(shared);
        }
        if self.held.back().is_none_or(|last| last.keys + count > last.keys_max) {
            let double = self.held.back().map_or(DRAWER_MIN, |last| 2 * last.keys_max);
            let made_for = double.min(keys_max / DRAWERS).max(count);
            let drawer = shared.next_drawer();
            let filter = Filter::new(made_for);
            self.held.push_back(Held { drawer, filter, keys: 0, keys_max: made_for, newest_ms });
        }
        let last = self.held.back_mut().expect("one was just made where there was none");
        let cold = shared.cold.as_mut().expect("looked at above");
        let keys: Vec<u128> = batch.iter().map(|entry| entry.key).collect();
        if cold.put_all(last.drawer, batch.into()).is_err() {
            shared.failed();
            shared.evicted.failed += count as u64;
            return;
        }
        keys.into_iter().for_each(|key| last.filter.add(key));
        last.keys += count;
        last.newest_ms = newest_ms;
        self.keys += count;
    }
    /// Throws away the oldest drawers that hold nothing younger than the horizon.
    pub(super) fn expire(&mut self, clock_ms: i64, horizon_ms: i64, shared: &mut Shared) {
        while self.held.front().is_some_and(|held| clock_ms.saturating_sub(held.newest_ms) > horizon_ms) {
            shared.evicted.age += self.forget_oldest(shared);
        }
    }
    /// Throws the oldest drawer away; how many keys it held.
    pub(super) fn forget_oldest(&mut self, shared: &mut Shared) -> u64 {
        let Some(oldest) = self.held.pop_front() else { return 0 };
        self.keys -= oldest.keys;
        if let Some(cold) = &mut shared.cold
            && cold.forget(oldest.drawer).is_err()
        {
            shared.failed();
        }
        oldest.keys as u64
    }
}
