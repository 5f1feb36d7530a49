//! The oracle: everything that ever happened in lists, looked through from the beginning for each question. Nothing is
//! forgotten or taken together; what bounds hide is left out when it is asked for.

use super::super::{BookLimits, Counts, Ended, Freed, Hold, Proposed, TakenBack};
use crate::domain::{Act, ClearState, Cleared, Found, FoundNow, HoldAct, HoldId, HoldState, Lever, Opened};
use crate::error::ErrorKind;

struct Case {
    id: HoldId,
    hold: Hold,
    /// Until when it counts that it stopped its payment, or came too late.
    counts_until_ms: i64,
    /// Where it is no longer shown: until when its number is known.
    number_until_ms: Option<i64>,
}

#[derive(Default)]
pub struct Oracle {
    open_max: usize,
    ended_max: usize,
    acts_max: usize,
    settled_kept_ms: i64,
    reversed_kept_ms: i64,
    now_ms: i64,
    cases: Vec<Case>,
    /// Places in `cases`, in the order in which they ended.
    ended: Vec<usize>,
    /// Each with the time until which it counts.
    unlisted: Vec<(u64, i64)>,
    gone: Vec<(u64, bool, i64)>,
    reversed: Vec<(u64, i64)>,
    /// Every event, and whether it is decided or needs not be.
    events: Vec<bool>,
    before_verdict: Vec<(u64, TakenBack)>,
    pub learned: Vec<(u64, i64)>,
    pub hunted_through: u64,
    pub counts: Counts,
    /// How many had been learned when all was hunted last.
    learned_before: usize,
}

fn stops(state: HoldState) -> bool {
    use HoldState::{Blocked, Confirmed, ExpiredConfirmed, Held, Rejected, Reversed};
    [Held, Confirmed, ExpiredConfirmed, Blocked, Rejected, Reversed].contains(&state)
}

impl Oracle {
    pub fn new(limits: BookLimits) -> Oracle {
        let BookLimits { open_max, ended_max, acts_max, settled_kept_ms, reversed_kept_ms, .. } = limits;
        Oracle { open_max, ended_max, acts_max, settled_kept_ms, reversed_kept_ms, ..Oracle::default() }
    }
    /// Whether what counts until a time still does: days are whole.
    fn counts(&self, until_ms: i64) -> bool {
        day(until_ms) >= day(self.now_ms - self.settled_kept_ms)
    }
    fn until(&self, opened: &Opened) -> i64 {
        opened.cut_off_ms.max(self.now_ms)
    }
    fn is_unlisted(&self, payment: u64) -> bool {
        self.unlisted.iter().any(|(one, until_ms)| *one == payment && self.counts(*until_ms))
    }
    pub fn is_late(&self, payment: u64) -> bool {
        let is_it = |case: &Case| case.id.payment == payment && case.hold.state == HoldState::TooLate;
        self.cases.iter().any(|case| is_it(case) && self.counts(case.counts_until_ms))
    }
    pub fn left(&mut self, payment: u64, minor: Option<i64>) {
        let until_ms = self.now_ms + self.reversed_kept_ms;
        match minor {
            Some(0) if !self.is_reversed(payment) => self.reversed.push((payment, until_ms)),
            Some(0) => {}
            _ => self.reversed.retain(|(one, _)| *one != payment),
        }
    }
    pub fn is_reversed(&self, payment: u64) -> bool {
        let counts = |until_ms: &i64| day(*until_ms) >= day(self.now_ms);
        self.reversed.iter().any(|(one, until_ms)| *one == payment && counts(until_ms))
    }
    /// The last payment of which something was known and is not any more.
    fn forgotten_through(&self) -> u64 {
        let mut all: Vec<(u64, i64)> = self.unlisted.clone();
        all.extend(self.gone.iter().map(|(one, _, until_ms)| (*one, *until_ms)));
        for case in &self.cases {
            let for_good = stops(case.hold.state) && case.hold.state != HoldState::Held;
            if for_good || case.hold.state == HoldState::TooLate {
                all.push((case.id.payment, case.counts_until_ms));
            }
            all.extend(case.number_until_ms.map(|until_ms| (case.id.payment, until_ms)));
        }
        all.into_iter().filter(|(_, until_ms)| !self.counts(*until_ms)).map(|(one, _)| one).max().unwrap_or(0)
    }
    pub fn taken(&mut self, sequence: u64, waits: bool, at_ms: i64) {
        self.now_ms = self.now_ms.max(at_ms);
        self.events.push(!waits);
        assert_eq!(self.events.len() as u64, sequence);
    }
    pub fn is_undecided(&self, payment: u64) -> bool {
        !self.events[payment as usize - 1]
    }
    pub fn decided_through(&self) -> u64 {
        self.events.iter().take_while(|done| **done).count() as u64
    }
    pub fn decided(&mut self, payment: u64, hold: Option<&Opened>) {
        self.events[payment as usize - 1] = true;
        let Some(opened) = hold else { return };
        let too_late = holds_nothing(opened) || opened.at_ms >= opened.cut_off_ms;
        self.place(payment, opened, None, too_late);
        let before: Vec<TakenBack> = self
            .before_verdict
            .iter()
            .filter(|(of, _)| *of == payment)
            .map(|(_, back)| back.clone())
            .collect();
        before.iter().for_each(|back| self.reversed(payment, back));
    }
    pub fn finished(&mut self, payment: u64, opened: &Opened) {
        let shown = self.shown();
        let latest = shown.iter().filter(|(id, _)| id.payment == payment).max_by_key(|(id, _)| *id);
        let begins = latest.is_none_or(|(_, before)| {
            let before_all = &before.opened.causes;
            let is_new = opened.causes.iter().any(|cause| !before_all.contains(cause));
            !stops(before.state) && (is_new || opened.outcome > before.opened.outcome)
        });
        if begins && !self.is_stopped(payment) && !self.is_late(payment) {
            self.place(payment, opened, None, self.is_too_late(payment, opened, opened.at_ms));
        }
    }
    fn place(&mut self, payment: u64, opened: &Opened, placed_at: Option<u64>, too_late: bool) {
        let open = self.cases.iter().filter(|case| case.hold.state == HoldState::Held).count();
        if !too_late && open >= self.open_max {
            self.unlisted.push((payment, self.until(opened)));
            self.counts.unlisted += 1;
            return;
        }
        let number = 1 + self.latest_number(payment).unwrap_or(0);
        let state = if too_late { HoldState::TooLate } else { HoldState::Held };
        self.counts.states[state as usize] += 1;
        let hold = Hold {
            opened: opened.clone(),
            placed_at,
            state,
            ended: None,
            proposed: None,
            frees: None,
            taken_back_minor: 0,
            acts: Vec::new(),
        };
        let (counts_until_ms, number_until_ms) = (self.until(opened), None);
        self.cases.push(Case { id: HoldId { payment, number }, hold, counts_until_ms, number_until_ms });
        if too_late {
            self.has_ended(self.cases.len() - 1);
        }
    }
    pub fn reversed(&mut self, payment: u64, back: &TakenBack) {
        if self.is_undecided(payment) {
            self.before_verdict.push((payment, back.clone()));
            return;
        }
        let Some(at) = self.held(payment) else { return };
        let hold = &mut self.cases[at].hold;
        match (back.amount_minor, &back.currency) {
            (None, _) => hold.taken_back_minor = hold.taken_back_minor.max(hold.opened.amount_minor),
            (Some(_), Some(currency)) if *currency != hold.opened.currency => return,
            (Some(amount), _) => hold.taken_back_minor += amount.max(0),
        }
        if hold.taken_back_minor >= hold.opened.amount_minor {
            self.end(at, HoldState::Reversed, back.sequence, back.at_ms, "reversal");
        }
    }
    /// Where the payment's hold is that waits for somebody.
    fn held(&self, payment: u64) -> Option<usize> {
        self.cases.iter().position(|case| case.id.payment == payment && case.hold.state == HoldState::Held)
    }
    fn end(&mut self, at: usize, state: HoldState, sequence: u64, at_ms: i64, by: &str) {
        let hold = &mut self.cases[at].hold;
        (hold.state, hold.ended) = (state, Some(Ended { sequence, at_ms, by: by.into() }));
        self.counts.states[state as usize] += 1;
        self.cases[at].counts_until_ms = self.until(&self.cases[at].hold.opened);
        self.has_ended(at);
    }
    fn has_ended(&mut self, at: usize) {
        self.ended.push(at);
        let hidden = self.ended.len().checked_sub(self.ended_max + 1).map(|place| self.ended[place]);
        if let Some(case) = hidden {
            let until_ms = self.until(&self.cases[case].hold.opened);
            let hold = &self.cases[case].hold;
            let is_released = !stops(hold.state) && hold.state != HoldState::TooLate;
            self.cases[case].number_until_ms = is_released.then_some(until_ms);
        }
    }
    fn note(&mut self, at: usize, sequence: u64) {
        let most = self.acts_max;
        let acts = &mut self.cases[at].hold.acts;
        acts.push(sequence);
        acts.truncate(most);
    }

    pub fn is_too_late(&self, payment: u64, opened: &Opened, now_ms: i64) -> bool {
        self.gone(payment).is_some() || holds_nothing(opened) || now_ms >= opened.cut_off_ms
    }
    /// Whether it is taken.
    pub fn found(&mut self, found: &Found, sequence: u64) -> bool {
        let payment = found.target;
        if self.is_undecided(payment) {
            return false;
        }
        match &found.now {
            FoundNow::Stops { opened, too_late } => {
                if let Some(at) = self.held(payment).filter(|at| self.cases[*at].hold.frees.is_some()) {
                    self.cases[at].hold.frees = None;
                    self.note(at, sequence);
                    return true;
                }
                // What is no longer shown is no longer compared.
                let shown = self.shown();
                let of_it = || shown.iter().filter(|(id, _)| id.payment == payment).map(|(_, hold)| hold);
                let last = of_it().next_back();
                let stopped = last.is_some_and(|hold| stops(hold.state) || hold.state == HoldState::TooLate);
                let same = of_it().any(|hold| hold.opened.learned == opened.learned);
                let is_known = self.is_stopped(payment) || self.is_late(payment) || self.is_reversed(payment);
                if stopped || same || is_known {
                    return false;
                }
                self.place(payment, opened, Some(sequence), *too_late);
            }
            FoundNow::Frees { outcome, generation, learned } => {
                let Some(at) = self.held(payment).filter(|at| self.cases[*at].hold.frees.is_none()) else {
                    return false;
                };
                let learned = learned.clone();
                let frees = Freed { sequence, outcome: *outcome, generation: *generation, learned };
                self.cases[at].hold.frees = Some(frees);
                self.counts.proposed += 1;
                self.note(at, sequence);
            }
        }
        true
    }

    /// What it is refused for.
    pub fn act(&mut self, tenant: &str, act: &HoldAct, sequence: u64, at_ms: i64) -> Option<ErrorKind> {
        let shown = self.shown();
        let is_it = |case: &Case| case.id == act.hold && *case.hold.opened.tenant == *tenant;
        // The last of that name, where one was given again.
        let found = self.cases.iter().rposition(is_it);
        let Some(at) = found.filter(|_| shown.iter().any(|(id, _)| *id == act.hold)) else {
            return Some(ErrorKind::NotFound);
        };
        let hold = &self.cases[at].hold;
        let (words, sanctions) = (act.comment.trim() != "", hold.opened.sanctions);
        let becomes = match act.act {
            Act::Comment if !words => return Some(ErrorKind::Invalid),
            Act::Comment => None,
            _ if hold.state != HoldState::Held => return Some(ErrorKind::Conflict),
            Act::Release if !sanctions => Some(HoldState::Released),
            Act::Confirm if !sanctions => Some(HoldState::Confirmed),
            Act::Expire if !sanctions && hold.opened.until_ms.is_some_and(|until| until <= at_ms) => {
                Some(match hold.opened.expiry_releases {
                    true => HoldState::ExpiredReleased,
                    false => HoldState::ExpiredConfirmed,
                })
            }
            Act::Block if sanctions => Some(HoldState::Blocked),
            Act::Reject if sanctions => Some(HoldState::Rejected),
            Act::FalseMatch if sanctions && !words => return Some(ErrorKind::Invalid),
            Act::FalseMatch if sanctions => match &hold.proposed {
                None => {
                    self.cases[at].hold.proposed =
                        Some(Proposed { by: act.by.as_str().into(), at_ms, sequence });
                    None
                }
                Some(one) if *one.by == *act.by => return Some(ErrorKind::Conflict),
                Some(_) => Some(HoldState::Released),
            },
            _ => return Some(ErrorKind::Conflict),
        };
        self.note(at, sequence);
        if let Some(state) = becomes {
            self.end(at, state, sequence, at_ms, &act.by);
        }
        None
    }
    pub fn expired(&self, now_ms: i64) -> Vec<HoldId> {
        let mut due = self.timers();
        due.retain(|(until_ms, _)| *until_ms <= now_ms);
        due.into_iter().map(|(_, id)| id).collect()
    }
    pub fn next_timer_ms(&self) -> Option<i64> {
        self.timers().first().map(|(until_ms, _)| *until_ms)
    }
    fn timers(&self) -> Vec<(i64, HoldId)> {
        let held = self.cases.iter().filter(|case| case.hold.state == HoldState::Held);
        let mut all: Vec<_> = held.filter_map(|case| Some((case.hold.opened.until_ms?, case.id))).collect();
        all.sort();
        all
    }

    /// What a payment is told, where nothing that was learned is ever taken together.
    pub fn gate(&self, one: &Cleared, horizon_ms: i64, unhunted_goes: bool) -> (ClearState, bool) {
        if one.state != ClearState::Go {
            return (one.state, one.flagged);
        }
        if let Some(flagged) = self.gone(one.sequence) {
            return (ClearState::Go, flagged);
        }
        if self.is_late(one.sequence) {
            return (ClearState::TooLate, false);
        }
        let held = self.held(one.sequence).is_some() || self.is_reversed(one.sequence);
        if held || self.is_stopped(one.sequence) || self.is_undecided(one.sequence) {
            return (ClearState::Held, false);
        }
        let is_old = !self.counts(one.cut_off_ms) || one.cut_off_ms == i64::MAX;
        if is_old && one.sequence <= self.forgotten_through() {
            return (ClearState::Unknown, false);
        }
        // The rule: learned after the payment, early enough before its cut-off, and not hunted through.
        let counts = |(sequence, at_ms): &(u64, i64)| {
            *sequence > one.sequence
                && at_ms.saturating_add(horizon_ms) <= one.cut_off_ms
                && *sequence > self.hunted_through
        };
        match one.lacks || self.learned.iter().any(counts) {
            false => (ClearState::Go, false),
            true if unhunted_goes => (ClearState::Go, true),
            true => (ClearState::Held, false),
        }
    }
    pub fn cleared(&mut self, one: &Cleared) {
        self.counts.cleared[one.state as usize] += 1;
        if one.state == ClearState::Go && self.gone(one.sequence).is_none() {
            let until_ms = one.cut_off_ms.max(self.now_ms);
            self.gone.push((one.sequence, one.flagged, until_ms));
            self.counts.flagged += u64::from(one.flagged);
        }
    }
    /// Whether it has gone, and whether by default.
    pub fn gone(&self, payment: u64) -> Option<bool> {
        let known = self.gone.iter().filter(|(.., until_ms)| self.counts(*until_ms));
        known.into_iter().find(|(gone, ..)| *gone == payment).map(|(_, flagged, _)| *flagged)
    }
    pub fn gone_count(&self) -> u64 {
        self.gone.iter().filter(|(.., until_ms)| self.counts(*until_ms)).count() as u64
    }
    /// Whether it is accepted.
    pub fn hunted(&mut self, through: u64) -> bool {
        if through > self.decided_through() {
            return false;
        }
        self.hunted_through = self.hunted_through.max(through);
        if self.unhunted().next().is_none() {
            self.learned_before = self.learned.len();
        }
        true
    }
    pub fn unhunted(&self) -> impl Iterator<Item = (u64, i64)> {
        self.learned.iter().filter(|(sequence, _)| *sequence > self.hunted_through).copied()
    }
    /// How many were learned since all was hunted: below the book's bound nothing has been taken together.
    pub fn learned_since(&self) -> usize {
        self.learned.len() - self.learned_before
    }

    /// Whether it is stopped for good, or without a hold of its own.
    pub fn is_stopped(&self, payment: u64) -> bool {
        let for_good = |case: &Case| stops(case.hold.state) && case.hold.state != HoldState::Held;
        let mut of_it = self.cases.iter().filter(|case| case.id.payment == payment);
        self.is_unlisted(payment) || of_it.any(|case| for_good(case) && self.counts(case.counts_until_ms))
    }
    pub fn latest_number(&self, payment: u64) -> Option<u16> {
        let shown = self.shown().into_iter().map(|(id, _)| id);
        let hidden = self.cases.iter().filter(|case| case.number_until_ms.is_some_and(|ms| self.counts(ms)));
        let all = shown.chain(hidden.map(|case| case.id));
        all.filter(|id| id.payment == payment).map(|id| id.number).max()
    }
    /// What is shown: what waits for somebody, and what ended last.
    pub fn shown(&self) -> Vec<(HoldId, Hold)> {
        let ended = self.ended.iter().rev().take(self.ended_max);
        let held = |at: &usize| self.cases[*at].hold.state == HoldState::Held;
        let places = ended.copied().chain((0..self.cases.len()).filter(held));
        let mut all: Vec<_> = places.map(|at| (self.cases[at].id, self.cases[at].hold.clone())).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }
}

fn day(ms: i64) -> i64 {
    ms.div_euclid(86_400_000)
}

fn holds_nothing(opened: &Opened) -> bool {
    [Lever::None, Lever::Recall].contains(&opened.lever)
}
