//! The book of holds made again from the journal's records, for readers outside of a node: the same steps as the
//! sequencer's, without identity, features and lists, of which the records say what they came to.

use super::book::{Book, BookLimits, Labelled, TakenBack};
use crate::domain::{Accepted, Body, HoldAct, Opened};
use crate::features::FollowUp;
use crate::limits::{HOLD_ACTS_MAX, HOLDS_OPEN_MAX, LEARNED_MAX, PAST_HOLDS_MAX, PAST_LABELS_MAX};
use crate::waiting::{Waiting, WaitingLimits};

/// The book as records change it.
pub struct PastBook {
    book: Book,
    waiting: Waiting,
    refused: u64,
}

impl Default for PastBook {
    fn default() -> PastBook {
        PastBook::new()
    }
}

impl PastBook {
    /// Before the first record.
    pub fn new() -> PastBook {
        // Open ones as a node has them, since a payment that it had no room for has no hold whose id could be named; of
        // those that have ended as many as there may be.
        let book = Book::new(BookLimits {
            open_max: HOLDS_OPEN_MAX,
            ended_max: PAST_HOLDS_MAX,
            acts_max: HOLD_ACTS_MAX,
            learned_max: LEARNED_MAX,
            labels_max: PAST_LABELS_MAX,
            // It tells of all that there ever was.
            settled_kept_ms: i64::MAX,
            reversed_kept_ms: i64::MAX,
        });
        PastBook { book, waiting: Waiting::new(WaitingLimits::default()), refused: 0 }
    }
    /// The book as it stands.
    pub fn book(&self) -> &Book {
        &self.book
    }
    /// Events that did not fit: of holds that began in a part of the journal that is no longer there.
    pub fn refused(&self) -> u64 {
        self.refused
    }
    /// Whether it has no room for all there is to tell: see [`PAST_HOLDS_MAX`] and [`PAST_LABELS_MAX`].
    pub fn is_full(&self) -> bool {
        let ended = self.book.after(None).count() - self.book.open_len();
        ended >= PAST_HOLDS_MAX || self.book.labels_after(0).count() >= PAST_LABELS_MAX
    }

    /// Takes an accepted record, in the journal's order.
    pub fn take(&mut self, accepted: &Accepted) {
        let (sequence, arrival_ms) = (accepted.sequence, accepted.event.arrival_ms);
        let done = match &accepted.event.body {
            Body::Payment(_) => {
                self.payment(accepted);
                return;
            }
            Body::Label { target, label, .. } => {
                self.book.labelled(*target, Labelled { label: *label, sequence, at_ms: arrival_ms });
                Ok(())
            }
            Body::Hunt(found) => self.book.found(found, sequence),
            // It had words where it needs any; whoever tells of them reads them then.
            Body::HoldAct(act) => {
                let act = HoldAct { comment: "-".into(), ..(**act).clone() };
                self.book.act(&accepted.event.tenant, &act, sequence, arrival_ms)
            }
            Body::Clear(clear) => {
                self.book.cleared(clear);
                Ok(())
            }
            Body::ListDelta(_)
            | Body::Publish { .. }
            | Body::Key(_)
            | Body::Hunted { .. }
            | Body::Outcome { .. } => Ok(()),
        };
        self.refused += u64::from(done.is_err());
        self.book.taken(sequence, false, arrival_ms);
    }
    fn payment(&mut self, accepted: &Accepted) {
        let Body::Payment(tx) = &accepted.event.body else { return };
        let (sequence, arrival_ms) = (accepted.sequence, accepted.event.arrival_ms);
        self.waiting.expire(arrival_ms);
        let follow = FollowUp::of(sequence, tx);
        if let (Some(back), Some(target)) =
            (follow.and_then(|follow| TakenBack::by(&follow, arrival_ms)), accepted.original)
        {
            self.book.reversed(target, back);
        }
        let now = [accepted.identity, accepted.alias].into_iter();
        let earlier = tx.keyed().earlier.iter().flat_map(|one| [one.identity, one.alias]);
        let met = self.waiting.take(&tx.tenant, now.chain(earlier).flatten(), tx.kind);
        if let Some(follow) = follow.filter(|_| accepted.original.is_none() && !accepted.waits_for.is_empty())
        {
            self.waiting.wait(&tx.tenant, &accepted.waits_for, follow);
        }
        self.book.taken(sequence, true, arrival_ms);
        for back in met.iter().filter_map(|waiter| TakenBack::by(&waiter.follow, arrival_ms)) {
            self.book.reversed(sequence, back);
        }
    }
    /// A payment has its verdict, and with it a hold where one begins.
    pub fn decided(&mut self, sequence: u64, hold: Option<&Opened>) {
        self.book.decided(sequence, hold);
    }
    /// What a payment's verdict lacked was finished, and a hold begins with it where `hold` says so.
    pub fn finished(&mut self, sequence: u64, hold: Option<&Opened>) {
        if let Some(hold) = hold {
            self.book.finished(sequence, hold);
        }
    }
}
