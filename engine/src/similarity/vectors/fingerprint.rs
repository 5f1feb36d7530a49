//! A payment's attributes as 256 bits: SimHash (Charikar, "Similarity estimation techniques from rounding
//! algorithms", STOC 2002). Each attribute votes with the bits of its SHA-256; a bit is set where most votes are
//! ones. Two payments differ in about `256 · angle / π` bits, so the more they share, the nearer they are.

use sha2::{Digest, Sha256};

/// 256 bits, least significant word first.
pub type Fingerprint = [u64; 4];

/// Votes counted bit-sliced: plane `p` holds bit `p` of all 256 counts.
#[derive(Debug, Default)]
pub struct Votes {
    planes: [Fingerprint; PLANES],
    count: u32,
}

/// Counts up to 127; `BANK_ATTRIBUTES_MAX` is below.
const PLANES: usize = 7;

impl Votes {
    /// Adds an attribute: its position in the declaration, so that equal values of two attributes differ, and its
    /// value's bytes.
    pub fn add(&mut self, position: u8, kind: u8, value: &[u8]) {
        let mut hash = Sha256::new_with_prefix([position, kind]);
        hash.update(value);
        let mut carry = words(hash.finalize().into());
        for plane in &mut self.planes {
            for (sum, carry) in plane.iter_mut().zip(&mut carry) {
                let both = *sum & *carry;
                *sum ^= *carry;
                *carry = both;
            }
        }
        self.count += 1;
    }
    /// The fingerprint: bits with more than half of the votes. `None` without any vote.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        if self.count == 0 {
            return None;
        }
        let half = self.count / 2;
        // Compares 256 counts with `half` at once, from the highest plane down.
        let (mut greater, mut equal) = ([0u64; 4], [u64::MAX; 4]);
        for (place, plane) in self.planes.iter().enumerate().rev() {
            let bit = if half >> place & 1 == 1 { u64::MAX } else { 0 };
            for word in 0..4 {
                greater[word] |= equal[word] & plane[word] & !bit;
                equal[word] &= !(plane[word] ^ bit);
            }
        }
        Some(greater)
    }
}

fn words(bytes: [u8; 32]) -> Fingerprint {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
    }
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(values: &[Vec<u8>]) -> Fingerprint {
        let mut counts = [0u32; 256];
        for (position, value) in values.iter().enumerate() {
            let hash: [u8; 32] =
                Sha256::new_with_prefix([position as u8, 0]).chain_update(value).finalize().into();
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += u32::from(hash[bit / 8] >> (bit % 8) & 1);
            }
        }
        let mut out = [0; 4];
        for (bit, count) in counts.iter().enumerate() {
            out[bit / 64] |= u64::from(*count > values.len() as u32 / 2) << (bit % 64);
        }
        out
    }
    fn sliced(values: &[Vec<u8>]) -> Fingerprint {
        let mut votes = Votes::default();
        for (position, value) in values.iter().enumerate() {
            votes.add(position as u8, 0, value);
        }
        votes.fingerprint().unwrap()
    }
    fn distance(a: Fingerprint, b: Fingerprint) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    proptest! {
        #[test]
        fn bit_slices_count_as_counters_do(values in prop::collection::vec(any::<Vec<u8>>(), 1..64)) {
            prop_assert_eq!(sliced(&values), plain(&values));
        }
    }

    #[test]
    fn the_more_two_payments_share_the_nearer_they_are() {
        let base: Vec<Vec<u8>> = (0..12u8).map(|n| vec![n, 7]).collect();
        let changed = |n: usize| -> Vec<Vec<u8>> {
            let mut values = base.clone();
            values[..n].iter_mut().for_each(|value| value.push(1));
            values
        };
        let of = |n: usize| distance(sliced(&base), sliced(&changed(n)));
        assert_eq!(of(0), 0);
        assert!(of(1) < of(4) && of(4) < of(9) && of(9) < of(12), "{} {} {} {}", of(1), of(4), of(9), of(12));
        assert!(of(12) > 96, "nothing shared: about half of the bits");
        assert_eq!(Votes::default().fingerprint(), None);
    }
}
