//! What a message does to the payment that it follows: a reversal takes back, a completion says what it came to.
//! docs/formats/kinds.md has the rules, a line each.

use crate::domain::{Currency, Transaction, TransactionKind};

/// How a message follows a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowKind {
    /// Takes its amount back.
    Reversal,
    /// Puts its amount in the place of what was authorised; a further one adds to it.
    Completion,
}

impl FollowKind {
    /// Both.
    pub const ALL: [FollowKind; 2] = [Self::Reversal, Self::Completion];

    /// How a kind of message follows; `None` where it changes nothing of an earlier payment.
    pub const fn of(kind: TransactionKind) -> Option<FollowKind> {
        match kind {
            TransactionKind::Reversal => Some(Self::Reversal),
            TransactionKind::Completion => Some(Self::Completion),
            _ => None,
        }
    }
    /// The name, as on the wire and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reversal => "reversal",
            Self::Completion => "completion",
        }
    }
    /// Whether a payment of a kind can be followed so: what is reversed was no reversal, and what is completed was
    /// asked for or advised.
    pub const fn may_follow(self, kind: TransactionKind) -> bool {
        match kind {
            TransactionKind::Request | TransactionKind::Repeat | TransactionKind::Advice => true,
            TransactionKind::Completion | TransactionKind::Refund => matches!(self, Self::Reversal),
            TransactionKind::Reversal => false,
        }
    }
}

/// A message that follows a payment, as features see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowUp {
    /// How it follows.
    pub kind: FollowKind,
    /// Its own sequence.
    pub sequence: u64,
    /// Minor units, below 0 counting as 0; `None` takes all that is left back.
    pub amount_minor: Option<i64>,
    /// Their currency; `None` is the payment's own.
    pub currency: Option<Currency>,
}

impl FollowUp {
    /// What a message is to the payment it follows; `None` for a kind that follows none.
    pub fn of(sequence: u64, tx: &Transaction) -> Option<FollowUp> {
        use crate::domain::Field;
        Some(FollowUp {
            kind: FollowKind::of(tx.kind)?,
            sequence,
            amount_minor: tx.int(Field::AmountMinor),
            currency: tx.text(Field::AmountCurrency).and_then(Currency::parse),
        })
    }
}
