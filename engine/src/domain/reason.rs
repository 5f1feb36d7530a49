//! A reason: which stage, which rule or list entry, and which slots it looked at. It holds numbers only; names,
//! codes, audiences and values are looked up in the generation and the accepted record when somebody reads it, so
//! the record of law carries no text that would have to be encrypted.

use super::slots::SlotId;
use crate::stage::Stage;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Who may see a reason. A reader sees reasons of its own audience and of those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Audience {
    /// The risk team only.
    Internal = 0,
    /// The processor as well.
    Processor = 1,
    /// May be told to the customer.
    Customer = 2,
}

impl Audience {
    /// The audience's name.
    pub const fn name(self) -> &'static str {
        match self {
            Audience::Internal => "internal",
            Audience::Processor => "processor",
            Audience::Customer => "customer",
        }
    }
}

/// What a reason comes from, by number within the verdict's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReasonSource {
    /// A rule, by its number in the generation.
    Rule(u32),
    /// A list entry.
    Entry {
        /// The list's number in the generation (base lists first, then lists made by deltas).
        list: u16,
        /// The entry's id within the list.
        entry: u64,
        /// The field that hit, as its catalogue number.
        field: u8,
    },
    /// The declared default of a skipped stage, by the number of the pack that declares it.
    Default(u16),
    /// A rule that asked for names like listed ones, with the best match of the screen it asked.
    Name {
        /// The rule, by its number in the generation.
        rule: u32,
        /// The screen, by its number in the generation.
        screen: u16,
        /// The watchlist, by its number in the generation.
        watchlist: u16,
        /// The entry's number in the watchlist.
        entry: u32,
        /// Which of the entry's names; 0 is its primary one.
        name: u16,
        /// How alike they are, 0 to 1000.
        score: u16,
    },
    /// A model whose score counts, by its number in the generation.
    Model(u16),
    /// A list or watchlist that is stale, by its place in the settings' freshness.
    Stale(u16),
}

impl ReasonSource {
    /// The rule that it comes from, where it is one.
    pub const fn rule(&self) -> Option<u32> {
        match self {
            ReasonSource::Rule(rule) | ReasonSource::Name { rule, .. } => Some(*rule),
            _ => None,
        }
    }
}

/// One reason of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// The stage that gave it.
    pub stage: Stage,
    /// What it comes from.
    pub source: ReasonSource,
    /// The slots it looked at; their values are in the accepted record.
    pub slots: SmallVec<[SlotId; 4]>,
}
