//! A bill out of an alliance's governance log and of verified openings: what the hub and the auditor do.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::assembled::{Assembled, Draft};
use crate::bill::check::audit;
use crate::bill::confirm;
use crate::bill::credit::earned;
use crate::bill::governed::{Gathered, parties, signatories};
use crate::error::{ErrorKind, Place};
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
    let gathered = Gathered::of((1..).zip(&notes)).unwrap();
    assert_eq!(registry.tariff().unwrap().1, gathered.tariffs[0].reference().unwrap().hash);
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

    let basis = world().basis;
    let draft = Draft {
        number: 3,
        period: basis.period.clone(),
        queries: LogRange { to: 1203, ..basis.queries.clone() },
        governance: LogRange { from: 1, to: registry.size(), root: [2; 32] },
        previous: basis.previous,
        replaces: None,
        created_ms: basis.created_ms,
    };
    let leaves: Vec<_> = openings.iter().map(Opening::leaf).collect();
    let assemble = |draft: &Draft, leaves: &[[u8; 32]]| {
        let opened =
            (1200..).zip(&openings).zip(leaves).map(|((index, opening), leaf)| (index, opening, &leaf[..]));
        Assembled::of(&registry, draft.clone(), gathered.clone(), credits.clone(), opened)
    };
    let assembled = assemble(&draft, &leaves).unwrap();
    assert!(
        assembled.parties.iter().map(|party| party.name.as_str()).eq(BANKS),
        "neither auditor nor operator"
    );
    // An opening that is not that of its leaf, and one that is not there.
    let mut moved = leaves.clone();
    moved.swap(0, 2);
    let error = assemble(&draft, &moved).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Corrupt, Place::Leaf("queries", 1200)));
    let error = assemble(&draft, &leaves[..2]).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::NotFound, Place::Leaf("queries", 1202)));
    // A tariff that the log does not have.
    let mut later = draft.clone();
    later.period.from_ms -= 1;
    assert_eq!(assemble(&later, &leaves).unwrap_err().kind, ErrorKind::NotFound);
    let stranger = Credit { member: registry.by_name(AUDITOR).unwrap().id, epoch: 9, signals: 5 };
    let opened =
        (1200..).zip(&openings).zip(&leaves).map(|((index, opening), leaf)| (index, opening, &leaf[..]));
    let passed_over = Assembled::of(&registry, draft, gathered.clone(), vec![stranger], opened).unwrap();
    assert_eq!(passed_over.credits, []);
    let inputs = assembled.inputs();
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
