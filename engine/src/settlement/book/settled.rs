//! How long the book knows what became of payments: a bound in time, by the clock of arrivals, which the journal has. What is
//! forgotten is told `unknown` at the gate, never `go`.

use super::Book;
use crate::settlement::dated::day;

impl Book {
    /// An event has arrived at a time, ms since the Unix epoch. Once a day what settled too long ago is forgotten; a clock
    /// that goes back brings nothing back.
    pub(super) fn arrived(&mut self, at_ms: i64) {
        self.now_ms = self.now_ms.max(at_ms);
        let first = day(self.now_ms.saturating_sub(self.limits.settled_kept_ms));
        if self.forgotten_day.is_some_and(|before| before >= first) {
            return;
        }
        self.forgotten_day = Some(first);
        let named = [&mut self.stopped, &mut self.late, &mut self.gone, &mut self.flagged];
        for set in named.into_iter().chain(&mut self.let_go) {
            self.forgotten_through = self.forgotten_through.max(set.forget_before(first).unwrap_or(0));
        }
        while self.let_go.last().is_some_and(|last| last.count() == 0) {
            self.let_go.pop();
        }
        // Filed by when it is no longer of use.
        self.reversed.forget_before(day(self.now_ms));
    }
    /// By what a payment is filed: its cut-off, or now where that is past, so that what ends late is known as long.
    pub(super) fn known_until(&self, cut_off_ms: i64) -> i64 {
        cut_off_ms.max(self.now_ms)
    }
    /// Whether what became of a payment may have been forgotten: it is of the time of others of which that is so, and its
    /// cut-off is as long ago, or nobody knows it any more.
    pub(in crate::settlement) fn is_forgotten(&self, payment: u64, cut_off_ms: i64) -> bool {
        let is_old = self.forgotten_day.is_some_and(|first| day(cut_off_ms) < first);
        payment <= self.forgotten_through && (is_old || cut_off_ms == i64::MAX)
    }
    /// Reversals have left so much of a payment, minor units; `None`: not known.
    pub(crate) fn left(&mut self, payment: u64, left_minor: Option<i64>) {
        match left_minor {
            Some(0) => {
                let until_ms = self.now_ms.saturating_add(self.limits.reversed_kept_ms);
                self.reversed.insert(payment, until_ms);
            }
            // A completion says anew what it comes to.
            _ => self.reversed.remove(payment),
        }
    }
}
