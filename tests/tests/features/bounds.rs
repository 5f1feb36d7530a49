//! What happens at the bounds: what is lost is undecided as far back as it is lost, and nothing else is.

use super::{TestRates, engine_plan, group, pair, reversal};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{
    Aggregate, FeatureSpec, Field, KeyId, KeySpec, Label, Tag, Transaction, TransactionKind,
};
use interdict_engine::features::{FeaturePlan, FeatureState, Found, StateLimits};
use interdict_engine::limits::{FEATURE_SPAN_MS_MAX, FEATURE_TENANTS_MAX, SPACES_MAX};
use std::sync::Arc;

const START_MS: i64 = 1_522_540_800_000;

/// Counts over 10 and 1,000 ms by card; horizon 2,000 ms.
fn spec() -> FeatureSpec {
    let mut spec = group("card", KeySpec::Identifier(Field::Card), &[10, 1000], &[Aggregate::Count]);
    spec.seen = true;
    spec
}

fn limits() -> StateLimits {
    StateLimits { lateness_ms: 1000, ..StateLimits::default() }
}

struct Bench {
    state: FeatureState,
    sequence: u64,
}

impl Bench {
    fn new(limits: StateLimits) -> Bench {
        let mut bench = Bench { state: FeatureState::new(engine_plan(&[spec()]), limits), sequence: 0 };
        // Coverage begins here, long before what is tested.
        bench.pay(-100_000, 0);
        bench
    }
    fn pay_as(&mut self, tenant: &str, at_ms: i64, card: u128) -> Vec<Option<i64>> {
        let mut tx = Transaction::new(tenant.into(), TransactionKind::Request, START_MS + at_ms);
        tx.set_int(Field::AmountMinor, 100);
        tx.set_text(Field::AmountCurrency, "EUR");
        tx.add_tag(Field::Card, KeyId::STATE, Tag(card));
        self.sequence += 1;
        let mut out = Vec::new();
        self.state.apply(self.sequence, tx.time_ms, &tx, &mut out);
        out
    }
    fn pay(&mut self, at_ms: i64, card: u128) -> Vec<Option<i64>> {
        self.pay_as("acme", at_ms, card)
    }
    fn evictions(&self) -> u64 {
        self.state.stats().groups[0].evictions
    }
}

#[test]
fn an_evicted_key_is_undecided_as_far_back_as_it_is_lost_and_others_are_not() {
    let mut bench = Bench::new(StateLimits { keys_max: 2, ..limits() });
    bench.pay(0, 1);
    bench.pay(1, 2);
    bench.pay(2, 3);
    assert_eq!((bench.evictions(), bench.state.stats().groups[0].keys), (1, 2));
    // Key 1 is back: its event at 0 is lost, but its times are remembered. (-1000+20, 20] reaches it, (10, 20] not.
    assert_eq!(bench.pay(20, 1), [Some(1), None, Some(20), Some(20)]);
    assert_eq!(bench.pay(1010, 1), [Some(1), Some(2), Some(990), Some(1010)]);
    // Never seen: 0 before it, however far back.
    assert_eq!(bench.pay(1020, 9), [Some(1), Some(1), None, Some(0)]);
}

#[test]
fn forgotten_evictions_make_every_key_undecided_as_far_back_and_no_longer() {
    let mut bench = Bench::new(StateLimits { keys_max: 2, ..limits() });
    for card in 1..=6 {
        bench.pay(card as i64 * 10, card);
    }
    assert_eq!(bench.evictions(), 4);
    // Two of the four evicted are remembered; of the others no event is after 20.
    assert_eq!(bench.pay(100, 100), [Some(1), None, None, None]);
    // Forgotten by now is nothing after 1,000; a key first seen then begins anew when the horizon has passed.
    assert_eq!(bench.pay(5000, 101), [Some(1), Some(1), None, Some(0)]);
}

#[test]
fn the_key_least_recently_counted_goes_first() {
    let mut bench = Bench::new(StateLimits { keys_max: 10, ..limits() });
    for card in 1..=10 {
        bench.pay(card as i64, card);
    }
    bench.pay(11, 1);
    bench.pay(12, 11);
    // 2 went, not 1.
    assert_eq!(bench.pay(13, 1)[1], Some(3));
    assert_eq!(bench.pay(14, 2)[1], None);
}

#[test]
fn a_flood_of_keys_stays_within_the_bytes() {
    let bytes_max = 100_000;
    let mut bench = Bench::new(StateLimits { bytes_max, ..limits() });
    for at in 0..5_000 {
        bench.pay(0, 10 + at % 2_000);
        assert!(bench.state.stats().groups[0].keys > 100 || at < 200);
    }
    let stats = bench.state.stats();
    assert!(stats.groups[0].evictions > 3_000, "{stats:?}");
    // Beside the bound: what is remembered of the evicted, at most 65,536 of them.
    assert!(stats.groups[0].bytes <= bytes_max as u64 + 100 * 2_000, "{stats:?}");
}

#[test]
fn keys_whose_events_are_past_the_horizon_are_freed() {
    let mut bench = Bench::new(limits());
    for at in 0..1_000 {
        bench.pay(at * 10, 1000 + at as u128);
    }
    let stats = bench.state.stats();
    // 2,000 ms of horizon hold 200 keys; the sweep is at most one turn behind.
    assert!(stats.groups[0].keys < 700 && stats.groups[0].evictions == 0, "{stats:?}");
}

#[test]
fn past_its_bound_a_keys_oldest_events_are_folded_and_the_long_window_approximate() {
    let mut bench = Bench::new(StateLimits { events_exact_max: 256, ..limits() });
    let counts: Vec<_> = (0..2_000).map(|at| bench.pay(at / 4, 1)).collect();
    assert_eq!(counts[255][..2], [Some(40), Some(256)]);
    // No pane is cut: the window holds all of them.
    assert_eq!(counts[1999][..2], [Some(40), Some(2000)]);
    assert_eq!(bench.state.approximate(), [1]);
    assert_eq!(counts[1999][2..], [Some(0), Some(499)]);
    assert!(bench.state.stats().groups[0].events <= 257);
    // (200, 1200] begins in a pane of at most 16 ms, of four events each.
    let count = bench.pay(1200, 1)[1].unwrap();
    assert!((1197..=1197 + 64).contains(&count), "{count}");
    assert_eq!(bench.state.approximate(), [1]);
    // What was folded is before 499; a window that begins after it is exact again.
    assert_eq!(bench.pay(1600, 1)[..2], [Some(1), Some(2)]);
    assert!(bench.state.approximate().is_empty());
}

#[test]
fn tenants_do_not_meet_and_their_number_is_bounded() {
    let mut bench = Bench::new(limits());
    assert_eq!(bench.pay(0, 7)[0], Some(1));
    assert_eq!(bench.pay(0, 7)[0], Some(2));
    // Another tenant's coverage begins with its own first transaction.
    assert_eq!(bench.pay_as("other", 0, 7), [None, None, None, Some(0)]);
    assert_eq!(bench.pay_as("other", 999, 7)[..2], [Some(1), Some(2)]);
    for number in 2..FEATURE_TENANTS_MAX {
        bench.pay_as(&format!("tenant {number}"), 0, 7);
    }
    assert_eq!(bench.pay_as("one too many", 0, 7), [None; 4]);
    assert_eq!(bench.state.stats().tenants, FEATURE_TENANTS_MAX as u64);
}

#[test]
fn targets_are_found_among_the_latest_of_their_tenant() {
    let mut bench = Bench::new(StateLimits { originals_max: 3, ..limits() });
    for card in 1..=4 {
        bench.pay(0, card);
    }
    let found = |bench: &mut Bench, tenant, target| bench.state.label(tenant, target, Label::Fraud);
    assert_eq!(found(&mut bench, "acme", 2), Found::Unknown);
    assert_eq!(found(&mut bench, "acme", 3), Found::Applied);
    assert_eq!(found(&mut bench, "other", 3), Found::Unknown);
    assert_eq!(bench.state.follow("acme", 99, &reversal(None)), Found::Unknown);
    assert_eq!(bench.state.stats().unknown_targets, 3);
}

#[test]
fn a_new_group_begins_with_the_next_transaction_and_an_equal_one_goes_on() {
    let mut bench = Bench::new(limits());
    bench.pay(0, 1);
    let mut wider = group("wider", KeySpec::Identifier(Field::Card), &[10, 1000], &[Aggregate::Count]);
    wider.seen = true;
    bench.state.replan(engine_plan(&[wider, spec()]));
    assert_eq!(bench.pay(5, 1), [None, None, None, Some(0), Some(2), Some(2), Some(5), Some(5)]);
    assert_eq!(bench.pay(14, 1)[..2], [Some(2), None]);
    assert_eq!(bench.pay(1004, 1)[..2], [Some(1), Some(3)]);
    // Labels reach the groups that are left, and pass over those that are gone.
    bench.state.replan(engine_plan(&[spec()]));
    assert_eq!(bench.state.label("acme", 3, Label::Fraud), Found::Applied);
}

#[test]
fn what_means_nothing_is_refused_with_the_value_and_the_limit() {
    use Aggregate::*;
    let card = || KeySpec::Identifier(Field::Card);
    let refuse = |specs: Vec<FeatureSpec>, kind: ErrorKind, says: &str| {
        let groups = specs.into_iter().map(|spec| (spec, None)).collect();
        let error = FeaturePlan::new(groups, Arc::new(TestRates)).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    let valid = || group("g", card(), &[1000], &[Count]);
    let long = group("g", card(), &[FEATURE_SPAN_MS_MAX + 1], &[Count]);
    refuse(vec![long], ErrorKind::TooLarge, "3888000001 ms, limit 3888000000");
    refuse(vec![group("g", card(), &[5, 5], &[Count])], ErrorKind::Invalid, "ascending");
    refuse(vec![group("g", card(), &[0], &[Count])], ErrorKind::Invalid, "more than 0");
    refuse(vec![group("g", card(), &[5], &[Distinct])], ErrorKind::Invalid, "distinct");
    refuse(
        vec![FeatureSpec { currency: None, ..group("g", card(), &[5], &[Max]) }],
        ErrorKind::Invalid,
        "currency",
    );
    refuse(vec![FeatureSpec { delay_ms: -1, ..valid() }], ErrorKind::Invalid, "-1 ms");
    refuse(vec![FeatureSpec { filter: Some("x".into()), ..valid() }], ErrorKind::Invalid, "filter");
    refuse(vec![group("g", KeySpec::Identifier(Field::Text), &[5], &[Count])], ErrorKind::Invalid, "text");
    refuse(vec![valid(), valid()], ErrorKind::Invalid, "two feature groups named \"g\"");
    refuse((0..=SPACES_MAX).map(|_| valid()).collect(), ErrorKind::TooLarge, "limit 32");
    let deep = (0..20).fold(card(), |key, _| pair(card(), key));
    refuse(vec![group("g", deep, &[5], &[Count])], ErrorKind::TooLarge, "more than 4");
    let many = (1..=17).collect::<Vec<i64>>();
    refuse(vec![group("g", card(), &many, &[Count])], ErrorKind::TooLarge, "17 windows, limit 16");
}
