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
