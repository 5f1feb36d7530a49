//! A deposit, `interdict/deposit/v1`: money that a member has paid to the operator ahead of its bills, or (below zero) has got
//! back. Both sign that it came.

use super::basis::{put_currency, take_currency};
use super::confirm::{Role, Signatory};
use super::dispute::check_reason;
use super::fields::check_word;
use super::money::{Currency, bounded};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::note::Note;
use crate::record::{Reader, Writer};

/// The record's type.
pub const TYPE: &str = "deposit";
const VERSION: u32 = 1;

/// A deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The alliance's name.
    pub alliance: String,
    /// Whose.
    pub member: MemberId,
    /// The member's deposits by number, from 1, without a gap.
    pub number: u32,
    /// The currency.
    pub currency: Currency,
    /// Minor units; below zero what is paid back.
    pub amount_minor: i64,
    /// When it counts from, in milliseconds since the Unix epoch.
    pub value_ms: u64,
    /// The bank's reference, one line; no account numbers.
    pub reference: String,
}

impl Deposit {
    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `TooLarge` for what [`Deposit::decode`] would refuse.
    pub fn encode(&self) -> Result<String> {
        check_word("an alliance's name", &self.alliance, 63)?;
        self.check()?;
        let mut w = Writer::new(TYPE, VERSION);
        w.put("alliance", &self.alliance)?.put("member", self.member)?.put("number", self.number)?;
        put_currency(&mut w, self.currency)?;
        w.put("amount", self.amount_minor)?.put("value_ms", self.value_ms)?;
        w.put("reference", &self.reference)?;
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `Invalid`, `TooLarge`.
    pub fn decode(text: &str) -> Result<Deposit> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let alliance = r.take("alliance")?.to_owned();
        check_word("an alliance's name", &alliance, 63).map_err(|e| r.refuse(e.message))?;
        let (member, number) = (MemberId(r.number("member")?), r.number("number")?);
        let currency = take_currency(&mut r)?;
        let (amount_minor, value_ms) = (r.number("amount")?, r.number("value_ms")?);
        let reference = r.take("reference")?.to_owned();
        r.end()?;
        let deposit = Deposit { alliance, member, number, currency, amount_minor, value_ms, reference };
        deposit.check()?;
        Ok(deposit)
    }
    fn check(&self) -> Result<()> {
        if self.number == 0 || self.amount_minor == 0 {
            let message = "a deposit is of something, and deposits are numbered from 1";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        check_reason(&self.reference)?;
        bounded(self.amount_minor.into()).map(|_| ())
    }
    /// Reads a note that the operator and the member have signed, and nobody else.
    ///
    /// # Errors
    /// As [`Deposit::decode`] and [`Note::verify_all`]; `Quorum` where one of the two is missing.
    pub fn verify(note: &Note, signatories: &[Signatory]) -> Result<Deposit> {
        let deposit = Deposit::decode(note.text())?;
        let of = |role| signatories.iter().filter(move |signatory| signatory.role == role);
        let member = of(Role::Member).filter(|signatory| signatory.member == deposit.member);
        let operator: Vec<VerifierKey> = of(Role::Operator).map(|s| s.key.clone()).collect();
        let member: Vec<VerifierKey> = member.map(|s| s.key.clone()).collect();
        let keys = [&operator[..], &member[..]].concat();
        let signed = note.verify_all(&keys)?;
        let has = |keys: &[VerifierKey]| signed.iter().any(|signed| keys.contains(signed.key));
        match has(&operator) && has(&member) {
            true => Ok(deposit),
            false => Err(Error::new(
                ErrorKind::Quorum,
                format!("deposit {} of member {}: not signed by both", deposit.number, deposit.member),
            )),
        }
    }
}
