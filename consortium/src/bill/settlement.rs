//! The settlement, `interdict/settlement/v1`: what all statements of a bill come to together, each by its hash. It shows
//! totals and nobody's usage, so every member may have it; the auditor, who has all statements, signs that they sum to zero.

use super::basis::Basis;
use super::fields::{self, base64, check_rising, check_word};
use super::money::bounded;
use super::service::Service;
use super::statement::Totals;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::PARTIES_MAX;
use crate::record::{Reader, Writer};
use std::collections::BTreeMap;

/// The record's type.
pub const TYPE: &str = "settlement";
const VERSION: u32 = 1;

/// What all members used of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServiceTotal {
    /// Queries.
    pub queries: u64,
    /// Items.
    pub items: u64,
    /// In minor units.
    pub amount_minor: i64,
}

/// A settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What it is about.
    pub basis: Basis,
    /// Totals by service.
    pub services: BTreeMap<Service, ServiceTotal>,
    /// What is missing to the least that a period costs, over all members, in minor units.
    pub minimum_minor: i64,
    /// All debits, and all confirmed signals.
    pub totals: Totals,
    /// All credits, in minor units.
    pub credits_minor: i64,
    /// What rounding lines gave the operator (below zero: cost it), in micro-units, rounded down.
    pub residue_micro: i64,
    /// The operator: number and name.
    pub operator: (MemberId, String),
    /// What the operator is owed (below zero: owes), in minor units: the nets of all others, with the other sign.
    pub operator_net_minor: i64,
    /// Hash of each member's statement.
    pub statements: BTreeMap<MemberId, [u8; 32]>,
}

impl Settlement {
    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `TooLarge` for what [`Settlement::decode`] would refuse.
    pub fn encode(&self) -> Result<String> {
        self.check()?;
        let mut w = Writer::new(TYPE, VERSION);
        self.basis.put(&mut w)?;
        for (service, total) in &self.services {
            let ServiceTotal { queries, items, amount_minor } = total;
            w.put("service", format_args!("{service} {queries} {items} {amount_minor}"))?;
        }
        w.put("minimum", self.minimum_minor)?;
        w.put("totals", format_args!("{} {}", self.totals.revenue_minor, self.totals.signals))?;
        w.put("credits", self.credits_minor)?.put("residue_micro", self.residue_micro)?;
        let (member, name) = &self.operator;
        w.put("operator", format_args!("{member} {name} {}", self.operator_net_minor))?;
        for (member, hash) in &self.statements {
            w.put("statement", format_args!("{member} {}", base64(hash)))?;
        }
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `TooLarge`; `Invalid` where its totals do not add up.
    pub fn decode(text: &str) -> Result<Settlement> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let basis = Basis::take(&mut r)?;
        let mut services = BTreeMap::new();
        while let Some(value) = r.take_some("service")? {
            let [service, queries, items, amount] = fields::split(&r, value)?;
            let service = Service::by_name(service).map_err(|e| r.refuse(e.message))?;
            check_rising(&r, services.last_key_value().map(|(last, _)| last), &service)?;
            let total = ServiceTotal {
                queries: fields::number(&r, queries)?,
                items: fields::number(&r, items)?,
                amount_minor: fields::number(&r, amount)?,
            };
            services.insert(service, total);
        }
        let minimum_minor = r.number("minimum")?;
        let value = r.take("totals")?;
        let [revenue, signals] = fields::split(&r, value)?;
        let totals =
            Totals { revenue_minor: fields::number(&r, revenue)?, signals: fields::number(&r, signals)? };
        let (credits_minor, residue_micro) = (r.number("credits")?, r.number("residue_micro")?);
        let value = r.take("operator")?;
        let [member, name, net] = fields::split(&r, value)?;
        let operator = (MemberId(fields::number(&r, member)?), name.to_owned());
        let operator_net_minor = fields::number(&r, net)?;
        let mut statements = BTreeMap::new();
        while let Some(value) = r.take_some("statement")? {
            let [member, hash] = fields::split(&r, value)?;
            let member = MemberId(fields::number(&r, member)?);
            check_rising(&r, statements.last_key_value().map(|(last, _)| last), &member)?;
            statements.insert(member, fields::hash(&r, hash)?);
        }
        r.end()?;
        let settlement = Settlement {
            basis,
            services,
            minimum_minor,
            totals,
            credits_minor,
            residue_micro,
            operator,
            operator_net_minor,
            statements,
        };
        settlement.check()?;
        Ok(settlement)
    }

    fn check(&self) -> Result<()> {
        check_word("the operator's name", &self.operator.1, 63)?;
        if self.statements.len() > PARTIES_MAX {
            let message = format!("{} statements, limit {PARTIES_MAX}", self.statements.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let amounts = self.services.values().map(|total| total.amount_minor);
        let revenue: i128 = amounts.clone().chain([self.minimum_minor]).map(i128::from).sum();
        let is_negative = amounts.chain([self.minimum_minor, self.credits_minor]).any(|amount| amount < 0);
        if bounded(revenue)? != self.totals.revenue_minor || is_negative {
            let stated = self.totals.revenue_minor;
            let message = format!("totals of {stated}: its lines come to {revenue}, and none is below zero");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        bounded(self.credits_minor.into()).and(bounded(self.operator_net_minor.into())).map(|_| ())
    }
}
