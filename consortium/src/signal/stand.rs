//! Where one member stands on one signal: the fold of all that it has said about it, in its own order. What others say
//! has no part in it, so the order in which members' contributions reach the log decides nothing.

use crate::kind::MemberId;
use crate::signal::{Op, Reason, Row};

/// What became of a member's own contribution of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Standing {
    /// It never contributed it.
    #[default]
    Never = 0,
    /// It contributes it.
    Live = 1,
    /// It did, and took it back as wrong. That it did stays known: outcomes still count for its reputation.
    Withdrawn = 2,
    /// It did, and ended it as over.
    Expired = 3,
}

/// What a member met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Fraud.
    Confirmed = 1,
    /// None.
    FalseAlarm = 2,
}

/// What a live contribution says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Why.
    pub reason: Reason,
    /// How grave, 0 to 100.
    pub severity: u8,
    /// When it was first seen, in unix milliseconds.
    pub first_seen_ms: u64,
    /// When it was last seen.
    pub last_seen_ms: u64,
    /// When it ends by itself.
    pub expires_ms: u64,
    /// The open text; empty for others.
    pub text: &'a str,
}

/// Where a member stands on a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand<'a> {
    /// Which member.
    pub member: MemberId,
    /// What became of its contribution.
    pub standing: Standing,
    /// What it says; there exactly where the standing is live.
    pub claim: Option<Claim<'a>>,
    /// Why it objects, where it does.
    pub dispute: Option<Reason>,
    /// What it met last.
    pub outcome: Option<Outcome>,
}

impl<'a> Stand<'a> {
    /// A member that has said nothing.
    pub fn new(member: MemberId) -> Stand<'a> {
        Stand { member, standing: Standing::Never, claim: None, dispute: None, outcome: None }
    }
    /// Whether nothing is left of what it said.
    pub fn is_empty(&self) -> bool {
        *self == Stand::new(self.member)
    }
    /// What is so after the member's next row about this signal.
    pub fn apply(&mut self, row: &Row<'a>) {
        match row.op {
            Op::Correct | Op::Withdraw | Op::Expire if self.standing != Standing::Live => {}
            Op::Add | Op::Correct => {
                self.standing = Standing::Live;
                self.claim = row.reason.map(|reason| Claim {
                    reason,
                    severity: row.severity,
                    first_seen_ms: row.first_seen_ms,
                    last_seen_ms: row.last_seen_ms,
                    expires_ms: row.expires_ms,
                    text: row.text,
                });
            }
            Op::Withdraw => (self.standing, self.claim) = (Standing::Withdrawn, None),
            Op::Expire => (self.standing, self.claim) = (Standing::Expired, None),
            Op::Dispute => self.dispute = row.reason,
            Op::WithdrawDispute => self.dispute = None,
            Op::Confirmed => self.outcome = Some(Outcome::Confirmed),
            Op::FalseAlarm => self.outcome = Some(Outcome::FalseAlarm),
        }
    }
    /// Whether it ever contributed the signal.
    pub fn has_contributed(&self) -> bool {
        self.standing != Standing::Never
    }
    /// Whether it objects: a dispute of a signal that it contributes itself is none.
    pub fn is_disputing(&self) -> bool {
        self.dispute.is_some() && self.standing != Standing::Live
    }
    /// Whether it confirms somebody else's signal: nobody confirms what it has contributed itself.
    pub fn is_confirming(&self) -> bool {
        self.outcome == Some(Outcome::Confirmed) && !self.has_contributed()
    }
    /// Whether it speaks against the signal, by a dispute or a false alarm.
    pub fn is_against(&self) -> bool {
        let is_alarm = self.outcome == Some(Outcome::FalseAlarm) && !self.has_contributed();
        self.is_disputing() || is_alarm
    }
}
