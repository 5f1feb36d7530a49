//! One stream, two nodes under one first key: where the one has its tag keys rotated, the other takes note of an event
//! that changes nothing. Everything that is answered is the same.

use super::{DAY_MS, Place, pay, rotate};
use interdict::answer::time;
use interdict::node::ring::Purpose;
use interdict::node::{Answered, Node, now_ms};
use interdict_engine::domain::{Body, Event, Label, ListDelta};
use interdict_engine::sequencer::{Refers, Submission};
use interdict_ingest::Decoder;
use interdict_ingest::decode::entries::decode_entries;
use proptest::prelude::*;
use serde_json::{Value, json};

/// So much time between two steps: a stream is some months, so that earlier keys come to their ends.
const STEP_MS: i64 = DAY_MS / 4;

#[derive(Debug, Clone)]
enum Step {
    Pay {
        other: bool,
        card: u8,
        shop: u8,
        minor: u16,
    },
    /// The payment so many before again; perhaps with another amount.
    Retry {
        back: u8,
        changed: bool,
    },
    /// A reversal of the payment so many before, or of one that comes so many later.
    Reverse {
        back: i8,
        minor: Option<u16>,
    },
    Label {
        back: u8,
        fraud: bool,
    },
    /// A tenant's own list gets an entry.
    Block {
        card: u8,
    },
    /// The node that rotates is closed and opened again.
    Restart,
}

fn steps(len: usize) -> impl Strategy<Value = Vec<Step>> {
    let pay = (any::<bool>(), 0..7u8, 0..6u8, 0..20_000u16)
        .prop_map(|(other, card, shop, minor)| Step::Pay { other, card, shop, minor });
    let step = prop_oneof![
        30 => pay,
        6 => (0..40u8, prop::bool::weighted(0.3)).prop_map(|(back, changed)| Step::Retry { back, changed }),
        5 => (-12..30i8, prop::option::of(0..5000u16)).prop_map(|(back, minor)| Step::Reverse { back, minor }),
        4 => (0..40u8, prop::bool::weighted(0.7)).prop_map(|(back, fraud)| Step::Label { back, fraud }),
        1 => (0..7u8).prop_map(|card| Step::Block { card }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, len..len + 1)
}

/// What came of a step, as far as it may not depend on keys.
fn told(answered: Answered) -> String {
    match answered {
        Answered::Decided(settled) => {
            let accepted = &settled.work.accepted;
            format!(
                "{} {:?} {:?} {:?} {:?} {:?}",
                accepted.sequence,
                settled.verdict.encode(),
                settled.recorded,
                accepted.features,
                accepted.approximate,
                (accepted.original, accepted.waits_for.is_empty(), accepted.generation)
            )
        }
        Answered::Noted(accepted) => format!("noted {} {:?}", accepted.sequence, accepted.event.kind()),
        other => format!("{other:?}"),
    }
}

fn body(at: usize, step: &Step, now_ms: i64) -> Option<(&'static str, Value)> {
    let Step::Pay { other, card, shop, minor } = step else { return None };
    let body = json!({
        "id": format!("tx-{at}"), "time": time(now_ms), "channel": "ecommerce",
        "amount": {"minor": minor, "currency": "EUR"},
        "card": {"token": format!("c-{card}")}, "merchant": {"id": format!("M-{shop}")},
        "text": "an invoice",
    });
    Some((if *other { "other" } else { "acme" }, body))
}

/// A step on a node; `None` for one that has no meaning here.
fn take(node: &Node, steps: &[Step], at: usize, start_ms: i64) -> Option<String> {
    let moment = |at: usize| start_ms + at as i64 * STEP_MS;
    let now_ms = moment(at);
    let of = |at: usize| body(at, steps.get(at)?, moment(at));
    let decoder = Decoder::new(node.keys.tags.clone());
    let control = |tenant: &str, body: Body, refers_to: Option<Refers>| {
        let event = Event { tenant: tenant.into(), arrival_ms: now_ms, body };
        node.call(Submission { event, identity: None, alias: None, payment_digest: 0, refers_to })
    };
    match &steps[at] {
        Step::Pay { .. } => of(at).map(|(tenant, body)| told(pay(node, tenant, &body, now_ms))),
        Step::Retry { back, changed } => {
            let (tenant, mut body) = of(at.checked_sub(1 + usize::from(*back))?)?;
            if *changed {
                body["amount"]["minor"] = json!(77_777);
            }
            Some(told(pay(node, tenant, &body, now_ms)))
        }
        Step::Reverse { back, minor } => {
            let original = at.checked_add_signed(-isize::from(*back))?;
            let (tenant, mut body) = of(original)?;
            body["kind"] = json!("reversal");
            body["id"] = json!(format!("back-{at}"));
            body["refs"] = json!({"original": format!("tx-{original}")});
            minor.iter().for_each(|minor| body["amount"]["minor"] = json!(minor));
            Some(told(pay(node, tenant, &body, now_ms)))
        }
        Step::Label { back, fraud } => {
            let original = at.checked_sub(1 + usize::from(*back))?;
            let (tenant, _) = of(original)?;
            let keys = decoder.identities_of(tenant, &format!("tx-{original}")).map(|key| key.0);
            let key = node.known(tenant, keys).map(|(key, _)| key);
            let label = if *fraud { Label::Fraud } else { Label::Good };
            let refers = key.unwrap_or(0).into();
            Some(told(control(tenant, Body::Label { target: 0, label, time_ms: now_ms }, Some(refers))))
        }
        Step::Block { card } => {
            let entry = json!([{"card": {"token": format!("c-{card}")}, "effect": "block"}]).to_string();
            let keys = decoder.keys().tenant("acme");
            let add = decode_entries(entry.as_bytes(), keys.lists(), "a test").unwrap();
            let delta = ListDelta { list: "found".into(), shared: false, add, remove: Vec::new() };
            Some(told(control("acme", Body::ListDelta(Box::new(delta)), None)))
        }
        Step::Restart => None,
    }
}

fn compare(steps: &[Step], rotations: &[usize], keys_max: usize) {
    let dir = tempfile::tempdir().unwrap();
    let more = format!("[features]\nkeys_max = {keys_max}\n");
    let [plain, rotated] = ["plain", "rotated"].map(|data| Place::with_data(dir.path(), data, &more));
    let start_ms = now_ms();
    let (a, mut b) = (plain.open(start_ms), rotated.open(start_ms));
    for at in 0..steps.len() {
        let now_ms = start_ms + at as i64 * STEP_MS;
        b.refresh_tags(now_ms);
        for _ in rotations.iter().filter(|rotation| **rotation == at) {
            // The same place in the order.
            rotate(&a, Purpose::Sealing, now_ms);
            if b.keys_in_force(now_ms).earlier.len() < 2 {
                rotate(&b, Purpose::Tags, now_ms);
            } else {
                rotate(&b, Purpose::Sealing, now_ms);
            }
        }
        if let Step::Restart = steps[at] {
            b.close().unwrap();
            b = rotated.open(now_ms);
            b.refresh_tags(now_ms);
            assert_eq!(b.recovered.restored_differently, 0);
        }
        assert_eq!(
            take(&b, steps, at, start_ms),
            take(&a, steps, at, start_ms),
            "step {at}: {:?}",
            steps[at]
        );
    }
    let stats = |node: &Node| node.with_core(|core| core.sequencer.features().stats());
    let waits = |node: &Node| node.with_core(|core| core.sequencer.waiting().len());
    let keys = |node: &Node| stats(node).groups.iter().map(|group| group.evictions).sum::<u64>();
    if keys_max > 100 {
        assert_eq!((keys(&b), waits(&b)), (0, waits(&a)));
    }
    b.close().unwrap();
    a.close().unwrap();
    let found = rotated.verify();
    assert_eq!((found["different"].as_u64(), found["equal"].as_u64()), (Some(0), found["checked"].as_u64()));
    rotated.holds_no_key();
}

fn cases() -> u32 {
    std::env::var("INTERDICT_ROTATION_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 20, ..ProptestConfig::default() })]
    #[test]
    fn with_and_without_rotations_a_stream_comes_to_the_same(
        steps in steps(260),
        rotations in prop::collection::vec(5..200usize, 2..4),
        keys_max in prop_oneof![Just(5usize), Just(1_000usize)],
    ) {
        compare(&steps, &rotations, keys_max);
    }
}

#[test]
fn what_was_read_before_a_rotation_and_comes_after_it_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), "");
    let now_ms = now_ms();
    let node = place.open(now_ms);
    let (_, first) = body(0, &Step::Pay { other: false, card: 1, shop: 1, minor: 5 }, now_ms).unwrap();
    let decoder = Decoder::new(node.keys.tags.clone());
    let early = super::submission(&decoder, "acme", &first, now_ms);
    rotate(&node, Purpose::Tags, now_ms);
    let sequence = node.with_core(|core| core.sequencer.last_sequence());
    match node.call(early.clone()) {
        Answered::Refused(error) => assert_eq!(error.kind, interdict_engine::ErrorKind::OtherKeys),
        other => panic!("{other:?}"),
    }
    assert_eq!(node.with_core(|core| core.sequencer.last_sequence()), sequence, "no trace of it");
    let Answered::Decided(settled) = pay(&node, "acme", &first, now_ms) else { panic!() };
    let earlier = &settled.work.transaction().keyed().earlier;
    assert_eq!(
        (earlier.len(), earlier[0].identity, earlier[0].digest),
        (1, early.identity, early.payment_digest)
    );
    // After its time the earlier key makes no tags any more, and what was made with it still counts.
    let later_ms = now_ms + 40 * DAY_MS;
    node.refresh_tags(later_ms);
    let (_, second) = body(1, &Step::Pay { other: false, card: 1, shop: 1, minor: 5 }, later_ms).unwrap();
    let Answered::Decided(settled) = pay(&node, "acme", &second, later_ms) else { panic!() };
    assert!(settled.work.transaction().keyed().earlier.is_empty());
    assert!(node.keys_in_force(later_ms).earlier.is_empty());
    node.close().unwrap();
}
