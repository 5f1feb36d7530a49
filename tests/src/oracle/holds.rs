//! What is held, what has gone and why, the most obvious way: every hold that ever began in one list, every event that
//! counts at the gate in another, both looked through from the front each time. Records come in the journal's order.

use super::features::{Follows, Oracle};
use interdict_engine::domain::{
    Accepted, Act, Body, Clear, ClearState, Cleared, Currency, Field, Found, FoundNow, HoldAct, HoldId,
    HoldState, Lever, Opened, Outcome, Transaction, TransactionKind, Value, Verdict,
};

/// How long a message waits for its payment, ms.
const WAIT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// When a payment settles that does not say so, ms after its arrival.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A hold or a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub id: HoldId,
    /// How it began.
    pub opened: Opened,
    /// The event that placed it.
    pub placed_at: Option<u64>,
    /// Where it stands.
    pub state: HoldState,
    /// The sequence of what ended it, when, and who.
    pub ended: Option<(u64, i64, String)>,
    /// Who says that it is no match.
    pub proposed: Option<String>,
    /// The event that said that it would not be held now.
    pub frees: Option<u64>,
    /// What reversals took back, minor units.
    pub taken_back: i64,
    /// What was done with it.
    pub acts: Vec<u64>,
}

/// What became of the amounts of messages.
struct Amounts {
    /// Of no features; there are no rates.
    messages: Oracle,
    /// Messages that something followed, with what that may have left nothing of.
    followed: Vec<u64>,
}

impl Default for Amounts {
    fn default() -> Amounts {
        let messages = Oracle::new(Vec::new(), Box::new(|_, _, _, _| None), 0);
        Amounts { messages, followed: Vec::new() }
    }
}

impl std::fmt::Debug for Amounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} are followed", self.followed)
    }
}

impl Amounts {
    fn follow(&mut self, target: u64, by: &Reversal) {
        let currency = by.currency.as_deref().and_then(Currency::parse);
        let follows = if by.completes { Follows::Completes } else { Follows::Reverses };
        let taken = self.messages.follow(&by.tenant, target, follows, by.sequence, by.minor, currency);
        if taken.is_some() {
            self.followed.push(target);
            self.followed.extend(self.messages.completes(&by.tenant, target));
        }
    }
    /// Whether nothing is left of a message, since others have taken it.
    fn is_taken_back(&self, tenant: &str, payment: u64) -> bool {
        self.followed.contains(&payment) && self.messages.left(tenant, payment) == Some(0)
    }
}

/// A reversal; or a completion, of which holds take no notice.
#[derive(Debug, Clone)]
struct Reversal {
    completes: bool,
    tenant: String,
    sequence: u64,
    arrival_ms: i64,
    waits_for: Vec<u128>,
    minor: Option<i64>,
    currency: Option<String>,
}

#[derive(Debug)]
struct Payment {
    sequence: u64,
    tx: Transaction,
    arrival_ms: i64,
    is_decided: bool,
    /// Its verdict was to decline: whoever asks at the gate says so.
    is_declined: bool,
    /// Its verdict lacked stages.
    lacks: bool,
    /// What came before the verdict.
    reversals: Vec<(i64, Reversal)>,
}

/// The oracle.
#[derive(Debug, Default)]
pub struct Holds {
    /// Every hold and case, in the order of their beginnings.
    pub all: Vec<Held>,
    /// Payments with go, and whether by default.
    pub gone: Vec<(u64, bool)>,
    /// All payments have been judged by the view as of this sequence.
    pub hunted_through: u64,
    learned: Vec<(u64, i64)>,
    generation: [u8; 32],
    payments: Vec<Payment>,
    waiting: Vec<Reversal>,
    amounts: Amounts,
}

type Checked = Result<(), String>;

fn stops(state: HoldState) -> bool {
    !matches!(state, HoldState::Released | HoldState::ExpiredReleased | HoldState::TooLate)
}

impl Holds {
    /// Takes an accepted record.
    ///
    /// # Errors
    /// When it should have been refused, or says otherwise than it must.
    pub fn accepted(&mut self, accepted: &Accepted) -> Checked {
        let (sequence, at_ms) = (accepted.sequence, accepted.event.arrival_ms);
        match &accepted.event.body {
            Body::Payment(tx) => self.payment(accepted, tx),
            // Banks learn from labels; the simulated packs have none.
            Body::Label { .. } | Body::Outcome { .. } | Body::Key(_) => {}
            Body::ListDelta(_) => self.learns(sequence, at_ms),
            // Those that are simulated differ in their packs.
            Body::Publish { generation } => {
                if std::mem::replace(&mut self.generation, generation.hash) != generation.hash {
                    self.learns(sequence, at_ms);
                }
            }
            Body::Hunt(found) => return self.found(found, sequence, at_ms),
            Body::HoldAct(act) => return self.act(&accepted.event.tenant, act, sequence, at_ms),
            Body::Clear(clear) => return self.clear(clear),
            Body::Hunted { through } => {
                if self.payments.iter().any(|one| one.sequence <= *through && !one.is_decided) {
                    return Err(format!("hunted through {through}, though not all have a verdict"));
                }
                self.hunted_through = self.hunted_through.max(*through);
            }
        }
        Ok(())
    }
    fn payment(&mut self, accepted: &Accepted, tx: &Transaction) {
        let (sequence, arrival_ms) = (accepted.sequence, accepted.event.arrival_ms);
        let tenant = accepted.event.tenant.to_string();
        self.waiting.retain(|waits| arrival_ms - waits.arrival_ms <= WAIT_MS);
        let mut reversals = Vec::new();
        let meets = |waits: &Reversal| {
            waits.tenant == tenant && accepted.identity.is_some_and(|own| waits.waits_for.contains(&own))
        };
        if tx.kind != TransactionKind::Reversal {
            reversals.extend(self.waiting.iter().filter(|waits| meets(waits)).cloned());
            self.waiting.retain(|waits| !meets(waits));
        }
        let completes = tx.kind == TransactionKind::Completion;
        let mut own = None;
        if completes || tx.kind == TransactionKind::Reversal {
            let reversal = Reversal {
                completes,
                tenant,
                sequence,
                arrival_ms,
                waits_for: accepted.waits_for.clone(),
                minor: tx.int(Field::AmountMinor),
                currency: tx.text(Field::AmountCurrency).map(str::to_owned),
            };
            match accepted.original {
                Some(original) => {
                    self.amounts.follow(original, &reversal);
                    self.reversed(original, arrival_ms, reversal);
                }
                None => own = Some(reversal),
            }
        }
        self.amounts.messages.apply(sequence, arrival_ms, tx, false);
        reversals.iter().for_each(|reversal| self.amounts.follow(sequence, reversal));
        self.waiting.extend(own);
        let reversals = reversals.into_iter().map(|reversal| (arrival_ms, reversal)).collect();
        self.payments.push(Payment {
            sequence,
            tx: tx.clone(),
            arrival_ms,
            is_decided: false,
            is_declined: false,
            lacks: false,
            reversals,
        });
    }
    fn reversed(&mut self, payment: u64, at_ms: i64, reversal: Reversal) {
        if reversal.completes {
            return;
        }
        let of = self.payments.iter_mut().find(|one| one.sequence == payment);
        if let Some(undecided) = of.filter(|one| !one.is_decided) {
            undecided.reversals.push((at_ms, reversal));
            return;
        }
        let Some(held) = self.held(payment) else { return };
        match reversal.minor {
            None => held.taken_back = held.taken_back.max(held.opened.amount_minor),
            Some(_) if reversal.currency.as_deref() != Some(&*held.opened.currency) => return,
            Some(minor) => held.taken_back += minor,
        }
        if held.taken_back >= held.opened.amount_minor {
            held.state = HoldState::Reversed;
            held.ended = Some((reversal.sequence, at_ms, "reversal".into()));
        }
    }
    fn held(&mut self, payment: u64) -> Option<&mut Held> {
        self.all.iter_mut().find(|held| held.id.payment == payment && held.state == HoldState::Held)
    }

    /// Takes a verdict: what it would have been, of a fact, and the hold that its record says begins.
    ///
    /// # Errors
    /// Where a hold begins that should not, or another.
    pub fn decided(&mut self, verdict: &Verdict, would: Option<Outcome>, hold: Option<&Opened>) -> Checked {
        let Verdict { sequence, outcome, .. } = *verdict;
        let payment = self.payments.iter_mut().find(|one| one.sequence == sequence && !one.is_decided);
        let payment = payment.ok_or("a verdict on nothing")?;
        (payment.is_decided, payment.is_declined) = (true, outcome == Outcome::Decline);
        payment.lacks = !verdict.skipped.is_empty();
        let reversals = std::mem::take(&mut payment.reversals);
        // What takes something back is held by nobody.
        let takes_back = payment.tx.kind == TransactionKind::Reversal;
        let is_held = outcome == Outcome::Hold
            || outcome == Outcome::Recorded && would.is_some_and(|would| would >= Outcome::Hold);
        let is_held = is_held && !takes_back;
        match (is_held, hold) {
            (false, None) => return Ok(()),
            (true, None) => return Err("no hold begins with it".into()),
            (false, Some(_)) => return Err("a hold begins with it".into()),
            (true, Some(hold)) => {
                let (tx, arrival_ms) = (&payment.tx, payment.arrival_ms);
                let cut_off_ms = cut_off(tx, arrival_ms);
                let said = (&*hold.tenant, hold.at_ms, hold.cut_off_ms, hold.until_ms, hold.lever);
                let lever = match tx.text(Field::Channel) {
                    Some("transfer") => Lever::StopBeforeCutoff,
                    _ => Lever::None,
                };
                let until_ms = Some(cut_off_ms.max(arrival_ms));
                let expected = (&*tx.tenant, arrival_ms, cut_off_ms, until_ms, lever);
                if said != expected || hold.sanctions || hold.expiry_releases {
                    return Err(format!("the hold is {hold:?}, expected {expected:?}"));
                }
                let too_late = lever == Lever::None || arrival_ms >= cut_off_ms;
                self.place(sequence, hold, None, too_late);
            }
        }
        reversals.into_iter().for_each(|(at_ms, reversal)| self.reversed(sequence, at_ms, reversal));
        Ok(())
    }
    fn place(&mut self, payment: u64, opened: &Opened, placed_at: Option<u64>, too_late: bool) {
        let before = self.all.iter().filter(|held| held.id.payment == payment).count();
        self.all.push(Held {
            id: HoldId { payment, number: before as u16 + 1 },
            opened: opened.clone(),
            placed_at,
            state: if too_late { HoldState::TooLate } else { HoldState::Held },
            ended: None,
            proposed: None,
            frees: None,
            taken_back: 0,
            acts: Vec::new(),
        });
    }

    fn found(&mut self, found: &Found, sequence: u64, at_ms: i64) -> Checked {
        let payment = found.target;
        if !self.payments.iter().any(|one| one.sequence == payment && one.is_decided) {
            return Err(format!("found of {payment}, which has no verdict"));
        }
        match &found.now {
            FoundNow::Stops { opened, too_late } => {
                if let Some(held) = self.held(payment).filter(|held| held.frees.is_some()) {
                    held.frees = None;
                    held.acts.push(sequence);
                    return Ok(());
                }
                let of_it = || self.all.iter().filter(|held| held.id.payment == payment);
                if of_it().any(|held| stops(held.state) || held.state == HoldState::TooLate) {
                    return Err(format!("{payment} is held again"));
                }
                if of_it().any(|held| held.opened.learned == opened.learned) {
                    return Err(format!("{payment} is held again for the same"));
                }
                let of = self.payments.iter().find(|one| one.sequence == payment);
                if of.is_some_and(|of| self.amounts.is_taken_back(&of.tx.tenant, payment)) {
                    return Err(format!("{payment} is held, of which nothing is left"));
                }
                let expected = self.is_gone(payment).is_some()
                    || matches!(opened.lever, Lever::None | Lever::Recall)
                    || at_ms >= opened.cut_off_ms;
                if *too_late != expected {
                    return Err(format!("too late: {too_late}, expected {expected}"));
                }
                self.place(payment, opened, Some(sequence), *too_late);
            }
            FoundNow::Frees { .. } => match self.held(payment).filter(|held| held.frees.is_none()) {
                Some(held) => {
                    held.frees = Some(sequence);
                    held.acts.push(sequence);
                }
                None => return Err(format!("{payment} is freed from nothing")),
            },
        }
        Ok(())
    }

    fn act(&mut self, tenant: &str, act: &HoldAct, sequence: u64, at_ms: i64) -> Checked {
        let refused = |why: &str| Err(format!("{:?} of {} though {why}", act.act, act.hold));
        let found = self.all.iter_mut().find(|held| held.id == act.hold && &*held.opened.tenant == tenant);
        let Some(held) = found else { return refused("there is none") };
        if act.act != Act::Comment && held.state != HoldState::Held {
            return refused("it has ended");
        }
        let sanctions = held.opened.sanctions;
        let becomes = match act.act {
            Act::Comment => None,
            Act::Release if !sanctions => Some(HoldState::Released),
            Act::Confirm if !sanctions => Some(HoldState::Confirmed),
            Act::Block if sanctions => Some(HoldState::Blocked),
            Act::Reject if sanctions => Some(HoldState::Rejected),
            Act::FalseMatch if sanctions => match &held.proposed {
                None => {
                    held.proposed = Some(act.by.clone());
                    None
                }
                Some(one) if *one == act.by => return refused("it takes two"),
                Some(_) => Some(HoldState::Released),
            },
            Act::Expire if !sanctions && held.opened.until_ms.is_some_and(|until_ms| at_ms >= until_ms) => {
                let released = held.opened.expiry_releases;
                Some(if released { HoldState::ExpiredReleased } else { HoldState::ExpiredConfirmed })
            }
            _ => return refused("it is not for it"),
        };
        held.acts.push(sequence);
        if let Some(state) = becomes {
            (held.state, held.ended) = (state, Some((sequence, at_ms, act.by.clone())));
        }
        Ok(())
    }

    /// Something was learned; before the first payment nothing has to be hunted for it.
    fn learns(&mut self, sequence: u64, at_ms: i64) {
        match self.payments.is_empty() {
            true => self.hunted_through = sequence,
            false => self.learned.push((sequence, at_ms)),
        }
    }
    /// What was learned and is not hunted through.
    pub fn unhunted(&self) -> impl Iterator<Item = (u64, i64)> {
        self.learned.iter().filter(|(sequence, _)| *sequence > self.hunted_through).copied()
    }
    fn is_gone(&self, payment: u64) -> Option<bool> {
        self.gone.iter().find(|(gone, _)| *gone == payment).map(|(_, flagged)| *flagged)
    }
    fn clear(&mut self, clear: &Clear) -> Checked {
        if clear.hunted_through != self.hunted_through {
            return Err(format!("hunted through {}, expected {}", clear.hunted_through, self.hunted_through));
        }
        for one in &clear.payments {
            let (told, expected) = ((one.state, one.flagged), self.gate(one, clear));
            if told != expected {
                return Err(format!("{one:?} at the gate, expected {expected:?}"));
            }
        }
        for one in clear.payments.iter().filter(|one| one.state == ClearState::Go) {
            if self.is_gone(one.sequence).is_none() {
                self.gone.push((one.sequence, one.flagged));
            }
        }
        Ok(())
    }
    fn gate(&self, one: &Cleared, clear: &Clear) -> (ClearState, bool) {
        if let Some(flagged) = self.is_gone(one.sequence) {
            return (ClearState::Go, flagged);
        }
        // What is declined never settles; of what has no verdict nobody knows.
        let of = self.payments.iter().find(|payment| payment.sequence == one.sequence);
        let Some(payment) = of.filter(|payment| payment.is_decided && !payment.is_declined) else {
            return (ClearState::Held, false);
        };
        let of_it = || self.all.iter().filter(|held| held.id.payment == one.sequence);
        if of_it().any(|held| held.state == HoldState::TooLate) {
            return (ClearState::TooLate, false);
        }
        if of_it().any(|held| stops(held.state))
            || self.amounts.is_taken_back(&payment.tx.tenant, one.sequence)
        {
            return (ClearState::Held, false);
        }
        // Learned after it, long enough before its cut-off, and not hunted through.
        let counts = |(sequence, at_ms): &(u64, i64)| {
            *sequence > one.sequence
                && *sequence > self.hunted_through
                && *at_ms <= cut_off(&payment.tx, payment.arrival_ms) - clear.horizon_ms
        };
        match payment.lacks || self.learned.iter().any(counts) {
            false => (ClearState::Go, false),
            true if clear.unhunted_goes => (ClearState::Go, true),
            true => (ClearState::Held, false),
        }
    }
}

/// When a payment settles, ms: as it says, else a day after it came.
pub fn cut_off(tx: &Transaction, arrival_ms: i64) -> i64 {
    match tx.get(Field::SettlesAt) {
        Some(Value::Time(at_ms)) => at_ms,
        _ => arrival_ms + DAY_MS,
    }
}
