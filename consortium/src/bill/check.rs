//! The auditor's side: the bill computed again from openings, and every difference to what was presented, by name. A member
//! does the same with its own openings and its own statement.

use super::basis::Basis;
use super::compute::{self, Bill, Inputs, nets};
use super::credit::Credit;
use super::fields::base64;
use super::hash_of;
use super::money::Currency;
use super::report::Report;
use super::service::Service;
use super::settlement::Settlement;
use super::statement::Statement;
use super::tariff::Tariff;
use super::usage::Usage;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum What {
    /// A line of what the bill is about: period, a range or root, the tariff, the bill before.
    Basis(&'static str),
    /// A statement that should be there, or should not.
    Statement,
    /// The hash that the settlement has for a statement.
    Hash,
    /// Name or class.
    Party,
    /// The self-report.
    Reported,
    /// Queries of a service.
    Queries(Service),
    /// Items of a service.
    Items(Service),
    /// Price or free items of a service.
    Price(Service),
    /// What a service comes to.
    Amount(Service),
    /// What is missing to the least that a period costs.
    Minimum,
    /// Confirmed signals of an epoch.
    Signals(u32),
    /// What the confirmed signals of an epoch are credited.
    Credit(u32),
    /// Credits less debits.
    Net,
    /// Totals over all members: revenue, signals, credits, residue.
    Total(&'static str),
    /// The operator, or its position.
    Operator,
    /// That all nets sum to zero.
    Sum,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Basis(line) => f.write_str(line),
            What::Statement => f.write_str("statement"),
            What::Hash => f.write_str("hash of the statement"),
            What::Party => f.write_str("name and class"),
            What::Reported => f.write_str("self-report"),
            What::Queries(service) => write!(f, "{service}: queries"),
            What::Items(service) => write!(f, "{service}: items"),
            What::Price(service) => write!(f, "{service}: price and free items"),
            What::Amount(service) => write!(f, "{service}: amount"),
            What::Minimum => f.write_str("minimum"),
            What::Signals(epoch) => write!(f, "confirmed signals of epoch {epoch}"),
            What::Credit(epoch) => write!(f, "credit for epoch {epoch}"),
            What::Net => f.write_str("net"),
            What::Total(total) => write!(f, "total {total}"),
            What::Operator => f.write_str("the operator's position"),
            What::Sum => f.write_str("sum of all nets"),
        }
    }
}

/// A difference between what was presented and what follows from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In whose statement: number and name; none where it is in the settlement.
    pub member: Option<(MemberId, String)>,
    /// What.
    pub what: What,
    /// As presented.
    pub stated: String,
    /// As it follows.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { member, what, stated, found } = self;
        match member {
            Some((_, name)) => write!(f, "{name}: {what}: stated {stated}, found {found}"),
            None => write!(f, "settlement: {what}: stated {stated}, found {found}"),
        }
    }
}

/// What an absent thing is called.
const NOTHING: &str = "nothing";

/// Audits a bill: computes it again (salts as presented) and compares everything. Whoever calls has built the inputs from
/// what it verified itself ([`super::assembled`]): ranges and roots from checkpoints, tariff and parties from the governance
/// log, usage from openings. The bill's number, time and what it replaces are the operator's to say: they are taken from the
/// settlement, after [`Basis::check_follows`]. Empty: nothing differs.
///
/// # Errors
/// As [`Bill::compute`]: the inputs do not belong together.
pub fn audit(
    inputs: &Inputs<'_>,
    settlement: &Settlement,
    statements: &[Statement],
) -> Result<Vec<Difference>> {
    let mut presented: BTreeMap<MemberId, &Statement> = BTreeMap::new();
    for statement in statements {
        let member = statement.party.member;
        if presented.insert(member, statement).is_some() {
            return Err(Error::new(ErrorKind::Invalid, format!("two statements of member {member}")));
        }
    }
    let salt = |member| presented.get(&member).map_or([0; 16], |statement| statement.salt);
    let expected = Bill::compute(inputs, salt)?;
    let mut differences = compare(None, &of_settlement(settlement), &of_settlement(&expected.settlement));
    let members: BTreeSet<MemberId> = presented.keys().chain(expected.statements.keys()).copied().collect();
    for member in members {
        let (stated, found) = (presented.get(&member).copied(), expected.statements.get(&member));
        let name = found.or(stated).map_or(String::new(), |statement| statement.party.name.clone());
        let facts = |statement: Option<&Statement>| statement.map(of_statement).unwrap_or_default();
        let whose = Some((member, name));
        differences.extend(match (stated, found) {
            (Some(stated), Some(found)) => {
                compare(whose.as_ref(), &of_statement(stated), &of_statement(found))
            }
            _ => {
                let only = |facts: BTreeMap<What, String>| {
                    facts
                        .into_iter()
                        .filter(|(what, _)| *what == What::Net)
                        .map(|(_, net)| (What::Statement, net))
                };
                compare(whose.as_ref(), &only(facts(stated)).collect(), &only(facts(found)).collect())
            }
        });
        let hash = stated.map(|statement| Ok(base64(&hash_of(&statement.encode()?)))).transpose()?;
        let in_settlement = settlement.statements.get(&member).map(|hash| base64(hash));
        if hash != in_settlement {
            let or_nothing = |hash: Option<String>| hash.unwrap_or_else(|| NOTHING.to_owned());
            let (stated, found) = (or_nothing(in_settlement), or_nothing(hash));
            differences.push(Difference { member: whose, what: What::Hash, stated, found });
        }
    }
    let sum: i128 =
        nets(settlement, presented.values().copied()).iter().map(|(_, net)| i128::from(*net)).sum();
    if sum != 0 {
        let (stated, found) = (sum.to_string(), "0".to_owned());
        differences.push(Difference { member: None, what: What::Sum, stated, found });
    }
    Ok(differences)
}

/// What a member knows of its own use of a period.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// What the bill is about, as the member's mirror of both logs has it.
    pub basis: &'a Basis,
    /// The tariff.
    pub tariff: &'a Tariff,
    /// Its own queries ([`Usage::fold_own`]).
    pub usage: &'a Usage,
    /// Its self-report.
    pub report: Option<&'a Report>,
    /// Its own credits.
    pub credits: &'a [Credit],
}

/// Checks a member's statement against what the member knows itself, and against the settlement: its hash, and the totals
/// that credits follow from.
///
/// # Errors
/// As [`Bill::compute`].
pub fn own(known: &Own<'_>, settlement: &Settlement, statement: &Statement) -> Result<Vec<Difference>> {
    let (party, member) = (&statement.party, statement.party.member);
    let counts = known.usage.of(member);
    let mut found = compute::debits(known.basis, party, known.tariff, counts, known.report)?;
    let credits = known.credits.iter().filter(|credit| credit.member == member);
    let credits = credits.map(|credit| (credit.epoch, credit.signals));
    compute::credit_lines(&mut found, known.tariff, settlement.totals, credits)?;
    let whose = Some((member, party.name.clone()));
    let mut differences = compare(whose.as_ref(), &of_statement(statement), &of_statement(&found));
    let hash = base64(&hash_of(&statement.encode()?));
    let stated = settlement.statements.get(&member).map_or(NOTHING.to_owned(), |hash| base64(hash));
    if stated != hash {
        differences.push(Difference { member: whose, what: What::Hash, stated, found: hash });
    }
    Ok(differences)
}

fn compare(
    member: Option<&(MemberId, String)>,
    stated: &BTreeMap<What, String>,
    found: &BTreeMap<What, String>,
) -> Vec<Difference> {
    let all: BTreeSet<&What> = stated.keys().chain(found.keys()).collect();
    let value = |facts: &BTreeMap<What, String>, what| facts.get(what).cloned().unwrap_or(NOTHING.to_owned());
    let both = all.into_iter().map(|what| (what, value(stated, what), value(found, what)));
    let differing = both.filter(|(_, stated, found)| stated != found);
    differing
        .map(|(what, stated, found)| Difference {
            member: member.cloned(),
            what: what.clone(),
            stated,
            found,
        })
        .collect()
}

/// What a bill is about, fact by fact. Its time and what it replaces are the operator's to say.
fn of_basis(basis: &Basis) -> BTreeMap<What, String> {
    let Basis { period, queries, governance, tariff, .. } = basis;
    let previous = basis.previous.map_or(NOTHING.to_owned(), |hash| base64(&hash));
    let facts = [
        ("alliance", basis.alliance.clone()),
        ("number", basis.number.to_string()),
        ("period", format!("{} ({} to {})", period.name, period.from_ms, period.until_ms)),
        ("queries", format!("{} to {}, root {}", queries.from, queries.to, base64(&queries.root))),
        (
            "governance",
            format!("{} to {}, root {}", governance.from, governance.to, base64(&governance.root)),
        ),
        ("tariff", format!("{} ({})", tariff.version, base64(&tariff.hash))),
        ("currency", basis.currency.to_string()),
        ("previous", previous),
        ("replaces", basis.replaces.map_or(NOTHING.to_owned(), |number| number.to_string())),
        ("created_ms", basis.created_ms.to_string()),
    ];
    facts.into_iter().map(|(line, value)| (What::Basis(line), value)).collect()
}

fn of_statement(statement: &Statement) -> BTreeMap<What, String> {
    let currency = statement.basis.currency;
    let mut facts = of_basis(&statement.basis);
    facts.insert(What::Party, format!("{} ({})", statement.party.name, statement.party.class));
    if let Some(reported) = statement.reported {
        facts.insert(What::Reported, format!("{} ({})", reported.number, base64(&reported.hash)));
    }
    for (service, line) in &statement.lines {
        facts.insert(What::Queries(*service), line.queries.to_string());
        facts.insert(What::Items(*service), line.items.to_string());
        facts.insert(What::Price(*service), terms_of(line.price_micro, line.free, currency));
        facts.insert(What::Amount(*service), currency.format(line.amount_minor));
    }
    facts.insert(What::Minimum, currency.format(statement.minimum_minor));
    for (epoch, credit) in &statement.credits {
        facts.insert(What::Signals(*epoch), credit.signals.to_string());
        facts.insert(What::Credit(*epoch), currency.format(credit.amount_minor));
    }
    facts.insert(What::Total("revenue"), currency.format(statement.totals.revenue_minor));
    facts.insert(What::Total("signals"), statement.totals.signals.to_string());
    facts.insert(What::Net, currency.format(statement.net_minor()));
    facts
}

fn terms_of(price_micro: u64, free: u64, currency: Currency) -> String {
    format!("{} {currency}, {free} free", currency.price(price_micro))
}

fn of_settlement(settlement: &Settlement) -> BTreeMap<What, String> {
    let currency = settlement.basis.currency;
    let mut facts = of_basis(&settlement.basis);
    for (service, total) in &settlement.services {
        facts.insert(What::Queries(*service), total.queries.to_string());
        facts.insert(What::Items(*service), total.items.to_string());
        facts.insert(What::Amount(*service), currency.format(total.amount_minor));
    }
    facts.insert(What::Minimum, currency.format(settlement.minimum_minor));
    facts.insert(What::Total("revenue"), currency.format(settlement.totals.revenue_minor));
    facts.insert(What::Total("signals"), settlement.totals.signals.to_string());
    facts.insert(What::Total("credits"), currency.format(settlement.credits_minor));
    facts.insert(What::Total("residue"), format!("{} micro-units", settlement.residue_micro));
    let (operator, name) = &settlement.operator;
    let position = currency.format(settlement.operator_net_minor);
    facts.insert(What::Operator, format!("{operator} {name} {position}"));
    facts
}
