//! A dispute, `interdict/statement-dispute/v1`: a member says that its statement is wrong, why, and signs that. The bill is
//! then made again (`replaces`), or the member confirms after all.

use super::confirm::{Role, Signatory};
use super::fields::check_word;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::limits::{BILL_REASON_BYTES_MAX, BILL_WORD_BYTES_MAX};
use crate::note::Note;
use crate::record::{Reader, Writer};

/// The record's type.
pub const TYPE: &str = "statement-dispute";
const VERSION: u32 = 1;

/// What is wrong, as the member sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Queries that it did not make, or items.
    Usage,
    /// Prices, class or tariff.
    Tariff,
    /// Credits.
    Credit,
    /// The self-report.
    Report,
    /// Something else.
    Other,
}

impl Ground {
    /// All.
    pub const ALL: [Ground; 5] =
        [Ground::Usage, Ground::Tariff, Ground::Credit, Ground::Report, Ground::Other];
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Ground::Usage => "usage",
            Ground::Tariff => "tariff",
            Ground::Credit => "credit",
            Ground::Report => "report",
            Ground::Other => "other",
        }
    }
    /// The ground of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Ground> {
        Ground::ALL.into_iter().find(|ground| ground.name() == name).ok_or_else(|| {
            let all = Ground::ALL.map(Ground::name).join(", ");
            Error::new(ErrorKind::Invalid, format!("expected a ground: one of {all}"))
        })
    }
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The alliance's name.
    pub alliance: String,
    /// Who disputes.
    pub member: MemberId,
    /// Number of the bill.
    pub number: u32,
    /// Name of its period.
    pub period: String,
    /// Hash of the statement.
    pub statement: [u8; 32],
    /// What is wrong.
    pub ground: Ground,
    /// In words, one line.
    pub reason: String,
    /// When, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Dispute {
    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`.
    pub fn encode(&self) -> Result<String> {
        check_word("an alliance's name", &self.alliance, 63)?;
        check_word("a period's name", &self.period, BILL_WORD_BYTES_MAX)?;
        check_reason(&self.reason)?;
        let mut w = Writer::new(TYPE, VERSION);
        w.put("alliance", &self.alliance)?.put("member", self.member)?.put("number", self.number)?;
        w.put("period", &self.period)?;
        w.put_bytes("statement", &self.statement)?.put("ground", self.ground.name())?;
        w.put("reason", &self.reason)?.put("created_ms", self.created_ms)?;
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `TooLarge`.
    pub fn decode(text: &str) -> Result<Dispute> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let alliance = r.take("alliance")?.to_owned();
        check_word("an alliance's name", &alliance, 63).map_err(|e| r.refuse(e.message))?;
        let (member, number) = (MemberId(r.number("member")?), r.number("number")?);
        let period = r.take("period")?.to_owned();
        check_word("a period's name", &period, BILL_WORD_BYTES_MAX).map_err(|e| r.refuse(e.message))?;
        let statement = r.array("statement")?;
        let ground = Ground::by_name(r.take("ground")?).map_err(|e| r.refuse(e.message))?;
        let reason = r.take("reason")?.to_owned();
        check_reason(&reason)?;
        let created_ms = r.number("created_ms")?;
        r.end()?;
        Ok(Dispute { alliance, member, number, period, statement, ground, reason, created_ms })
    }
    /// Reads a note that the member who disputes has signed, and nobody else.
    ///
    /// # Errors
    /// As [`Dispute::decode`] and [`Note::verify_all`].
    pub fn verify(note: &Note, signatories: &[Signatory]) -> Result<Dispute> {
        let dispute = Dispute::decode(note.text())?;
        let own = signatories.iter().filter(|s| s.role == Role::Member && s.member == dispute.member);
        let keys: Vec<VerifierKey> = own.map(|signatory| signatory.key.clone()).collect();
        note.verify_all(&keys)?;
        Ok(dispute)
    }
}

pub(super) fn check_reason(text: &str) -> Result<()> {
    match text.len() {
        0..=BILL_REASON_BYTES_MAX => Ok(()),
        bytes => {
            let message = format!("a reason or reference of {bytes} bytes, limit {BILL_REASON_BYTES_MAX}");
            Err(Error::new(ErrorKind::TooLarge, message))
        }
    }
}
