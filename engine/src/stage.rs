//! The stages of the path, spelled the same in modules, config sections, metric labels, benchmarks and `explain`.

use serde::{Deserialize, Serialize};

/// A stage of the path, in the order a transaction meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Stage {
    /// Where transactions come from: a socket, a file, a broker.
    Feed = 0,
    /// Bytes to fields.
    Decode = 1,
    /// Fields to canonical, tagged slots.
    Normalise = 2,
    /// Velocity and fraud shares.
    Features = 3,
    /// Exact lists.
    Lists = 4,
    /// Pattern packs.
    Patterns = 5,
    /// Names and vectors that are merely similar.
    Similarity = 6,
    /// Models.
    Models = 7,
    /// Rule packs.
    Rules = 8,
    /// Hits to an outcome.
    Decision = 9,
    /// Reply, journal, archive, webhooks.
    Sinks = 10,
}

impl Stage {
    /// All stages, in flow order.
    pub const ALL: [Stage; 11] = [
        Stage::Feed,
        Stage::Decode,
        Stage::Normalise,
        Stage::Features,
        Stage::Lists,
        Stage::Patterns,
        Stage::Similarity,
        Stage::Models,
        Stage::Rules,
        Stage::Decision,
        Stage::Sinks,
    ];

    /// The stages a lane runs and a verdict may name as skipped. One that has nothing in a generation is not there,
    /// and not "skipped".
    pub const LANE: [Stage; 5] =
        [Stage::Lists, Stage::Patterns, Stage::Similarity, Stage::Models, Stage::Rules];

    /// The stage's name, as everywhere outside.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Feed => "feed",
            Stage::Decode => "decode",
            Stage::Normalise => "normalise",
            Stage::Features => "features",
            Stage::Lists => "lists",
            Stage::Patterns => "patterns",
            Stage::Similarity => "similarity",
            Stage::Models => "models",
            Stage::Rules => "rules",
            Stage::Decision => "decision",
            Stage::Sinks => "sinks",
        }
    }

    /// The stage of a name; `None` where there is none.
    pub fn by_name(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// Why a stage did not answer. The stage never decides what that means; the decision stage does, by the pack's
/// declared default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum SkipReason {
    /// Too little was left of the caller's deadline for it, and for what is cheaper and comes after it.
    Deadline = 0,
    /// What the stage reads could not be loaded.
    Unavailable = 1,
    /// The stage ran, and found candidates that nobody has confirmed in time: what their list declares counts.
    ConfirmLate = 2,
}

impl SkipReason {
    /// The reason's name, as everywhere outside.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::Deadline => "deadline",
            SkipReason::Unavailable => "unavailable",
            SkipReason::ConfirmLate => "confirm_late",
        }
    }
}
