//! What a scan costs at most, estimated before it runs, for pack budgets. Calibrated on `bench/benches/patterns.rs`; the
//! shape of patterns counts more than their number, so the estimate weighs each by what Hyperscan can anchor it on.

use super::lint::required_literal;
use super::pattern::View;
use super::set::{Pattern, PatternSet};

/// Starting a scan, in ns.
const SCAN_NS: u64 = 150;
/// Folding 256 bytes, in ns.
const FOLD_NS: u64 = 2_000;
/// Readings of a folded text that are scanned at worst.
const READINGS: u64 = 3;

/// What one pattern adds to a scan of 256 bytes, in tenths of a ns.
fn weight(pattern: &Pattern) -> u64 {
    let approximate = pattern.expression.extended.is_approximate();
    match required_literal(&pattern.hir) {
        _ if approximate => 2_000,
        // Tried at every byte.
        0 | 1 => 1_000,
        2 => 200,
        _ => 10,
    }
}

/// What one declared pattern adds, in ns.
pub(super) fn pattern_ns(pattern: &Pattern) -> u64 {
    let readings = if pattern.view == View::Folded { READINGS } else { 1 };
    (weight(pattern) * readings * pattern.fields.len() as u64).div_ceil(10)
}

/// A scan of every field, in ns.
pub(super) fn set_ns(set: &PatternSet) -> u64 {
    let groups = set.groups.iter().map(|group| {
        let members =
            group.members.iter().map(|number| weight(&set.patterns[*number as usize])).sum::<u64>() / 10;
        match group.view {
            View::Raw => SCAN_NS + members,
            View::Folded => FOLD_NS + READINGS * (SCAN_NS + members),
        }
    });
    groups.sum()
}
