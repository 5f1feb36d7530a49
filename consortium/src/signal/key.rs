//! Which signal is meant: the kind, the version of the key that its tag is under, and the tags. Two rows with one key
//! are about one signal. An open signal has version 0, and a hash of its text in the tag's place.

use crate::kind::Kind;
use sha2::{Digest, Sha256};
use std::fmt;

/// What the tag of an open text is a hash of begins with this, so that it equals nobody's other hash of that text.
const OPEN: &[u8] = b"interdict/open/v1";

/// The tags of an identifier, made by who calls (`tag`). Not shown by `Debug`: a tag is as good as the identifier to
/// whoever holds its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tags {
    /// The keyed tag, the first 128 bits of an HMAC in their order; of oblivious kinds only the policy's first bits, the
    /// others zero.
    pub tag: [u8; 16],
    /// The exact tag, the first 128 bits of a VOPRF's output; zero for kinds that are not oblivious.
    pub exact: [u8; 16],
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tags(…)")
    }
}

impl Tags {
    /// The tags of a kind that is open: of a text in its canonical spelling.
    pub fn open(kind: Kind, text: &str) -> Tags {
        let hash = Sha256::new().chain_update(OPEN).chain_update([kind as u8]).chain_update(text).finalize();
        Tags { tag: crate::fixed::get(&hash, 0), exact: [0; 16] }
    }
    /// Whether no bit of the tag is set behind the first so many.
    pub fn is_cut_to(&self, bits: u8) -> bool {
        bits >= 128 || u128::from_be_bytes(self.tag) << bits == 0
    }
    /// The tags with only the first so many bits of the tag.
    #[must_use]
    pub fn cut_to(mut self, bits: u8) -> Tags {
        let mask = !u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
        self.tag = (u128::from_be_bytes(self.tag) & mask).to_be_bytes();
        self
    }
}

/// Which signal. Rows are in this order everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is about.
    pub kind: Kind,
    /// Of the key that the tag is under, from 1; 0 for an open signal.
    pub key_version: u32,
    /// Of the identifier.
    pub tags: Tags,
}

impl Key {
    /// The key of an open signal.
    pub fn open(kind: Kind, text: &str) -> Key {
        Key { kind, key_version: 0, tags: Tags::open(kind, text) }
    }
    /// Whether it is of an open signal.
    pub const fn is_open(&self) -> bool {
        self.key_version == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_cut_by_its_first_bits() {
        let tags = Tags { tag: [0xff; 16], exact: [1; 16] };
        for bits in 0..=128u8 {
            let cut = tags.cut_to(bits);
            let ones: u32 = cut.tag.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(ones, u32::from(bits));
            assert!(cut.is_cut_to(bits) && (bits == 0 || !cut.is_cut_to(bits - 1)));
        }
        assert_eq!(tags.cut_to(12).tag[..3], [0xff, 0xf0, 0]);
        assert_ne!(Tags::open(Kind::Name, "a"), Tags::open(Kind::Merchant, "a"));
    }
}
