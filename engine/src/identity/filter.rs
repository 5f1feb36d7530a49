//! Which keys a drawer may hold, in memory: a Bloom filter whose bits for a key lie in one cache line, so that a new
//! payment, the usual case, costs one line a drawer and no read of the disk.

use crate::error::Error;
use crate::image::{Reader, Writer};

/// Words of a line: 512 bits, one cache line.
const LINE_WORDS: usize = 8;
/// Bits a key. Measured with 6 probes: one key in about 700 that was never put is taken for one that may be there.
const BITS_PER_KEY: usize = 16;
/// Bits set for a key, 9 bits of its hash each.
const PROBES: u32 = 6;

#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u64; LINE_WORDS]);

/// A filter for a number of keys that is known when it is made.
#[derive(Debug)]
pub(super) struct Filter {
    lines: Box<[Line]>,
}

/// Spreads a key's bits. Keys are keyed hashes already; this costs a nanosecond and makes no assumption.
pub(super) fn spread(key: u128) -> u64 {
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(32);
    let product = u128::from(folded ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93_u128;
    let mixed = (product as u64) ^ ((product >> 64) as u64);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

impl Filter {
    /// An empty filter for so many keys.
    pub(super) fn new(keys: usize) -> Filter {
        let lines = (keys * BITS_PER_KEY).div_ceil(LINE_WORDS * 64).max(1);
        Filter { lines: vec![Line([0; LINE_WORDS]); lines].into_boxed_slice() }
    }
    /// Writes it.
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        self.lines.iter().for_each(|line| to.u64s(&line.0));
    }
    /// What [`Filter::save`] wrote of a filter for so many keys.
    pub(super) fn load(from: &mut Reader<'_>, keys: usize) -> Result<Filter, Error> {
        let mut filter = Filter::new(keys);
        filter.lines.iter_mut().try_for_each(|line| from.u64s(&mut line.0))?;
        Ok(filter)
    }
    /// Adds a key.
    pub(super) fn add(&mut self, key: u128) {
        let (line, bits) = self.place(key);
        for bit in bits {
            self.lines[line].0[bit / 64] |= 1 << (bit % 64);
        }
    }
    /// Whether a key may have been added; never false for one that was.
    pub(super) fn may_hold(&self, key: u128) -> bool {
        let (line, mut bits) = self.place(key);
        bits.all(|bit| self.lines[line].0[bit / 64] & (1 << (bit % 64)) != 0)
    }
    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[Line]>(&self.lines)
    }
    fn place(&self, key: u128) -> (usize, impl Iterator<Item = usize> + use<>) {
        let hash = spread(key);
        let line = ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize;
        // The line took the high bits; the bits within it come from a second spread.
        let within = hash.wrapping_mul(0x94D0_49BB_1331_11EB) >> 7;
        (line, (0..PROBES).map(move |n| (within >> (9 * n)) as usize & (LINE_WORDS * 64 - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_added_is_never_denied_and_others_seldom_pass() {
        let key = |n: u64| u128::from(n) << 64 | u128::from(n.wrapping_mul(0x2545_F491_4F6C_DD1D));
        for small in [false, true] {
            let key = |n: u64| if small { u128::from(n) } else { key(n) };
            let mut filter = Filter::new(20_000);
            (0..20_000).for_each(|n| filter.add(key(n)));
            assert!((0..20_000).all(|n| filter.may_hold(key(n))));
            let passed = (20_000..220_000).filter(|n| filter.may_hold(key(*n))).count();
            assert!(passed < 600, "{passed} of 200000, small keys: {small}");
        }
        assert_eq!(Filter::new(20_000).bytes(), 625 * 64);
    }
}
