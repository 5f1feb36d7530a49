//! How a hub keeps the records of bills: under which name, who may read which, and what happens to a note that comes in for
//! one that is held. Nothing here trusts who brings a note; its signatures say whose it is.

use super::confirm::{self, Signatory};
use super::dispute::{self, Dispute};
use super::settlement::{self, Settlement};
use super::statement::{self, Statement};
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::note::Note;
use crate::record::type_of;
use std::fmt;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The settlement: for all members.
    Settlement,
    /// A member's statement.
    Statement(MemberId),
    /// A member's dispute of its statement.
    Dispute(MemberId),
}

impl What {
    /// Whether somebody may read it: a settlement every member; the rest the member whose it is, operator and auditors.
    pub fn may_be_read_by(self, reader: MemberId, is_operator_or_auditor: bool) -> bool {
        match self {
            What::Settlement => true,
            What::Statement(member) | What::Dispute(member) => member == reader || is_operator_or_auditor,
        }
    }
}

/// A record by its place. Shown, it is a file's name: `2026-11_3_statement_4`; periods have no `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filed {
    /// Name of the period.
    pub period: String,
    /// Number of the bill.
    pub number: u32,
    /// Which record of it.
    pub what: What,
}

impl fmt::Display for Filed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_", self.period, self.number)?;
        match self.what {
            What::Settlement => f.write_str("settlement"),
            What::Statement(member) => write!(f, "statement_{member}"),
            What::Dispute(member) => write!(f, "dispute_{member}"),
        }
    }
}

impl Filed {
    /// The place of a record.
    ///
    /// # Errors
    /// `Version` for another type; as `decode` of its type.
    pub fn of(text: &str) -> Result<Filed> {
        let of_basis = |basis: super::basis::Basis, what| Filed {
            period: basis.period.name,
            number: basis.number,
            what,
        };
        match type_of(text)?.0 {
            settlement::TYPE => Ok(of_basis(Settlement::decode(text)?.basis, What::Settlement)),
            statement::TYPE => {
                let Statement { basis, party, .. } = Statement::decode(text)?;
                Ok(of_basis(basis, What::Statement(party.member)))
            }
            dispute::TYPE => {
                let Dispute { period, number, member, .. } = Dispute::decode(text)?;
                Ok(Filed { period, number, what: What::Dispute(member) })
            }
            other => Err(Error::new(ErrorKind::Version, format!("a {other} is no record of a bill"))),
        }
    }
    /// The place that a file's name says; `None` for a file that is none of ours.
    pub fn by_name(name: &str) -> Option<Filed> {
        let mut parts = name.split('_');
        let (period, number, kind) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?);
        let member = parts.next().map(|number| number.parse().map(MemberId)).transpose().ok()?;
        let what = match (kind, member) {
            ("settlement", None) => What::Settlement,
            ("statement", Some(member)) => What::Statement(member),
            ("dispute", Some(member)) => What::Dispute(member),
            _ => return None,
        };
        let filed = Filed { period, number, what };
        (parts.next().is_none() && filed.to_string() == name).then_some(filed)
    }
}

/// The newest of a period among files: of the highest bill.
pub fn newest<'a>(names: impl IntoIterator<Item = &'a str>, period: &str, what: What) -> Option<Filed> {
    let filed = names.into_iter().filter_map(Filed::by_name);
    filed.filter(|filed| filed.period == period && filed.what == what).max_by_key(|filed| filed.number)
}

/// What is to be kept once a note has come in, where `held` is what lies at its place ([`Filed::of`]): the first copy of a
/// settlement or statement has the operator's signature; later ones add to it those that are still missing.
///
/// # Errors
/// As [`confirm::settlement`], [`confirm::statement`], [`Dispute::verify`]; `Forbidden` for a first copy that the operator has
/// not signed; `Equivocation` where the operator signed another text of this place before; `Invalid` for another text
/// that it did not sign.
pub fn offer(held: Option<&Note>, offered: &Note, signatories: &[Signatory]) -> Result<Note> {
    let filed = Filed::of(offered.text())?;
    let is_by_operator = match filed.what {
        What::Settlement => confirm::settlement(offered, signatories)?.1.by_operator,
        What::Statement(_) => confirm::statement(offered, signatories)?.1.by_operator,
        What::Dispute(_) => {
            Dispute::verify(offered, signatories)?;
            // The first dispute of a statement stays; a later one says more than this place can hold.
            return Ok(held.unwrap_or(offered).clone());
        }
    };
    let Some(held) = held else {
        return match is_by_operator {
            true => Ok(offered.clone()),
            false => {
                Err(Error::new(ErrorKind::Forbidden, "the operator signs settlements and statements first"))
            }
        };
    };
    if held.text() != offered.text() && is_by_operator {
        let message = format!("the operator signed two texts of {filed}");
        return Err(Error::new(ErrorKind::Equivocation, message));
    }
    let mut kept = held.clone();
    kept.merge(offered)?;
    Ok(kept)
}
