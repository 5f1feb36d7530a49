//! The letter bag of a name in 64 bits and an overflow count: an upper bound of the LCS in one AND and one
//! population count. It can only say too much, never too little, so pruning by it loses nothing.

/// Bits of each symbol's unary count. They favour an alphabet where 1 to 26 are a to z and 27 to 31 are rarer marks;
/// with another alphabet the bound still holds and prunes less.
pub const SIGNATURE_BITS: [u8; 32] = [
    0, // pad
    3, 2, 2, 2, 3, 2, 2, 2, 3, 2, 2, 3, 2, // a b c d e f g h i j k l m
    3, 3, 2, 1, 3, 3, 3, 2, 2, 2, 1, 2, 2, // n o p q r s t u v w x y z
    1, 1, 1, 1, 1,
];

/// Where each symbol's bits begin.
const FIRST_BIT: [u8; 32] = {
    let mut first = [0; 32];
    let mut symbol = 1;
    while symbol < 32 {
        first[symbol] = first[symbol - 1] + SIGNATURE_BITS[symbol - 1];
        symbol += 1;
    }
    assert!(first[31] + SIGNATURE_BITS[31] == 64);
    first
};

/// The bag of a name's symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signature {
    /// Unary counts: for each symbol as many low bits of its field as it occurs, up to the field's width.
    pub bits: u64,
    /// Occurrences that found their field full (0 to 63).
    pub overflow: u8,
}

impl Signature {
    /// The bag of `symbols` (each 1 to 31, at most 64 of them; the callers have checked both).
    pub(crate) fn of(symbols: &[u8]) -> Self {
        let mut counts = [0u8; 32];
        let mut signature = Self::default();
        for &symbol in symbols {
            let symbol = usize::from(symbol & 31);
            if counts[symbol] < SIGNATURE_BITS[symbol] {
                signature.bits |= 1 << (FIRST_BIT[symbol] + counts[symbol]);
                counts[symbol] += 1;
            } else {
                signature.overflow += 1;
            }
        }
        signature
    }

    /// An upper bound of the LCS of the two names: their shared counts as far as the fields go, and what the poorer
    /// of the two had beyond.
    #[must_use]
    pub fn bound(self, other: Self) -> u8 {
        (self.bits & other.bits).count_ones() as u8 + self.overflow.min(other.overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::name_lcs::lcs;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(1u8..=31, 1..=64),
            proptest::collection::vec(1u8..=3, 1..=64),
            (1u8..=31, 1usize..=64).prop_map(|(symbol, len)| vec![symbol; len]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_bound_is_never_below_the_lcs(left in name(), right in name()) {
            let bound = Signature::of(&left).bound(Signature::of(&right));
            prop_assert!(bound >= lcs(&left, &right));
        }
    }

    #[test]
    fn the_bound_of_a_name_with_itself_is_its_length() {
        let name: Vec<u8> = (0..64).map(|place| 1 + (place * 7 % 31) as u8).collect();
        assert_eq!(Signature::of(&name).bound(Signature::of(&name)), 64);
        let same = Signature::of(&[17; 64]);
        assert_eq!((same.bound(same), same.overflow), (64, 63));
    }
}
