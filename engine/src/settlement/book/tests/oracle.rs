//! The oracle: everything that ever happened in lists, looked through from the beginning for each question. Nothing is
//! forgotten or taken together; what bounds hide is left out when it is asked for.

use super::super::{Counts, Ended, Freed, Hold, Proposed, TakenBack};
use crate::domain::{Act, ClearState, Cleared, Found, FoundNow, HoldAct, HoldId, HoldState, Lever, Opened};
use crate::error::ErrorKind;

struct Case {
    id: HoldId,
    hold: Hold,
}

#[derive(Default)]
pub struct Oracle {
    open_max: usize,
    ended_max: usize,
    acts_max: usize,
    cases: Vec<Case>,
    /// Places in `cases`, in the order in which they ended.
    ended: Vec<usize>,
    unlisted: Vec<u64>,
    gone: Vec<(u64, bool)>,
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
    pub fn new(open_max: usize, ended_max: usize, acts_max: usize) -> Oracle {
        Oracle { open_max, ended_max, acts_max, ..Oracle::default() }
    }
    pub fn taken(&mut self, sequence: u64, waits: bool) {
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
        let had_one = self.cases.iter().any(|case| case.id.payment == payment);
        if !had_one && !self.unlisted.contains(&payment) {
            self.place(payment, opened, None, self.is_too_late(payment, opened, opened.at_ms));
        }
    }
    fn place(&mut self, payment: u64, opened: &Opened, placed_at: Option<u64>, too_late: bool) {
        let open = self.cases.iter().filter(|case| case.hold.state == HoldState::Held).count();
        if !too_late && open >= self.open_max {
            self.unlisted.push(payment);
            self.counts.unlisted += 1;
            return;
        }
        let number = 1 + self.cases.iter().filter(|case| case.id.payment == payment).count() as u16;
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
        self.cases.push(Case { id: HoldId { payment, number }, hold });
        if too_late {
            self.ended.push(self.cases.len() - 1);
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
        self.ended.push(at);
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
                let of_it = || self.cases.iter().filter(|case| case.id.payment == payment);
                let stopped =
                    of_it().any(|case| stops(case.hold.state) || case.hold.state == HoldState::TooLate);
                // What is no longer shown is no longer compared.
                let shown = self.shown();
                let same = of_it().any(|case| {
                    case.hold.opened.learned == opened.learned && shown.iter().any(|(id, _)| *id == case.id)
                });
                if stopped || same || self.unlisted.contains(&payment) {
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
        let found = self.cases.iter().position(is_it);
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
        let mut states = self.cases.iter().filter(|case| case.id.payment == one.sequence);
        if states.any(|case| case.hold.state == HoldState::TooLate) {
            return (ClearState::TooLate, false);
        }
        let held = self.held(one.sequence).is_some();
        if held || self.is_stopped(one.sequence) || self.is_undecided(one.sequence) {
            return (ClearState::Held, false);
        }
        // The rule: learned after the payment, early enough before its cut-off, and not hunted through.
        let counts = |(sequence, at_ms): &(u64, i64)| {
            *sequence > one.sequence
                && *at_ms + horizon_ms <= one.cut_off_ms
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
            self.gone.push((one.sequence, one.flagged));
            self.counts.flagged += u64::from(one.flagged);
        }
    }
    /// Whether it has gone, and whether by default.
    pub fn gone(&self, payment: u64) -> Option<bool> {
        self.gone.iter().find(|(gone, _)| *gone == payment).map(|(_, flagged)| *flagged)
    }
    pub fn gone_count(&self) -> u64 {
        self.gone.len() as u64
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
        self.unlisted.contains(&payment)
            || self.cases.iter().any(|case| case.id.payment == payment && for_good(case))
    }
    pub fn latest_number(&self, payment: u64) -> Option<u16> {
        self.cases.iter().filter(|case| case.id.payment == payment).map(|case| case.id.number).max()
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

fn holds_nothing(opened: &Opened) -> bool {
    [Lever::None, Lever::Recall].contains(&opened.lever)
}
