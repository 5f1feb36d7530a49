//! A member's statement, `interdict/statement/v1`: what it used, what it is credited, what it owes. One record a member,
//! since what a competitor used is not its business; a salt keeps its hash, which stands in the settlement, from being
//! guessed. Reading checks all arithmetic that the record shows.

use super::Party;
use super::basis::Basis;
use super::fields::{self, base64, check_rising, check_word};
use super::money::{bounded, round_half_even};
use super::service::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::{BILL_WORD_BYTES_MAX, PRICE_MICRO_MAX};
use crate::record::{Reader, Writer};
use std::collections::BTreeMap;

/// The record's type.
pub const TYPE: &str = "statement";
const VERSION: u32 = 1;

/// What a service comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Queries, each a leaf of the log; 0 for what the member reports itself.
    pub queries: u64,
    /// Items.
    pub items: u64,
    /// Items that the tariff has free.
    pub free: u64,
    /// Price of each of the others, in micro-units.
    pub price_micro: u64,
    /// What it comes to, in minor units, rounded once.
    pub amount_minor: i64,
}

impl Line {
    /// Items that are billed.
    pub fn billed(&self) -> u64 {
        self.items.saturating_sub(self.free)
    }
    /// Without rounding, in micro-units.
    pub fn exact_micro(&self) -> i128 {
        i128::from(self.billed()) * i128::from(self.price_micro)
    }
}

/// The self-report from which lines are that no query proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// Its number.
    pub number: u32,
    /// SHA-256 of its record.
    pub hash: [u8; 32],
}

/// A credit for confirmed signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditLine {
    /// How many.
    pub signals: u64,
    /// What they come to, in minor units, rounded once.
    pub amount_minor: i64,
}

/// Totals over all members that a credit may depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All debits, in minor units.
    pub revenue_minor: i64,
    /// All confirmed signals.
    pub signals: u64,
}

/// A member's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is about.
    pub basis: Basis,
    /// 16 random bytes, so that the record's hash tells nothing to whoever guesses.
    pub salt: [u8; 16],
    /// Whose it is.
    pub party: Party,
    /// The self-report it counts.
    pub reported: Option<Reported>,
    /// What was used.
    pub lines: BTreeMap<Service, Line>,
    /// What is missing to the least that a period costs, in minor units.
    pub minimum_minor: i64,
    /// The totals that credits follow from.
    pub totals: Totals,
    /// Credits by epoch.
    pub credits: BTreeMap<u32, CreditLine>,
}

impl Statement {
    /// What the member owes for the period, in minor units.
    pub fn debits_minor(&self) -> i64 {
        self.lines.values().map(|line| line.amount_minor).sum::<i64>() + self.minimum_minor
    }
    /// What it is credited, in minor units.
    pub fn credits_minor(&self) -> i64 {
        self.credits.values().map(|credit| credit.amount_minor).sum()
    }
    /// Credits less debits, in minor units: below zero the member pays.
    pub fn net_minor(&self) -> i64 {
        self.credits_minor() - self.debits_minor()
    }

    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `TooLarge` for what [`Statement::decode`] would refuse.
    pub fn encode(&self) -> Result<String> {
        self.check()?;
        let mut w = Writer::new(TYPE, VERSION);
        self.basis.put(&mut w)?;
        w.put_bytes("salt", &self.salt)?;
        w.put("member", format_args!("{} {} {}", self.party.member, self.party.name, self.party.class))?;
        let reported =
            self.reported.map(|reported| format!("{} {}", reported.number, base64(&reported.hash)));
        w.put_some("reported", reported)?;
        for (service, line) in &self.lines {
            let Line { queries, items, free, price_micro, amount_minor } = line;
            let values = format_args!("{service} {queries} {items} {free} {price_micro} {amount_minor}");
            w.put("line", values)?;
        }
        w.put("minimum", self.minimum_minor)?;
        w.put("totals", format_args!("{} {}", self.totals.revenue_minor, self.totals.signals))?;
        for (epoch, credit) in &self.credits {
            w.put("credit", format_args!("{epoch} {} {}", credit.signals, credit.amount_minor))?;
        }
        w.put("debits", self.debits_minor())?.put("credits", self.credits_minor())?;
        w.put("net", self.net_minor())?;
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `TooLarge`; `Invalid` where it does not add up.
    pub fn decode(text: &str) -> Result<Statement> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let basis = Basis::take(&mut r)?;
        let salt = r.array("salt")?;
        let value = r.take("member")?;
        let [member, name, class] = fields::split(&r, value)?;
        let party =
            Party { member: MemberId(fields::number(&r, member)?), name: name.into(), class: class.into() };
        let reported = match r.take_some("reported")? {
            None => None,
            Some(value) => {
                let [number, hash] = fields::split(&r, value)?;
                Some(Reported { number: fields::number(&r, number)?, hash: fields::hash(&r, hash)? })
            }
        };
        let lines = take_lines(&mut r)?;
        let minimum_minor = r.number("minimum")?;
        let value = r.take("totals")?;
        let [revenue, signals] = fields::split(&r, value)?;
        let totals =
            Totals { revenue_minor: fields::number(&r, revenue)?, signals: fields::number(&r, signals)? };
        let mut credits = BTreeMap::new();
        while let Some(value) = r.take_some("credit")? {
            let [epoch, signals, amount] = fields::split(&r, value)?;
            let epoch: u32 = fields::number(&r, epoch)?;
            check_rising(&r, credits.last_key_value().map(|(last, _)| last), &epoch)?;
            let credit = CreditLine {
                signals: fields::number(&r, signals)?,
                amount_minor: fields::number(&r, amount)?,
            };
            credits.insert(epoch, credit);
        }
        let statement = Statement { basis, salt, party, reported, lines, minimum_minor, totals, credits };
        statement.check()?;
        for (key, sum) in [
            ("debits", statement.debits_minor()),
            ("credits", statement.credits_minor()),
            ("net", statement.net_minor()),
        ] {
            let stated: i64 = r.number(key)?;
            if stated != sum {
                let message = format!("{key} of {stated}: its lines come to {sum}");
                return Err(Error { kind: ErrorKind::Invalid, ..r.refuse(message) });
            }
        }
        r.end()?;
        Ok(statement)
    }

    fn check(&self) -> Result<()> {
        check_word("a member's name", &self.party.name, 63)?;
        check_word("a class", &self.party.class, BILL_WORD_BYTES_MAX)?;
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        for (service, line) in &self.lines {
            if line.price_micro > PRICE_MICRO_MAX || line.free > line.items {
                let message =
                    format!("{service}: a price past {PRICE_MICRO_MAX} micro-units, or more free than used");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            let amount = round_half_even(line.exact_micro(), self.basis.currency.micro_of_minor().into());
            if bounded(amount)? != line.amount_minor {
                return invalid(format!("{service}: stated {} and comes to {amount}", line.amount_minor));
            }
            if (service.is_proved() && line.queries == 0) || (!service.is_proved() && line.queries != 0) {
                return invalid(format!("{service}: a query count that its source does not have"));
            }
            if !service.is_proved() && self.reported.is_none() {
                return invalid(format!("{service}: no self-report is named"));
            }
        }
        let is_negative = |credit: &CreditLine| credit.amount_minor < 0 || credit.signals == 0;
        if self.minimum_minor < 0 || self.totals.revenue_minor < 0 || self.credits.values().any(is_negative) {
            return invalid("a minimum or credit below zero, or a credit for nothing".to_owned());
        }
        let amounts = self.lines.values().map(|line| line.amount_minor);
        let debits: i128 = amounts.chain([self.minimum_minor]).map(i128::from).sum();
        let credits: i128 = self.credits.values().map(|credit| i128::from(credit.amount_minor)).sum();
        bounded(debits).and(bounded(credits)).and(bounded(self.totals.revenue_minor.into())).map(|_| ())
    }
}

fn take_lines(r: &mut Reader<'_>) -> Result<BTreeMap<Service, Line>> {
    let mut lines = BTreeMap::new();
    while let Some(value) = r.take_some("line")? {
        let [service, queries, items, free, price, amount] = fields::split(r, value)?;
        let service = Service::by_name(service).map_err(|e| r.refuse(e.message))?;
        check_rising(r, lines.last_key_value().map(|(last, _)| last), &service)?;
        let line = Line {
            queries: fields::number(r, queries)?,
            items: fields::number(r, items)?,
            free: fields::number(r, free)?,
            price_micro: fields::number(r, price)?,
            amount_minor: fields::number(r, amount)?,
        };
        lines.insert(service, line);
    }
    Ok(lines)
}
