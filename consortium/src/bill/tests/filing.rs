//! What a hub keeps, for whom, and what it refuses to be given.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::confirm;
use crate::bill::dispute::{Dispute, Ground};
use crate::bill::filing::{Filed, What, newest, offer};
use crate::error::ErrorKind;

#[test]
fn signatures_gather_on_what_the_operator_signed_first() {
    let (bill, signatories) = (world().bill(), signatories());
    let text = bill.statements[&MemberId(3)].encode().unwrap();
    let early = note(text.clone(), &[MemberId(3)]);
    assert_eq!(offer(None, &early, &signatories).unwrap_err().kind, ErrorKind::Forbidden);
    let first = offer(None, &note(text.clone(), &[OPERATOR]), &signatories).unwrap();
    let both = offer(Some(&first), &early, &signatories).unwrap();
    assert_eq!(confirm::confirmed(&both, &signatories).unwrap(), bill.statements[&MemberId(3)]);
    assert_eq!(offer(Some(&both), &early, &signatories).unwrap(), both);
    // Another member's signature, another text by the member, another text by the operator.
    let stranger = note(text, &[MemberId(4)]);
    assert_eq!(offer(Some(&both), &stranger, &signatories).unwrap_err().kind, ErrorKind::UnknownKey);
    let mut other = bill.statements[&MemberId(3)].clone();
    other.salt = [0; 16];
    let other = other.encode().unwrap();
    let by_member = note(other.clone(), &[MemberId(3)]);
    assert_eq!(offer(Some(&both), &by_member, &signatories).unwrap_err().kind, ErrorKind::Invalid);
    let by_operator = note(other, &[OPERATOR]);
    assert_eq!(offer(Some(&both), &by_operator, &signatories).unwrap_err().kind, ErrorKind::Equivocation);
    let settled = offer(None, &note(bill.settlement.encode().unwrap(), &[OPERATOR]), &signatories).unwrap();
    let audited = note(settled.text().to_owned(), &[AUDITOR, MemberId(1)]);
    let settled = offer(Some(&settled), &audited, &signatories).unwrap();
    let (_, signed) = confirm::settlement(&settled, &signatories).unwrap();
    assert_eq!((signed.auditors, signed.members), (vec![AUDITOR], vec![MemberId(1)]));
    let deposit = note("interdict/deposit/v1\n".into(), &[OPERATOR]);
    assert_eq!(offer(None, &deposit, &signatories).unwrap_err().kind, ErrorKind::Version);
}

#[test]
fn a_record_has_one_place_and_readers() {
    let bill = world().bill();
    let dispute = Dispute {
        alliance: ALLIANCE.into(),
        member: MemberId(4),
        number: 3,
        period: "2026-11".into(),
        statement: [1; 32],
        ground: Ground::Other,
        reason: "we left in October".into(),
        created_ms: UNTIL_MS,
    };
    let texts = [
        (bill.settlement.encode().unwrap(), "2026-11_3_settlement", What::Settlement),
        (
            bill.statements[&MemberId(4)].encode().unwrap(),
            "2026-11_3_statement_4",
            What::Statement(MemberId(4)),
        ),
        (dispute.encode().unwrap(), "2026-11_3_dispute_4", What::Dispute(MemberId(4))),
    ];
    for (text, name, what) in texts {
        let filed = Filed::of(&text).unwrap();
        assert_eq!((filed.to_string().as_str(), filed.what), (name, what));
        assert_eq!(Filed::by_name(name), Some(filed));
        assert!(what.may_be_read_by(MemberId(4), false) && what.may_be_read_by(AUDITOR, true));
        assert_eq!(what.may_be_read_by(MemberId(3), false), what == What::Settlement);
    }
    for name in [
        "",
        "2026-11",
        "2026-11_03_settlement",
        "2026-11_3_settlement_4",
        "2026-11_3_statement",
        "a_3_statement_4_5",
    ] {
        assert_eq!(Filed::by_name(name), None, "{name}");
    }
    let names = [
        "2026-11_3_statement_4",
        "2026-11_12_statement_4",
        "2026-12_13_statement_4",
        "2026-11_14_statement_5",
        "x",
    ];
    let found = newest(names, "2026-11", What::Statement(MemberId(4))).unwrap();
    assert_eq!(found.number, 12);
    assert_eq!(newest(names, "2026-10", What::Settlement), None);
    let signed = note(dispute.encode().unwrap(), &[MemberId(4)]);
    assert_eq!(offer(None, &signed, &signatories()).unwrap(), signed);
    let forged = note(dispute.encode().unwrap(), &[MemberId(3)]);
    assert_eq!(offer(None, &forged, &signatories()).unwrap_err().kind, ErrorKind::UnknownKey);
}
