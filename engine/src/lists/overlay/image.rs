//! The overlay in an image: its lists, every entry that deltas added and nobody has forgotten, which of them live, and
//! what has ended. The maps follow from that.

use super::super::meta::ListMeta;
use super::super::{filter::SharedFilter, hash::hash};
use super::{Added, Lengths, ListBase, Overlay, State};
use crate::domain::{Effect, Entry};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::{LISTS_MAX, OVERLAY_ENDED_MAX, OVERLAY_ENTRIES_MAX};
use std::sync::Arc;

impl Overlay {
    /// Writes all of it. Of the filter only what it counts: a bit too many costs a look-up, never an answer.
    pub fn save(&self, to: &mut Writer<'_>) {
        let state = &*self.0;
        to.u64s(&[state.sequence, state.forgotten_to, state.filtered as u64]);
        to.count(state.lists.len());
        state.lists.iter().for_each(|meta| to.value(&meta.encode()));
        state.lengths.save(to);
        let mut known: Vec<&Arc<Added>> = state.by_id.values().collect();
        known.sort_unstable_by_key(|added| (added.list, added.entry.id));
        to.count(known.len());
        for added in known {
            to.u16(added.list);
            to.u64(added.visible_from);
            to.value(&added.entry);
        }
        // Those that have ended since are dropped at the next look anyway.
        let live: Vec<_> = state.added_order.iter().filter(|added| state.is_current(added)).collect();
        to.count(live.len());
        live.iter().for_each(|added| save_key(to, &(added.list, added.entry.id)));
        for order in [&state.ended_order, &state.ended_in_base] {
            to.count(order.len());
            for key in order {
                save_key(to, key);
                to.u64(state.ended[key]);
            }
        }
    }
    /// What [`Overlay::save`] wrote, over the same base.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(from: &mut Reader<'_>, base: &ListBase) -> Result<Overlay, Error> {
        let Overlay(mut empty) = Overlay::new(base);
        let state = Arc::make_mut(&mut empty);
        (state.sequence, state.forgotten_to) = (from.u64()?, from.u64()?);
        state.filtered = from.count(usize::MAX)?;
        let mut lists = Vec::new();
        for _ in 0..from.count(LISTS_MAX)? {
            let bytes: Vec<u8> = from.value()?;
            lists.push(Arc::new(ListMeta::decode(&bytes).map_err(senseless)?));
        }
        let numbers = base.len() + lists.len();
        state.lists = Arc::new(lists);
        state.lengths = Lengths::load(from)?;
        for _ in 0..from.count(OVERLAY_ENTRIES_MAX + OVERLAY_ENDED_MAX)? {
            let (list, visible_from) = (from.u16()?, from.u64()?);
            let entry: Entry = from.value()?;
            if usize::from(list) >= numbers {
                return Err(senseless("an entry of a list that there is not"));
            }
            let target =
                entry.overrides.as_deref().filter(|_| entry.effect == Effect::Override).map(Arc::from);
            let key = (list, entry.id);
            state.by_id.insert(key, Arc::new(Added { list, entry, target, visible_from }));
        }
        for _ in 0..from.count(OVERLAY_ENTRIES_MAX)? {
            let key = load_key(from)?;
            let added =
                state.by_id.get(&key).cloned().ok_or_else(|| senseless("an entry that is not there"))?;
            state.live_again(added);
        }
        for _ in 0..from.count(OVERLAY_ENDED_MAX)? {
            let key = load_key(from)?;
            state.ended_order.push_back(key);
            state.ended.insert(key, from.u64()?);
        }
        for _ in 0..from.count(OVERLAY_ENTRIES_MAX)? {
            let key = load_key(from)?;
            state.ended_in_base.push_back(key);
            state.ended.insert(key, from.u64()?);
        }
        state.filter = SharedFilter::new();
        state.current.keys().for_each(|subject| state.filter.add(hash(subject, 0)));
        Ok(Overlay(empty))
    }
}

impl State {
    fn live_again(&mut self, added: Arc<Added>) {
        let mut current = self.current.get(&added.entry.subject).cloned().unwrap_or_default();
        let place = current.partition_point(|other| other.list < added.list);
        current.insert(place, Arc::clone(&added));
        self.current.insert(added.entry.subject, current);
        self.added_order.push_back(added);
        self.live += 1;
    }
}

impl Lengths {
    fn save(&self, to: &mut Writer<'_>) {
        to.u64s(&self.v4);
        to.u64s(&self.v6);
        to.u64s(&self.bins);
    }
    fn load(from: &mut Reader<'_>) -> Result<Lengths, Error> {
        let mut lengths = Lengths::default();
        from.u64s(&mut lengths.v4)?;
        from.u64s(&mut lengths.v6)?;
        from.u64s(&mut lengths.bins)?;
        Ok(lengths)
    }
}

fn save_key(to: &mut Writer<'_>, (list, id): &(u16, u64)) {
    to.u16(*list);
    to.u64(*id);
}
fn load_key(from: &mut Reader<'_>) -> Result<(u16, u64), Error> {
    Ok((from.u16()?, from.u64()?))
}
