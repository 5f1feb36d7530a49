//! What a scan costs at most, estimated before it runs, for pack budgets. The shape of patterns counts more than their
//! number, so the estimate weighs each by what Hyperscan can anchor it on; the figures are the table's.

use super::lint::required_literal;
use super::pattern::View;
use super::set::{Group, Pattern, PatternSet};
use crate::calibration::Calibration;

/// Readings of a folded text that are scanned at worst.
const READINGS: u64 = 3;

/// What one pattern adds to a scan of 256 bytes, in ps.
fn weight(pattern: &Pattern, costs: &Calibration) -> u64 {
    let approximate = pattern.expression.extended.is_approximate();
    match required_literal(&pattern.hir) {
        _ if approximate => costs.pattern_near_ps,
        0 | 1 => costs.pattern_bare_ps,
        2 => costs.pattern_short_ps,
        _ => costs.pattern_ps,
    }
}

fn readings(view: View) -> u64 {
    if view == View::Folded { READINGS } else { 1 }
}

/// What one declared pattern adds, in ps.
pub(super) fn pattern_ps(pattern: &Pattern, costs: &Calibration) -> u64 {
    weight(pattern, costs) * readings(pattern.view) * pattern.fields.len() as u64
}

/// What patterns share, whatever their number: each field's folding and each database, with its ps.
pub(super) fn shared_ps(set: &PatternSet, costs: &Calibration) -> Vec<(String, u64)> {
    let of = |group: &Group| {
        let (field, count) = (group.field.def().path, group.members.len());
        let plural = if count == 1 { "" } else { "s" };
        let view = if group.view == View::Raw { ", raw view" } else { "" };
        let database = format!("database of {field}{view} ({count} pattern{plural})");
        let folding = (group.view == View::Folded).then(|| (format!("folding of {field}"), costs.fold_ps));
        [folding, Some((database, costs.scan_ps * readings(group.view)))].into_iter().flatten()
    };
    set.groups.iter().flat_map(of).collect()
}
