//! A bill out of usage, self-reports, credits and a tariff: a pure function, so that the auditor gets the same bytes. Each
//! line is rounded once; what rounding leaves is the operator's, whose position is whatever makes the sum of nets zero.

use super::basis::Basis;
use super::credit::{self, Credit};
use super::money::{MICRO, bounded, round_half_even};
use super::report::{self, Report};
use super::service::Service;
use super::settlement::{ServiceTotal, Settlement};
use super::statement::{CreditLine, Line, Reported, Statement, Totals};
use super::tariff::{CreditRule, Tariff};
use super::usage::{Count, Usage};
use super::{Party, hash_of};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::limits::{PARTIES_MAX, PERIOD_SLACK_MS};
use std::collections::{BTreeMap, BTreeSet};

/// What a bill follows from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What it is about.
    pub basis: &'a Basis,
    /// The operator: number and name.
    pub operator: (MemberId, &'a str),
    /// Every member that gets a statement; the operator too where it uses the service itself.
    pub parties: &'a [Party],
    /// The tariff that the basis names.
    pub tariff: &'a Tariff,
    /// Usage of exactly the range that the basis names.
    pub usage: &'a Usage,
    /// Self-reports; those of other periods are passed over.
    pub reports: &'a [Report],
    /// Credits, from the range of the governance log that the basis names.
    pub credits: &'a [Credit],
}

/// A bill: all statements, and the settlement over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// The settlement.
    pub settlement: Settlement,
    /// The statements, by member.
    pub statements: BTreeMap<MemberId, Statement>,
}

impl Bill {
    /// Computes a bill; `salt` draws 16 random bytes for each member's statement.
    ///
    /// # Errors
    /// `Invalid` where the inputs do not belong together: another tariff, range or alliance, usage or credits of somebody
    /// who is no party, a query from another time; `NotFound` for a class without terms; `TooLarge`.
    ///
    /// # Panics
    /// Where the nets would not sum to zero, which the operator's position rules out.
    pub fn compute(inputs: &Inputs<'_>, mut salt: impl FnMut(MemberId) -> [u8; 16]) -> Result<Bill> {
        let reports = report::in_force(inputs.reports, &inputs.basis.period)?;
        let credits = credit::by_member(inputs.credits)?;
        check(inputs, &reports, &credits)?;
        let mut statements = BTreeMap::new();
        for party in inputs.parties {
            let (member, report) = (party.member, reports.get(&party.member).copied());
            let mut statement = debits(inputs.basis, party, inputs.tariff, inputs.usage.of(member), report)?;
            statement.salt = salt(member);
            if statements.insert(member, statement).is_some() {
                return Err(Error::new(ErrorKind::Invalid, format!("member {member} is a party twice")));
            }
        }
        let revenue: i128 = statements.values().map(|s| i128::from(s.debits_minor())).sum();
        let signals = credit::total(&credits)?;
        let totals = Totals { revenue_minor: bounded(revenue)?, signals };
        for (member, statement) in &mut statements {
            let own = credits.range((*member, 0)..=(*member, u32::MAX));
            let own = own.map(|((_, epoch), signals)| (*epoch, *signals));
            credit_lines(statement, inputs.tariff, totals, own)?;
        }
        let settlement = settle(inputs, &statements, totals)?;
        let bill = Bill { settlement, statements };
        let sum: i128 = bill.nets().iter().map(|(_, net)| i128::from(*net)).sum();
        assert_eq!(sum, 0, "the operator's position makes the sum of nets zero");
        Ok(bill)
    }

    /// Net of every party, the operator's position among them, in minor units and by number; they sum to zero.
    pub fn nets(&self) -> Vec<(MemberId, i64)> {
        nets(&self.settlement, self.statements.values())
    }
    /// Who has not reported for the period: nothing that members report is billed to them.
    pub fn unreported(&self) -> Vec<MemberId> {
        let without = self.statements.iter().filter(|(_, statement)| statement.reported.is_none());
        without.map(|(member, _)| *member).collect()
    }
    /// Names by number, the operator's too.
    pub fn names(&self) -> BTreeMap<MemberId, &str> {
        let (operator, name) = &self.settlement.operator;
        let all = self.statements.iter().map(|(member, statement)| (*member, statement.party.name.as_str()));
        all.chain([(*operator, name.as_str())]).collect()
    }
}

/// Nets by number: of each statement but the operator's own, and the operator's position.
pub(super) fn nets<'a>(
    settlement: &Settlement,
    statements: impl Iterator<Item = &'a Statement>,
) -> Vec<(MemberId, i64)> {
    let operator = settlement.operator.0;
    let others = statements.filter(|statement| statement.party.member != operator);
    let mut nets: Vec<_> = others.map(|statement| (statement.party.member, statement.net_minor())).collect();
    nets.push((operator, settlement.operator_net_minor));
    nets.sort_unstable();
    nets
}

fn check(
    inputs: &Inputs<'_>,
    reports: &BTreeMap<MemberId, &Report>,
    credits: &BTreeMap<(MemberId, u32), u64>,
) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let Inputs { basis, tariff, usage, .. } = *inputs;
    if tariff.reference()? != basis.tariff || tariff.currency != basis.currency {
        return invalid(format!("tariff {} is not the one that the bill names", tariff.version));
    }
    if tariff.valid_from_ms > basis.period.from_ms {
        return invalid(format!("tariff {} is not in force when the period begins", tariff.version));
    }
    let reports_alliance = reports.values().any(|report| report.alliance != basis.alliance);
    if tariff.alliance != basis.alliance || reports_alliance {
        return invalid("a tariff or self-report of another alliance".to_owned());
    }
    if usage.range() != basis.queries.leaves() {
        return invalid(format!(
            "usage of leaves {:?}, a bill of {:?}",
            usage.range(),
            basis.queries.leaves()
        ));
    }
    if inputs.parties.len() > PARTIES_MAX {
        let message = format!("{} parties, limit {PARTIES_MAX}", inputs.parties.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let parties: BTreeSet<MemberId> = inputs.parties.iter().map(|party| party.member).collect();
    let used = usage.counts().map(|(member, ..)| member);
    let mut named = used.chain(reports.keys().copied()).chain(credits.keys().map(|(member, _)| *member));
    if let Some(stranger) = named.find(|member| !parties.contains(member)) {
        return invalid(format!("member {stranger} has usage or credits and is no party to the bill"));
    }
    let period = &basis.period;
    for (time_ms, leaf) in usage.span().into_iter().flatten() {
        let first = period.from_ms.saturating_sub(PERIOD_SLACK_MS);
        if !(first..period.until_ms.saturating_add(PERIOD_SLACK_MS)).contains(&time_ms) {
            let error = Error::new(ErrorKind::Invalid, "a query from outside of the period");
            return Err(error.at(Place::Leaf("queries", leaf)));
        }
    }
    Ok(())
}

/// A statement's debits, without salt and credits.
pub(super) fn debits(
    basis: &Basis,
    party: &Party,
    tariff: &Tariff,
    counts: impl Iterator<Item = (Service, Count)>,
    report: Option<&Report>,
) -> Result<Statement> {
    let terms = tariff.terms(&party.class)?;
    let reported = report
        .iter()
        .flat_map(|report| [(Service::LocalHits, report.local_hits), (Service::Screened, report.screened)]);
    let reported = reported.map(|(service, items)| (service, Count { queries: 0, items }));
    let mut lines = BTreeMap::new();
    for (service, Count { queries, items }) in counts.chain(reported) {
        let price = tariff.price(service, &party.class);
        let free = price.free.min(items);
        let mut line = Line { queries, items, free, price_micro: price.micro, amount_minor: 0 };
        let exact = line.exact_micro();
        line.amount_minor = bounded(round_half_even(exact, basis.currency.micro_of_minor().into()))?;
        lines.insert(service, line);
    }
    let used: i128 = lines.values().map(|line| i128::from(line.amount_minor)).sum();
    let minimum_minor = bounded((i128::from(terms.minimum_minor) - used).max(0))?;
    let reported = match report {
        None => None,
        Some(report) => Some(Reported { number: report.number, hash: hash_of(&report.encode()?) }),
    };
    Ok(Statement {
        basis: basis.clone(),
        salt: [0; 16],
        party: party.clone(),
        reported,
        lines,
        minimum_minor,
        totals: Totals::default(),
        credits: BTreeMap::new(),
    })
}

/// Puts a statement's credits, by epoch and number of signals.
pub(super) fn credit_lines(
    statement: &mut Statement,
    tariff: &Tariff,
    totals: Totals,
    own: impl Iterator<Item = (u32, u64)>,
) -> Result<()> {
    statement.totals = totals;
    for (epoch, signals) in own {
        let (numerator, denominator) = credit_of(tariff, totals, signals);
        let amount_minor = bounded(round_half_even(numerator, denominator))?;
        statement.credits.insert(epoch, CreditLine { signals, amount_minor });
    }
    Ok(())
}

/// What signals are credited, in minor units, as a fraction.
fn credit_of(tariff: &Tariff, totals: Totals, signals: u64) -> (i128, i128) {
    match tariff.credit {
        CreditRule::None => (0, 1),
        CreditRule::Signal(micro) => {
            (i128::from(signals) * i128::from(micro), tariff.currency.micro_of_minor().into())
        }
        // At most 10^15 × 10^6 × 2^40: within i128.
        CreditRule::SharePpm(ppm) => {
            let pool = i128::from(totals.revenue_minor) * i128::from(ppm);
            (pool * i128::from(signals), i128::from(totals.signals) * i128::from(MICRO))
        }
    }
}

fn settle(
    inputs: &Inputs<'_>,
    statements: &BTreeMap<MemberId, Statement>,
    totals: Totals,
) -> Result<Settlement> {
    let mut services: BTreeMap<Service, ServiceTotal> = BTreeMap::new();
    let mut hashes = BTreeMap::new();
    let (mut minimum, mut credits, mut others) = (0i128, 0i128, 0i128);
    for (member, statement) in statements {
        // Before its sums: this checks their bounds.
        hashes.insert(*member, hash_of(&statement.encode()?));
        for (service, line) in &statement.lines {
            let total = services.entry(*service).or_default();
            total.queries += line.queries;
            let items = total.items.checked_add(line.items);
            total.items = items.ok_or_else(|| Error::new(ErrorKind::TooLarge, "more items than 2^64"))?;
            total.amount_minor = bounded(i128::from(total.amount_minor) + i128::from(line.amount_minor))?;
        }
        minimum += i128::from(statement.minimum_minor);
        credits += i128::from(statement.credits_minor());
        if *member != inputs.operator.0 {
            others += i128::from(statement.net_minor());
        }
    }
    Ok(Settlement {
        basis: inputs.basis.clone(),
        services,
        minimum_minor: bounded(minimum)?,
        totals,
        credits_minor: bounded(credits)?,
        residue_micro: residue(inputs.tariff, statements, totals)?,
        operator: (inputs.operator.0, inputs.operator.1.to_owned()),
        operator_net_minor: bounded(-others)?,
        statements: hashes,
    })
}

/// What rounding gave the operator, in micro-units, rounded down.
fn residue(tariff: &Tariff, statements: &BTreeMap<MemberId, Statement>, totals: Totals) -> Result<i64> {
    let unit = i128::from(tariff.currency.micro_of_minor());
    let lines = statements.values().flat_map(|statement| statement.lines.values());
    let billed: i128 = lines.map(|line| i128::from(line.amount_minor) * unit - line.exact_micro()).sum();
    let credited: i128 = statements.values().map(|s| i128::from(s.credits_minor()) * unit).sum();
    // All signals at once: their number falls out of a share's fraction.
    let (numerator, denominator) = match tariff.credit {
        CreditRule::Signal(micro) => (i128::from(totals.signals) * i128::from(micro), 1),
        CreditRule::SharePpm(ppm) if totals.signals > 0 => {
            (i128::from(totals.revenue_minor) * i128::from(ppm) * unit, i128::from(MICRO))
        }
        CreditRule::None | CreditRule::SharePpm(_) => (0, 1),
    };
    let residue = ((billed - credited) * denominator + numerator).div_euclid(denominator);
    i64::try_from(residue).map_err(|_| Error::new(ErrorKind::TooLarge, "a residue past 64 bits"))
}
