//! Pre-funded balances: an account a member at the operator, raised by deposits and moved by confirmed statements without
//! anybody's further doing. Nothing but signed records moves it, so that its whole history can be made again from them.

use super::basis::Basis;
use super::confirm::{self, Signatory};
use super::deposit::{self, Deposit};
use super::money::{Currency, bounded};
use super::tariff::{AtFloor, Terms};
use super::{hash_of, statement};
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::POSTINGS_MAX;
use crate::note::Note;
use crate::record::type_of;
use std::collections::BTreeMap;

/// Why a balance moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A deposit, by number, with the bank's reference.
    Deposit(u32, String),
    /// A confirmed statement, by number and period.
    Statement(u32, String),
    /// A confirmed statement in place of an earlier one (the second number): the difference of the two.
    Correction(u32, u32, String),
}

/// A movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Hash of the record that it follows from.
    pub record: [u8; 32],
    /// Why.
    pub cause: Cause,
    /// In minor units; below zero a debit.
    pub amount_minor: i64,
    /// The balance after it.
    pub balance_minor: i64,
    /// When it counts from, in milliseconds since the Unix epoch: a deposit's value, a statement's making.
    pub time_ms: u64,
}

/// A member's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    postings: Vec<Posting>,
    /// Deposits by number: their hashes.
    deposits: Vec<[u8; 32]>,
    /// Statements by number: their hashes.
    statements: BTreeMap<u32, [u8; 32]>,
    /// What is posted for a period and its queries: number and net.
    billed: BTreeMap<PeriodKey, (u32, i64)>,
}

/// A period by begin, end, name and queries: what stays the same where a bill replaces another.
type PeriodKey = (u64, u64, String, (u64, u64));

impl Account {
    /// The balance, in minor units.
    pub fn balance_minor(&self) -> i64 {
        self.postings.last().map_or(0, |posting| posting.balance_minor)
    }
    /// The whole history, oldest first.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
    /// What is still missing to the floor: more than nothing where the balance is below it.
    fn below_minor(&self, floor_minor: i64) -> i64 {
        floor_minor.saturating_sub(self.balance_minor()).max(0)
    }

    fn put(&mut self, record: [u8; 32], cause: Cause, amount_minor: i64, time_ms: u64) -> Result<()> {
        if self.postings.len() >= POSTINGS_MAX {
            let message = format!("an account of {POSTINGS_MAX} postings takes no more");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let balance_minor = bounded(i128::from(self.balance_minor()) + i128::from(amount_minor))?;
        self.postings.push(Posting { record, cause, amount_minor, balance_minor, time_ms });
        Ok(())
    }
}

/// Whether a member is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Served,
    /// It is, and is told that its balance is so many minor units below the floor.
    Warned(i64),
    /// It is not: its balance is so many minor units below the floor.
    Refused(i64),
}

/// All accounts of an alliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balances {
    alliance: String,
    currency: Currency,
    operator: MemberId,
    accounts: BTreeMap<MemberId, Account>,
}

impl Balances {
    /// No accounts yet.
    pub fn new(alliance: &str, currency: Currency, operator: MemberId) -> Balances {
        Balances { alliance: alliance.to_owned(), currency, operator, accounts: BTreeMap::new() }
    }
    /// The currency of all accounts.
    pub fn currency(&self) -> Currency {
        self.currency
    }
    /// The accounts, by member.
    pub fn accounts(&self) -> &BTreeMap<MemberId, Account> {
        &self.accounts
    }
    /// A member's balance, in minor units; 0 where it has no account yet.
    pub fn balance_minor(&self, member: MemberId) -> i64 {
        self.accounts.get(&member).map_or(0, Account::balance_minor)
    }
    /// How a member stands under its class's terms.
    pub fn standing(&self, member: MemberId, terms: &Terms) -> Standing {
        let none = Account::default();
        match (self.accounts.get(&member).unwrap_or(&none).below_minor(terms.floor_minor), terms.at_floor) {
            (0, _) => Standing::Served,
            (below, AtFloor::Warn) => Standing::Warned(below),
            (below, AtFloor::Refuse) => Standing::Refused(below),
        }
    }

    /// Posts a deposit or a confirmed statement. `false`: it is posted already.
    ///
    /// # Errors
    /// As [`Deposit::verify`] and [`confirm::confirmed`]; `Equivocation` for another record of a number that is posted or
    /// a second bill of a period that does not say that it replaces the first; `Invalid` for a gap in the deposits,
    /// another alliance or currency; `Stale` for a statement that was replaced. Nothing is posted then.
    pub fn post(&mut self, note: &Note, signatories: &[Signatory]) -> Result<bool> {
        match type_of(note.text())?.0 {
            deposit::TYPE => self.post_deposit(&Deposit::verify(note, signatories)?, hash_of(note.text())),
            statement::TYPE => {
                let statement = confirm::confirmed(note, signatories)?;
                let (member, basis) = (statement.party.member, &statement.basis);
                self.post_statement(member, basis, statement.net_minor(), hash_of(note.text()))
            }
            other => Err(Error::new(ErrorKind::Version, format!("a {other} moves no balance"))),
        }
    }

    fn account(&mut self, member: MemberId, alliance: &str, currency: Currency) -> Result<&mut Account> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if (alliance, currency) != (&self.alliance, self.currency) {
            return invalid(format!("a record of another alliance or currency: expected {}", self.currency));
        }
        if member == self.operator {
            return invalid("the operator has no account with itself".to_owned());
        }
        Ok(self.accounts.entry(member).or_default())
    }

    fn post_deposit(&mut self, deposit: &Deposit, hash: [u8; 32]) -> Result<bool> {
        let account = self.account(deposit.member, &deposit.alliance, deposit.currency)?;
        let place = deposit.number as usize - 1;
        match account.deposits.get(place) {
            Some(posted) if *posted == hash => return Ok(false),
            Some(_) => return Err(two_of("deposit", deposit.number, deposit.member)),
            None if place == account.deposits.len() => {}
            None => {
                let message = format!(
                    "deposit {} of member {} after {place_of}",
                    deposit.number,
                    deposit.member,
                    place_of = account.deposits.len()
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let cause = Cause::Deposit(deposit.number, deposit.reference.clone());
        account.put(hash, cause, deposit.amount_minor, deposit.value_ms)?;
        account.deposits.push(hash);
        Ok(true)
    }

    fn post_statement(&mut self, member: MemberId, basis: &Basis, net: i64, hash: [u8; 32]) -> Result<bool> {
        let account = self.account(member, &basis.alliance, basis.currency)?;
        match account.statements.get(&basis.number) {
            Some(posted) if *posted == hash => return Ok(false),
            Some(_) => return Err(two_of("statement", basis.number, member)),
            None => {}
        }
        let (period, queries) = (&basis.period, &basis.queries);
        let name = period.name.clone();
        let key = (period.from_ms, period.until_ms, name.clone(), (queries.from, queries.to));
        let (cause, amount) = match account.billed.get(&key) {
            None => (Cause::Statement(basis.number, name), i128::from(net)),
            Some((posted, _)) if *posted > basis.number => {
                let message =
                    format!("statement {} of member {member} was replaced by {posted}", basis.number);
                return Err(Error::new(ErrorKind::Stale, message));
            }
            Some(_) if basis.replaces.is_none() => {
                return Err(two_of("bill of period", basis.number, member));
            }
            Some((posted, before)) => {
                (Cause::Correction(basis.number, *posted, name), i128::from(net) - i128::from(*before))
            }
        };
        account.put(hash, cause, bounded(amount)?, basis.created_ms)?;
        account.statements.insert(basis.number, hash);
        account.billed.insert(key, (basis.number, net));
        Ok(true)
    }
}

fn two_of(what: &str, number: u32, member: MemberId) -> Error {
    let message = format!("member {member}: a second {what} {number}, which is not the one that is posted");
    Error::new(ErrorKind::Equivocation, message)
}
