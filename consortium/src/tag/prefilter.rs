//! The prefilter: so few bits of the keyed tag that several identifiers share them. Whoever tries identifiers against a
//! list of truncated tags finds candidates and no answer; whoever looks one up finds nearly always nothing, and is done.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CANDIDATES_MIN, FALSE_PASSES_PPM_MAX, PREFILTER_BITS};

/// A prefilter of so many bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefilter {
    bits: u8,
}

impl Prefilter {
    /// A prefilter of so many bits.
    ///
    /// # Errors
    /// `Invalid` outside `PREFILTER_BITS`.
    pub fn new(bits: u8) -> Result<Prefilter> {
        if PREFILTER_BITS.contains(&bits) {
            return Ok(Prefilter { bits });
        }
        let (least, most) = (PREFILTER_BITS.start(), PREFILTER_BITS.end());
        Err(Error::new(ErrorKind::Invalid, format!("a prefilter of {bits} bits: expected {least} to {most}")))
    }
    /// The prefilter of a kind: as many bits as leave at least `CANDIDATES_MIN` identifiers to each truncated tag, as
    /// expected, of a population of so many (all identifiers that exist, not the members' own: issued cards of the
    /// world). `None`: none is of use and the kind is `keyed` only, because the population is too small, or because of
    /// the number of listed ones that is expected more than `FALSE_PASSES_PPM_MAX` of the others would pass.
    pub fn choose(population: u64, listed: u64) -> Option<Prefilter> {
        let bits = (population / CANDIDATES_MIN).checked_ilog2()?;
        let bits = u8::try_from(bits).expect("a u64 has at most 64 bits");
        let prefilter = Prefilter::new(bits.min(*PREFILTER_BITS.end())).ok()?;
        (prefilter.false_passes_ppm(listed) <= FALSE_PASSES_PPM_MAX).then_some(prefilter)
    }
    /// How many bits.
    pub fn bits(self) -> u8 {
        self.bits
    }
    /// A keyed tag's first bits, where they were; the others are zero, so that truncated tags have the order of whole ones.
    pub fn cut(self, tag: u128) -> u128 {
        tag & (u128::MAX << (128 - u32::from(self.bits)))
    }
    /// How many identifiers of a population share a truncated tag, as expected, rounded down.
    pub fn candidates(self, population: u64) -> u64 {
        population.checked_shr(self.bits.into()).unwrap_or(0)
    }
    /// How many in a million identifiers that are not listed pass, as expected (at most: listed ones may share a
    /// truncated tag), rounded up, with so many listed.
    pub fn false_passes_ppm(self, listed: u64) -> u64 {
        let ppm = (u128::from(listed) * 1_000_000).div_ceil(1 << self.bits);
        u64::try_from(ppm).unwrap_or(u64::MAX).min(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::kind::Kind;
    use crate::tag::keyed::TagKey;
    use std::collections::BTreeSet;

    /// Cards that are issued in the world.
    const CARDS: u64 = 5_000_000_000;

    #[test]
    fn bits_follow_from_the_population() {
        let bits = |population, listed| Prefilter::choose(population, listed).map(Prefilter::bits);
        assert_eq!(bits(CARDS, 1_000_000), Some(30));
        assert_eq!(bits(CARDS, 10_000_000), Some(30));
        // One identifier fewer than four for each of 2^30 tags is one bit less.
        assert_eq!(bits(1 << 32, 1_000_000), Some(30));
        assert_eq!(bits((1 << 32) - 1, 1_000_000), Some(29));
        // IPv4 addresses; merchants of one country, of which one in twenty would pass; terminals of a small alliance.
        assert_eq!(bits(1 << 32, 60_000_000), None);
        assert_eq!(bits(2_000_000, 100), Some(18));
        assert_eq!(bits(2_000_000, 100_000), None);
        assert_eq!((bits(1000, 1), bits(3, 0), bits(0, 0)), (None, None, None));
        assert_eq!(bits(u64::MAX, 1_000_000), Some(61));
    }

    /// The table of the design: false passes and candidates, by formula.
    #[test]
    fn the_table_follows_from_the_formula() {
        let row = |listed, bits| {
            let prefilter = Prefilter::new(bits).unwrap();
            (prefilter.false_passes_ppm(listed), prefilter.candidates(CARDS))
        };
        let of = |listed| [28, 30, 32].map(|bits| row(listed, bits));
        assert_eq!(of(1_000_000), [(3726, 18), (932, 4), (233, 1)]);
        assert_eq!(of(10_000_000), [(37_253, 18), (9314, 4), (2329, 1)]);
    }

    /// Listed and unlisted identifiers under truncated HMAC-SHA-256: the share that passes is what the formula says, at
    /// a size where the expected count is some hundreds, so that five standard deviations are well inside the bounds.
    #[test]
    fn as_many_pass_as_the_formula_says() {
        let key = TagKey::new(1, &[42; 32]);
        for (bits, listed, asked) in [(16u8, 2000u64, 40_000u64), (18, 2000, 80_000), (20, 4000, 120_000)] {
            let prefilter = Prefilter::new(bits).unwrap();
            let tag = |n: u64| prefilter.cut(key.tag(Kind::Card, &format!("{:016}", n * 7919)));
            let list: BTreeSet<u128> = (0..listed).map(tag).collect();
            assert!((0..listed).all(|n| list.contains(&tag(n))), "a listed one is never missed");
            let passed = (listed..listed + asked).filter(|n| list.contains(&tag(*n))).count() as f64;
            let expected = (asked * prefilter.false_passes_ppm(listed)) as f64 / 1e6;
            assert!((passed - expected).abs() < 6.0 * expected.sqrt(), "{bits}: {passed} of {expected}");
        }
    }

    #[test]
    fn cutting_keeps_the_order_and_the_first_bits() {
        let prefilter = Prefilter::new(30).unwrap();
        assert_eq!(prefilter.cut(u128::MAX), u128::MAX << 98);
        assert_eq!(Prefilter::new(64).unwrap().cut(u128::MAX), u128::MAX << 64);
        let mut tags: Vec<u128> =
            (0..100u128).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060)).collect();
        tags.sort_unstable();
        assert!(tags.is_sorted_by_key(|tag| prefilter.cut(*tag)));
        for bits in [0, 7, 65, 128] {
            assert_eq!(Prefilter::new(bits).unwrap_err().kind, ErrorKind::Invalid, "{bits}");
        }
    }
}
