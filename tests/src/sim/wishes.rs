//! What is asked for about holds and at the settlement gate: acts of several people, timers, findings and ends of hunts
//! (in place of the hunter's thread), clearances. Of which payments, is seen when it is asked for: of few, so that they
//! meet.

use interdict_engine::domain::{
    Accepted, Act, Body, Clear, ClearState, Cleared, Found, FoundNow, HoldAct, HoldId, Learned, LearnedWhat,
    Lever, Opened, Outcome, Verdict,
};
use interdict_engine::settlement::Book;
use rand::{Rng, RngExt};
use std::sync::Arc;

const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
const ACTS: [Act; 10] = {
    use Act::{Block, Comment, Confirm, Expire, FalseMatch, Reject, Release};
    [Comment, Release, Release, Release, Confirm, Block, Reject, FalseMatch, FalseMatch, Expire]
};

/// Something that is wanted.
#[derive(Debug, Clone)]
pub enum Wish {
    /// An act on the latest hold of a payment.
    Act {
        /// Which payment.
        pick: usize,
        /// What.
        act: Act,
        /// Who.
        by: usize,
    },
    /// The first timer that has run out.
    Expire,
    /// Payments at the gate.
    Clear {
        /// Which.
        picks: Vec<usize>,
    },
    /// A payment would be stopped now.
    Stops {
        /// Which.
        pick: usize,
        /// The hold's timer, ms from now.
        until_ms: i64,
        /// Whether it is of a sanctions list.
        sanctions: bool,
        /// What was learned, of few.
        learned: u64,
    },
    /// A held payment would not be held now.
    Frees {
        /// Which.
        pick: usize,
    },
    /// All was hunted up to so many events ago.
    Hunted {
        /// How many.
        back: u64,
    },
}

/// A payment that was acknowledged.
#[derive(Debug)]
pub struct Known {
    /// As it was accepted.
    pub accepted: Accepted,
    /// Its verdict.
    pub verdict: Verdict,
}

impl Wish {
    /// Draws one.
    pub fn draw(random: &mut impl Rng) -> Wish {
        let pick = random.random_range(0..6);
        match random.random_range(0..12) {
            0..4 => {
                let act = ACTS[random.random_range(0..ACTS.len())];
                Wish::Act { pick, act, by: random.random_range(0..PEOPLE.len()) }
            }
            4 => Wish::Expire,
            5..8 => {
                let count = random.random_range(1..6);
                Wish::Clear { picks: (0..count).map(|_| random.random_range(0..12)).collect() }
            }
            8 | 9 => Wish::Stops {
                pick,
                until_ms: random.random_range(0..2_000),
                sanctions: random.random_range(0..3) == 0,
                learned: random.random_range(0..3),
            },
            10 => Wish::Frees { pick },
            _ => Wish::Hunted { back: random.random_range(0..8) },
        }
    }
    /// The tenant and the event that it comes to; `None` where there is nothing to ask for. `known` gives the payments
    /// that were acknowledged, the latest first.
    pub fn event(
        &self,
        known: &dyn Fn(usize) -> Option<Known>,
        book: &Book,
        now_ms: i64,
    ) -> Option<(Arc<str>, Body)> {
        let of = |one: &Known, body| Some((one.accepted.event.tenant.clone(), body));
        match self {
            Wish::Act { pick, act, by } => {
                let one = known(*pick)?;
                let payment = one.accepted.sequence;
                let hold = book.latest(payment).map_or(HoldId { payment, number: 1 }, |(id, _)| id);
                of(&one, act_of(hold, *act, PEOPLE[*by], "looked into"))
            }
            Wish::Expire => {
                let id = book.expired(now_ms).next()?;
                let tenant = (&*book.hold(id)?.opened.tenant).into();
                Some((tenant, act_of(id, Act::Expire, "node", "")))
            }
            Wish::Clear { picks } => {
                let first = known(*picks.first()?)?;
                let tenant = first.accepted.event.tenant.clone();
                let all = picks.iter().filter_map(|pick| known(*pick));
                let all = all.filter(|one| one.accepted.event.tenant == tenant);
                let payments = all.map(|one| asked(&one)).collect();
                let clear = Clear { horizon_ms: 0, unhunted_goes: true, hunted_through: 0, payments };
                Some((tenant, Body::Clear(Box::new(clear))))
            }
            Wish::Stops { pick, until_ms, sanctions, learned } => {
                let one = known(*pick)?;
                let opened = Box::new(opened(&one, now_ms, *until_ms, *sanctions, *learned));
                let now = FoundNow::Stops { opened, too_late: false };
                of(&one, Body::Hunt(Box::new(Found { target: one.accepted.sequence, now })))
            }
            Wish::Frees { pick } => {
                let one = known(*pick)?;
                let learned = Learned { sequence: 1, at_ms: now_ms, what: LearnedWhat::Label };
                let generation = one.verdict.generation;
                let now = FoundNow::Frees { outcome: Outcome::Approve, generation, learned };
                of(&one, Body::Hunt(Box::new(Found { target: one.accepted.sequence, now })))
            }
            Wish::Hunted { back } => {
                let through = book.decided_through().saturating_sub(*back);
                Some(("default".into(), Body::Hunted { through: through.max(1) }))
            }
        }
    }
}

fn act_of(hold: HoldId, act: Act, by: &str, comment: &str) -> Body {
    Body::HoldAct(Box::new(HoldAct { hold, act, by: by.into(), comment: comment.into() }))
}

/// What whoever asks at the gate knows of a payment: from its record and its verdict.
pub fn asked(known: &Known) -> Cleared {
    let Known { accepted, verdict } = known;
    let Body::Payment(tx) = &accepted.event.body else { unreachable!("only payments have verdicts") };
    Cleared {
        sequence: accepted.sequence,
        cut_off_ms: crate::oracle::holds::cut_off(tx, accepted.event.arrival_ms),
        lacks: !verdict.skipped.is_empty(),
        state: if verdict.outcome == Outcome::Decline { ClearState::Held } else { ClearState::Go },
        flagged: false,
    }
}

fn opened(known: &Known, now_ms: i64, until_ms: i64, sanctions: bool, learned: u64) -> Opened {
    let Known { accepted, verdict } = known;
    Opened {
        tenant: (&*accepted.event.tenant).into(),
        at_ms: now_ms,
        until_ms: (!sanctions).then_some(now_ms + until_ms),
        expiry_releases: learned == 0,
        cut_off_ms: asked(known).cut_off_ms,
        lever: if learned == 2 { Lever::Recall } else { Lever::StopBeforeCutoff },
        recall: false,
        amount_minor: 100,
        currency: "EUR".into(),
        sanctions,
        outcome: Outcome::Decline,
        score: 900,
        reasons: Vec::new(),
        causes: Vec::new(),
        generation: verdict.generation,
        learned: Some(Learned { sequence: learned, at_ms: 0, what: LearnedWhat::Label }),
    }
}
