//! What is known of payments afterwards: the last label of each, for whoever looks at its hold and for the hunter.

use super::Book;
use crate::domain::Label;
use serde::{Deserialize, Serialize};

/// A payment's last label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// What is said of it.
    pub label: Label,
    /// The label's own place in the one order.
    pub sequence: u64,
    /// When it came, ms since the Unix epoch.
    pub at_ms: i64,
}

impl Book {
    /// What a payment was labelled last, where it is still known.
    pub fn label(&self, payment: u64) -> Option<Labelled> {
        self.labels.get(&payment).copied()
    }
    /// All payments that are labelled, behind one, by sequence.
    pub fn labels_after(&self, payment: u64) -> impl Iterator<Item = (u64, Labelled)> {
        let behind = (std::ops::Bound::Excluded(payment), std::ops::Bound::Unbounded);
        self.labels.range(behind).map(|(payment, label)| (*payment, *label))
    }
    /// A payment was labelled. Past the bound the earliest payment's label is let go: it settled longest ago.
    pub(crate) fn labelled(&mut self, payment: u64, label: Labelled) {
        self.labels.insert(payment, label);
        while self.labels.len() > self.limits.labels_max {
            self.labels.pop_first();
        }
    }
}
