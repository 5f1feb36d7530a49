//! Netting over random nets: everybody ends at zero, with few payments, always the same.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::netting::{Transfer, carry, settle};
use crate::error::ErrorKind;
use proptest::prelude::*;

/// Nets that sum to zero, in a random order.
fn nets() -> impl Strategy<Value = Vec<(MemberId, i64)>> {
    let amounts = prop::collection::btree_map(1u16..200, -1_000_000i64..1_000_000, 0..40);
    amounts
        .prop_map(|amounts| {
            let sum: i64 = amounts.values().sum();
            let nets = amounts.into_iter().map(|(member, net)| (MemberId(member), net));
            nets.chain([(OPERATOR, -sum)]).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn payments_bring_everybody_to_zero(nets in nets(), left_out in prop::collection::btree_set(1u16..200, 0..100)) {
        let transfers = settle(&nets).unwrap();
        let mut after: BTreeMap<MemberId, i64> = nets.iter().copied().collect();
        for Transfer { from, to, amount_minor } in &transfers {
            prop_assert!(*amount_minor > 0);
            *after.get_mut(from).unwrap() += amount_minor;
            *after.get_mut(to).unwrap() -= amount_minor;
        }
        prop_assert!(after.values().all(|net| *net == 0), "{:?}", after);
        let concerned = nets.iter().filter(|(_, net)| *net != 0).count();
        prop_assert!(transfers.len() <= concerned.saturating_sub(1), "{} for {}", transfers.len(), concerned);
        // Nobody both pays and is paid.
        prop_assert!(transfers.iter().all(|one| transfers.iter().all(|other| one.from != other.to)));
        let mut sorted = nets.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&settle(&sorted).unwrap(), &transfers);
        let kept = carry(&nets, OPERATOR, |member| left_out.contains(&member.0)).unwrap();
        let transfers = settle(&kept).unwrap();
        prop_assert!(transfers.iter().all(|t| !left_out.contains(&t.from.0) && !left_out.contains(&t.to.0)));
    }
}

#[test]
fn the_largest_pays_the_largest_and_ties_go_by_number() {
    let nets = [(1, -70), (2, -30), (3, -30), (4, 60), (5, 70)].map(|(member, net)| (MemberId(member), net));
    let transfer = |from, to, amount_minor| Transfer { from: MemberId(from), to: MemberId(to), amount_minor };
    let expected = [transfer(1, 5, 70), transfer(2, 4, 30), transfer(3, 4, 30)];
    assert_eq!(settle(&nets).unwrap(), expected);
}

#[test]
fn nets_that_do_not_sum_to_zero_are_refused() {
    let nets = [(MemberId(1), -70), (MemberId(2), 69)];
    let error = settle(&nets).unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ErrorKind::Invalid, "nets sum to -1 minor units: expected 0")
    );
    let twice = [(MemberId(1), -70), (MemberId(1), 70)];
    assert_eq!(settle(&twice).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(settle(&[]).unwrap(), []);
    assert_eq!(carry(&twice[..1], OPERATOR, |_| true).unwrap_err().kind, ErrorKind::NotFound);
}
