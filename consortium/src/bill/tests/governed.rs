//! A bill out of an alliance's governance log and of verified openings: what the hub and the auditor do.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::check::audit;
use crate::bill::confirm;
use crate::bill::credit::earned;
use crate::bill::governed::{Gathered, operator, parties, signatories};
use crate::bill::tariff;
use crate::member::Registry;
use crate::member::alliance::{AUDITOR, BANKS, HUB, apply, by, founded};
use crate::query::{self, Opening, Query};
use crate::signal::reputation::{Tallies, Tally};

/// The tariff and a self-report of bank-a in the log, behind the genesis.
fn governed() -> (Registry, Vec<Note>) {
    let mut registry = founded();
    let mut first = tariff();
    first.version = 1;
    let everybody: Vec<&str> = BANKS.into_iter().chain([HUB]).collect();
    let mut report = world().reports.remove(0);
    report.member = registry.by_name(BANKS[0]).unwrap().id;
    let notes = vec![by(first.encode().unwrap(), &everybody), by(report.encode().unwrap(), &BANKS[..1])];
    for note in &notes {
        apply(&mut registry, note).unwrap();
    }
    (registry, notes)
}

fn opening(member: MemberId, items: u32, n: u8) -> Opening {
    let time_ms = FROM_MS + u64::from(n) * 1_000;
    let (request, response) = ([n; 32], [n + 1; 32]);
    let service = query::Service::Confirm;
    Opening { salt: [n; 16], query: Query { member, epoch: 7, service, items, request, response, time_ms } }
}

#[test]
fn a_bill_follows_from_the_two_logs_alone() {
    let (registry, notes) = governed();
    let bank = |place: usize| registry.by_name(BANKS[place]).unwrap().id;
    let openings = [opening(bank(1), 256, 1), opening(bank(0), 40, 2), opening(bank(1), 3, 3)];
    let leaves: Vec<_> = openings.iter().map(Opening::leaf).collect();
    let opened: Vec<Opened> = (1200..)
        .zip(openings.iter().zip(&leaves))
        .map(|(index, (opening, leaf))| {
            opening.check(leaf).unwrap();
            Opened::of(index, &opening.query)
        })
        .collect();
    let gathered = Gathered::of((1..).zip(&notes)).unwrap();
    let tariff = tariff::in_force(&gathered.tariffs, FROM_MS).unwrap();
    assert_eq!(registry.tariff().unwrap().1, tariff.reference().unwrap().hash);
    let mut credited = BTreeMap::from([(bank(2), 5)]);
    let tally = |confirmed| Tally { confirmed, refuted: 0 };
    let tallies = Tallies::from([(bank(2), tally(7)), (bank(3), tally(1))]);
    let credits = earned(9, &tallies, &mut credited);
    assert_eq!(
        credits.iter().map(|c| (c.member, c.signals)).collect::<Vec<_>>(),
        [(bank(2), 2), (bank(3), 1)]
    );
    // Taken back, and confirmed again: nothing twice.
    assert!(earned(10, &Tallies::from([(bank(2), tally(6))]), &mut credited).is_empty());
    assert!(earned(11, &tallies, &mut credited).is_empty());

    let mut basis = world().basis;
    (basis.queries.to, basis.governance.from, basis.governance.to) = (1203, 1, registry.size());
    (basis.tariff, basis.currency) = (tariff.reference().unwrap(), tariff.currency);
    let (operator, name) = operator(&registry, basis.governance.to).unwrap();
    let parties = parties(&registry, &basis.governance);
    assert!(parties.iter().map(|party| party.name.as_str()).eq(BANKS), "neither auditor nor operator");
    let usage = Usage::fold(basis.queries.leaves(), opened).unwrap();
    let inputs = Inputs {
        basis: &basis,
        operator: (operator, &name),
        parties: &parties,
        tariff,
        usage: &usage,
        reports: &gathered.reports,
        credits: &credits,
    };
    let bill = Bill::compute(&inputs, salt).unwrap();
    let statements: Vec<Statement> = bill.statements.values().cloned().collect();
    assert_eq!(audit(&inputs, &bill.settlement, &statements).unwrap(), []);
    // Both logs' types agree with those of the registry: the settlement is a leaf that it accepts, signed by these.
    let signatories = signatories(&registry, registry.size());
    let settled = by(bill.settlement.encode().unwrap(), &[HUB, AUDITOR]);
    let (_, signed) = confirm::settlement(&settled, &signatories).unwrap();
    assert!(signed.by_operator && signed.auditors.len() == 1);
    let mut replayed = registry.clone();
    apply(&mut replayed, &settled).unwrap();
    let statement = by(bill.statements[&bank(1)].encode().unwrap(), &[HUB, BANKS[1]]);
    assert_eq!(confirm::confirmed(&statement, &signatories).unwrap(), bill.statements[&bank(1)]);
    let others = by(bill.statements[&bank(1)].encode().unwrap(), &[HUB, BANKS[2]]);
    assert!(confirm::confirmed(&others, &signatories).is_err());
}

#[test]
fn who_left_within_the_range_is_a_party_and_who_left_before_is_not() {
    use crate::member::alliance::ruling;
    use crate::member::{Leaving, Spelled};
    let mut registry = founded();
    let leaving = Leaving(ruling(&registry, BANKS[4], 1));
    apply(&mut registry, &by(leaving.to_text().unwrap(), &BANKS[4..])).unwrap();
    let range = |from, to| LogRange { from, to, root: [0; 32] };
    let count = |from, to| parties(&registry, &range(from, to)).len();
    assert_eq!((count(0, 1), count(1, 2), count(2, 2)), (5, 5, 4));
    // It can still sign what it owes.
    let bank = registry.by_name(BANKS[4]).unwrap().id;
    assert!(signatories(&registry, 2).iter().any(|signatory| signatory.member == bank));
}
