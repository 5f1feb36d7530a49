//! Balances against an oracle that adds up what was signed, whatever the order in which records come.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::balance::{Balances, Cause, Standing};
use crate::bill::deposit::Deposit;
use crate::error::ErrorKind;
use proptest::prelude::*;

fn euro() -> Currency {
    Currency::parse("EUR").unwrap()
}
fn empty() -> Balances {
    Balances::new(ALLIANCE, euro(), OPERATOR)
}
fn deposit(member: u16, number: u32, amount_minor: i64) -> Deposit {
    Deposit {
        alliance: ALLIANCE.into(),
        member: MemberId(member),
        number,
        currency: euro(),
        amount_minor,
        value_ms: FROM_MS,
        reference: format!("REF {number}"),
    }
}
fn deposited(member: u16, number: u32, amount_minor: i64) -> Note {
    note(deposit(member, number, amount_minor).encode().unwrap(), &[OPERATOR, MemberId(member)])
}
/// A confirmed statement of a member over a month, whose confirmations come to as many times 4.995 euro.
fn billed(member: u16, number: u32, month: u64, thousands: u32, replaces: Option<u32>) -> (Note, i64) {
    let mut world = world();
    world.opened.truncate(1);
    world.opened[0] = leaf(1200, member, thousands * 1_000);
    world.parties.iter_mut().for_each(|party| party.class = "standard".into());
    world.reports.clear();
    world.credits.clear();
    (world.basis.queries.from, world.basis.queries.to) = (1200, 1201);
    world.basis.period.name = format!("month-{month}");
    (world.basis.number, world.basis.replaces) = (number, replaces);
    let statement = world.bill().statements.remove(&MemberId(member)).unwrap();
    let net = statement.net_minor();
    (note(statement.encode().unwrap(), &[OPERATOR, MemberId(member)]), net)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is posted, and only that, makes the balance; a correction leaves what the last bill of its month says.
    #[test]
    fn a_balance_is_the_sum_of_what_was_signed(
        deposits in prop::collection::vec((1u16..4, -50_000i64..200_000), 0..12),
        bills in prop::collection::vec((1u16..4, 1u64..4, 1u32..200), 0..12),
        order in prop::collection::vec(any::<u16>(), 24),
    ) {
        // Deposits by member without gaps; a second bill of a month replaces the first.
        let mut numbers: BTreeMap<u16, u32> = BTreeMap::new();
        let mut first: BTreeMap<(u16, u64), u32> = BTreeMap::new();
        let mut records = Vec::new();
        for (member, amount) in deposits.into_iter().filter(|(_, amount)| *amount != 0) {
            let number = numbers.entry(member).or_default();
            *number += 1;
            records.push((member, None, *number, amount, deposited(member, *number, amount)));
        }
        for (number, (member, month, thousands)) in (2u32..).zip(bills) {
            let replaces = first.get(&(member, month)).copied();
            first.entry((member, month)).or_insert(number);
            let (note, net) = billed(member, number, month, thousands, replaces);
            records.push((member, Some(month), number, net, note));
        }
        // As they come: in a random order, and then all again, until nothing is left that waits for another.
        let signatories = signatories();
        let mut shuffled: Vec<usize> = (0..records.len()).collect();
        shuffled.sort_by_key(|place| order[*place]);
        let (mut balances, mut posted, mut stale) = (empty(), Vec::new(), 0);
        for round in 0..=records.len() {
            for place in &shuffled {
                let before = balances.clone();
                match balances.post(&records[*place].4, &signatories) {
                    Ok(true) => posted.push(*place),
                    Ok(false) => prop_assert!(round > 0 && before == balances, "posted twice"),
                    Err(error) => {
                        prop_assert_eq!(&before.accounts().values().map(|a| a.postings().len()).sum::<usize>(),
                            &balances.accounts().values().map(|a| a.postings().len()).sum::<usize>());
                        stale += usize::from(error.kind == ErrorKind::Stale);
                        prop_assert!(matches!(error.kind, ErrorKind::Stale | ErrorKind::Invalid), "{}", error);
                    }
                }
            }
        }
        let mut oracle: BTreeMap<u16, i64> = BTreeMap::new();
        let mut last: BTreeMap<(u16, u64), (u32, i64)> = BTreeMap::new();
        for (member, month, number, amount, _) in &records {
            match month {
                None => *oracle.entry(*member).or_default() += amount,
                Some(month) => {
                    let held = last.entry((*member, *month)).or_insert((*number, *amount));
                    *held = (*held).max((*number, *amount));
                }
            }
        }
        for ((member, _), (_, net)) in last {
            *oracle.entry(member).or_default() += net;
        }
        for member in 1..4 {
            let expected = oracle.get(&member).copied().unwrap_or_default();
            prop_assert_eq!(balances.balance_minor(MemberId(member)), expected);
        }
        prop_assert!(posted.len() + stale >= records.len());
        // The whole history again, from the records alone.
        let mut again = empty();
        for place in &posted {
            prop_assert!(again.post(&records[*place].4, &signatories).unwrap());
        }
        for (member, account) in again.accounts() {
            prop_assert_eq!(account.postings(), balances.accounts()[member].postings());
            let mut balance = 0;
            for posting in account.postings() {
                balance += posting.amount_minor;
                prop_assert_eq!(posting.balance_minor, balance);
            }
        }
    }
}

#[test]
fn a_deposit_is_signed_by_both_and_posted_once() {
    let (mut balances, signatories) = (empty(), signatories());
    let text = deposit(3, 1, 250_000).encode().unwrap();
    for by in [vec![OPERATOR], vec![MemberId(3)]] {
        let error = balances.post(&note(text.clone(), &by), &signatories).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Quorum);
    }
    let error = balances.post(&note(text.clone(), &[OPERATOR, MemberId(4)]), &signatories).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownKey);
    let signed = note(text, &[OPERATOR, MemberId(3)]);
    assert!(balances.post(&signed, &signatories).unwrap());
    assert!(!balances.post(&signed, &signatories).unwrap());
    assert_eq!(balances.balance_minor(MemberId(3)), 250_000);
    let kind = |balances: &mut Balances, note| balances.post(&note, &signatories).unwrap_err().kind;
    assert_eq!(kind(&mut balances, deposited(3, 1, 250_001)), ErrorKind::Equivocation);
    assert_eq!(kind(&mut balances, deposited(3, 3, 1)), ErrorKind::Invalid);
    assert_eq!(balances.balance_minor(MemberId(3)), 250_000);
    let mut yen = deposit(3, 2, 1);
    yen.currency = Currency::parse("JPY").unwrap();
    let yen = note(yen.encode().unwrap(), &[OPERATOR, MemberId(3)]);
    assert_eq!(kind(&mut balances, yen), ErrorKind::Invalid);
    let dispute = note("interdict/statement-dispute/v1\n".into(), &[OPERATOR]);
    assert_eq!(kind(&mut balances, dispute), ErrorKind::Version);
}

#[test]
fn a_statement_debits_when_both_have_signed_and_its_correction_the_difference() {
    let (mut balances, signatories) = (empty(), signatories());
    balances.post(&deposited(3, 1, 100_000), &signatories).unwrap();
    let (statement, net) = billed(3, 2, 1, 100, None);
    assert_eq!(net, -49_950);
    let unsigned = note(statement.text().to_owned(), &[OPERATOR]);
    assert_eq!(balances.post(&unsigned, &signatories).unwrap_err().kind, ErrorKind::Quorum);
    assert!(balances.post(&statement, &signatories).unwrap());
    assert_eq!(balances.balance_minor(MemberId(3)), 50_050);
    // A second bill of the month without a word of the first; then one that replaces it; then the first again.
    let (second, _) = billed(3, 3, 1, 80, None);
    assert_eq!(balances.post(&second, &signatories).unwrap_err().kind, ErrorKind::Equivocation);
    let (correction, _) = billed(3, 4, 1, 80, Some(2));
    assert!(balances.post(&correction, &signatories).unwrap());
    let account = &balances.accounts()[&MemberId(3)];
    let last = account.postings().last().unwrap();
    assert_eq!((last.amount_minor, last.balance_minor), (9_990, 60_040));
    assert_eq!(last.cause, Cause::Correction(4, 2, "month-1".into()));
    let (late, _) = billed(3, 3, 1, 90, Some(2));
    assert_eq!(balances.post(&late, &signatories).unwrap_err().kind, ErrorKind::Stale);
    assert!(!balances.post(&statement, &signatories).unwrap());
}

#[test]
fn below_the_floor_a_member_is_warned_or_refused_as_its_class_says() {
    let (mut balances, signatories, tariff) = (empty(), signatories(), tariff());
    let (large, standard) = (tariff.terms("large").unwrap(), tariff.terms("standard").unwrap());
    assert_eq!(balances.standing(MemberId(3), &standard), Standing::Served);
    balances.post(&billed(3, 2, 1, 100, None).0, &signatories).unwrap();
    assert_eq!(balances.standing(MemberId(3), &standard), Standing::Refused(49_950));
    assert_eq!(balances.standing(MemberId(3), &large), Standing::Served);
    balances.post(&billed(3, 3, 2, 101, None).0, &signatories).unwrap();
    assert_eq!(balances.standing(MemberId(3), &large), Standing::Warned(400));
    balances.post(&deposited(3, 1, 400), &signatories).unwrap();
    assert_eq!(balances.standing(MemberId(3), &large), Standing::Served);
}
