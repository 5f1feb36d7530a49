//! Everything that matters is an event, in one order: what a payment is, what became of it, what was learned, what
//! was published. Each has a tenant and a sequence and is in the journal, so that a replay meets it at the same point.

use super::decision::{GenerationId, Outcome};
use super::entry::Entry;
use super::hold::{Clear, Found, HoldAct};
use super::transaction::{Transaction, TransactionKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kinds of event, as numbered in the journal. Rows are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EventKind {
    /// A request for a decision.
    Transaction = 0,
    /// A stand-in decision made elsewhere.
    Advice = 1,
    /// An earlier transaction is taken back.
    Reversal = 2,
    /// An earlier request sent again.
    Repeat = 3,
    /// An authorization is completed.
    Completion = 4,
    /// Money goes back to the payer.
    Refund = 5,
    /// What became of a payment elsewhere (the issuer's answer).
    Outcome = 6,
    /// A chargeback or a confirmation.
    Label = 7,
    /// Entries added to or removed from a list.
    ListDelta = 8,
    /// A generation was published.
    Publish = 9,
    /// A payment of the window was judged again: it is held, or its release is proposed.
    Hunt = 10,
    /// Something was done with a hold.
    HoldAct = 11,
    /// A key of the node's ring was taken up.
    Key = 12,
    /// Payments were asked for at the settlement gate.
    Clear = 13,
    /// All payments of the window have been judged by what was learned up to a sequence.
    Hunted = 14,
}

impl EventKind {
    /// All kinds, by number.
    pub const ALL: [EventKind; 15] = [
        Self::Transaction,
        Self::Advice,
        Self::Reversal,
        Self::Repeat,
        Self::Completion,
        Self::Refund,
        Self::Outcome,
        Self::Label,
        Self::ListDelta,
        Self::Publish,
        Self::Hunt,
        Self::HoldAct,
        Self::Key,
        Self::Clear,
        Self::Hunted,
    ];
}

/// What is known of a payment afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Fraud: a chargeback, a confirmed report.
    Fraud,
    /// Confirmed as the customer's own.
    Good,
}

/// An event's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A payment message of any kind.
    Payment(Box<Transaction>),
    /// What became of a payment elsewhere.
    Outcome {
        /// The payment's sequence.
        target: u64,
        /// What was decided there.
        outcome: Outcome,
    },
    /// A chargeback or confirmation.
    Label {
        /// The payment's sequence.
        target: u64,
        /// Fraud or good.
        label: Label,
        /// When it became known, ms since the Unix epoch.
        time_ms: i64,
    },
    /// A change of one list, all or nothing.
    ListDelta(Box<ListDelta>),
    /// A new generation, visible to every later event.
    Publish {
        /// Its id; the overlay sequence starts at this event's own.
        generation: GenerationId,
    },
    /// A payment of the window was judged again.
    Hunt(Box<Found>),
    /// Something was done with a hold.
    HoldAct(Box<HoldAct>),
    /// Payments at the settlement gate.
    Clear(Box<Clear>),
    /// The window has been hunted.
    Hunted {
        /// All payments of the window have been judged by the view as of this sequence.
        through: u64,
    },
    /// A key of the node's ring was taken up.
    Key(Box<KeyTaken>),
}

/// What a key of the ring was taken up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    /// What is written from now on is sealed under it.
    Sealing,
    /// Identifiers are tagged under it from the next payment on, and under the ones before too for a time.
    Tags,
}

impl KeyUse {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Tags => "tags",
        }
    }
}

/// A key of the node's ring that was taken up; nothing of the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTaken {
    /// What for.
    pub used_for: KeyUse,
    /// Its number in the ring.
    pub number: u32,
    /// Names it, and says nothing about it.
    pub ident: [u8; 8],
    /// Of tags: until when those under the key before are made too, ms since the Unix epoch; no earlier.
    pub until_ms: Option<i64>,
    /// Who had it taken up: the name of an API key, or what the node calls itself.
    pub by: String,
}

/// A change of one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDelta {
    /// The list's name.
    pub list: String,
    /// Whether all tenants see the list, or only the event's.
    pub shared: bool,
    /// Entries to add or replace (an entry with the same subject is replaced).
    pub add: Vec<Entry>,
    /// Subjects whose entries end.
    pub remove: Vec<super::entry::Subject>,
}

/// An event before it has a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The institution it belongs to.
    pub tenant: Arc<str>,
    /// When it arrived, ms since the Unix epoch; a replay's arrival time is the event time.
    pub arrival_ms: i64,
    /// Its content.
    pub body: Body,
}

impl Event {
    /// The event's kind.
    pub fn kind(&self) -> EventKind {
        match &self.body {
            Body::Payment(tx) => match tx.kind {
                TransactionKind::Request => EventKind::Transaction,
                TransactionKind::Advice => EventKind::Advice,
                TransactionKind::Reversal => EventKind::Reversal,
                TransactionKind::Repeat => EventKind::Repeat,
                TransactionKind::Completion => EventKind::Completion,
                TransactionKind::Refund => EventKind::Refund,
            },
            Body::Outcome { .. } => EventKind::Outcome,
            Body::Label { .. } => EventKind::Label,
            Body::ListDelta(_) => EventKind::ListDelta,
            Body::Publish { .. } => EventKind::Publish,
            Body::Hunt(_) => EventKind::Hunt,
            Body::HoldAct(_) => EventKind::HoldAct,
            Body::Clear(_) => EventKind::Clear,
            Body::Hunted { .. } => EventKind::Hunted,
            Body::Key(_) => EventKind::Key,
        }
    }
}
