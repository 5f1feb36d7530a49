//! What a rotation of the tag keys changes: a key that is held under an earlier tag is moved to the new one when its
//! next transaction comes, and a value that `distinct` tells apart likewise, so that each lives once and everything else
//! (order, evictions, windows) is as if there had been no rotation.

use super::block::{ViewMut, lanes_of};
use super::kernels::Kernel;
use super::space::{Hashed, Key, Place, Space, hash_of};

/// The current transaction's value for `distinct`, and the same under earlier tag keys, newest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'v> {
    pub now: u32,
    pub was: &'v [u32],
}

impl Space {
    /// Moves a key, and its value in that key, from what they were to what they are, where they are held so.
    pub(super) fn rename(&mut self, kernel: Kernel, key: Key<'_>, value: Option<Value<'_>>) {
        let number = match self.find(key.hashed) {
            Some(held) => held,
            None => {
                let held = |was: &u128| Some((*was, self.find((*was, hash_of(*was)))?));
                let Some((was, number)) = key.was.iter().find_map(held) else { return };
                self.rename_key(was, key.hashed, number);
                number
            }
        };
        let Some(Value { now, was }) = value else { return };
        for from in was.iter().filter(|from| **from != now) {
            self.rename_value(kernel, number, *from, now);
        }
    }
    fn rename_key(&mut self, was: u128, (key, hash): Hashed, number: u32) {
        self.index.remove(hash_of(was), number);
        self.index.insert(hash, number);
        self.headers.get_mut(number).key = key;
    }
    fn rename_value(&mut self, kernel: Kernel, number: u32, from: u32, to: u32) {
        match self.headers.get(number).place {
            Place::Nowhere => {}
            Place::Block(block) => {
                self.blocks.view_mut(block).rename(kernel, from, to);
            }
            Place::Chunks(at) => {
                let chunks = self.chunks.get_mut(at);
                let bytes = chunks.bytes();
                chunks.rename(kernel, &mut self.blocks, from, to);
                self.chunk_bytes = self.chunk_bytes - bytes + chunks.bytes();
            }
        }
    }
}

impl ViewMut<'_> {
    /// Gives the events of a value another; of two marked as the last of that one the later keeps the mark. How many
    /// marks went.
    pub(super) fn rename(&mut self, kernel: Kernel, from: u32, to: u32) -> u64 {
        let lanes = self.view().with_value(kernel, from);
        if lanes == 0 {
            return 0;
        }
        self.set_values(lanes, to);
        let marked = self.view().with_value(kernel, to) & self.head.last;
        let view = self.view();
        let latest = lanes_of(marked).max_by_key(|lane| (view.time_ms(*lane), view.sequences[*lane]));
        let lost = marked & !latest.map_or(0, |lane| 1 << lane);
        self.head.last &= !lost;
        u64::from(lost.count_ones())
    }
}
