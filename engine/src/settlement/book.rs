//! The book of holds: which payments are stopped on their way to settlement, why, and what became of it; and which have
//! been told to go. A part of the sequencer's state, changed by events only, the same live and restored. What can be
//! refused is refused before it changes.

mod acts;
mod labels;
mod saved;
mod settled;

pub use labels::Labelled;

use super::dated::Dated;
use crate::domain::{Clear, ClearState, Found, FoundNow, HoldId, HoldState, Learned, Opened};
use crate::domain::{GenerationId, Outcome};
use crate::error::{Error, ErrorKind};
use crate::features::{FollowKind, FollowUp};
use crate::limits::{HOLD_ACTS_MAX, HOLDS_ENDED_MAX, HOLDS_OPEN_MAX, LABELLED_MAX, LEARNED_MAX};
use crate::limits::{REVERSED_KEPT_MS, SETTLED_KEPT_MS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bounds of the book; what happens at each is said where the defaults are (`limits.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookLimits {
    /// Holds that wait for somebody.
    pub open_max: usize,
    /// Holds and cases that have ended and are still shown.
    pub ended_max: usize,
    /// Acts of one hold that are told.
    pub acts_max: usize,
    /// What was learned and is not hunted through, in events; at least 2.
    pub learned_max: usize,
    /// Payments whose label is known.
    pub labels_max: usize,
    /// How long after its cut-off it is known what became of a payment, in ms.
    pub settled_kept_ms: i64,
    /// How long after its reversal it is known that a payment was taken back in full, in ms.
    pub reversed_kept_ms: i64,
}

impl Default for BookLimits {
    fn default() -> BookLimits {
        BookLimits {
            open_max: HOLDS_OPEN_MAX,
            ended_max: HOLDS_ENDED_MAX,
            acts_max: HOLD_ACTS_MAX,
            learned_max: LEARNED_MAX,
            labels_max: LABELLED_MAX,
            settled_kept_ms: SETTLED_KEPT_MS,
            reversed_kept_ms: REVERSED_KEPT_MS,
        }
    }
}

/// A hold, or a case that was too late for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// How it began.
    pub opened: Opened,
    /// The event that placed it; `None`: the payment's own verdict.
    pub placed_at: Option<u64>,
    /// Where it stands.
    pub state: HoldState,
    /// What ended it.
    pub ended: Option<Ended>,
    /// Of a sanctions hold: who says that it is no match, until another says it too.
    pub proposed: Option<Proposed>,
    /// Judged again, it would not be held now.
    pub frees: Option<Freed>,
    /// What reversals have taken back of it in its own currency, in minor units.
    pub taken_back_minor: i64,
    /// What was done with it, by sequence; the first [`HOLD_ACTS_MAX`].
    pub acts: Vec<u64>,
}

/// What ended a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The event's sequence.
    pub sequence: u64,
    /// When, ms since the Unix epoch.
    pub at_ms: i64,
    /// Who.
    pub by: Box<str>,
}

/// Who says that a sanctions hold is no match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Who.
    pub by: Box<str>,
    /// When, ms since the Unix epoch.
    pub at_ms: i64,
    /// The event's sequence.
    pub sequence: u64,
}

/// A held payment would not be held now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// The event's sequence.
    pub sequence: u64,
    /// What it would be answered.
    pub outcome: Outcome,
    /// By which generation.
    pub generation: GenerationId,
    /// What was learned.
    pub learned: Learned,
}

/// What happened, since the journal's beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Holds and cases by the state that they came to, in the order of [`HoldState::ALL`]; those placed are the first.
    pub states: [u64; HoldState::ALL.len()],
    /// Payments at the gate by what they were told, in the order of [`ClearState::ALL`].
    pub cleared: [u64; ClearState::ALL.len()],
    /// Of those with go, the ones that were flagged.
    pub flagged: u64,
    /// Payments that are stopped without a hold of their own, for want of room.
    pub unlisted: u64,
    /// Releases that were proposed since a payment would not be held now.
    pub proposed: u64,
}

/// What was learned and not hunted through yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unhunted {
    /// The event's sequence; of several that were taken together the last one's.
    pub sequence: u64,
    /// The first one's, which is another where it stands for several, of which nothing is known but that they were.
    pub first: u64,
    /// When it came, ms since the Unix epoch; of several the earliest.
    pub at_ms: i64,
}

/// A payment was taken back, or so much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenBack {
    /// So much, in minor units; `None`: all of it.
    pub amount_minor: Option<i64>,
    /// ISO 4217; `None`: in its own currency.
    pub currency: Option<Box<str>>,
    /// The reversal's sequence.
    pub sequence: u64,
    /// When it came to the payment, ms since the Unix epoch.
    pub at_ms: i64,
}

impl TakenBack {
    /// What a message takes back that came to its payment at a time; `None` where it is no reversal.
    pub(crate) fn by(follow: &FollowUp, at_ms: i64) -> Option<TakenBack> {
        let FollowUp { amount_minor, sequence, .. } = *follow;
        let currency = follow.currency.as_ref().map(|currency| currency.code().into());
        (follow.kind == FollowKind::Reversal).then_some(TakenBack { amount_minor, currency, sequence, at_ms })
    }
}

/// The book.
#[derive(Debug, Default, PartialEq)]
pub struct Book {
    pub(super) limits: BookLimits,
    holds: BTreeMap<HoldId, Hold>,
    /// Those that wait for somebody.
    open: BTreeSet<HoldId>,
    /// By when they expire: those with a timer.
    timers: BTreeSet<(i64, HoldId)>,
    /// Those that have ended, the earliest first.
    ended: VecDeque<HoldId>,
    /// Payments that may never settle, whether their hold is still shown or not.
    stopped: Dated,
    /// Payments of which something was found too late, whether their case is still shown or not.
    pub(super) late: Dated,
    /// Payments whose released holds are no longer shown, by the hold's number from 1: it is not given again.
    let_go: Vec<Dated>,
    /// Payments that have been told to go, and those of them by default.
    pub(super) gone: Dated,
    pub(super) flagged: Dated,
    /// Payments of which reversals have left nothing, held or not.
    reversed: Dated,
    /// The latest arrival; what was known longer than its time is forgotten by it.
    now_ms: i64,
    /// What had its cut-off before this day may be forgotten.
    forgotten_day: Option<i64>,
    /// The last payment that was.
    forgotten_through: u64,
    /// Which payments have no verdict yet: from this sequence on, one truth each.
    decided_to: u64,
    /// Whether there has been any payment.
    pub(super) any: bool,
    undecided: VecDeque<bool>,
    /// Reversals of payments without a verdict.
    taken_back: BTreeMap<u64, Vec<TakenBack>>,
    pub(super) unhunted: Vec<Unhunted>,
    pub(super) hunted_through: u64,
    pub(super) counts: Counts,
    /// By payment, its last label.
    labels: BTreeMap<u64, Labelled>,
}

impl Book {
    /// An empty one.
    pub fn new(limits: BookLimits) -> Book {
        assert!(limits.learned_max >= 2, "pairs are taken together");
        Book { limits, ..Book::default() }
    }
    /// Its bounds.
    pub fn limits(&self) -> BookLimits {
        self.limits
    }
    /// A hold.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id)
    }
    /// A payment's latest hold.
    pub fn latest(&self, payment: u64) -> Option<(HoldId, &Hold)> {
        self.of_payment(payment).next_back()
    }
    /// A payment's holds, in order.
    pub fn of_payment(&self, payment: u64) -> impl DoubleEndedIterator<Item = (HoldId, &Hold)> {
        let (first, last) = (HoldId { payment, number: 0 }, HoldId { payment, number: u16::MAX });
        self.holds.range(first..=last).map(|(id, hold)| (*id, hold))
    }
    /// All holds after one, by id; from the first where it is `None`.
    pub fn after(&self, id: Option<HoldId>) -> impl Iterator<Item = (HoldId, &Hold)> {
        let from = id.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.holds.range((from, std::ops::Bound::Unbounded)).map(|(id, hold)| (*id, hold))
    }
    /// Those that wait for somebody, after one, by id.
    pub fn open_after(&self, id: Option<HoldId>) -> impl Iterator<Item = (HoldId, &Hold)> {
        let from = id.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.open.range((from, std::ops::Bound::Unbounded)).map(|id| (*id, &self.holds[id]))
    }
    /// How many wait for somebody.
    pub fn open_len(&self) -> usize {
        self.open.len()
    }
    /// The first timers up to a time, ms since the Unix epoch.
    pub fn expired(&self, now_ms: i64) -> impl Iterator<Item = HoldId> {
        self.timers.iter().take_while(move |(until_ms, _)| *until_ms <= now_ms).map(|(_, id)| *id)
    }
    /// When the next timer runs out, ms since the Unix epoch.
    pub fn next_timer_ms(&self) -> Option<i64> {
        self.timers.first().map(|(until_ms, _)| *until_ms)
    }
    /// Whether a payment may never settle.
    pub fn is_stopped(&self, payment: u64) -> bool {
        self.stopped.contains(payment)
    }
    /// Whether a payment has been told to go.
    pub fn is_gone(&self, payment: u64) -> bool {
        self.gone.contains(payment)
    }
    /// Whether a payment has been told to go by the declared default, though not all that counts for it was hunted.
    pub fn is_flagged(&self, payment: u64) -> bool {
        self.flagged.contains(payment)
    }
    /// Whether something was found of a payment too late.
    pub fn is_late(&self, payment: u64) -> bool {
        self.late.contains(payment)
    }
    /// Whether reversals have left nothing of a payment.
    pub fn is_reversed(&self, payment: u64) -> bool {
        self.reversed.contains(payment)
    }
    /// How many payments have been told to go, of those that are known.
    pub fn gone_count(&self) -> u64 {
        self.gone.count()
    }
    /// All payments of the window have been judged by the view as of this sequence.
    pub fn hunted_through(&self) -> u64 {
        self.hunted_through
    }
    /// What was learned and is not hunted through, in order.
    pub fn unhunted(&self) -> &[Unhunted] {
        &self.unhunted
    }
    /// What happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }
    /// Whether every event up to a sequence that is a payment has a verdict.
    pub fn decided_through(&self) -> u64 {
        self.decided_to.saturating_sub(u64::from(!self.undecided.is_empty()))
    }

    /// An event that arrived at a time, ms since the Unix epoch, got a sequence; whether it waits for a verdict.
    pub(crate) fn taken(&mut self, sequence: u64, waits: bool, at_ms: i64) {
        self.arrived(at_ms);
        self.any |= waits;
        if self.undecided.is_empty() {
            self.decided_to = sequence;
            if waits {
                self.undecided.push_back(true);
            }
            return;
        }
        self.undecided.push_back(waits);
    }
    /// A payment got its verdict, and with it a hold where one begins.
    pub(crate) fn decided(&mut self, sequence: u64, hold: Option<&Opened>) {
        // A verdict is given once; a second one is damage, and `verify`'s to tell.
        if !self.is_undecided(sequence) {
            return;
        }
        let at = sequence.checked_sub(self.decided_to).and_then(|at| usize::try_from(at).ok());
        if let Some(waits) = at.and_then(|at| self.undecided.get_mut(at)) {
            *waits = false;
        }
        while self.undecided.front() == Some(&false) {
            self.undecided.pop_front();
            // What is behind the last one is the next event's to say.
            self.decided_to += u64::from(!self.undecided.is_empty());
        }
        let taken_back = self.taken_back.remove(&sequence).unwrap_or_default();
        let Some(opened) = hold else { return };
        self.place(sequence, opened.clone(), None, !opened.can_hold(opened.at_ms));
        taken_back.into_iter().for_each(|back| self.reversed(sequence, back));
    }
    /// A payment was finished that had lacked stages, and with that a hold begins: where there was none, and where the
    /// one that there was, by a default as a rule, was let go of by somebody who did not know this.
    pub(crate) fn finished(&mut self, sequence: u64, hold: &Opened) {
        let says_more = |before: &Opened| {
            hold.outcome > before.outcome || hold.causes.iter().any(|cause| !before.causes.contains(cause))
        };
        let begins = match self.latest(sequence) {
            Some((_, one)) => !one.state.stops() && says_more(&one.opened),
            // It had none, or what it was let go from is no longer known.
            None => true,
        };
        if begins && !self.is_stopped(sequence) && !self.late.contains(sequence) {
            let too_late = self.is_gone(sequence) || !hold.can_hold(hold.at_ms);
            self.place(sequence, hold.clone(), None, too_late);
        }
    }
    pub(super) fn is_undecided(&self, sequence: u64) -> bool {
        let at = sequence.checked_sub(self.decided_to).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.undecided.get(at)).copied().unwrap_or(false)
    }
    /// A payment was taken back, or so much of it: a hold of it that has nothing left to hold ends. What is taken back
    /// in another currency takes away nothing that could be counted.
    pub(crate) fn reversed(&mut self, payment: u64, back: TakenBack) {
        if self.is_undecided(payment) {
            self.taken_back.entry(payment).or_default().push(back);
            return;
        }
        let Some((id, _)) = self.latest(payment).filter(|(_, hold)| hold.state == HoldState::Held) else {
            return;
        };
        let hold = self.holds.get_mut(&id).expect("just found");
        let TakenBack { amount_minor, currency, sequence, at_ms } = back;
        hold.taken_back_minor = match amount_minor {
            None => hold.taken_back_minor.max(hold.opened.amount_minor),
            Some(_) if currency.is_some_and(|currency| currency != hold.opened.currency) => return,
            Some(amount) => hold.taken_back_minor.saturating_add(amount.max(0)),
        };
        if hold.taken_back_minor >= hold.opened.amount_minor {
            self.end(id, HoldState::Reversed, Ended { sequence, at_ms, by: "reversal".into() });
        }
    }

    /// Decides what finding something comes to at a time: a hold, or a case that is too late.
    pub(crate) fn weigh(&self, found: &mut Found, now_ms: i64) {
        let gone = self.is_gone(found.target);
        if let FoundNow::Stops { opened, too_late } = &mut found.now {
            *too_late = gone || !opened.can_hold(now_ms);
        }
    }
    /// Takes what a hunt found.
    ///
    /// # Errors
    /// `Conflict`, with nothing changed, where the payment has no verdict yet, is held or stopped already, was held for
    /// the same before, or there is nothing to free.
    pub(crate) fn found(&mut self, found: &Found, sequence: u64) -> Result<(), Error> {
        let payment = found.target;
        if self.is_undecided(payment) {
            return Err(conflict(format!("payment {payment} has no verdict yet")));
        }
        match &found.now {
            FoundNow::Stops { opened, too_late } => self.stops(payment, opened, *too_late, sequence),
            FoundNow::Frees { outcome, generation, learned } => {
                let frees =
                    Freed { sequence, outcome: *outcome, generation: *generation, learned: learned.clone() };
                self.frees(payment, frees)
            }
        }
    }
    fn stops(&mut self, payment: u64, opened: &Opened, too_late: bool, sequence: u64) -> Result<(), Error> {
        let latest = self.latest(payment).map(|(id, hold)| (id, hold.state, hold.frees.is_some()));
        match latest {
            // What had freed it is no more: its release is proposed no longer.
            Some((id, HoldState::Held, true)) => {
                let hold = self.holds.get_mut(&id).expect("just found");
                hold.frees = None;
                note(&mut hold.acts, sequence, self.limits.acts_max);
                return Ok(());
            }
            Some((id, state, _)) if state.stops() || state == HoldState::TooLate => {
                return Err(conflict(format!("{id} of the payment is {} already", state.name())));
            }
            Some((id, ..)) if id.number == u16::MAX => {
                return Err(conflict(format!("{id} is the payment's last: there are no more numbers")));
            }
            _ => {}
        }
        if self.is_stopped(payment) || self.late.contains(payment) {
            return Err(conflict(format!("payment {payment} is stopped already")));
        }
        if self.is_reversed(payment) {
            return Err(conflict(format!("payment {payment} was taken back, and nothing of it is left")));
        }
        // A hunt that was broken off finds the same again, and somebody may have released it meanwhile.
        let is_same = |hold: &Hold| opened.learned.is_some() && hold.opened.learned == opened.learned;
        if let Some((id, _)) = self.of_payment(payment).find(|(_, hold)| is_same(hold)) {
            return Err(conflict(format!("{id} of the payment was for the same")));
        }
        self.place(payment, opened.clone(), Some(sequence), too_late);
        Ok(())
    }
    fn frees(&mut self, payment: u64, frees: Freed) -> Result<(), Error> {
        let held =
            self.latest(payment).filter(|(_, hold)| hold.state == HoldState::Held && hold.frees.is_none());
        let Some((id, _)) = held else {
            return Err(conflict(format!("payment {payment} has no hold to be freed from")));
        };
        let hold = self.holds.get_mut(&id).expect("just found");
        note(&mut hold.acts, frees.sequence, self.limits.acts_max);
        hold.frees = Some(frees);
        self.counts.proposed += 1;
        Ok(())
    }
    fn place(&mut self, payment: u64, opened: Opened, placed_at: Option<u64>, too_late: bool) {
        let id = HoldId { payment, number: self.next_number(payment) };
        let state = if too_late { HoldState::TooLate } else { HoldState::Held };
        let until_ms = self.known_until(opened.cut_off_ms);
        if state == HoldState::Held && self.open.len() >= self.limits.open_max {
            self.counts.unlisted += 1;
            self.stopped.insert(payment, until_ms);
            return;
        }
        self.counts.states[state as usize] += 1;
        let timer = opened.until_ms.filter(|_| !opened.sanctions);
        let hold = Hold {
            opened,
            placed_at,
            state,
            ended: None,
            proposed: None,
            frees: None,
            taken_back_minor: 0,
            acts: Vec::new(),
        };
        self.holds.insert(id, hold);
        match state {
            HoldState::Held => {
                self.open.insert(id);
                self.timers.extend(timer.map(|until_ms| (until_ms, id)));
            }
            _ => {
                self.late.insert(payment, until_ms);
                self.has_ended(id);
            }
        }
    }
    fn next_number(&self, payment: u64) -> u16 {
        let shown = self.latest(payment).map_or(0, |(id, _)| id.number);
        let let_go = self.let_go.iter().rposition(|payments| payments.contains(payment));
        let let_go = let_go.map_or(0, |at| u16::try_from(at + 1).expect("numbers of holds are no larger"));
        shown.max(let_go).saturating_add(1)
    }

    fn end(&mut self, id: HoldId, state: HoldState, ended: Ended) {
        let hold = self.holds.get_mut(&id).expect("whoever ends it has found it");
        (hold.state, hold.ended) = (state, Some(ended));
        if let Some(until_ms) = hold.opened.until_ms {
            self.timers.remove(&(until_ms, id));
        }
        self.open.remove(&id);
        self.counts.states[state as usize] += 1;
        if state.stops() {
            let until_ms = self.known_until(self.holds[&id].opened.cut_off_ms);
            self.stopped.insert(id.payment, until_ms);
        }
        self.has_ended(id);
    }
    fn has_ended(&mut self, id: HoldId) {
        self.ended.push_back(id);
        while self.ended.len() > self.limits.ended_max
            && let Some(first) = self.ended.pop_front()
        {
            let Some(hold) = self.holds.remove(&first) else { continue };
            if !hold.state.stops() && hold.state != HoldState::TooLate {
                let (number, until_ms) =
                    (usize::from(first.number), self.known_until(hold.opened.cut_off_ms));
                self.let_go.resize(self.let_go.len().max(number), Dated::default());
                self.let_go[number - 1].insert(first.payment, until_ms);
            }
        }
    }

    /// Takes note of what the gate has said.
    pub(crate) fn cleared(&mut self, clear: &Clear) {
        for one in &clear.payments {
            self.counts.cleared[one.state as usize] += 1;
            let until_ms = self.known_until(one.cut_off_ms);
            if one.state == ClearState::Go && self.gone.insert(one.sequence, until_ms) && one.flagged {
                self.counts.flagged += 1;
                self.flagged.insert(one.sequence, until_ms);
            }
        }
    }
}

fn note(acts: &mut Vec<u64>, sequence: u64, most: usize) {
    if acts.len() < most {
        acts.push(sequence);
    }
}

pub(super) fn conflict(text: String) -> Error {
    Error::new(ErrorKind::Conflict, text)
}

#[cfg(test)]
mod tests;
