//! The book in an image of the state.

use super::{Book, BookLimits, Hold, Labelled};
use crate::domain::{HoldId, HoldState};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::settlement::dated::Dated;

impl Book {
    /// Writes it.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.count(self.holds.len());
        for (id, hold) in &self.holds {
            to.value(id);
            to.value(hold);
        }
        to.value(&self.ended);
        for set in [&self.stopped, &self.late, &self.gone, &self.flagged, &self.reversed] {
            set.save(to);
        }
        to.i64(self.now_ms);
        to.value(&self.forgotten_day);
        to.u64(self.forgotten_through);
        to.count(self.let_go.len());
        self.let_go.iter().for_each(|set| set.save(to));
        to.u64s(&[self.decided_to, self.hunted_through]);
        to.bool(self.any);
        to.value(&self.undecided);
        to.value(&self.taken_back);
        to.value(&self.unhunted);
        to.value(&self.counts);
        to.count(self.labels.len());
        for (payment, label) in &self.labels {
            to.value(&(*payment, *label));
        }
    }
    /// What [`Book::save`] wrote, under the same bounds.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub(crate) fn load(from: &mut Reader<'_>, limits: BookLimits) -> Result<Book, Error> {
        let mut book = Book::new(limits);
        for _ in 0..from.count(limits.open_max.saturating_add(limits.ended_max))? {
            let (id, hold): (HoldId, Hold) = (from.value()?, from.value()?);
            if book.holds.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(senseless("holds out of order"));
            }
            if hold.state == HoldState::Held {
                book.open.insert(id);
                let timer = hold.opened.until_ms.filter(|_| !hold.opened.sanctions);
                book.timers.extend(timer.map(|until_ms| (until_ms, id)));
            }
            book.holds.insert(id, hold);
        }
        book.ended = from.value()?;
        let Book { stopped, late, gone, flagged, reversed, .. } = &mut book;
        for set in [stopped, late, gone, flagged, reversed] {
            *set = Dated::load(from)?;
        }
        (book.now_ms, book.forgotten_day, book.forgotten_through) = (from.i64()?, from.value()?, from.u64()?);
        for _ in 0..from.count(usize::from(u16::MAX))? {
            book.let_go.push(Dated::load(from)?);
        }
        (book.decided_to, book.hunted_through) = (from.u64()?, from.u64()?);
        book.any = from.bool()?;
        book.undecided = from.value()?;
        book.taken_back = from.value()?;
        book.unhunted = from.value()?;
        book.counts = from.value()?;
        for _ in 0..from.count(limits.labels_max)? {
            let (payment, label): (u64, Labelled) = from.value()?;
            if book.labels.last_key_value().is_some_and(|(last, _)| *last >= payment) {
                return Err(senseless("labels out of order"));
            }
            book.labels.insert(payment, label);
        }
        let has_ended = |id: &HoldId| book.holds.get(id).is_some_and(|hold| hold.state != HoldState::Held);
        if book.ended.len() + book.open.len() != book.holds.len() || !book.ended.iter().all(has_ended) {
            return Err(senseless("holds that are neither open nor ended"));
        }
        Ok(book)
    }
}
