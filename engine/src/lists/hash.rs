//! One hash of a subject for filters and tables. Tags are already uniform, but members of a consortium choose theirs,
//! so a seed enters and a build tries another one when probe runs grow long.

use crate::domain::Subject;
use std::net::IpAddr;

const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const K3: u64 = 0x1656_67b1_9e37_79f9;

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// 64 bits of a subject under a seed.
#[inline]
pub(super) fn hash(subject: &Subject, seed: u64) -> u64 {
    let (value, salt) = match *subject {
        Subject::Tag { kind, tag } => (tag.0, kind as u64),
        Subject::Ip { network: IpAddr::V4(v4), prefix } => {
            (u128::from(u32::from(v4)), 0x400 | u64::from(prefix))
        }
        Subject::Ip { network: IpAddr::V6(v6), prefix } => (u128::from(v6), 0x600 | u64::from(prefix)),
        Subject::Bin { number, digits } => (u128::from(number), 0x800 | u64::from(digits)),
    };
    let inner = mix(value as u64 ^ K1, seed ^ K2);
    mix(inner ^ (value >> 64) as u64 ^ K2, (K3 ^ salt).wrapping_add(inner))
}

/// A hash as a number below `n`, by its high bits; 0 for `n` = 0.
#[inline]
pub(super) fn below(hash: u64, n: u64) -> u64 {
    ((u128::from(hash) * u128::from(n)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SubjectKind, Tag};

    #[test]
    fn counting_tags_spread_like_random_ones() {
        let buckets = 1024u64;
        let mut counts = vec![0u32; buckets as usize];
        for n in 0..65_536u128 {
            let subject = Subject::Tag { kind: SubjectKind::Card, tag: Tag(n) };
            counts[below(hash(&subject, 0), buckets) as usize] += 1;
        }
        // Mean 64, standard deviation 8: six deviations either way.
        assert!(counts.iter().all(|&count| (16..=112).contains(&count)), "{counts:?}");
        let card = Subject::Tag { kind: SubjectKind::Card, tag: Tag(1) };
        let account = Subject::Tag { kind: SubjectKind::Account, tag: Tag(1) };
        assert_ne!(hash(&card, 0), hash(&account, 0));
        assert_ne!(hash(&card, 0), hash(&card, 1));
    }
}
