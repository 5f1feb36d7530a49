//! The bill against an oracle that shares no code with it, over random alliances; and usage over random orders of leaves.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::check;
use crate::bill::money::round_half_even;
use crate::error::{ErrorKind, Place};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The order of leaves does not matter; one that is missing or doubled is named.
    #[test]
    fn usage_is_what_was_opened_in_whatever_order(
        leaves in prop::collection::vec((1u16..6, 0u32..1000), 1..150),
        keys in prop::collection::vec(any::<u32>(), 150),
        which in any::<prop::sample::Index>(),
    ) {
        let opened: Vec<Opened> =
            leaves.iter().enumerate().map(|(n, (member, items))| leaf(1200 + n as u64, *member, *items)).collect();
        let range = 1200..1200 + opened.len() as u64;
        let mut shuffled: Vec<(u32, Opened)> = keys.into_iter().zip(opened.iter().copied()).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let mut shuffled: Vec<Opened> = shuffled.into_iter().map(|(_, leaf)| leaf).collect();
        let usage = Usage::fold(range.clone(), opened.iter().copied()).unwrap();
        prop_assert_eq!(&usage, &Usage::fold(range.clone(), shuffled.iter().copied()).unwrap());
        for member in 1..6 {
            let of_member = leaves.iter().filter(|(m, _)| *m == member);
            let expected = (of_member.clone().count() as u64, of_member.map(|(_, items)| u64::from(*items)).sum());
            let found = usage.of(MemberId(member)).map(|(_, count)| (count.queries, count.items)).next();
            prop_assert_eq!(found.unwrap_or_default(), expected);
        }
        let own = shuffled.iter().copied().filter(|leaf| leaf.member == MemberId(1));
        let own = Usage::fold_own(range.clone(), MemberId(1), own).unwrap();
        prop_assert!(own.of(MemberId(1)).eq(usage.of(MemberId(1))));
        let gone = shuffled.remove(which.index(shuffled.len()));
        let error = Usage::fold(range.clone(), shuffled.iter().copied()).unwrap_err();
        prop_assert_eq!((error.kind, error.place), (ErrorKind::NotFound, Place::Leaf("queries", gone.index)));
        let error = Usage::fold(range.clone(), shuffled.iter().copied().chain([gone, gone])).unwrap_err();
        prop_assert_eq!((error.kind, error.place), (ErrorKind::Invalid, Place::Leaf("queries", gone.index)));
        let error = Usage::fold(range.start..range.end - 1, opened.iter().copied()).unwrap_err();
        prop_assert_eq!(error.place, Place::Leaf("queries", range.end - 1));
    }

    /// Rounded to the nearest, halves to even, on both sides of zero: found by trying.
    #[test]
    fn rounding_is_half_to_even(numerator in -100_000i128..100_000, denominator in 1i128..1_000) {
        let rounded = round_half_even(numerator, denominator);
        let distance = |n: i128| (n * denominator - numerator).abs();
        let all = (numerator / denominator - 1)..=(numerator / denominator + 1);
        let least = all.clone().map(distance).min().unwrap();
        let nearest: Vec<i128> = all.filter(|n| distance(*n) == least).collect();
        let expected = match nearest[..] {
            [one] => one,
            [a, b] => if a % 2 == 0 { a } else { b },
            _ => unreachable!(),
        };
        prop_assert_eq!(rounded, expected);
    }

    /// Statements, nets and residue are the oracle's; nets sum to zero; the auditor finds nothing; records read back.
    #[test]
    fn a_bill_is_what_the_oracle_says(world in worlds()) {
        let bill = world.bill();
        let oracle = Oracle::of(&world);
        let nets = bill.nets();
        prop_assert_eq!(nets.iter().map(|(_, net)| *net).sum::<i64>(), 0);
        prop_assert_eq!(nets.iter().copied().collect::<BTreeMap<_, _>>(), oracle.nets);
        prop_assert_eq!(i128::from(bill.settlement.residue_micro), oracle.residue_micro);
        prop_assert_eq!(i128::from(bill.settlement.totals.revenue_minor), oracle.revenue);
        let statements: Vec<Statement> = bill
            .statements
            .values()
            .map(|statement| Statement::decode(&statement.encode().unwrap()).unwrap())
            .collect();
        prop_assert!(statements.iter().eq(bill.statements.values()));
        let settlement = Settlement::decode(&bill.settlement.encode().unwrap()).unwrap();
        let differences = world.with(|inputs| check::audit(inputs, &settlement, &statements).unwrap());
        prop_assert!(differences.is_empty(), "{:?}", differences);
        for statement in &statements {
            let member = statement.party.member;
            let own = world.opened.iter().copied().filter(|leaf| leaf.member == member);
            let usage = Usage::fold_own(world.basis.queries.leaves(), member, own).unwrap();
            let known = check::Own {
                basis: &world.basis,
                tariff: &world.tariff,
                usage: &usage,
                report: world.reports.iter().find(|report| report.member == member),
                credits: &world.credits,
            };
            prop_assert!(check::own(&known, &settlement, statement).unwrap().is_empty());
        }
    }
}

/// Alliances of one to five members, and the operator as a member at times, in currencies of all kinds.
fn worlds() -> impl Strategy<Value = World> {
    let credit = prop_oneof![
        Just(CreditRule::None),
        (0u64..100_000_000).prop_map(CreditRule::Signal),
        (0u32..=1_000_000).prop_map(CreditRule::SharePpm),
    ];
    let price = (0u64..3_000_000, 0u64..300);
    (
        prop::collection::vec((0u16..6, 0usize..2, 0u32..5_000), 0..60),
        (prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF"]), credit),
        prop::collection::vec(price, 8),
        (0i64..5_000, 0i64..5_000),
        prop::collection::btree_map((0u16..6, 1u32..4), 1u64..50, 0..6),
        prop::collection::btree_map(0u16..6, (0u64..2_000_000, 0u64..500), 0..5),
    )
        .prop_map(|(leaves, (currency, credit), prices, minimums, credits, reports)| {
            let mut world = world();
            let opened = leaves.iter().enumerate().map(|(n, (member, service, items))| Opened {
                service: Service::ALL[*service],
                ..leaf(1200 + n as u64, *member, *items)
            });
            world.opened = opened.collect();
            world.basis.queries.to = 1200 + leaves.len() as u64;
            world.tariff.currency = Currency::parse(currency).unwrap();
            world.tariff.credit = credit;
            let pairs = Service::ALL
                .into_iter()
                .flat_map(|service| ["large", "standard"].map(|class| (service, class)));
            world.tariff.prices = pairs
                .zip(prices)
                .map(|((service, class), (micro, free))| ((service, class.to_owned()), Price { micro, free }))
                .collect();
            world.tariff.classes.get_mut("large").unwrap().minimum_minor = minimums.0;
            world.tariff.classes.get_mut("standard").unwrap().minimum_minor = minimums.1;
            world.parties.push(Party { member: OPERATOR, name: ALLIANCE.into(), class: "standard".into() });
            world.credits = credits
                .into_iter()
                .map(|((member, epoch), signals)| Credit { member: MemberId(member), epoch, signals })
                .collect();
            let report = world.reports.remove(0);
            world.reports = reports
                .into_iter()
                .map(|(member, (screened, local_hits))| Report {
                    member: MemberId(member),
                    screened,
                    local_hits,
                    ..report.clone()
                })
                .collect();
            world.retariff();
            world
        })
}

/// The bill from first principles: walks leaf by leaf and party by party, and rounds by looking for the nearest.
struct Oracle {
    nets: BTreeMap<MemberId, i64>,
    revenue: i128,
    residue_micro: i128,
}

impl Oracle {
    fn of(world: &World) -> Oracle {
        let unit = 10i128.pow(6 - u32::from(world.tariff.currency.digits()));
        let (mut debits, mut residue, mut revenue) = (BTreeMap::new(), 0i128, 0i128);
        for party in &world.parties {
            let mut owed = 0i128;
            for service in Service::ALL {
                let mut items = 0i128;
                for leaf in &world.opened {
                    if leaf.member == party.member && leaf.service == service {
                        items += i128::from(leaf.items);
                    }
                }
                for report in world.reports.iter().filter(|report| report.member == party.member) {
                    items += match service {
                        Service::LocalHits => i128::from(report.local_hits),
                        Service::Screened => i128::from(report.screened),
                        _ => 0,
                    };
                }
                let price = world.tariff.prices[&(service, party.class.clone())];
                let exact = (items - i128::from(price.free)).max(0) * i128::from(price.micro);
                let rounded = nearest_even(exact, unit);
                owed += rounded;
                residue += rounded * unit - exact;
            }
            owed = owed.max(i128::from(world.tariff.classes[&party.class].minimum_minor));
            revenue += owed;
            debits.insert(party.member, owed);
        }
        let all: i128 = world.credits.iter().map(|credit| i128::from(credit.signals)).sum();
        let mut nets: BTreeMap<MemberId, i128> =
            debits.into_iter().map(|(member, owed)| (member, -owed)).collect();
        // Over a common denominator: what all credits come to exactly, and what is paid.
        let (mut exact, mut paid, mut over) = (0i128, 0i128, 1i128);
        for credit in &world.credits {
            let signals = i128::from(credit.signals);
            let (micro, below) = match world.tariff.credit {
                CreditRule::None => (0, 1),
                CreditRule::Signal(micro) => (signals * i128::from(micro), 1),
                CreditRule::SharePpm(ppm) => (revenue * unit * i128::from(ppm) * signals, 1_000_000 * all),
            };
            let amount = nearest_even(micro, unit * below);
            *nets.get_mut(&credit.member).unwrap() += amount;
            (exact, paid, over) = (exact + micro, paid + amount * unit, below);
        }
        let residue_micro = (residue * over - paid * over + exact).div_euclid(over);
        let others: i128 = nets.iter().filter(|(member, _)| **member != OPERATOR).map(|(_, net)| net).sum();
        nets.insert(OPERATOR, -others);
        let nets = nets.into_iter().map(|(member, net)| (member, net as i64)).collect();
        Oracle { nets, revenue, residue_micro }
    }
}

/// The nearest multiple of a unit to an amount that is not below zero, the even one of two, by long division.
fn nearest_even(exact: i128, unit: i128) -> i128 {
    let below = exact / unit;
    let (down, up) = (exact - below * unit, (below + 1) * unit - exact);
    if down < up || (down == up && below % 2 == 0) { below } else { below + 1 }
}

#[test]
fn a_month_of_five_members_comes_to_what_a_calculator_says() {
    let bill = world().bill();
    let amounts = |member: u16| {
        let statement = &bill.statements[&MemberId(member)];
        (statement.debits_minor(), statement.credits_minor(), statement.net_minor())
    };
    // 187 × 0.0025 = 0.4675 → 0.47; 1,200,000 × 0.000003 = 3.60; minimum 500.00.
    assert_eq!(amounts(1), (50_000, 0, -50_000));
    assert_eq!(amounts(2), (50_000, 0, -50_000));
    // 2 × 0.004995 = 0.00999 → 0.01. Credits: 20 % of 1,001.29 = 200.258; of that 2/7 = 57.2165…, 1/7, 4/7.
    assert_eq!(amounts(3), (1, 5_722 + 2_861, 8_582));
    // 257 × 0.004995 = 1.283715 → 1.28.
    assert_eq!(amounts(4), (128, 0, -128));
    assert_eq!(amounts(5), (0, 11_443, 11_443));
    assert_eq!(bill.settlement.totals.revenue_minor, 100_129);
    assert_eq!(bill.settlement.operator_net_minor, 100_129 - 20_026);
    assert_eq!(bill.nets().iter().map(|(_, net)| net).sum::<i64>(), 0);
}

#[test]
fn inputs_that_do_not_belong_together_make_no_bill() {
    type Alter = fn(&mut World);
    let cases: [(Alter, &str); 9] = [
        (|world| world.tariff.version = 3, "tariff 3 is not the one"),
        (|world| world.tariff.valid_from_ms += 1, "tariff 2 is not the one"),
        (|world| (world.tariff.valid_from_ms += 1, world.retariff()).1, "not in force"),
        (|world| (world.tariff.alliance.push('s'), world.retariff()).1, "another alliance"),
        (|world| drop(world.parties.remove(0)), "member 1 has usage or credits"),
        (|world| world.parties.push(party(2, "standard")), "a party twice"),
        (|world| world.parties[0].class = "huge".into(), "no class \"huge\""),
        (|world| world.opened[3].time_ms = UNTIL_MS + 60_000, "queries leaf 1203: a query from outside"),
        (|world| world.credits.push(world.credits[0]), "credits of member 3 in epoch 6"),
    ];
    for (alter, what) in cases {
        let mut world = world();
        alter(&mut world);
        let error = world.with(|inputs| Bill::compute(inputs, salt).unwrap_err().to_string());
        assert!(error.contains(what), "{error}");
    }
}
