//! What a row does: says something of the signal itself, objects to it, or tells what came of meeting it. The numbers
//! are part of the format.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// The signer contributes the signal, or renews it.
    Add = 1,
    /// The signer's own contribution says something else from now on; nothing where there is none.
    Correct = 2,
    /// The signer's own contribution was wrong, and ends.
    Withdraw = 3,
    /// The signer's own contribution was right, and ends.
    Expire = 4,
    /// The signer objects to the signal, whosever it is.
    Dispute = 5,
    /// The signer objects no longer.
    WithdrawDispute = 6,
    /// The signer met the signal, and it was fraud.
    Confirmed = 7,
    /// The signer met the signal, and it was none.
    FalseAlarm = 8,
}

/// What an operation speaks of; a body has at most one row of each about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// The signer's own contribution.
    Contribution,
    /// The signer's objection.
    Dispute,
    /// What came of meeting it.
    Outcome,
}

impl Op {
    /// All, in order.
    pub const ALL: [Op; 8] = [
        Op::Add,
        Op::Correct,
        Op::Withdraw,
        Op::Expire,
        Op::Dispute,
        Op::WithdrawDispute,
        Op::Confirmed,
        Op::FalseAlarm,
    ];
    /// Its name in files and commands.
    pub const fn name(self) -> &'static str {
        match self {
            Op::Add => "add",
            Op::Correct => "correct",
            Op::Withdraw => "withdraw",
            Op::Expire => "expire",
            Op::Dispute => "dispute",
            Op::WithdrawDispute => "withdraw_dispute",
            Op::Confirmed => "confirmed",
            Op::FalseAlarm => "false_alarm",
        }
    }
    /// What it speaks of.
    pub const fn aspect(self) -> Aspect {
        match self {
            Op::Add | Op::Correct | Op::Withdraw | Op::Expire => Aspect::Contribution,
            Op::Dispute | Op::WithdrawDispute => Aspect::Dispute,
            Op::Confirmed | Op::FalseAlarm => Aspect::Outcome,
        }
    }
    /// Whether its row says what the signal is: reason, severity, times, and for open kinds the text.
    pub const fn has_claim(self) -> bool {
        matches!(self, Op::Add | Op::Correct)
    }
    /// The operation of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Op> {
        Op::ALL.into_iter().find(|op| op.name() == name).ok_or_else(|| {
            let all = Op::ALL.map(Op::name).join(", ");
            Error::new(ErrorKind::Invalid, format!("{name:?} is no operation: expected one of {all}"))
        })
    }
    /// The operation of a number.
    ///
    /// # Errors
    /// `Version`: one of a later version.
    pub fn by_number(number: u8) -> Result<Op> {
        Op::ALL.into_iter().find(|op| *op as u8 == number).ok_or_else(|| {
            let message = format!("operation {number} is not known here: expected 1 to 8");
            Error::new(ErrorKind::Version, message)
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
