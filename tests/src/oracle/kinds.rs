//! Which message follows which, the most obvious way: every message in one list, everything that waits in another, both
//! looked through from the front each time.

use super::features::{Follows, Oracle};
use interdict_engine::domain::record::Stamp;
use interdict_engine::domain::{Currency, Field, Label, Transaction, TransactionKind};

/// How long a message waits for its payment, ms.
const WAIT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A message as it arrives.
#[derive(Debug, Clone)]
pub struct Arriving<'a> {
    /// What it says.
    pub tx: &'a Transaction,
    /// When it comes, ms.
    pub arrival_ms: i64,
    /// Its identity.
    pub identity: u128,
    /// The identities that its original may have.
    pub refers: &'a [u128],
}

#[derive(Debug)]
struct Waits {
    sequence: u64,
    tenant: String,
    refers: Vec<u128>,
    arrival_ms: i64,
    follows: Follows,
    minor: Option<i64>,
    currency: Option<Currency>,
}

/// The oracle.
pub struct Kinds {
    features: Oracle,
    known: Vec<(String, u128, u64)>,
    waiting: Vec<Waits>,
    /// How many met their payment late.
    pub met_later: u64,
    /// How many waited for nothing.
    pub expired: u64,
}

impl Kinds {
    /// Over an oracle of features.
    pub fn new(features: Oracle) -> Kinds {
        Kinds { features, known: Vec::new(), waiting: Vec::new(), met_later: 0, expired: 0 }
    }
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
    /// The sequence of the message of an identity.
    pub fn sequence(&self, tenant: &str, identity: u128) -> Option<u64> {
        let mut known = self.known.iter();
        known.find(|known| known.0 == tenant && known.1 == identity).map(|known| known.2)
    }

    /// Takes a message; its stamps, or `None` where it is known already.
    pub fn arrive(&mut self, sequence: u64, message: &Arriving<'_>) -> Option<Vec<Stamp>> {
        let Arriving { tx, arrival_ms, identity, refers } = message;
        let tenant: &str = &tx.tenant;
        if self.sequence(tenant, *identity).is_some() {
            return None;
        }
        let waited = self.waiting.len();
        self.waiting.retain(|waits| arrival_ms - waits.arrival_ms <= WAIT_MS);
        self.expired += (waited - self.waiting.len()) as u64;
        let follows = match tx.kind {
            TransactionKind::Reversal => Some(Follows::Reverses),
            TransactionKind::Completion => Some(Follows::Completes),
            _ => None,
        };
        let (minor, currency) =
            (tx.int(Field::AmountMinor), tx.text(Field::AmountCurrency).and_then(Currency::parse));
        let original = refers.iter().find_map(|identity| self.sequence(tenant, *identity));
        if let (Some(follows), Some(original)) = (follows, original) {
            self.features.follow(tenant, original, follows, sequence, minor, currency);
        }
        let stamps = self.features.apply(sequence, *arrival_ms, tx, true);
        self.known.push((tenant.to_owned(), *identity, sequence));
        let mut still = Vec::new();
        for waits in std::mem::take(&mut self.waiting) {
            let Waits { follows, minor, currency, .. } = waits;
            let is_it = waits.tenant == tenant && waits.refers.contains(identity);
            let mut follow =
                || self.features.follow(tenant, sequence, follows, waits.sequence, minor, currency).is_some();
            if is_it && follow() {
                self.met_later += 1;
            } else {
                still.push(waits);
            }
        }
        self.waiting = still;
        if let (Some(follows), None, false) = (follows, original, refers.is_empty()) {
            let (tenant, refers, arrival_ms) = (tenant.to_owned(), refers.to_vec(), *arrival_ms);
            self.waiting.push(Waits { sequence, tenant, refers, arrival_ms, follows, minor, currency });
        }
        Some(stamps)
    }
    /// Labels a message by its identity; whether it is known.
    pub fn label(&mut self, tenant: &str, identity: u128, label: Label) -> bool {
        match self.sequence(tenant, identity) {
            Some(sequence) => self.features.label(tenant, sequence, label),
            None => false,
        }
    }
}
