//! Every record has one spelling: what is written reads back the same, and whatever else reads is written as it was.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::deposit::Deposit;
use crate::bill::dispute::{Dispute, Ground};
use crate::bill::report::in_force;
use crate::bill::tariff;
use crate::error::{ErrorKind, Result};
use crate::record::Writer;

/// Flips, drops, doubles and swaps: whatever still reads must be written as it was read.
fn one_spelling<T>(text: &str, decode: impl Fn(&str) -> Result<T>, encode: impl Fn(&T) -> Result<String>) {
    assert_eq!(encode(&decode(text).unwrap()).unwrap(), text);
    let again = |text: &str| {
        if let Ok(record) = decode(text) {
            assert_eq!(encode(&record).unwrap(), text);
        }
    };
    for (at, old) in text.bytes().enumerate() {
        for new in [b'0', b'1', b'-', b' ', b'A', b'=', b'\n', old ^ 1] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = new;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                again(text);
            }
        }
        again(&[&text[..at], &text[at + 1..]].concat());
        again(&[&text[..at], "0", &text[at..]].concat());
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for place in 1..lines.len() {
        let mut other = lines.clone();
        other.insert(place, lines[place]);
        assert!(decode(&other.concat()).is_err(), "a line twice: {}", lines[place]);
        if place + 1 < lines.len() {
            let mut other = lines.clone();
            other.swap(place, place + 1);
            assert!(decode(&other.concat()).is_err(), "lines swapped: {}", lines[place]);
        }
    }
    assert!(decode(&format!("{text}more 1\n")).is_err());
    let version = text.replacen("/v1\n", "/v2\n", 1);
    assert_eq!(decode(&version).err().unwrap().kind, ErrorKind::Version);
}

#[test]
fn every_record_has_one_spelling() {
    let bill = world().bill();
    one_spelling(&tariff().encode().unwrap(), Tariff::decode, Tariff::encode);
    one_spelling(&world().reports[0].encode().unwrap(), Report::decode, Report::encode);
    one_spelling(&bill.settlement.encode().unwrap(), Settlement::decode, Settlement::encode);
    for statement in bill.statements.values() {
        one_spelling(&statement.encode().unwrap(), Statement::decode, Statement::encode);
    }
    one_spelling(&deposit().encode().unwrap(), Deposit::decode, Deposit::encode);
    one_spelling(&dispute().encode().unwrap(), Dispute::decode, Dispute::encode);
}

fn deposit() -> Deposit {
    Deposit {
        alliance: ALLIANCE.into(),
        member: MemberId(3),
        number: 1,
        currency: Currency::parse("EUR").unwrap(),
        amount_minor: 250_000,
        value_ms: FROM_MS,
        reference: "transfer of 1 November".into(),
    }
}
fn dispute() -> Dispute {
    Dispute {
        alliance: ALLIANCE.into(),
        member: MemberId(3),
        number: 3,
        period: "2026-11".into(),
        statement: [5; 32],
        ground: Ground::Usage,
        reason: "leaf 1205 is not ours".into(),
        created_ms: UNTIL_MS,
    }
}

#[test]
fn a_statement_that_does_not_add_up_is_not_read() {
    let text = world().bill().statements[&MemberId(1)].encode().unwrap();
    for (from, to) in [
        ("line confirm 2 287 100 2500 47\n", "line confirm 2 287 100 2500 48\n"),
        ("line confirm 2 287 100 2500 47\n", "line confirm 0 287 100 2500 47\n"),
        ("debits 50000\n", "debits 49999\n"),
        ("net -50000\n", "net 50000\n"),
        ("minimum 49593\n", "minimum 49592\n"),
    ] {
        assert!(text.contains(from), "{text}");
        let error = Statement::decode(&text.replace(from, to)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
    // Numbers that no arithmetic here could hold, and more free than there are.
    let most = u64::MAX;
    for line in [format!("2 {most} 0 {most} 47"), "2 287 288 2500 0".into(), format!("2 {most} 0 2500 47")] {
        let hostile = text.replace("line confirm 2 287 100 2500 47\n", &format!("line confirm {line}\n"));
        assert_eq!(Statement::decode(&hostile).unwrap_err().kind, ErrorKind::TooLarge, "{line}");
    }
    let mut report = world().reports.remove(0);
    report.screened = 1_000_000_000_001;
    assert_eq!(report.encode().unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn a_tariff_says_where_it_is_wrong() {
    let text = tariff().encode().unwrap();
    for (from, to, line, what) in [
        ("currency EUR 2", "currency EUR 3", 4, "EUR has 2 decimals"),
        ("currency EUR 2", "currency XXX 2", 4, "ISO 4217"),
        ("half-even", "half-up", 5, "half-even"),
        ("-100000 warn", "-100000 close", 7, "\"warn\" or \"refuse\""),
        ("credit share 200000", "credit share 1000001", 12, "more than all"),
        ("credit share 200000", "credit nothing", 12, "\"none\""),
        ("price screened large", "price screened small", 12, "no class"),
        ("price confirm large 2500", "price confirm large 1000000000001", 12, "limit"),
    ] {
        assert!(text.contains(from), "{text}");
        let error = Tariff::decode(&text.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: ")) && error.contains(what), "{error}");
    }
}

#[test]
fn the_tariff_in_force_is_the_highest_that_has_begun() {
    let mut later = tariff();
    (later.version, later.valid_from_ms) = (3, UNTIL_MS);
    let all = [tariff(), later];
    assert_eq!(tariff::in_force(&all, UNTIL_MS - 1).unwrap().version, 2);
    assert_eq!(tariff::in_force(&all, UNTIL_MS).unwrap().version, 3);
    assert_eq!(tariff::in_force(&all, 0).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn the_last_report_of_a_period_holds_and_two_of_one_number_are_equivocation() {
    let first = world().reports.remove(0);
    let mut second = first.clone();
    (second.number, second.screened) = (4, 1_199_999);
    let period = period();
    let held = in_force([&second, &first, &second], &period).unwrap();
    assert_eq!(held[&MemberId(1)].screened, 1_199_999);
    let mut other = second.clone();
    other.screened += 1;
    assert_eq!(in_force([&second, &other], &period).unwrap_err().kind, ErrorKind::Equivocation);
    second.journal.sequence -= 1;
    assert_eq!(in_force([&first, &second], &period).unwrap_err().kind, ErrorKind::Invalid);
    let signed = note(first.encode().unwrap(), &[MemberId(1)]);
    let keys = |member| [signer(member).verifier().clone()];
    assert_eq!(Report::verify(&signed, &keys(MemberId(1))).unwrap(), first);
    assert_eq!(Report::verify(&signed, &keys(MemberId(2))).unwrap_err().kind, ErrorKind::UnknownKey);
}

#[test]
fn bills_follow_one_another_without_gap_and_overlap() {
    let third = world().basis;
    let hash = |byte| [byte; 32];
    let at = |number, from, to, previous: Option<[u8; 32]>| {
        let mut basis = third.clone();
        (basis.number, basis.previous) = (number, previous);
        (basis.queries.from, basis.queries.to) = (from, to);
        (basis.governance.from, basis.governance.to) = (0, 0);
        basis
    };
    let first = at(1, 0, 600, None);
    let second = at(2, 600, 1200, Some(hash(1)));
    let mut third = at(3, 1200, 1207, Some(hash(3)));
    first.check_follows(&[]).unwrap();
    let before = [(first, hash(1)), (second.clone(), hash(3))];
    second.check_follows(&before[..1]).unwrap();
    third.check_follows(&before).unwrap();
    for (from, to) in [(1199, 1207), (1201, 1207)] {
        let mut other = third.clone();
        (other.queries.from, other.queries.to) = (from, to);
        assert_eq!(other.check_follows(&before).unwrap_err().kind, ErrorKind::Invalid);
    }
    third.previous = Some(hash(4));
    assert_eq!(third.check_follows(&before).unwrap_err().kind, ErrorKind::Corrupt);
    let mut again = at(3, 600, 1200, Some(hash(3)));
    again.replaces = Some(2);
    again.check_follows(&before).unwrap();
    again.replaces = Some(1);
    assert_eq!(again.check_follows(&before).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(third.check_follows(&before[..1]).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn a_name_that_could_be_something_else_is_not_written() {
    for name in ["", "Bank A", "bank|a", "bank a", "bank\na", "bänk.example", "a,b"] {
        let mut statement = world().bill().statements[&MemberId(1)].clone();
        statement.party.name = name.into();
        assert!(statement.encode().is_err(), "{name:?}");
    }
    assert!(Writer::new("x", 1).put("reason", "two\nlines").is_err());
}

#[test]
fn currencies_are_those_of_iso_4217() {
    for (code, digits, text) in
        [("EUR", 2, "-1234.05"), ("JPY", 0, "-123405"), ("KWD", 3, "-123.405"), ("CLF", 4, "-12.3405")]
    {
        let currency = Currency::parse(code).unwrap();
        assert_eq!((currency.digits(), currency.amount(-123_405).as_str()), (digits, text));
    }
    for wrong in ["XXX", "eur", "EU", "EUR ", "", "ABC", "XAU"] {
        assert_eq!(Currency::parse(wrong).unwrap_err().kind, ErrorKind::Invalid, "{wrong:?}");
    }
    let (euro, yen) = (Currency::parse("EUR").unwrap(), Currency::parse("JPY").unwrap());
    let prices = [2_500, 10_000, 1_000_000, 3, 0].map(|micro| euro.price(micro));
    assert_eq!(prices, ["0.0025", "0.01", "1.00", "0.000003", "0.00"]);
    assert_eq!([1_000_000, 500_000].map(|micro| yen.price(micro)), ["1", "0.5"]);
}

/// The examples of `docs/formats/billing.md`, and that they are those of the alliance here, so that they cannot age.
#[test]
fn the_examples_of_the_documentation_are_records() {
    let page = include_str!("../../../../docs/formats/billing.md");
    let examples: Vec<&str> = page.split("```\n").filter(|text| text.starts_with("interdict/")).collect();
    let bill = world().bill();
    let mut dispute = dispute();
    dispute.statement = hash_of(&bill.statements[&MemberId(3)].encode().unwrap());
    let expected = [
        tariff().encode(),
        world().reports[0].encode(),
        bill.statements[&MemberId(1)].encode(),
        bill.settlement.encode(),
        dispute.encode(),
        deposit().encode(),
    ];
    for (example, expected) in examples.iter().zip(&expected) {
        assert_eq!(example, expected.as_ref().unwrap());
    }
    assert_eq!(examples.len(), expected.len());
}
