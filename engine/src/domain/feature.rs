//! What a pack declares in `features.yaml`: a group of features that share a key, a value and a filter, and so one
//! structure in memory. `packs` reads it, `state` runs it.

use super::{Currency, Field, TransactionKind};

/// Whom a group counts by: one identifier or address prefix, or a pair of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeySpec {
    /// A tagged identifier.
    Identifier(Field),
    /// The device's address, cut to a prefix: 24 bits of IPv4, 48 of IPv6.
    IpPrefix,
    /// A combination; a transaction that lacks one of them is not counted.
    Pair(Box<KeySpec>, Box<KeySpec>),
}

/// What a group computes over each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregate {
    /// How many.
    Count,
    /// Sum of amounts, minor units.
    Sum,
    /// Largest amount, minor units.
    Max,
    /// Sum / count in minor units, truncated toward zero; undecided when the count is 0.
    Mean,
    /// How many different values of the group's `distinct` identifier.
    Distinct,
    /// Per mille of the events in (t − delay − window, t − delay] that are labelled fraud, truncated; undecided
    /// when there is no event.
    FraudShare,
    /// How many events in (t − delay − window, t − delay] are labelled fraud.
    FraudCount,
}

impl Aggregate {
    /// The aggregate's name, as in slot paths (`features.card.count_1h`).
    pub const fn name(self) -> &'static str {
        match self {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Max => "max",
            Aggregate::Mean => "mean",
            Aggregate::Distinct => "distinct",
            Aggregate::FraudShare => "fraud_share",
            Aggregate::FraudCount => "fraud_count",
        }
    }
    /// All aggregates.
    pub const ALL: [Aggregate; 7] =
        [Self::Count, Self::Sum, Self::Max, Self::Mean, Self::Distinct, Self::FraudShare, Self::FraudCount];
    /// The aggregate of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aggregate| aggregate.name() == name)
    }
}

/// What a reversal does to what it reverses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnReversal {
    /// Counts and sums stay: a card tester's attempts are not erased by reversing them.
    Keep,
    /// Counts stay, the reversed amount is taken from the sums (and max, mean follow the reduced amount).
    #[default]
    Net,
}

/// A group of features.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpec {
    /// Name, as in slot paths: `features.NAME.AGGREGATE_WINDOW`.
    pub name: String,
    /// Whom it counts by.
    pub key: KeySpec,
    /// Windows in ms, with the names that paths use (`1h`, `7d`), ascending.
    pub windows: Vec<(String, i64)>,
    /// What it computes over each window.
    pub aggregates: Vec<Aggregate>,
    /// Identifier whose different values `Distinct` counts.
    pub distinct: Option<Field>,
    /// Currency of `Sum`, `Max` and `Mean`; amounts in other currencies are converted at the rate valid at event
    /// time, and make a window undecided where there is none.
    pub currency: Option<Currency>,
    /// Delay of `FraudShare` and `FraudCount`, in ms.
    pub delay_ms: i64,
    /// Also the slots `time_since_last` (ms since the key's previous event; undecided when there is none) and
    /// `first_seen` (ms since the key's first known event; 0 for the first).
    pub seen: bool,
    /// What a reversal does.
    pub on_reversal: OnReversal,
    /// Kinds of message that count; request, repeat (a repeat that is not a duplicate is a request) and advice by
    /// default.
    pub kinds: Vec<TransactionKind>,
    /// A CEL condition over the transaction's own fields; only transactions for which it is true count. What it
    /// means is compiled by `packs` and handed to the state beside the spec.
    pub filter: Option<String>,
}

impl FeatureSpec {
    /// The group's slot paths and units, in slot order: for each aggregate, for each window; then `seen`'s two.
    pub fn slots(&self) -> Vec<(String, &'static str)> {
        let mut slots = Vec::new();
        for aggregate in &self.aggregates {
            let unit = match aggregate {
                Aggregate::Count | Aggregate::Distinct | Aggregate::FraudCount => "events",
                Aggregate::Sum | Aggregate::Max | Aggregate::Mean => "minor units",
                Aggregate::FraudShare => "per mille",
            };
            for (window, _) in &self.windows {
                slots.push((format!("features.{}.{}_{window}", self.name, aggregate.name()), unit));
            }
        }
        if self.seen {
            slots.push((format!("features.{}.time_since_last", self.name), "ms"));
            slots.push((format!("features.{}.first_seen", self.name), "ms"));
        }
        slots
    }
}
