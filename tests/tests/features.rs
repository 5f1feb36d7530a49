//! The feature engine against the plain oracle: random streams, the Handbook with late events, reversals and
//! labels, and the bounds, where an answer may be missing but never wrong.
#![allow(clippy::unwrap_used)]

#[path = "features/bounds.rs"]
mod bounds;
#[path = "features/handbook.rs"]
mod handbook;
#[path = "features/panes.rs"]
mod panes;
#[path = "features/rotation.rs"]
mod rotation;
#[path = "features/streams.rs"]
mod streams;

use interdict_engine::domain::{
    Aggregate, Currency, FeatureSpec, Field, KeySpec, OnReversal, Transaction, TransactionKind,
};
use interdict_engine::features::{FeaturePlan, FollowKind, FollowUp, Rates};
use interdict_tests::oracle::features::Oracle;
use std::sync::Arc;

/// What a payment was stamped with, in the places of another plan: the same group keeps its values wherever it stands, and
/// one that differs in anything, or is new, has none.
#[test]
fn stamps_are_carried_where_a_group_is_the_same_and_nowhere_else() {
    let card = || {
        group("card", KeySpec::Identifier(Field::Card), &[1000, 5000], &[Aggregate::Count, Aggregate::Sum])
    };
    let shop = || group("shop", KeySpec::Identifier(Field::Merchant), &[1000], &[Aggregate::Count]);
    let other = group("other", KeySpec::Identifier(Field::Device), &[1000], &[Aggregate::Count]);
    let longer = FeatureSpec { windows: vec![("1000ms".into(), 1000), ("9s".into(), 9000)], ..card() };
    let then = engine_plan(&[card(), shop()]);
    let places = |now: &[FeatureSpec]| engine_plan(now).carry(&then);
    let (cards, shops) = ((0..4).map(Some).collect::<Vec<_>>(), vec![Some(4)]);
    assert_eq!(places(&[card(), shop()]), [cards.clone(), shops.clone()].concat());
    assert_eq!(places(&[other.clone(), shop(), card()]), [vec![None], shops.clone(), cards].concat());
    assert_eq!(places(&[longer, shop()]), [vec![None; 4], shops].concat(), "another window is another group");
    let keeps = FeatureSpec { on_reversal: OnReversal::Keep, ..shop() };
    assert_eq!(places(&[keeps]), [None]);
    assert!(places(&[]).is_empty());
    // Of a plan without any, nothing is carried.
    assert_eq!(engine_plan(&[shop()]).carry(&engine_plan(&[])), [None]);
}

/// What a rate is, for engine and oracle: none for JPY at odd seconds, none ever for KWD.
fn rate(minor: i64, from: Currency, to: Currency, time_ms: i64) -> Option<i64> {
    match (from.code(), to.code()) {
        ("JPY", _) if time_ms / 1000 % 2 != 0 => None,
        ("KWD", _) | (_, "KWD") => None,
        ("JPY", _) => minor.checked_mul(3).map(|minor| minor / 5),
        ("USD", "EUR") => Some(minor / 10 * 9),
        _ => minor.checked_mul(2),
    }
}

struct TestRates;

impl Rates for TestRates {
    fn convert(&self, minor: i64, from: Currency, to: Currency, time_ms: i64) -> Option<i64> {
        rate(minor, from, to, time_ms)
    }
}

/// The filter of the groups that have one: undecided without a currency, else by amount.
fn small(tx: &Transaction) -> Option<bool> {
    tx.text(Field::AmountCurrency)?;
    Some(tx.amount_minor() < 500)
}

fn engine_plan(specs: &[FeatureSpec]) -> Arc<FeaturePlan> {
    let groups = specs.iter().map(|spec| {
        let filter = spec.filter.is_some().then(|| Arc::new(small) as interdict_engine::features::Filter);
        (spec.clone(), filter)
    });
    Arc::new(FeaturePlan::new(groups.collect(), Arc::new(TestRates)).unwrap())
}

fn oracle(specs: &[FeatureSpec], lateness_ms: i64) -> Oracle {
    let groups = specs.iter().map(|spec| {
        let filter =
            spec.filter.is_some().then(|| Box::new(small) as interdict_tests::oracle::features::Filter);
        (spec.clone(), filter)
    });
    Oracle::new(groups.collect(), Box::new(rate), lateness_ms)
}

/// A group with all that is optional left out.
fn group(name: &str, key: KeySpec, windows_ms: &[i64], aggregates: &[Aggregate]) -> FeatureSpec {
    FeatureSpec {
        name: name.into(),
        key,
        windows: windows_ms.iter().map(|ms| (format!("{ms}ms"), *ms)).collect(),
        aggregates: aggregates.to_vec(),
        distinct: None,
        currency: Currency::parse("EUR"),
        delay_ms: 0,
        seen: false,
        on_reversal: OnReversal::Net,
        kinds: vec![TransactionKind::Request, TransactionKind::Repeat, TransactionKind::Advice],
        filter: None,
    }
}

/// A reversal of a payment in its own currency, in full or by an amount.
fn reversal(amount_minor: Option<i64>) -> FollowUp {
    FollowUp { kind: FollowKind::Reversal, sequence: 0, amount_minor, currency: None }
}

fn pair(first: KeySpec, second: KeySpec) -> KeySpec {
    KeySpec::Pair(Box::new(first), Box::new(second))
}
