//! What stops a payment between its authorization and its settlement: how a hold begins, what may be done with it, and
//! what the settlement gate says of a payment.

use super::decision::{GenerationId, Lever, Outcome};
use super::reason::Reason;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names a hold: a payment's sequence, and which of its holds, from 1. Written `h-1742`, `h-1742-2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HoldId {
    /// The payment's sequence.
    pub payment: u64,
    /// Which of its holds, from 1.
    pub number: u16,
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => write!(f, "h-{}", self.payment),
            number => write!(f, "h-{}-{number}", self.payment),
        }
    }
}

impl FromStr for HoldId {
    type Err = ();
    fn from_str(text: &str) -> Result<HoldId, ()> {
        let rest = text.strip_prefix("h-").ok_or(())?;
        let (payment, number) = rest.split_once('-').unwrap_or((rest, "1"));
        let id = HoldId { payment: payment.parse().map_err(drop)?, number: number.parse().map_err(drop)? };
        // One spelling each, so that two texts never name one hold.
        if id.number == 0 || id.to_string() != text { Err(()) } else { Ok(id) }
    }
}

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum HoldState {
    /// The payment waits for somebody's decision.
    Held = 0,
    /// It goes on.
    Released = 1,
    /// It is stopped for good: fraud.
    Confirmed = 2,
    /// The timer ran out and the declared default applied: it goes on.
    ExpiredReleased = 3,
    /// The timer ran out and the declared default applied: it is stopped for good.
    ExpiredConfirmed = 4,
    /// A true match of a sanctions list: the funds are blocked (frozen).
    Blocked = 5,
    /// A true match of a sanctions list: the payment is rejected.
    Rejected = 6,
    /// Taken back by whoever made it, while it was held.
    Reversed = 7,
    /// No hold: found when nothing could stop it any more. A case.
    TooLate = 8,
}

impl HoldState {
    /// All states.
    pub const ALL: [HoldState; 9] = [
        Self::Held,
        Self::Released,
        Self::Confirmed,
        Self::ExpiredReleased,
        Self::ExpiredConfirmed,
        Self::Blocked,
        Self::Rejected,
        Self::Reversed,
        Self::TooLate,
    ];
    /// The state's name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Confirmed => "confirmed",
            Self::ExpiredReleased => "expired_released",
            Self::ExpiredConfirmed => "expired_confirmed",
            Self::Blocked => "blocked",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
            Self::TooLate => "too_late",
        }
    }
    /// The state of a name.
    pub fn by_name(name: &str) -> Option<HoldState> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
    /// Whether the payment may not settle in this state.
    pub const fn stops(self) -> bool {
        !matches!(self, Self::Released | Self::ExpiredReleased | Self::TooLate)
    }
}

/// What was learned that a payment had not been judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// The event's sequence; the payment's own where its skipped stages were finished.
    pub sequence: u64,
    /// When it came, ms since the Unix epoch.
    pub at_ms: i64,
    /// What it is.
    pub what: LearnedWhat,
}

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnedWhat {
    /// A list was changed, by this name.
    List(String),
    /// A generation was published: packs, patterns, models, watchlists, lists' files.
    Generation(GenerationId),
    /// A bank learned from a label.
    Label,
    /// What had been skipped at its deadline.
    Stages,
}

impl LearnedWhat {
    /// Its kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Generation(_) => "generation",
            Self::Label => "label",
            Self::Stages => "stages",
        }
    }
}

/// How a hold begins: what the payment is, what would stop it, and why. Numbers of reasons are those of `generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The payment's tenant.
    pub tenant: Box<str>,
    /// When, ms since the Unix epoch: inline the payment's arrival.
    pub at_ms: i64,
    /// When it expires, ms since the Unix epoch; `None`: never by a timer.
    pub until_ms: Option<i64>,
    /// Whether the payment goes on when it expires; else it is stopped for good.
    pub expiry_releases: bool,
    /// When the payment settles, ms since the Unix epoch.
    pub cut_off_ms: i64,
    /// What can stop it.
    pub lever: Lever,
    /// Whether its rail knows a recall once it is too late (camt.056).
    pub recall: bool,
    /// Amount in minor units.
    pub amount_minor: i64,
    /// ISO 4217; empty where it is not known.
    pub currency: Box<str>,
    /// Whether a sanctions list or rule is among the reasons, so that no timer may end it.
    pub sanctions: bool,
    /// What the payment would be answered now: hold or decline.
    pub outcome: Outcome,
    /// 0 to 1000.
    pub score: u16,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// The same by name, which outlives the generation: `pack/rule`, `list:NAME/FIELD`, `watchlist:NAME/ENTRY`,
    /// `model:PACK/NAME`, `default:PACK/STAGE`, `stale:LIST`, `label:fraud`.
    pub causes: Vec<Box<str>>,
    /// By which generation.
    pub generation: GenerationId,
    /// What was learned since the payment was answered; `None`: the answer itself was the hold.
    pub learned: Option<Learned>,
}

impl Opened {
    /// Whether something can still hold the payment at a time, ms since the Unix epoch. A recall is a request, and holds
    /// nothing.
    pub fn can_hold(&self, now_ms: i64) -> bool {
        !matches!(self.lever, Lever::None | Lever::Recall) && now_ms < self.cut_off_ms
    }
}

/// What judging a payment of the window again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The payment's sequence.
    pub target: u64,
    /// What it came to.
    pub now: FoundNow,
}

/// What judging a payment again came to, where it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundNow {
    /// It would be stopped: held, or where nothing can hold it any more a case. Which, is said when the event is taken.
    Stops {
        /// The hold.
        opened: Box<Opened>,
        /// Whether it is too late for one.
        too_late: bool,
    },
    /// It is held and would not be now: its release is proposed.
    Frees {
        /// What it would be answered.
        outcome: Outcome,
        /// By which generation.
        generation: GenerationId,
        /// What was learned.
        learned: Learned,
    },
}

/// What somebody does with a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAct {
    /// Which hold.
    pub hold: HoldId,
    /// What.
    pub act: Act,
    /// Who: the name of an API key, or what the node calls itself.
    pub by: String,
    /// Why, in words; sealed in the journal, and empty where its key is destroyed.
    #[serde(skip)]
    pub comment: String,
}

/// What may be done with a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Something is noted; nothing changes.
    Comment,
    /// The payment goes on.
    Release,
    /// The payment is stopped for good.
    Confirm,
    /// The timer has run out.
    Expire,
    /// A true match of a sanctions list: blocked.
    Block,
    /// A true match of a sanctions list: rejected.
    Reject,
    /// No match of a sanctions list: proposed by one, and released when another says it too.
    FalseMatch,
}

impl Act {
    /// The act's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Release => "release",
            Self::Confirm => "confirm",
            Self::Expire => "expire",
            Self::Block => "block",
            Self::Reject => "reject",
            Self::FalseMatch => "false_match",
        }
    }
}

/// What the gate says of a payment. What has no `go` is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ClearState {
    /// It may settle.
    Go = 0,
    /// It is held, stopped, declined, has no verdict yet, or was taken back while it was held.
    Held = 1,
    /// Something was found and nothing could stop it any more.
    TooLate = 2,
    /// No such payment.
    Unknown = 3,
}

impl ClearState {
    /// All states.
    pub const ALL: [ClearState; 4] = [Self::Go, Self::Held, Self::TooLate, Self::Unknown];

    /// The state's name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Held => "held",
            Self::TooLate => "too_late",
            Self::Unknown => "unknown",
        }
    }
}

/// A payment at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// Its sequence.
    pub sequence: u64,
    /// When it settles, ms since the Unix epoch.
    pub cut_off_ms: i64,
    /// Whether it lacks stages that are not finished.
    pub lacks: bool,
    /// What it is told; whoever asks says `go`, or what its verdict rules out.
    pub state: ClearState,
    /// Whether it has `go` by the declared default, though not all that counts had been hunted for it.
    pub flagged: bool,
}

/// Payments at the gate, all of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// A generation counts for a payment when it was published so long before its cut-off, in ms.
    pub horizon_ms: i64,
    /// Whether a payment that could not be hunted in time goes, flagged; else it is held.
    pub unhunted_goes: bool,
    /// The sequence hunted through when it was asked.
    pub hunted_through: u64,
    /// The payments, in the order asked; of one that is asked for twice everything is the same.
    pub payments: Vec<Cleared>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_has_one_name() {
        for (payment, number, text) in
            [(1742, 1, "h-1742"), (1742, 2, "h-1742-2"), (u64::MAX, 65_535, "h-18446744073709551615-65535")]
        {
            let id = HoldId { payment, number };
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
        for wrong in
            ["1742", "h-", "h-1742-1", "h-01", "h-1-0", "h-1-", "h-+1", "h-1-65536", "H-1", "h-1-2-3"]
        {
            assert_eq!(wrong.parse::<HoldId>(), Err(()), "{wrong}");
        }
    }
}
