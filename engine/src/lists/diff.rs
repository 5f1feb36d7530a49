//! What one snapshot of a list says otherwise than another: the subjects whose payments may come out otherwise. Both are
//! in the order of their subjects, so it is one pass over the two.

use super::layout::Row;
use super::snapshot::Snapshot;
use crate::domain::Subject;
use std::cmp::Ordering;

/// What became of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It was not listed, or listed to another effect, and is.
    Listed,
    /// It was listed and is not.
    Gone,
}

/// Calls `each` with every subject that `new` says otherwise of than `old`, in order, until it says that it wants no
/// more; `None` is no snapshot at all. Only what can change a verdict is compared: not on whose word an entry is there,
/// nor why.
pub fn diff(
    old: Option<&Snapshot>,
    new: Option<&Snapshot>,
    each: &mut dyn FnMut(Subject, Difference) -> bool,
) {
    let len = |of: Option<&Snapshot>| of.map_or(0, Snapshot::len);
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < len(old) || at_new < len(new) {
        let (before, now) = (row(old, at_old), row(new, at_new));
        let order = match (&before, &now) {
            (Some((_, before)), Some((_, now))) => before.subject.cmp(&now.subject),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let found = match (order, before, now) {
            (Ordering::Less, Some((_, before)), _) => Some((before.subject, Difference::Gone)),
            (Ordering::Greater, _, Some((_, now))) => Some((now.subject, Difference::Listed)),
            (Ordering::Equal, Some(before), Some(now)) => {
                let subject = now.1.subject;
                (!same(&before, &now)).then_some((subject, Difference::Listed))
            }
            _ => None,
        };
        at_old += u64::from(order != Ordering::Greater);
        at_new += u64::from(order != Ordering::Less);
        if let Some((subject, difference)) = found
            && !each(subject, difference)
        {
            return;
        }
    }
}

fn row(of: Option<&Snapshot>, at: u64) -> Option<(&Snapshot, Row)> {
    of.filter(|of| at < of.len()).map(|of| (of, of.row(at)))
}

/// Whether two rows of one subject do the same.
fn same((old, before): &(&Snapshot, Row), (new, now): &(&Snapshot, Row)) -> bool {
    let does = |row: &Row| (row.effect, row.overridable, row.severity, row.valid_from_ms, row.valid_to_ms);
    let target = |of: &Snapshot, row: &Row| row.overrides.and_then(|text| of.text(text).map(str::to_owned));
    does(before) == does(now) && target(old, before) == target(new, now)
}
