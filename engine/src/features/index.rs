//! From a key's hash to its header's number: open addressing over 8-byte slots, which can be prefetched (hashbrown's
//! cannot), compares 32 bits of hash before it touches a header, and grows without touching any.

use super::kernels::prefetch;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};

const NONE: u64 = 0;

/// The index. Slots are `hash << 32 | number + 1`.
#[derive(Debug)]
pub(crate) struct Index {
    slots: Vec<u64>,
    used: usize,
}

impl Index {
    pub fn new() -> Index {
        Index { slots: vec![NONE; 16], used: 0 }
    }
    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// Fetches where the search for a hash begins.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.slots[self.home(hash)]);
    }

    /// The first number under a hash that `is` accepts.
    #[inline]
    pub fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            match self.slots[at] {
                NONE => return None,
                slot if (slot >> 32) as u32 == hash && is(slot as u32 - 1) => return Some(slot as u32 - 1),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Adds a number that is not there yet.
    pub fn insert(&mut self, hash: u32, number: u32) {
        // Half full at most: probes stay about as long as one cache line.
        if (self.used + 1) * 2 > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![NONE; old.len() * 2];
            for slot in old.into_iter().filter(|slot| *slot != NONE) {
                self.place(slot);
            }
        }
        self.used += 1;
        self.place(u64::from(hash) << 32 | u64::from(number + 1));
    }
    fn place(&mut self, slot: u64) {
        let mut at = self.home((slot >> 32) as u32);
        while self.slots[at] != NONE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = slot;
    }

    /// Removes a number; what follows it moves up, so that no search breaks off early.
    pub fn remove(&mut self, hash: u32, number: u32) {
        let mask = self.slots.len() - 1;
        let mut hole = self.home(hash);
        while self.slots[hole] != (u64::from(hash) << 32 | u64::from(number + 1)) {
            assert_ne!(self.slots[hole], NONE, "only what was inserted is removed");
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == NONE {
                break;
            }
            let distance_home = at.wrapping_sub(self.home((slot >> 32) as u32)) & mask;
            if distance_home >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = NONE;
        self.used -= 1;
    }

    /// Writes it as it lies, which is read back sooner than it is built again.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u32(self.slots.len().ilog2());
        to.count(self.used);
        to.u64s(&self.slots);
    }
    /// What [`Index::save`] wrote; its numbers are below `end`.
    pub fn load(from: &mut Reader<'_>, end: u32) -> Result<Index, Error> {
        let log2 = from.u32()?;
        if !(4..=33).contains(&log2) {
            return Err(senseless(format_args!("an index of 2^{log2} places")));
        }
        let used = from.count((1 << log2) / 2)?;
        let mut slots = vec![NONE; 1 << log2];
        from.u64s(&mut slots)?;
        let taken = slots.iter().filter(|slot| **slot != NONE);
        let is_whole = taken.clone().all(|slot| *slot as u32 != 0 && *slot as u32 <= end);
        if !is_whole || taken.count() != used {
            return Err(senseless("an index with a number that nothing has"));
        }
        Ok(Index { slots, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn finds_what_is_in_it_and_nothing_else(steps in prop::collection::vec((any::<bool>(), 0u32..60), 0..400)) {
            // Few different hashes, all near the end of the table, so that runs collide and wrap.
            let hash = |number: u32| u32::MAX - number % 5;
            let (mut index, mut oracle) = (Index::new(), BTreeSet::new());
            for (add, number) in steps {
                if add && oracle.insert(number) {
                    index.insert(hash(number), number);
                } else if !add && oracle.remove(&number) {
                    index.remove(hash(number), number);
                }
                for number in 0..60 {
                    let found = index.find(hash(number), |found| found == number);
                    prop_assert_eq!(found.is_some(), oracle.contains(&number));
                }
            }
        }
    }
}
