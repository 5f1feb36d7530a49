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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::{Reader, Writer};
    use crate::settlement::BookLimits;

    #[test]
    fn the_last_label_counts_the_earliest_payment_s_goes_first_and_an_image_has_them() {
        let limits = BookLimits { labels_max: 2, ..BookLimits::default() };
        let mut book = Book::new(limits);
        let said = |label, sequence| Labelled { label, sequence, at_ms: 5 };
        book.labelled(3, said(Label::Fraud, 10));
        book.labelled(3, said(Label::Good, 11));
        book.labelled(1, said(Label::Fraud, 12));
        assert_eq!((book.label(3), book.label(2)), (Some(said(Label::Good, 11)), None));
        book.labelled(7, said(Label::Fraud, 13));
        assert_eq!(book.labels_after(0).map(|(payment, _)| payment).collect::<Vec<_>>(), [3, 7]);
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        book.save(&mut writer);
        writer.end();
        let mut source = bytes.as_slice();
        let loaded = Book::load(&mut Reader::new(&mut source), limits).unwrap();
        assert_eq!(loaded, book);
    }
}
