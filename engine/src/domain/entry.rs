//! A list entry: whom it means, what it does, from when to when, and on whose word.

use super::catalogue::Field;
use super::tag::Tag;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What kind of identifier a subject is. Several fields may carry one kind: an account on a list hits it as payer's
/// and as payee's account. The kind goes into the tag, so equal text of different kinds has different tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum SubjectKind {
    /// A PAN or token.
    Card = 0,
    /// An IBAN, or bank and number.
    Account = 1,
    /// A device id.
    Device = 2,
    /// A merchant id.
    Merchant = 3,
    /// A terminal id.
    Terminal = 4,
    /// An IP address or prefix.
    Ip = 5,
    /// A BIN, 6 to 8 digits.
    Bin = 6,
    /// An e-mail address.
    Email = 7,
    /// A phone number.
    Phone = 8,
    /// A folded name (exact; similar names are the similarity stage's).
    Name = 9,
}

impl SubjectKind {
    /// All kinds, by number.
    pub const ALL: [SubjectKind; 10] = [
        Self::Card,
        Self::Account,
        Self::Device,
        Self::Merchant,
        Self::Terminal,
        Self::Ip,
        Self::Bin,
        Self::Email,
        Self::Phone,
        Self::Name,
    ];
    /// The kind's name, as in list files and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Account => "account",
            Self::Device => "device",
            Self::Merchant => "merchant",
            Self::Terminal => "terminal",
            Self::Ip => "ip",
            Self::Bin => "bin",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Name => "name",
        }
    }
    /// The kind of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
    /// The kind of subject a tagged field carries; `None` for fields that are not tagged.
    pub const fn of_field(field: Field) -> Option<SubjectKind> {
        match field {
            Field::Card => Some(Self::Card),
            Field::Account | Field::Payee => Some(Self::Account),
            Field::Device => Some(Self::Device),
            Field::Merchant => Some(Self::Merchant),
            Field::Terminal => Some(Self::Terminal),
            Field::Email => Some(Self::Email),
            Field::Phone => Some(Self::Phone),
            Field::PayerNameTag | Field::PayeeNameTag => Some(Self::Name),
            _ => None,
        }
    }
}

/// Whom an entry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An identifier, by its tag under the list's key.
    Tag {
        /// What it identifies.
        kind: SubjectKind,
        /// Its tag.
        tag: Tag,
    },
    /// An IP prefix (RFC 4632); host bits are zero.
    Ip {
        /// Network address.
        network: IpAddr,
        /// Prefix length in bits.
        prefix: u8,
    },
    /// A BIN prefix (ISO/IEC 7812-1): a card whose BIN begins with these digits.
    Bin {
        /// The digits as a number, without leading zeros (they are kept by `digits`).
        number: u32,
        /// How many digits, 1 to 8.
        digits: u8,
    },
}

impl Subject {
    /// What kind of subject this is.
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Subject::Tag { kind, .. } => *kind,
            Subject::Ip { .. } => SubjectKind::Ip,
            Subject::Bin { .. } => SubjectKind::Bin,
        }
    }
}

/// What an entry does. Precedence within validity dates: non-overridable block > override > overridable block > flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Effect {
    /// Marks the payment; it goes on, a case is opened (`review`).
    Flag = 0,
    /// Stops the payment (the list's outcome, `decline` by default).
    Block = 1,
    /// Cancels the overridable block, or the rule, that it names.
    Override = 2,
}

impl Effect {
    /// The effect's name, as in list files and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Effect::Flag => "flag",
            Effect::Block => "block",
            Effect::Override => "override",
        }
    }
    /// The effect of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Effect::Flag, Effect::Block, Effect::Override].into_iter().find(|effect| effect.name() == name)
    }
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the entry within its list: its row in a built snapshot; for a delta, unique within the list.
    pub id: u64,
    /// Whom it means.
    pub subject: Subject,
    /// What it does.
    pub effect: Effect,
    /// For a block: whether an override may cancel it.
    pub overridable: bool,
    /// For an override: the list, or the rule (`pack/rule`), it cancels.
    pub overrides: Option<String>,
    /// Why, as a code or short text without personal data.
    pub reason: String,
    /// 0 to 100; 0 when not given.
    pub severity: u8,
    /// On whose word.
    pub contributor: String,
    /// First ms (Unix epoch, event time) at which it counts; `None`: always.
    pub valid_from_ms: Option<i64>,
    /// First ms at which it no longer counts; `None`: never.
    pub valid_to_ms: Option<i64>,
}

impl Entry {
    /// Whether the entry counts at an event time.
    pub fn is_valid_at(&self, time_ms: i64) -> bool {
        self.valid_from_ms.is_none_or(|from| from <= time_ms)
            && self.valid_to_ms.is_none_or(|to| time_ms < to)
    }
}
