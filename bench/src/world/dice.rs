//! The world's only source of chance: ChaCha8 by seed and stream, with draws of our own, so that a seed gives the same
//! bytes on every machine and with every version of `rand`.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded source of draws.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed and a purpose; different streams of one seed are independent.
    pub(crate) fn new(seed: u64, stream: u64) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Dice(rng)
    }
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a draw needs something to draw from");
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }
    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        assert!(low <= high, "a range has a first and a last number");
        low + self.below((high - low + 1) as usize) as i64
    }
    /// True `per_mille` times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }
    /// One of some.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
    /// An index, drawn by weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut draw = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if draw < *weight {
                return index;
            }
            draw -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }
    /// `count` decimal digits.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }
    /// A UUID of version 4 (RFC 9562).
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.0.next_u64(), self.0.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            8 + (low >> 62),
            (low >> 48) & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
    /// An amount in euro cents around `typical`: mostly 0.3 to 1.3 of it, sometimes several times as much.
    pub(crate) fn around(&mut self, typical_cents: i64) -> i64 {
        let mut per_mille = self.between(300, 1300);
        if self.chance(80) {
            per_mille *= self.between(2, 3);
        }
        (typical_cents * per_mille / 1000).max(50)
    }
}
