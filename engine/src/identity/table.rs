//! One tenant's newest keys, in memory: entries in the order they came, in chunks that leave whole, and an index of
//! slots over them. No entry is ever moved, so a growing table costs no copy of itself.

use super::cold::{Entry, Known};
use super::filter::spread;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use hashbrown::HashTable;
use hashbrown::hash_table;
use std::collections::VecDeque;

/// Bytes an entry costs at most: 48 in its chunk, and an index slot of 5 in a table that is 7/16 full just after it
/// has grown (11.4).
pub(super) const ENTRY_BYTES: usize = 64;
/// Most entries of a chunk: what goes to the cold store at once.
pub(super) const CHUNK_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Table {
    /// Entries a chunk; all but the last are full.
    chunk: usize,
    chunks: VecDeque<Vec<Entry>>,
    /// Slot of the first chunk's first entry; slots wrap, and fewer than 2^32 are in use.
    first: u32,
    /// Entries of the first chunk that have left already.
    left: usize,
    index: HashTable<u32>,
}

fn at(chunks: &VecDeque<Vec<Entry>>, chunk: usize, first: u32, slot: u32) -> &Entry {
    let offset = slot.wrapping_sub(first) as usize;
    &chunks[offset / chunk][offset % chunk]
}

impl Table {
    pub(super) fn new(chunk: usize) -> Table {
        Table { chunk, chunks: VecDeque::new(), first: 0, left: 0, index: HashTable::new() }
    }
    /// Keys in it.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
    /// Places taken: keys, and entries whose key came again since.
    pub(super) fn places(&self) -> usize {
        let last = self.chunks.back().map_or(0, Vec::len);
        (self.chunks.len().saturating_sub(1) * self.chunk + last) - self.left
    }
    pub(super) fn get(&self, key: u128) -> Option<Known> {
        let same = |slot: &u32| at(&self.chunks, self.chunk, self.first, *slot).key == key;
        let slot = self.index.find(spread(key), same)?;
        Some(at(&self.chunks, self.chunk, self.first, *slot).known)
    }
    /// Adds an entry; its key's former one, if any, is no longer found.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.chunks.back().is_none_or(|last| last.len() == self.chunk) {
            self.chunks.push_back(Vec::new());
        }
        let before = (self.chunks.len() - 1) * self.chunk;
        let last = self.chunks.back_mut().expect("one was just made where there was none");
        let slot = self.first.wrapping_add((before + last.len()) as u32);
        last.push(entry);
        let (chunks, chunk, first) = (&self.chunks, self.chunk, self.first);
        let entry_at = |slot: &u32| at(chunks, chunk, first, *slot);
        let place = self.index.entry(
            spread(entry.key),
            |slot| entry_at(slot).key == entry.key,
            |slot| spread(entry_at(slot).key),
        );
        match place {
            hash_table::Entry::Occupied(mut known) => *known.get_mut() = slot,
            hash_table::Entry::Vacant(free) => drop(free.insert(slot)),
        }
    }
    /// Writes its places, oldest first; which of them a look-up finds follows from their order.
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        to.u32(self.first);
        to.count(self.left);
        to.count(self.places());
        self.chunks.iter().flatten().skip(self.left).for_each(|entry| entry.save(to));
    }
    /// What [`Table::save`] wrote, with so many entries a chunk and places at most.
    pub(super) fn load(from: &mut Reader<'_>, chunk: usize, most: usize) -> Result<Table, Error> {
        let mut table = Table { first: from.u32()?, left: from.count(chunk)?, ..Table::new(chunk) };
        let (left, places) = (table.left, from.count(most)?);
        if left == chunk || (places == 0 && left > 0) {
            return Err(senseless("a chunk of keys that has left"));
        }
        let gone = Entry { key: 0, known: Known { sequence: 0, digest: 0, arrival_ms: 0 } };
        table.chunks.extend((left > 0).then(|| vec![gone; left]));
        table.index.reserve(places, |_| 0);
        for _ in 0..places {
            table.push(Entry::load(from)?);
        }
        Ok(table)
    }
    /// The latest arrival time of the oldest chunk; entries come in order of arrival.
    pub(super) fn front_newest_ms(&self) -> Option<i64> {
        Some(self.chunks.front()?.last()?.known.arrival_ms)
    }
    /// Takes up to `count` places of the oldest chunk out; the entries among them that a look-up would have found.
    pub(super) fn take_front(&mut self, count: usize) -> Vec<Entry> {
        let Some(front) = self.chunks.front() else { return Vec::new() };
        let (from, to) = (self.left, front.len().min(self.left.saturating_add(count)));
        let mut taken = Vec::with_capacity(to - from);
        for (offset, &entry) in front[from..to].iter().enumerate() {
            let slot = self.first.wrapping_add((from + offset) as u32);
            // A key that came again since is found where it is now.
            if let Ok(found) = self.index.find_entry(spread(entry.key), |known| *known == slot) {
                found.remove();
                taken.push(entry);
            }
        }
        self.left = to;
        if to == front.len() {
            self.chunks.pop_front();
            self.first = self.first.wrapping_add(self.chunk as u32);
            self.left = 0;
        }
        if self.chunks.is_empty() {
            // An idle table gives its index back.
            self.index = HashTable::new();
        }
        taken
    }
    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let entries: usize = self.chunks.iter().map(Vec::capacity).sum();
        entries * size_of::<Entry>() + self.index.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn entry(key: u128, sequence: u64) -> Entry {
        Entry { key, known: Known { sequence, digest: key, arrival_ms: sequence as i64 } }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_would(
            chunk in 1usize..5,
            first in prop::sample::select(vec![0, u32::MAX - 7]),
            steps in prop::collection::vec((0u8..4, 0u128..12), 0..200),
        ) {
            let mut table = Table { first, ..Table::new(chunk) };
            let (mut map, mut order) = (HashMap::new(), VecDeque::new());
            for (sequence, (step, key)) in steps.into_iter().enumerate() {
                let sequence = sequence as u64;
                if step > 0 {
                    table.push(entry(key, sequence));
                    map.insert(key, sequence);
                    order.push_back((key, sequence));
                } else {
                    let before = table.places();
                    let taken = table.take_front(key as usize);
                    let mut live = Vec::new();
                    for _ in 0..before - table.places() {
                        let (key, sequence) = order.pop_front().expect("as many places as the model has");
                        if map.get(&key) == Some(&sequence) {
                            map.remove(&key);
                            live.push(entry(key, sequence));
                        }
                    }
                    prop_assert_eq!(taken, live);
                }
                prop_assert_eq!((table.len(), table.places()), (map.len(), order.len()));
                for key in 0..12 {
                    prop_assert_eq!(table.get(key).map(|known| known.sequence), map.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn an_entry_costs_no_more_than_it_is_counted_for() {
        let mut table = Table::new(CHUNK_MAX);
        for count in 1..=300_000u64 {
            table.push(entry(u128::from(count) << 60, count));
            if count % 4096 == 0 && count > 4096 {
                assert!(table.bytes() <= count as usize * ENTRY_BYTES, "{} for {count}", table.bytes());
            }
        }
    }
}
