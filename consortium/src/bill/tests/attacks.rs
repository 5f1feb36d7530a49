//! What a dishonest operator, auditor or member might present, each named for what it is.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::check::{Difference, What, audit, own};
use crate::bill::confirm::{self, State};
use crate::bill::dispute::{Dispute, Ground};
use crate::error::ErrorKind;

/// Differences as the auditor of the true world sees them, by name.
fn audited(presented: &(Settlement, Vec<Statement>)) -> Vec<String> {
    let differences = world().with(|inputs| audit(inputs, &presented.0, &presented.1).unwrap());
    differences.iter().map(Difference::to_string).collect()
}
/// The bill of another world, presented as that of the true one.
fn forged(alter: impl Fn(&mut World)) -> (Settlement, Vec<Statement>) {
    let mut other = world();
    alter(&mut other);
    let mut bill = other.bill();
    bill.settlement.basis = world().basis;
    let basis = world().basis;
    presented(&bill, |statement| statement.basis = basis.clone())
}
fn has(differences: &[String], expected: &[&str]) {
    for line in expected {
        assert!(differences.iter().any(|found| found == line), "{line:?} is not in {differences:#?}");
    }
}

#[test]
fn what_follows_from_the_log_passes() {
    assert_eq!(audited(&presented(&world().bill(), |_| {})), [""; 0]);
}

#[test]
fn a_query_dropped_is_named() {
    // The last query of bank-d is left out of the count, and of nothing else.
    let forged = forged(|world| {
        world.opened.pop();
        world.basis.queries.to -= 1;
    });
    has(
        &audited(&forged),
        &[
            "bank-d.example: confirm: queries: stated 1, found 2",
            "bank-d.example: confirm: items: stated 200, found 257",
            "bank-d.example: confirm: amount: stated 1.00 EUR, found 1.28 EUR",
            "bank-d.example: net: stated -1.00 EUR, found -1.28 EUR",
            "settlement: confirm: items: stated 490, found 547",
        ],
    );
    // One whose opening is withheld altogether leaves a hole that has a number.
    let mut opened = world().opened;
    opened.remove(2);
    let error = Usage::fold(world().basis.queries.leaves(), opened).unwrap_err();
    assert_eq!(error.to_string(), "queries leaf 1202: not opened: a bill needs every leaf of its range");
}

#[test]
fn a_query_added_is_named() {
    let forged = forged(|world| {
        world.opened.push(leaf(1207, 5, 40));
        world.basis.queries.to += 1;
    });
    has(
        &audited(&forged),
        &[
            "bank-e.example: confirm: queries: stated 1, found nothing",
            "bank-e.example: confirm: items: stated 40, found nothing",
            "settlement: confirm: queries: stated 8, found 7",
        ],
    );
    // The member sees it too, from its own openings alone.
    let (settlement, statements) = forged;
    let world = world();
    let usage = Usage::fold_own(world.basis.queries.leaves(), MemberId(5), []).unwrap();
    let known = super::super::check::Own {
        basis: &world.basis,
        tariff: &world.tariff,
        usage: &usage,
        report: None,
        credits: &world.credits,
    };
    let differences = own(&known, &settlement, &statements[4]).unwrap();
    assert!(differences.iter().any(|d| d.what == What::Items(Service::Confirm) && d.stated == "40"));
}

#[test]
fn a_query_moved_to_another_member_is_named_at_both() {
    let forged = forged(|world| world.opened[0].member = MemberId(4));
    has(
        &audited(&forged),
        &[
            "bank-a.example: confirm: items: stated 31, found 287",
            "bank-d.example: confirm: items: stated 513, found 257",
        ],
    );
}

#[test]
fn a_tariff_swapped_is_named_with_its_prices() {
    let forged = forged(|world| {
        world.tariff.prices.get_mut(&(Service::Confirm, "standard".into())).unwrap().micro = 9_990;
        world.retariff();
    });
    has(
        &audited(&forged),
        &[
            "bank-d.example: confirm: price and free items: stated 0.00999 EUR, 0 free, found 0.004995 EUR, 0 free",
            "bank-d.example: confirm: amount: stated 2.57 EUR, found 1.28 EUR",
        ],
    );
    // And where the bill names the other tariff, its hash is the difference.
    let mut other = world();
    other.tariff.version = 3;
    other.retariff();
    let differences = audited(&presented(&other.bill(), |_| {}));
    assert!(differences.iter().any(|d| d.starts_with("settlement: tariff: stated 3 (")), "{differences:#?}");
    assert!(differences.iter().any(|d| d.starts_with("bank-b.example: tariff: stated 3 (")));
}

#[test]
fn a_credit_invented_or_withheld_is_named() {
    let invented = forged(|world| world.credits.push(Credit { member: MemberId(2), epoch: 7, signals: 3 }));
    has(
        &audited(&invented),
        &[
            "bank-b.example: confirmed signals of epoch 7: stated 3, found nothing",
            "bank-b.example: credit for epoch 7: stated 60.08 EUR, found nothing",
            "settlement: total signals: stated 10, found 7",
        ],
    );
    let withheld = forged(|world| world.credits.truncate(2));
    has(&audited(&withheld), &["bank-e.example: confirmed signals of epoch 7: stated nothing, found 4"]);
}

#[test]
fn a_root_a_range_or_a_period_that_is_another_is_named() {
    type Alter = fn(&mut Basis);
    let cases: [(Alter, &str); 4] = [
        (|basis| basis.queries.root[31] ^= 1, "queries"),
        (|basis| basis.governance.to += 1, "governance"),
        (|basis| basis.period.until_ms += 1, "period"),
        (|basis| basis.previous = Some([4; 32]), "previous"),
    ];
    for (alter, what) in cases {
        let mut other = world();
        alter(&mut other.basis);
        let differences = audited(&presented(&other.bill(), |_| {}));
        // In the settlement and in each of five statements; another period is another period's self-report, too.
        let lines = differences.iter().filter(|d| d.contains(&format!(": {what}: ")));
        assert_eq!(lines.count(), 6, "{differences:#?}");
        assert!(what == "period" || differences.len() == 6, "{differences:#?}");
    }
}

#[test]
fn a_statement_missing_or_of_a_stranger_or_not_the_settlements_is_named() {
    let (settlement, mut statements) = presented(&world().bill(), |_| {});
    let gone = statements.remove(3);
    let differences = audited(&(settlement.clone(), statements.clone()));
    has(&differences, &["bank-d.example: statement: stated nothing, found -1.28 EUR"]);
    has(&differences, &["settlement: sum of all nets: stated 128, found 0"]);
    let mut stranger = gone.clone();
    (stranger.party.member, stranger.party.name) = (MemberId(6), "bank-f.example".into());
    statements.extend([gone, stranger]);
    has(
        &audited(&(settlement.clone(), statements.clone())),
        &["bank-f.example: statement: stated -1.28 EUR, found nothing"],
    );
    statements.pop();
    // The member is shown one statement, the auditor another.
    statements[0].salt = [9; 16];
    let differences = audited(&(settlement, statements));
    assert!(differences[0].starts_with("bank-a.example: hash of the statement: "), "{differences:#?}");
    assert_eq!(differences.len(), 1);
}

#[test]
fn an_operator_that_keeps_what_it_owes_is_named() {
    let (mut settlement, statements) = presented(&world().bill(), |_| {});
    settlement.operator_net_minor += 500;
    let differences = audited(&(settlement, statements));
    has(&differences, &["settlement: sum of all nets: stated 500, found 0"]);
    assert!(
        differences[0].starts_with("settlement: the operator's position: stated 0 alliance.example 806.03")
    );
}

#[test]
fn only_both_parties_signatures_confirm_and_nobody_elses_may_be_there() {
    let bill = world().bill();
    let signatories = signatories();
    let text = bill.statements[&MemberId(3)].encode().unwrap();
    for (by, missing) in [
        (vec![OPERATOR], "the member"),
        (vec![MemberId(3)], "the operator"),
        (vec![AUDITOR], "either party"),
        (vec![OPERATOR, AUDITOR], "the member"),
    ] {
        let error = confirm::confirmed(&note(text.clone(), &by), &signatories).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Quorum);
        assert!(error.message.ends_with(missing), "{error}");
    }
    let error = confirm::confirmed(&note(text.clone(), &[OPERATOR, MemberId(4)]), &signatories).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownKey);
    let signed = note(text.clone(), &[OPERATOR, AUDITOR, MemberId(3)]);
    assert_eq!(confirm::confirmed(&signed, &signatories).unwrap(), bill.statements[&MemberId(3)]);
    // The signatures of this statement under another text.
    let other = signed.encode().replace("line confirm 2 2 0 4995 1\n", "line confirm 1 2 0 4995 1\n");
    let error = confirm::confirmed(&Note::parse(other.as_bytes()).unwrap(), &signatories).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
}

#[test]
fn it_is_known_how_it_stands_with_every_statement() {
    let bill = world().bill();
    let text = |member| bill.statements[&MemberId(member)].encode().unwrap();
    let dispute = |member: u16| {
        let dispute = Dispute {
            alliance: ALLIANCE.into(),
            member: MemberId(member),
            number: 3,
            period: "2026-11".into(),
            statement: hash_of(&text(member)),
            ground: Ground::Usage,
            reason: "one query is not ours".into(),
            created_ms: UNTIL_MS,
        };
        dispute.encode().unwrap()
    };
    let notes = [
        note(text(1), &[OPERATOR, MemberId(1)]),
        note(text(2), &[OPERATOR]),
        note(text(4), &[OPERATOR, MemberId(4)]),
    ];
    let disputes = [note(dispute(3), &[MemberId(3)]), note(dispute(4), &[MemberId(4)])];
    let states = confirm::states(&bill.settlement, &notes, &disputes, &signatories()).unwrap();
    let expected = [State::Confirmed, State::Open, State::Disputed, State::Confirmed, State::Open];
    assert!(states.values().copied().eq(expected), "{states:?}");
    let forged = note(dispute(3), &[MemberId(4)]);
    let error = confirm::states(&bill.settlement, &notes, &[forged], &signatories()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownKey);
    let mut other = bill.statements[&MemberId(5)].clone();
    other.salt = [0; 16];
    let other = note(other.encode().unwrap(), &[OPERATOR, MemberId(5)]);
    let error = confirm::states(&bill.settlement, &[other], &[], &signatories()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    let settled = note(bill.settlement.encode().unwrap(), &[OPERATOR, AUDITOR]);
    let (settlement, signed) = confirm::settlement(&settled, &signatories()).unwrap();
    assert_eq!(settlement, bill.settlement);
    assert_eq!((signed.by_operator, signed.auditors), (true, vec![AUDITOR]));
}
