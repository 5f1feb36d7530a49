//! The simulated world: people, shops and fraudsters who make a feed of payments, labels and list entries in event
//! time. The same configuration gives the same bytes; nothing here reads a clock, a file or a socket (`stream` and
//! `file` do, and only they).

mod dice;
mod places;
mod identifiers;
mod payments;
mod people;
mod shops;
mod daily;
mod attacks;
mod sanctioned;
mod feed;
pub mod report;
pub mod stages;
pub mod stream;
pub mod file;

use serde_json::Value;

pub use feed::rfc3339;

/// What makes a world.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// Seed; the same seed and numbers give the same bytes.
    pub seed: u64,
    /// How many payment messages of all kinds, repeats and reversals included; 1,000 to 500,000.
    pub transactions: usize,
    /// Over how many days of event time.
    pub days: i64,
    /// First millisecond of event time, since the Unix epoch; midnight UTC.
    pub start_ms: i64,
    /// Which stretch of time of the same world: round `r` begins `r × days` later and has ids of its own.
    pub round: u32,
}

impl Default for WorldConfig {
    /// 20,000 messages of about 300 customers over six weeks from Monday 2 March 2026: long enough for a window of 30 d,
    /// which the model of packs/cards needs, to be covered with days to spare.
    fn default() -> Self {
        WorldConfig { seed: 1, transactions: 20_000, days: 42, start_ms: 1_772_409_600_000, round: 0 }
    }
}

/// Fewest messages a world has: below, not every scenario finds its victims.
pub const TRANSACTIONS_MIN: usize = 1_000;
/// Most messages in one round; they are held in memory (about 1 KiB each) to be put in order.
pub const TRANSACTIONS_MAX: usize = 500_000;

/// The named kinds of fraud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// A stolen card is tried with small e-commerce payments, then used for large ones.
    StolenCard,
    /// Cards that were used at a skimmed terminal are used again, cloned, there and at foreign cash machines.
    CompromisedTerminal,
    /// Many payers send money to one fresh account within hours; it is moved on at once.
    Mules,
    /// Somebody else's new device sends large transfers to a new payee.
    Takeover,
    /// A payee whose name is a sanctioned one, spelt as the list spells it but for case.
    SanctionedExact,
    /// A payee whose name is a sanctioned one with a slip in it.
    SanctionedMisspelt,
    /// A victim sends money because of a story; the story is in the remittance text.
    ScamText,
    /// In the last weeks pickpockets tap stolen cards at the shops around, for much more than their owners spend there.
    Pickpocket,
    /// A customer disputes an own, ordinary purchase a week or two later. Nothing at authorization tells it from a good
    /// one: what is caught of it is chance.
    FriendlyFraud,
}

impl Scenario {
    /// All scenarios, in the order of the report.
    pub const ALL: [Scenario; 9] = [
        Self::StolenCard,
        Self::CompromisedTerminal,
        Self::Mules,
        Self::Takeover,
        Self::SanctionedExact,
        Self::SanctionedMisspelt,
        Self::ScamText,
        Self::Pickpocket,
        Self::FriendlyFraud,
    ];
    /// The scenario's name in reports and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StolenCard => "stolen_card",
            Self::CompromisedTerminal => "compromised_terminal",
            Self::Mules => "mules",
            Self::Takeover => "takeover",
            Self::SanctionedExact => "sanctioned_exact",
            Self::SanctionedMisspelt => "sanctioned_misspelt",
            Self::ScamText => "scam_text",
            Self::Pickpocket => "pickpocket",
            Self::FriendlyFraud => "friendly_fraud",
        }
    }
}

/// One item of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A message for `POST /v1/decisions`.
    Transaction {
        /// Its id; a repeat has the id of what it repeats.
        id: String,
        /// Event time, ms since the Unix epoch.
        time_ms: i64,
        /// The request body, as `wire.md` has it.
        json: Value,
        /// The fraud it is part of; `None` for a good payment, and for every message but a request.
        truth: Option<Scenario>,
    },
    /// A label for `POST /v1/labels`: a chargeback or a confirmation, one to three days after the payment, of friendly
    /// fraud one to two weeks.
    Label {
        /// The payment's id.
        id: String,
        /// `fraud` or `good`.
        label: &'static str,
        /// When it became known, ms since the Unix epoch.
        time_ms: i64,
    },
    /// Entries for `PUT /v1/lists/{list}/entries`.
    ListEntries {
        /// The list's name.
        list: &'static str,
        /// The entries, as `wire.md` has them.
        entries: Vec<Value>,
        /// When they became known, ms since the Unix epoch.
        time_ms: i64,
    },
}

impl Item {
    /// When the item reaches the engine, ms since the Unix epoch.
    pub fn time_ms(&self) -> i64 {
        match self {
            Item::Transaction { time_ms, .. }
            | Item::Label { time_ms, .. }
            | Item::ListEntries { time_ms, .. } => *time_ms,
        }
    }
}

/// A feed, in event-time order.
#[derive(Debug)]
pub struct World {
    feed: feed::Feed,
}

impl World {
    /// Makes the world and everything that happens in it.
    ///
    /// # Errors
    /// When `transactions` is not in `TRANSACTIONS_MIN..=TRANSACTIONS_MAX`, or `days` not in 6..=60.
    pub fn new(config: &WorldConfig) -> anyhow::Result<World> {
        let count = config.transactions;
        anyhow::ensure!(
            (TRANSACTIONS_MIN..=TRANSACTIONS_MAX).contains(&count),
            "{count} transactions; a world has {TRANSACTIONS_MIN} to {TRANSACTIONS_MAX} a round"
        );
        anyhow::ensure!((6..=60).contains(&config.days), "{} days; a world has 6 to 60", config.days);
        Ok(World { feed: feed::Feed::new(config) })
    }
    /// How many messages the feed has.
    pub fn transactions(&self) -> usize {
        self.feed.transactions()
    }
    /// The feed's items in event-time order, made as they are asked for.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        self.feed.items()
    }
}

#[cfg(test)]
mod tests;
