//! Longest common subsequence by the textbook table, against every name of a bank.

use crate::layout::{NAME_SYMBOLS_MAX, NameBank, NameHit, Need};

/// The length of the longest common subsequence of two names of at most 64 symbols each.
///
/// # Panics
/// When `right` has more than 64 symbols.
#[must_use]
pub fn lcs(left: &[u8], right: &[u8]) -> u8 {
    let mut above = [0u8; NAME_SYMBOLS_MAX + 1];
    for a in left {
        let mut row = [0u8; NAME_SYMBOLS_MAX + 1];
        for (place, b) in right.iter().enumerate() {
            row[place + 1] = if a == b { above[place] + 1 } else { above[place + 1].max(row[place]) };
        }
        above = row;
    }
    above[right.len()]
}

/// Every name of `bank` whose LCS with `query` reaches what `need` asks of its length, sorted by (id, lcs).
#[must_use]
pub fn search(bank: &NameBank, query: &[u8], need: &Need) -> Vec<NameHit> {
    let mut hits: Vec<NameHit> = bank
        .iter()
        .map(|(id, name)| (NameHit { id, lcs: u32::from(lcs(query, &name)) }, name.len() as u8))
        .filter(|(hit, len)| hit.lcs >= u32::from(need.least(*len)))
        .map(|(hit, _)| hit)
        .collect();
    hits.sort();
    hits
}

#[cfg(test)]
mod tests {
    use super::lcs;

    #[test]
    fn known_pairs() {
        assert_eq!(lcs(b"ABCBDAB", b"BDCABA"), 4);
        assert_eq!(lcs(b"", b"A"), 0);
        assert_eq!(lcs(b"AAAA", b"AA"), 2);
        assert_eq!(lcs(b"FAIZ", b"AFIZ"), 3);
    }
}
