//! The book of holds: which payments are stopped on their way to settlement, why, and what became of it; and which have
//! been told to go. A part of the sequencer's state, changed by events only, the same live and restored. What can be
//! refused is refused before it changes.

use super::sequences::Sequences;
use crate::domain::{Act, Clear, ClearState, Found, FoundNow, HoldAct, HoldId, HoldState, Learned, Opened};
use crate::domain::{GenerationId, Outcome};
use crate::error::{Error, ErrorKind};
use crate::image::{Reader, Writer, senseless};
use crate::limits::{HOLD_ACTS_MAX, HOLD_COMMENT_BYTES_MAX, HOLDS_ENDED_MAX, HOLDS_OPEN_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// The event's sequence.
    pub sequence: u64,
    /// When it came, ms since the Unix epoch.
    pub at_ms: i64,
}

/// The book.
#[derive(Debug, Default, PartialEq)]
pub struct Book {
    holds: BTreeMap<HoldId, Hold>,
    /// Those that wait for somebody.
    open: BTreeSet<HoldId>,
    /// By when they expire: those with a timer.
    timers: BTreeSet<(i64, HoldId)>,
    /// Those that have ended, the earliest first.
    ended: VecDeque<HoldId>,
    /// Payments that may never settle, whether their hold is still shown or not.
    stopped: Sequences,
    /// Payments that have been told to go, and those of them by default.
    pub(super) gone: Sequences,
    pub(super) flagged: Sequences,
    /// Which payments have no verdict yet: from this sequence on, one truth each.
    decided_to: u64,
    undecided: VecDeque<bool>,
    /// Reversals of payments without a verdict: sequence, and what was taken back (`None`: all).
    taken_back: BTreeMap<u64, Option<i64>>,
    pub(super) unhunted: Vec<Unhunted>,
    pub(super) hunted_through: u64,
    pub(super) counts: Counts,
}

impl Book {
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
    /// How many payments have been told to go.
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

    /// An event got a sequence; whether it waits for a verdict.
    pub(crate) fn taken(&mut self, sequence: u64, waits: bool) {
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
        let at = sequence.checked_sub(self.decided_to).and_then(|at| usize::try_from(at).ok());
        if let Some(waits) = at.and_then(|at| self.undecided.get_mut(at)) {
            *waits = false;
        }
        while self.undecided.front() == Some(&false) {
            self.undecided.pop_front();
            // What is behind the last one is the next event's to say.
            self.decided_to += u64::from(!self.undecided.is_empty());
        }
        let taken_back = self.taken_back.remove(&sequence);
        let Some(opened) = hold else { return };
        let too_late = !can_hold(opened, opened.at_ms);
        self.place(sequence, opened.clone(), None, too_late);
        if let Some(amount) = taken_back.filter(|_| !too_late) {
            self.reversed(sequence, amount, sequence, opened.at_ms);
        }
    }
    /// A payment was finished that had lacked stages, and with that a hold begins.
    pub(crate) fn finished(&mut self, sequence: u64, hold: &Opened) {
        if self.latest(sequence).is_none() && !self.is_stopped(sequence) {
            let too_late = self.is_gone(sequence) || !can_hold(hold, hold.at_ms);
            self.place(sequence, hold.clone(), None, too_late);
        }
    }
    fn is_undecided(&self, sequence: u64) -> bool {
        let at = sequence.checked_sub(self.decided_to).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.undecided.get(at)).copied().unwrap_or(false)
    }
    /// A payment was taken back, or so much of it: a hold of it has nothing to hold any more.
    pub(crate) fn reversed(&mut self, payment: u64, amount_minor: Option<i64>, sequence: u64, at_ms: i64) {
        if self.is_undecided(payment) {
            self.taken_back.insert(payment, amount_minor);
            return;
        }
        let Some((id, hold)) = self.latest(payment) else { return };
        let whole = amount_minor.is_none_or(|amount| amount >= hold.opened.amount_minor);
        if hold.state == HoldState::Held && whole {
            self.end(id, HoldState::Reversed, Ended { sequence, at_ms, by: "reversal".into() });
        }
    }

    /// Decides what finding something comes to at a time: a hold, or a case that is too late.
    pub(crate) fn weigh(&self, found: &mut Found, now_ms: i64) {
        let gone = self.is_gone(found.target);
        if let FoundNow::Stops { opened, too_late } = &mut found.now {
            *too_late = gone || !can_hold(opened, now_ms);
        }
    }
    /// Takes what a hunt found.
    ///
    /// # Errors
    /// `Conflict`, with nothing changed, where the payment is held or stopped already, or there is nothing to free.
    pub(crate) fn found(&mut self, found: &Found, sequence: u64) -> Result<(), Error> {
        let latest = self.latest(found.target).map(|(id, hold)| (id, hold.state, hold.frees.is_some()));
        match &found.now {
            FoundNow::Stops { opened, too_late } => {
                if let Some((id, state, _)) =
                    latest.filter(|(_, state, _)| state.stops() || *state == HoldState::TooLate)
                {
                    return Err(conflict(format!("{id} of the payment is {} already", state.name())));
                }
                if self.is_stopped(found.target) {
                    return Err(conflict(format!("payment {} is stopped already", found.target)));
                }
                self.place(found.target, (**opened).clone(), Some(sequence), *too_late);
            }
            FoundNow::Frees { outcome, generation, learned } => match latest {
                Some((id, HoldState::Held, false)) => {
                    let frees = Freed {
                        sequence,
                        outcome: *outcome,
                        generation: *generation,
                        learned: learned.clone(),
                    };
                    self.counts.proposed += 1;
                    let hold = self.holds.get_mut(&id).expect("just found");
                    hold.frees = Some(frees);
                    note(&mut hold.acts, sequence);
                }
                _ => return Err(conflict(format!("payment {} has no hold to be freed from", found.target))),
            },
        }
        Ok(())
    }
    fn place(&mut self, payment: u64, opened: Opened, placed_at: Option<u64>, too_late: bool) {
        let number = self.latest(payment).map_or(1, |(id, _)| id.number.saturating_add(1));
        let id = HoldId { payment, number };
        let state = if too_late { HoldState::TooLate } else { HoldState::Held };
        self.counts.states[state as usize] += 1;
        if state == HoldState::Held && self.open.len() >= HOLDS_OPEN_MAX {
            self.counts.unlisted += 1;
            self.stopped.insert(payment);
            return;
        }
        let timer = opened.until_ms.filter(|_| !opened.sanctions);
        let hold =
            Hold { opened, placed_at, state, ended: None, proposed: None, frees: None, acts: Vec::new() };
        self.holds.insert(id, hold);
        match state {
            HoldState::Held => {
                self.open.insert(id);
                self.timers.extend(timer.map(|until_ms| (until_ms, id)));
            }
            _ => self.has_ended(id),
        }
    }

    /// Does something with a hold, or says why not.
    ///
    /// # Errors
    /// `NotFound` without such a hold of the tenant, `Conflict` where it has ended or the act is not for it, `Invalid` for
    /// a comment that is missing or too long; nothing has changed then.
    pub(crate) fn act(
        &mut self,
        tenant: &str,
        act: &HoldAct,
        sequence: u64,
        at_ms: i64,
    ) -> Result<(), Error> {
        let id = act.hold;
        let hold = self.holds.get(&id).filter(|hold| *hold.opened.tenant == *tenant);
        let hold = hold.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no hold {id}")))?;
        allowed(id, hold, act, at_ms)?;
        let ended = || Ended { sequence, at_ms, by: act.by.as_str().into() };
        let to = match act.act {
            Act::Comment => None,
            Act::FalseMatch if hold.proposed.is_none() => {
                let proposed = Proposed { by: act.by.as_str().into(), at_ms, sequence };
                self.holds.get_mut(&id).expect("just found").proposed = Some(proposed);
                None
            }
            Act::Release | Act::FalseMatch => Some(HoldState::Released),
            Act::Confirm => Some(HoldState::Confirmed),
            Act::Block => Some(HoldState::Blocked),
            Act::Reject => Some(HoldState::Rejected),
            Act::Expire if hold.opened.expiry_releases => Some(HoldState::ExpiredReleased),
            Act::Expire => Some(HoldState::ExpiredConfirmed),
        };
        note(&mut self.holds.get_mut(&id).expect("just found").acts, sequence);
        if let Some(state) = to {
            self.end(id, state, ended());
        }
        Ok(())
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
            self.stopped.insert(id.payment);
        }
        self.has_ended(id);
    }
    fn has_ended(&mut self, id: HoldId) {
        self.ended.push_back(id);
        if self.ended.len() > HOLDS_ENDED_MAX
            && let Some(first) = self.ended.pop_front()
        {
            self.holds.remove(&first);
        }
    }

    /// Takes note of what the gate has said.
    pub(crate) fn cleared(&mut self, clear: &Clear) {
        for one in &clear.payments {
            self.counts.cleared[one.state as usize] += 1;
            if one.state == ClearState::Go && self.gone.insert(one.sequence) && one.flagged {
                self.counts.flagged += 1;
                self.flagged.insert(one.sequence);
            }
        }
    }

    /// Writes it.
    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.count(self.holds.len());
        for (id, hold) in &self.holds {
            to.value(id);
            to.value(hold);
        }
        to.value(&self.ended);
        for set in [&self.stopped, &self.gone, &self.flagged] {
            set.save(to);
        }
        to.u64s(&[self.decided_to, self.hunted_through]);
        to.value(&self.undecided);
        to.value(&self.taken_back);
        to.value(&self.unhunted);
        to.value(&self.counts);
    }
    /// What [`Book::save`] wrote.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub(crate) fn load(from: &mut Reader<'_>) -> Result<Book, Error> {
        let mut book = Book::default();
        for _ in 0..from.count(HOLDS_OPEN_MAX + HOLDS_ENDED_MAX)? {
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
        for set in [&mut book.stopped, &mut book.gone, &mut book.flagged] {
            *set = Sequences::load(from)?;
        }
        (book.decided_to, book.hunted_through) = (from.u64()?, from.u64()?);
        book.undecided = from.value()?;
        book.taken_back = from.value()?;
        book.unhunted = from.value()?;
        book.counts = from.value()?;
        if book.ended.len() + book.open.len() != book.holds.len() {
            return Err(senseless("holds that are neither open nor ended"));
        }
        Ok(book)
    }
}

/// Whether something can still hold a payment at a time. A recall is a request, and holds nothing.
fn can_hold(opened: &Opened, now_ms: i64) -> bool {
    use crate::domain::Lever;
    !matches!(opened.lever, Lever::None | Lever::Recall) && now_ms < opened.cut_off_ms
}

fn allowed(id: HoldId, hold: &Hold, act: &HoldAct, at_ms: i64) -> Result<(), Error> {
    if act.comment.len() > HOLD_COMMENT_BYTES_MAX {
        let text = format!("a comment of {} bytes, limit {HOLD_COMMENT_BYTES_MAX}", act.comment.len());
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    if act.act == Act::Comment {
        return match act.comment.trim().is_empty() {
            true => Err(Error::new(ErrorKind::Invalid, "a comment without words")),
            false => Ok(()),
        };
    }
    if hold.state != HoldState::Held {
        return Err(conflict(format!(
            "{id} is {}, so there is nothing to {}",
            hold.state.name(),
            act.act.name()
        )));
    }
    let of_sanctions = matches!(act.act, Act::Block | Act::Reject | Act::FalseMatch);
    match (hold.opened.sanctions, of_sanctions, act.act) {
        (true, false, _) => Err(conflict(format!(
            "{id} is a sanctions hold: it ends as a true match (block or reject), or as a false match that a second person confirms"
        ))),
        (false, true, _) => Err(conflict(format!("{id} is no sanctions hold: it is released or confirmed"))),
        (false, false, Act::Expire) if hold.opened.until_ms.is_none_or(|until_ms| at_ms < until_ms) => {
            Err(conflict(format!("{id} has not expired")))
        }
        (true, true, Act::FalseMatch) if act.comment.trim().is_empty() => {
            Err(Error::new(ErrorKind::Invalid, "a false match needs its reason in words"))
        }
        (true, true, Act::FalseMatch) if hold.proposed.as_ref().is_some_and(|one| *one.by == *act.by) => {
            Err(conflict(format!("{id}: a second person has to confirm what {} said", act.by)))
        }
        _ => Ok(()),
    }
}

fn note(acts: &mut Vec<u64>, sequence: u64) {
    if acts.len() < HOLD_ACTS_MAX {
        acts.push(sequence);
    }
}

fn conflict(text: String) -> Error {
    Error::new(ErrorKind::Conflict, text)
}
