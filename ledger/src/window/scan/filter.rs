//! What the kernels ask of each fingerprint: whether it may be one of the wanted. Up to eight are compared as they are;
//! more are a Bloom filter whose three bits lie in one word, so that a value costs one gathered load.

/// As many are compared directly (measured: up to eight cost no more than the filter).
pub(super) const FEW: usize = 8;
/// Words of the smallest filter: 32 KiB, which lies in a core's first-level cache. For 10,000 tags it lets one value in
/// some 200 pass that is none, and is faster for it: 27 ms for 60 M values where 128 KiB took 41 (EPYC, 48 KiB).
const WORDS_MIN: usize = 1 << 13;
/// Words of the largest: 8 MiB, for some two million tags. Beyond, it says yes more often and is as right.
const WORDS_MAX: usize = 1 << 21;
/// Words a tag: 32 KiB for 10,000, and 512 KiB for 100,000 (45 ms; half of it 50, twice as much 46).
const WORDS_A_TAG: f64 = 0.8;

/// A set of fingerprints that says yes to all its members and to few others.
#[derive(Debug, Clone)]
pub struct Filter(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Nothing is wanted.
    Nothing,
    /// The wanted ones; the last is repeated.
    Few([u32; FEW]),
    /// A word is chosen by the first bits, and three bits in it by the last fifteen.
    Bloom(Bloom),
}

/// The words of a filter; their number is a power of two.
#[derive(Debug, Clone)]
pub(super) struct Bloom {
    pub words: Vec<u32>,
    /// A fingerprint's word is what is left of it after this shift, so it is below the number of words.
    pub shift: u32,
}

impl Filter {
    /// The filter of some fingerprints.
    pub fn new(wanted: &[u32]) -> Filter {
        let Some(last) = wanted.last() else { return Filter(Kind::Nothing) };
        if wanted.len() <= FEW {
            let mut few = [*last; FEW];
            few[..wanted.len()].copy_from_slice(wanted);
            return Filter(Kind::Few(few));
        }
        let words = (wanted.len() as f64 * WORDS_A_TAG) as usize;
        let words = words.next_power_of_two().clamp(WORDS_MIN, WORDS_MAX);
        let mut bloom = Bloom { words: vec![0; words], shift: 32 - words.ilog2() };
        for value in wanted {
            bloom.words[(value >> bloom.shift) as usize] |= bits(*value);
        }
        Filter(Kind::Bloom(bloom))
    }
    /// Whether a fingerprint may be a wanted one.
    #[inline]
    pub fn may_have(&self, value: u32) -> bool {
        match &self.0 {
            Kind::Nothing => false,
            Kind::Few(few) => few.contains(&value),
            Kind::Bloom(bloom) => bloom.may_have(value),
        }
    }
}

/// The three bits of a fingerprint's word.
#[inline]
fn bits(value: u32) -> u32 {
    1 << (value & 31) | 1 << (value >> 5 & 31) | 1 << (value >> 10 & 31)
}

impl Bloom {
    #[inline]
    pub(super) fn may_have(&self, value: u32) -> bool {
        let word = self.words[(value >> self.shift) as usize];
        word >> (value & 31) & word >> (value >> 5 & 31) & word >> (value >> 10 & 31) & 1 == 1
    }
}
