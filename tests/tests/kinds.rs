//! Every kind of message in every order: requests, repeats, advices, completions, refunds, reversals and labels that
//! name one another by ids from a small pool, before and after what they name, against the plain oracle; live and
//! restored from the journal's records at any point.
#![allow(clippy::unwrap_used)]

use interdict::node::{keys::NodeKeys, publish, recovery, store::Store};
use interdict_engine::domain::{
    Accepted, Body, Event, Field, GenerationId, KeyId, Label, Tag, Transaction, TransactionKind,
};
use interdict_engine::features::FollowKind;
use interdict_engine::generation::Generation;
use interdict_engine::identity::IdentityLimits;
use interdict_engine::sequencer::{Refers, Sequencer, SequencerLimits, Submission, Taken};
use interdict_engine::waiting::Waiter;
use interdict_tests::blackbox::{probe, write};
use interdict_tests::oracle::features::Oracle;
use interdict_tests::oracle::kinds::{Arriving, Kinds};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const START_MS: i64 = 1_522_540_800_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

const FEATURES: &str = "\
features:
  - {name: card, key: card, windows: [1h], aggregates: [count]}
  - {name: net, key: card, windows: [10m, 1h], aggregates: [count, sum, max, mean], currency: EUR}
  - {name: keep, key: card, windows: [1h], aggregates: [count, sum], currency: EUR, on_reversal: keep}
  - {name: completed, key: card, windows: [1h], aggregates: [count, sum], currency: EUR, kinds: [completion]}
  - {name: back, key: card, windows: [1h], aggregates: [count, sum], currency: EUR, kinds: [refund]}
  - {name: all, key: merchant, windows: [1h], aggregates: [count, sum], currency: EUR,
     kinds: [request, repeat, advice, reversal, completion, refund]}
  - {name: fraud, key: merchant, windows: [10m], aggregates: [fraud_share, fraud_count], delay: 1m}
";

/// The pack `probe` with the features above.
fn generation() -> Arc<Generation> {
    static BUILT: OnceLock<Arc<Generation>> = OnceLock::new();
    let build = || {
        let dir = tempfile::tempdir().unwrap();
        let config = probe(dir.path(), "");
        write(&dir.path().join("probe/features.yaml"), FEATURES);
        let loaded = interdict::config::load(&config).unwrap();
        let (store, keys) = (Store::open(dir.path()).unwrap(), NodeKeys::open(dir.path(), true).unwrap());
        publish::build(&loaded, &store, &keys, &BTreeMap::new()).unwrap()
    };
    BUILT.get_or_init(build).clone()
}

fn limits() -> SequencerLimits {
    // Identity remembers all, so that only what waits is let go of in time.
    let identity = IdentityLimits { horizon_ms: i64::MAX / 4, ..IdentityLimits::default() };
    SequencerLimits { features: Default::default(), identity }
}

#[derive(Debug, Clone)]
enum Step {
    Message { kind: usize, id: u8, refers: Option<u8>, minor: i64, dollars: bool, card: u8, off_ms: i64 },
    Label { id: u8, fraud: bool },
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let off = prop_oneof![6 => Just(0i64), 2 => -50 * 60_000..=0i64, 1 => -3 * 3_600_000..=0i64];
    // A request more often than the rest, which mostly follow one.
    let kind = prop_oneof![3 => Just(0usize), 6 => 0..6usize];
    let message =
        (kind, 0..12u8, option::weighted(0.8, 0..12u8), 0..1000i64, prop::bool::weighted(0.1), 0..3u8, off)
            .prop_map(|(kind, id, refers, minor, dollars, card, off_ms)| Step::Message {
                kind,
                id,
                refers,
                minor,
                dollars,
                card,
                off_ms,
            });
    let label = (0..12u8, any::<bool>()).prop_map(|(id, fraud)| Step::Label { id, fraud });
    let after = prop_oneof![20 => 0..200_000i64, 1 => 3 * DAY_MS..8 * DAY_MS];
    prop::collection::vec((after, prop_oneof![12 => message, 1 => label]), 20..160)
}

/// The identity that an id gives a message of a kind: a repeat is of the request's class.
fn identity(kind: TransactionKind, id: u8) -> u128 {
    let class = if kind == TransactionKind::Repeat { TransactionKind::Request } else { kind };
    (class as u128 + 1) << 64 | u128::from(id)
}

/// What a message of a kind may follow.
fn refers(kind: TransactionKind, id: Option<u8>) -> Vec<u128> {
    use TransactionKind::{Advice, Completion, Refund, Repeat, Request, Reversal};
    let may_be: &[TransactionKind] = match kind {
        Reversal => &[Request, Advice, Completion, Refund],
        Refund => &[Request, Advice, Completion],
        Completion => &[Request, Advice],
        Request | Repeat | Advice => &[Request],
    };
    id.into_iter().flat_map(|id| may_be.iter().map(move |kind| identity(*kind, id))).collect()
}

fn submission(now_ms: i64, step: &Step) -> Submission {
    let tenant: Arc<str> = "acme".into();
    let event = |body| Event { tenant: tenant.clone(), arrival_ms: now_ms, body };
    match step {
        Step::Message { kind, id, refers: original, minor, dollars, card, off_ms } => {
            let kind = TransactionKind::ALL[*kind];
            let mut tx = Transaction::new(tenant.clone(), kind, now_ms + off_ms);
            tx.set_int(Field::AmountMinor, *minor);
            tx.set_text(Field::AmountCurrency, if *dollars { "USD" } else { "EUR" });
            tx.add_tag(Field::Card, KeyId::STATE, Tag(1 + u128::from(*card)));
            tx.add_tag(Field::Merchant, KeyId::STATE, Tag(7));
            let refers = refers(kind, *original);
            Submission {
                event: event(Body::Payment(Box::new(tx))),
                identity: Some(identity(kind, *id)),
                alias: None,
                payment_digest: 1,
                refers_to: (!refers.is_empty()).then(|| Refers::new(refers)),
            }
        }
        Step::Label { id, fraud } => {
            let label = if *fraud { Label::Fraud } else { Label::Good };
            let refers_to = Some(identity(TransactionKind::Request, *id).into());
            let event = event(Body::Label { target: 0, label, time_ms: now_ms });
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to }
        }
    }
}

fn take(sequencer: &mut Sequencer, submission: &Submission) -> Taken {
    let mut out = Vec::new();
    sequencer.step([submission.clone()], &mut out);
    out.pop().unwrap()
}

/// An empty sequencer and the record of its generation's publication.
fn started() -> (Sequencer, Accepted) {
    let generation = generation();
    let mut sequencer = Sequencer::new(limits(), recovery::empty_generation());
    let id = GenerationId { hash: generation.hash(), overlay: 0 };
    let event = Event { tenant: "acme".into(), arrival_ms: 0, body: Body::Publish { generation: id } };
    match sequencer.publish(generation, event) {
        Taken::Noted(accepted) => (sequencer, *accepted),
        other => panic!("{other:?}"),
    }
}

/// A sequencer from the bytes that a journal keeps.
fn restored(records: &[Accepted]) -> Sequencer {
    let mut sequencer = Sequencer::new(limits(), recovery::empty_generation());
    for record in records {
        let bytes = (record.encode_open(), record.encode_sealed());
        let read = Accepted::decode(&bytes.0, Some(&bytes.1)).unwrap();
        assert_eq!(read, *record);
        sequencer.restore(read, &|_| Some(generation())).unwrap();
    }
    sequencer
}

fn same_state(one: &Sequencer, other: &Sequencer) {
    assert_eq!(one.last_sequence(), other.last_sequence());
    let waiting = |sequencer: &Sequencer| sequencer.waiting().iter().cloned().collect::<Vec<Waiter>>();
    assert_eq!(waiting(one), waiting(other));
    assert_eq!(one.counts().follow_ups, other.counts().follow_ups);
    assert_eq!(other.counts().restored_differently, 0);
}

/// What one message comes to, engine against oracle; its record where it has one.
fn both(live: &mut Sequencer, oracle: &mut Kinds, submission: &Submission) -> Option<Accepted> {
    let sequence = live.last_sequence() + 1;
    match (&submission.event.body, take(live, submission)) {
        (Body::Payment(tx), taken) => {
            let refers = submission.refers_to.as_ref().map_or(&[][..], Refers::keys);
            let (arrival_ms, identity) = (submission.event.arrival_ms, submission.identity.unwrap());
            let arriving = Arriving { tx, arrival_ms, identity, refers };
            match (taken, oracle.arrive(sequence, &arriving)) {
                (Taken::Work(work), Some(expected)) => {
                    let slots = work.view.generation().plan().slots();
                    for (slot, (got, expected)) in work.accepted.features.iter().zip(&expected).enumerate() {
                        assert_eq!(got, expected, "{} of {tx:?} at {sequence}", slots[slot].0);
                    }
                    assert_eq!(work.accepted.features.len(), expected.len());
                    Some(*work.accepted)
                }
                (Taken::Same(_), None) => None,
                (taken, expected) => panic!("{taken:?}, not {expected:?}"),
            }
        }
        (Body::Label { label, .. }, taken) => {
            let identity = submission.refers_to.as_ref().unwrap().keys()[0];
            match (taken, oracle.label("acme", identity, *label)) {
                (Taken::Noted(accepted), true) => Some(*accepted),
                (Taken::Refused(_), false) => None,
                (taken, known) => panic!("{taken:?}, known: {known}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn engine_and_oracle_agree_whatever_follows_what_live_and_restored(steps in steps(), cut in 0..160usize) {
        let (mut live, published) = started();
        let specs = live.view().generation().plan().specs().map(|spec| (spec.clone(), None)).collect();
        let lateness_ms = limits().features.lateness_ms;
        let mut oracle = Kinds::new(Oracle::new(specs, Box::new(|_, _, _, _| None), lateness_ms));
        let (mut records, mut now_ms, mut again) = (vec![published], START_MS, None);
        for (at, (after_ms, step)) in steps.iter().enumerate() {
            now_ms += after_ms;
            if at == cut {
                let second = restored(&records);
                same_state(&live, &second);
                again = Some(second);
            }
            let submission = submission(now_ms, step);
            let record = both(&mut live, &mut oracle, &submission);
            if let Some(second) = &mut again {
                let taken = take(second, &submission);
                match (&taken, &record) {
                    (Taken::Work(work), Some(record)) => assert_eq!(*work.accepted, *record),
                    (Taken::Noted(accepted), Some(record)) => assert_eq!(**accepted, *record),
                    (Taken::Same(_) | Taken::Refused(_), None) => {}
                    other => panic!("{other:?}"),
                }
                same_state(&live, second);
            }
            records.extend(record);
        }
        let counts = FollowKind::ALL.map(|kind| *live.counts().follow_ups.of(kind));
        prop_assert_eq!(live.waiting().len(), oracle.waiting());
        prop_assert_eq!(counts.iter().map(|counts| counts.matched_later).sum::<u64>(), oracle.met_later);
        prop_assert_eq!(counts.iter().map(|counts| counts.expired).sum::<u64>(), oracle.expired);
        same_state(&live, &restored(&records));
    }
}

#[test]
fn the_stream_above_meets_what_it_is_for() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut totals: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for _ in 0..40 {
        let (mut sequencer, _) = started();
        let mut now_ms = START_MS;
        for (after_ms, step) in steps().new_tree(&mut runner).unwrap().current() {
            now_ms += after_ms;
            take(&mut sequencer, &submission(now_ms, &step));
        }
        for kind in FollowKind::ALL {
            for (result, count) in sequencer.counts().follow_ups.of(kind).rows() {
                *totals.entry((kind.name(), result)).or_default() += count;
            }
        }
    }
    println!("{totals:?}");
    for kind in FollowKind::ALL {
        for result in ["matched", "waited", "matched_later", "expired", "no_original"] {
            assert!(totals[&(kind.name(), result)] > 0, "{kind:?} {result}: {totals:?}");
        }
    }
    assert!(totals[&("reversal", "past_amount")] > 0, "{totals:?}");
}
