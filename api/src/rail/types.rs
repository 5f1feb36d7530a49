//! The parts that both messages have: states, reasons, agents, amounts, and what can be wrong with them.

use super::xml::{self, Document};
use interdict_engine::domain::HoldState;
use interdict_engine::domain::money::Currency;
use std::fmt;

/// Why a message is not written. No value is quoted: an identifier may be somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrong {
    /// Longer than the schema's type admits. Identifiers are never cut.
    TooLong {
        /// The element.
        element: &'static str,
        /// Its length, in characters.
        chars: usize,
        /// The longest admitted, in characters.
        chars_max: usize,
    },
    /// Not of the schema's form.
    Malformed {
        /// The element.
        element: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// An element without which the message says nothing.
    Missing {
        /// The element, and when it is needed.
        element: &'static str,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::TooLong { element, chars, chars_max } => {
                write!(f, "{element} has {chars} characters, limit {chars_max}")
            }
            Wrong::Malformed { element, expected } => write!(f, "{element}: expected {expected}"),
            Wrong::Missing { element } => write!(f, "{element} is missing"),
        }
    }
}
impl std::error::Error for Wrong {}

/// Status of a held payment (TxSts, ExternalPaymentTransactionStatus1Code), as the FedNow scenarios 4 and 6 use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Accepted without posting: the hold begins.
    Acwp,
    /// Pending: it is being looked at, and goes on.
    Pdng,
    /// Accepted, and credited to the creditor's account: released.
    Accc,
    /// Blocked: the funds are kept, as under sanctions.
    Blck,
    /// Rejected: the payment goes back.
    Rjct,
}

impl Status {
    /// All of them, in the order in which they come.
    pub const ALL: [Status; 5] = [Self::Acwp, Self::Pdng, Self::Accc, Self::Blck, Self::Rjct];

    /// The code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Acwp => "ACWP",
            Self::Pdng => "PDNG",
            Self::Accc => "ACCC",
            Self::Blck => "BLCK",
            Self::Rjct => "RJCT",
        }
    }
    /// The status of a code.
    pub fn by_code(code: &str) -> Option<Status> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
    /// What is told of a hold in a state: a held payment is told `ACWP`, and `PDNG` when it is told again. `None`: nothing
    /// (its sender took it back, or it was too late, which a recall tells).
    pub const fn of_hold(state: HoldState, was_told: bool) -> Option<Status> {
        Some(match state {
            HoldState::Held if was_told => Self::Pdng,
            HoldState::Held => Self::Acwp,
            HoldState::Released | HoldState::ExpiredReleased => Self::Accc,
            HoldState::Blocked => Self::Blck,
            HoldState::Confirmed | HoldState::ExpiredConfirmed | HoldState::Rejected => Self::Rjct,
            HoldState::Reversed | HoldState::TooLate => return None,
        })
    }
    /// Whether nothing comes after it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Accc | Self::Blck | Self::Rjct)
    }
    /// Whether it may be told after `earlier` (`None`: nothing was told yet). A hold begins with ACWP, may be pending
    /// any number of times, and ends once.
    pub fn may_follow(self, earlier: Option<Status>) -> bool {
        match earlier {
            None => self == Self::Acwp,
            Some(earlier) => !earlier.is_final() && self != Self::Acwp,
        }
    }
    /// Whether the rail must be told why.
    pub const fn needs_reason(self) -> bool {
        matches!(self, Self::Blck | Self::Rjct)
    }
}

/// Why, in the codes of the rail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReasonCode {
    /// An external code of 1 to 4 characters (ExternalStatusReason1Code, ExternalCancellationReason1Code): `FRAD`, `RR04`.
    Code(String),
    /// The rail's own, at most 35 characters.
    Proprietary(String),
}

/// A reason with what people may read. The text goes to another bank: no personal data belongs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// Narrative (AddtlInf). It is needed with the code NARR. Lines of 105 characters, at most four; longer text ends
    /// in `...`.
    pub text: Option<String>,
}

impl Reason {
    /// An external code without text.
    pub fn code(code: &str) -> Reason {
        Reason { code: ReasonCode::Code(code.to_owned()), text: None }
    }
    /// A narrative under the code NARR.
    pub fn narrative(text: &str) -> Reason {
        Reason { text: Some(text.to_owned()), ..Reason::code("NARR") }
    }

    /// Writes it as `StsRsnInf` or `CxlRsnInf`.
    pub(super) fn write(&self, out: &mut Document, element: &'static str) -> Result<(), Wrong> {
        let is_narrative = matches!(&self.code, ReasonCode::Code(code) if code == "NARR");
        let text = self.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if is_narrative && text.is_none() {
            return Err(Wrong::Missing { element: "AddtlInf, which the reason NARR needs," });
        }
        out.inside(element, |out| {
            out.inside("Rsn", |out| match &self.code {
                ReasonCode::Code(code) => out.text("Cd", xml::external_code("Rsn/Cd", code)?),
                ReasonCode::Proprietary(code) => {
                    out.text("Prtry", xml::max_text("Rsn/Prtry", code, xml::MAX_35)?)
                }
            })?;
            text.map_or(Ok(()), |text| xml::narrative(out, text))
        })
    }
}

/// An amount in minor units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Minor units, 0 or more.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

impl Amount {
    /// As ActiveOrHistoricCurrencyAndAmount has it: decimal, with the currency's own number of decimals.
    pub(super) fn decimal(&self, element: &'static str) -> Result<String, Wrong> {
        const DIGITS_MAX: usize = 18;
        let expected = "an amount of 0 or more with at most 18 digits";
        let written = self.currency.format(self.minor);
        let number = written.split(' ').next().unwrap_or_default();
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let fits = self.minor >= 0 && digits <= DIGITS_MAX;
        if fits { Ok(number.to_owned()) } else { Err(Wrong::Malformed { element, expected }) }
    }
}

/// A bank, by what identifies it (FinancialInstitutionIdentification18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// ISO 9362, 8 or 11 characters (BICFI).
    Bic(String),
    /// A member of a clearing system (ClrSysMmbId).
    Member {
        /// ExternalClearingSystemIdentification1Code: `USABA`, `GBDSC`.
        system: String,
        /// The member's number there, at most 35 characters.
        id: String,
    },
    /// Known by any other number (Othr/Id), at most 35 characters.
    Other(String),
}

impl Agent {
    /// What an institution's id of ours is: a BIC where it has a BIC's form, else a member of the clearing system,
    /// else just a number.
    pub fn of(id: &str, clearing_system: Option<&str>) -> Agent {
        match clearing_system {
            _ if xml::is_bic(id) => Agent::Bic(id.to_owned()),
            Some(system) => Agent::Member { system: system.to_owned(), id: id.to_owned() },
            None => Agent::Other(id.to_owned()),
        }
    }

    /// Writes it as `element/FinInstnId`.
    pub(super) fn write(&self, out: &mut Document, element: &'static str) -> Result<(), Wrong> {
        out.inside(element, |out| {
            out.inside("FinInstnId", |out| match self {
                Agent::Bic(bic) if xml::is_bic(bic) => out.text("BICFI", bic),
                Agent::Bic(_) => {
                    Err(Wrong::Malformed { element: "BICFI", expected: "8 or 11 characters of ISO 9362" })
                }
                Agent::Member { system, id } => out.inside("ClrSysMmbId", |out| {
                    let system = xml::clearing_system("ClrSysId/Cd", system)?;
                    out.inside("ClrSysId", |out| out.text("Cd", system))?;
                    out.text("MmbId", xml::max_text("MmbId", id, xml::MAX_35)?)
                }),
                Agent::Other(id) => {
                    let id = xml::max_text("Othr/Id", id, xml::MAX_35)?;
                    out.inside("Othr", |out| out.text("Id", id))
                }
            })
        })
    }
}
