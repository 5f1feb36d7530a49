//! Statements: made by the operator, recomputed by the auditor from openings and by each member from its own, confirmed by
//! both parties' signatures. All that a bill follows from is taken from the mirrors; openings are checked leaf by leaf.

use super::session::{Session, now_ms};
use crate::alliance::{merge, view};
use anyhow::{Context, Result, bail};
use interdict_consortium::bill::basis::{Basis, LogRange, Period};
use interdict_consortium::bill::check::{self, Difference, Own};
use interdict_consortium::bill::compute::{Bill, Inputs};
use interdict_consortium::bill::confirm::{self, Signed};
use interdict_consortium::bill::credit::{Credit, earned};
use interdict_consortium::bill::governed::{self, Gathered};
use interdict_consortium::bill::settlement::Settlement;
use interdict_consortium::bill::statement::Statement;
use interdict_consortium::bill::tariff::{self, Tariff};
use interdict_consortium::bill::usage::{Opened, Usage};
use interdict_consortium::bill::{hash_of, report};
use interdict_consortium::epoch::{self, State};
use interdict_consortium::kind::MemberId;
use interdict_consortium::limits::OPENINGS_MAX;
use interdict_consortium::member::{Numbered, Role};
use interdict_consortium::note::Note;
use interdict_consortium::query::opening::decode_all;
use std::collections::BTreeMap;
use std::ops::Range;

/// Most bytes of an opening, its place included.
const OPENING_BYTES_MAX: u64 = 1024;
/// Most bytes of a statement.
const STATEMENT_BYTES_MAX: u64 = 1 << 20;

/// What the mirrors say of bills.
struct Known {
    gathered: Gathered,
    /// The settlements in the log, in order.
    before: Vec<(Basis, [u8; 32])>,
    /// Each epoch's leaf and number.
    epochs: Vec<(u64, u32)>,
}

fn known(session: &Session) -> Result<Known> {
    let (mut notes, mut before, mut epochs) = (Vec::new(), Vec::new(), Vec::new());
    session.governance.leaves(0, |leaf, bytes| {
        let note = Note::parse(bytes)?;
        match Numbered::of_text(note.text()) {
            Some(Numbered::Settlement) => {
                before.push((Settlement::decode(note.text())?.basis, hash_of(note.text())));
            }
            Some(Numbered::Epoch) => {
                let number = epoch::Manifest::parse(note.text())?.number;
                epochs.push((leaf, u32::try_from(number).unwrap_or(u32::MAX)));
            }
            _ => notes.push((leaf, note)),
        }
        Ok(())
    })?;
    let gathered = Gathered::of(notes.iter().map(|(leaf, note)| (*leaf, note)))?;
    Ok(Known { gathered, before, epochs })
}

/// The openings of a range that the hub shows this member, each checked against the mirrored leaf.
fn openings(session: &mut Session, range: Range<u64>) -> Result<Vec<Opened>> {
    let client = session.client()?;
    let (mut all, mut from) = (Vec::new(), range.start);
    while from < range.end {
        let to = range.end.min(from + OPENINGS_MAX as u64);
        let bytes = client.get(&format!("openings/{from}-{to}"), (to - from) * OPENING_BYTES_MAX)?;
        for (index, opening) in decode_all(&bytes)? {
            let leaf = session.queries.leaf(index)?;
            opening.check(&leaf).with_context(|| format!("queries leaf {index}"))?;
            let query = &opening.query;
            all.push(Opened {
                index,
                member: query.member,
                service: query.service.into(),
                items: query.items,
                time_ms: query.time_ms,
                epoch: query.epoch,
            });
        }
        from = to;
    }
    Ok(all)
}

/// The credits that a bill over the governance log up to a size has to give, after those before it.
fn credits(session: &Session, known: &Known, basis: &Basis) -> Result<Vec<Credit>> {
    let registry = session.registry()?;
    let files = session.folder.files("bill")?;
    let before = known
        .before
        .iter()
        .map(|(basis, _)| basis)
        .filter(|b| b.replaces.is_none() && b.number < basis.number);
    let sizes = before.map(|basis| basis.governance.to).chain([basis.governance.to]);
    let (mut credited, mut last) = (BTreeMap::new(), Vec::new());
    for size in sizes {
        if view::versions(registry, size).is_empty() {
            continue;
        }
        merge::consolidate(
            &files,
            "state",
            registry,
            size,
            |leaf| session.governance.leaf(leaf),
            |name| session.bodies.read(name).map_err(anyhow::Error::from),
        )?;
        let state = files.read("state")?.context("the state was just written")?;
        let number = known.epochs.iter().filter(|(leaf, _)| *leaf < size).map(|(_, number)| *number).max();
        last = earned(number.unwrap_or(0), &State::open(&state)?.tallies(), &mut credited);
    }
    Ok(last)
}

/// What a new bill of a period is about: all queries since the last one that were answered before the period's end.
fn new_basis(session: &Session, known: &Known, period: Period, opened: &[Opened]) -> Result<Basis> {
    let tariff = tariff::in_force(&known.gathered.tariffs, period.from_ms)?;
    let ends = known.before.iter().map(|(basis, _)| basis);
    let from = ends.clone().map(|basis| basis.queries.to).max().unwrap_or(0);
    let governance_from = ends.map(|basis| basis.governance.to).max().unwrap_or(0);
    let until = opened.iter().filter(|one| one.time_ms >= period.until_ms).map(|one| one.index).min();
    let to = until.unwrap_or_else(|| session.queries.size()).max(from);
    let governance_to = session.governance.size();
    Ok(Basis {
        alliance: session.registry()?.alliance().to_owned(),
        number: u32::try_from(known.before.len() + 1)?,
        period,
        queries: LogRange { from, to, root: session.queries.root(to)? },
        governance: LogRange {
            from: governance_from,
            to: governance_to,
            root: session.governance.root(governance_to)?,
        },
        tariff: tariff.reference()?,
        currency: tariff.currency,
        previous: known.before.last().map(|(_, hash)| *hash),
        replaces: None,
        created_ms: now_ms(),
    })
}

fn tariff_of<'k>(known: &'k Known, basis: &Basis) -> Result<&'k Tariff> {
    let found =
        known.gathered.tariffs.iter().find(|tariff| tariff.reference().is_ok_and(|r| r == basis.tariff));
    found.context("the log has no tariff of the hash that the bill names")
}

/// A bill as the operator makes it: the settlement goes into the governance log, each statement to the hub.
///
/// # Errors
/// Who is not the operator; no tariff in force; a hub that shows not all openings.
pub fn make(session: &mut Session, period: Period) -> Result<(Bill, Note, Vec<Note>)> {
    if !session.me()?.can(Role::Operator) {
        bail!("statements are made by the operator");
    }
    let known = known(session)?;
    let from = known.before.iter().map(|(basis, _)| basis.queries.to).max().unwrap_or(0);
    let mut opened = openings(session, from..session.queries.size())?;
    let basis = new_basis(session, &known, period, &opened)?;
    basis.check_follows(&known.before)?;
    opened.retain(|one| basis.queries.leaves().contains(&one.index));
    let bill = computed(session, &known, &basis, opened, |_| {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the system has randomness");
        salt
    })?;
    let key = session.folder.sign_key()?;
    let sign = |text: String| -> Result<Note> {
        let mut note = Note::new(text)?;
        note.sign(&key);
        Ok(note)
    };
    let settlement = sign(bill.settlement.encode()?)?;
    let statements = bill.statements.values().map(|one| sign(one.encode()?)).collect::<Result<Vec<_>>>()?;
    let client = session.client()?;
    // Statements first: a settlement in the log is about statements that are there.
    for note in statements.iter().chain([&settlement]) {
        client.post(&format!("statement/{}", basis.period.name), note.encode().as_bytes(), 64 << 10)?;
    }
    client.post("propose", settlement.encode().as_bytes(), 64 << 10)?;
    Ok((bill, settlement, statements))
}

fn computed(
    session: &Session,
    known: &Known,
    basis: &Basis,
    opened: Vec<Opened>,
    salt: impl FnMut(MemberId) -> [u8; 16],
) -> Result<Bill> {
    with_inputs(session, known, basis, opened, |inputs| Ok(Bill::compute(inputs, salt)?))
}

fn with_inputs<T>(
    session: &Session,
    known: &Known,
    basis: &Basis,
    opened: Vec<Opened>,
    with: impl FnOnce(&Inputs<'_>) -> Result<T>,
) -> Result<T> {
    let registry = session.registry()?;
    let (operator, name) = governed::operator(registry, basis.governance.to)?;
    let usage = Usage::fold(basis.queries.leaves(), opened)?;
    let (parties, credits) =
        (governed::parties(registry, &basis.governance), credits(session, known, basis)?);
    with(&Inputs {
        basis,
        operator: (operator, &name),
        parties: &parties,
        tariff: tariff_of(known, basis)?,
        usage: &usage,
        reports: &known.gathered.reports,
        credits: &credits,
    })
}

/// A statement as the hub has it, who has signed it, and what is wrong with it.
pub struct Checked {
    /// The settlement that it belongs to.
    pub settlement: Settlement,
    /// The statements that this member may see.
    pub statements: Vec<(Note, Statement, Signed)>,
    /// What differs from what follows from the logs; nothing, where all is right.
    pub differences: Vec<Difference>,
}

/// Recomputes a period's bill: the auditor all of it, from all openings; a member its own statement from its own.
///
/// # Errors
/// No such period in the log; a hub that does not show what it must; a bill that is of other ranges or roots than the mirrors.
pub fn recompute(session: &mut Session, period: &str) -> Result<Checked> {
    let known = known(session)?;
    let place = known.before.iter().rposition(|(basis, _)| basis.period.name == period);
    let place = place.with_context(|| format!("the governance log has no settlement of {period:?}"))?;
    let (basis, hash) = known.before[place].clone();
    basis.check_follows(&known.before[..place])?;
    check_roots(session, &basis)?;
    let client = session.client()?;
    let fetch = |name: String| -> Result<Note> {
        let bytes = client.get(&format!("statement/{name}"), STATEMENT_BYTES_MAX)?;
        Ok(Note::parse(&bytes)?)
    };
    let settlement = fetch(format!("{period}_{}_settlement", basis.number))?;
    if hash_of(settlement.text()) != hash {
        bail!("the hub's settlement of {period} is not the one in the log");
    }
    let registry = session.registry()?;
    let signatories = governed::signatories(registry, registry.size());
    let (settlement, _) = confirm::settlement(&settlement, &signatories)?;
    let (me, sees_all) =
        (session.id()?, session.me()?.can(Role::Auditor) || session.me()?.can(Role::Operator));
    let wanted = settlement.statements.keys().filter(|member| sees_all || **member == me);
    let statements = wanted
        .map(|member| {
            let note = fetch(format!("{period}_{}_statement_{member}", basis.number))?;
            let (statement, signed) = confirm::statement(&note, &signatories)?;
            Ok((note, statement, signed))
        })
        .collect::<Result<Vec<_>>>()?;
    let opened = openings(session, basis.queries.leaves())?;
    let shown: Vec<Statement> = statements.iter().map(|(_, statement, _)| statement.clone()).collect();
    let differences = match sees_all {
        true => with_inputs(session, &known, &basis, opened, |inputs| {
            Ok(check::audit(inputs, &settlement, &shown)?)
        })?,
        false => own(session, &known, &basis, opened, &settlement, shown.first())?,
    };
    Ok(Checked { settlement, statements, differences })
}

fn check_roots(session: &Session, basis: &Basis) -> Result<()> {
    let roots = [(&session.queries, &basis.queries), (&session.governance, &basis.governance)];
    match roots.iter().all(|(mirror, range)| mirror.root(range.to).is_ok_and(|root| root == range.root)) {
        true => Ok(()),
        false => bail!("the bill is of other logs than those that are mirrored here"),
    }
}

fn own(
    session: &Session,
    known: &Known,
    basis: &Basis,
    opened: Vec<Opened>,
    settlement: &Settlement,
    statement: Option<&Statement>,
) -> Result<Vec<Difference>> {
    let me = session.id()?;
    let statement =
        statement.with_context(|| format!("bill {} has no statement of this member", basis.number))?;
    let usage = Usage::fold_own(basis.queries.leaves(), me, opened)?;
    let (reports, credits) =
        (report::in_force(&known.gathered.reports, &basis.period)?, credits(session, known, basis)?);
    let known = Own {
        basis,
        tariff: tariff_of(known, basis)?,
        usage: &usage,
        report: reports.get(&me).copied(),
        credits: &credits,
    };
    Ok(check::own(&known, settlement, statement)?)
}

/// Signs a period's own statement, once it was recomputed and nothing differs.
///
/// # Errors
/// As [`recompute`]; a statement that differs is not signed.
pub fn confirm(session: &mut Session, period: &str) -> Result<Note> {
    let checked = recompute(session, period)?;
    if let Some(difference) = checked.differences.first() {
        bail!("not confirmed, since {} things differ: {difference}", checked.differences.len());
    }
    let me = session.id()?;
    let own = checked.statements.into_iter().find(|(_, statement, _)| statement.party.member == me);
    let (mut note, ..) = own.context("no statement of this member in the period")?;
    note.sign(&session.folder.sign_key()?);
    session.client()?.post(&format!("statement/{period}"), note.encode().as_bytes(), 64 << 10)?;
    Ok(note)
}
