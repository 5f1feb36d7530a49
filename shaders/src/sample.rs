//! Generated banks and queries, the same from the same seed on every machine: what a device is tested, calibrated
//! and benched with.

use crate::layout::{FingerprintBank, NAME_SYMBOLS_MAX, NameBank, VECTOR_DIMS, VectorBank};

/// A generator of numbers (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The generator of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A name of 3 to 42 symbols whose letters are about as uneven as those of real names.
#[must_use]
pub fn name(numbers: &mut Numbers) -> Vec<u8> {
    let len = 3 + numbers.below(20) + numbers.below(21);
    (0..len).map(|_| 1 + numbers.below(26).min(numbers.below(31)) as u8).collect()
}

/// `name` with up to `edits` symbols put in, left out or replaced.
#[must_use]
pub fn disturbed(numbers: &mut Numbers, name: &[u8], edits: u64) -> Vec<u8> {
    let mut name = name.to_vec();
    for _ in 0..numbers.below(edits + 1) {
        let place = numbers.below(name.len() as u64) as usize;
        let symbol = 1 + numbers.below(31) as u8;
        match numbers.below(3) {
            0 if name.len() < NAME_SYMBOLS_MAX => name.insert(place, symbol),
            1 if name.len() > 1 => drop(name.remove(place)),
            _ => name[place] = symbol,
        }
    }
    name
}

/// A bank of `len` names with ids from 0.
#[must_use]
pub fn names(seed: u64, len: usize) -> NameBank {
    let mut numbers = Numbers::new(seed);
    let names: Vec<Vec<u8>> = (0..len).map(|_| name(&mut numbers)).collect();
    let names: Vec<(u32, &[u8])> = (0u32..).zip(&names).map(|(id, name)| (id, name.as_slice())).collect();
    NameBank::build(&names).expect("generated names have 3 to 42 symbols of 1 to 26, and are below the limit")
}

/// A fingerprint. One in four lies within 24 bits of one of sixteen centres.
#[must_use]
pub fn fingerprint(numbers: &mut Numbers) -> [u64; 4] {
    if numbers.below(4) > 0 {
        return std::array::from_fn(|_| numbers.next());
    }
    let mut centre = Numbers::new(numbers.below(16));
    let mut print = std::array::from_fn(|_| centre.next());
    for _ in 0..numbers.below(25) {
        let bit = numbers.below(256);
        print[(bit / 64) as usize] ^= 1 << (bit % 64);
    }
    print
}

/// A bank of `len` fingerprints with ids from 0.
#[must_use]
pub fn fingerprints(seed: u64, len: usize) -> FingerprintBank {
    let mut numbers = Numbers::new(seed);
    let mut bank = FingerprintBank::with_capacity(len);
    for id in 0..len as u64 {
        bank.push(id, &fingerprint(&mut numbers)).expect("len is below the bank's limit");
    }
    bank
}

/// A vector of values from −127 to 127.
#[must_use]
pub fn vector(numbers: &mut Numbers) -> [i8; VECTOR_DIMS] {
    let mut words = [0u64; VECTOR_DIMS / 8];
    words.fill_with(|| numbers.next());
    std::array::from_fn(|dim| ((words[dim / 8] >> (8 * (dim % 8))) as i8).max(-127))
}

/// A bank of `len` vectors with ids from 0.
#[must_use]
pub fn vectors(seed: u64, len: usize) -> VectorBank {
    let mut numbers = Numbers::new(seed);
    let mut bank = VectorBank::with_capacity(len);
    for id in 0..len as u64 {
        bank.push(id, &vector(&mut numbers)).expect("len is below the bank's limit");
    }
    bank
}
