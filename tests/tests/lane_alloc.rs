//! Invariant 2: a lane does not allocate after start. A counting allocator holds it to that for payments that nothing
//! hits, under the default deployment, in which every stage has something to do. Exempt, and counted below: the verdict
//! of a payment with reasons, which leaves the lane.
#![allow(unsafe_code, clippy::unwrap_used)]

use interdict::node::{keys::NodeKeys, publish, recovery, store::Store};
use interdict_engine::Stage;
use interdict_engine::domain::{
    Body, Event, Field, KeyId, Label, Recorded, Tag, Transaction, TransactionKind, Verdict,
};
use interdict_engine::lane::{Evidence, Open, Scratch, decide};
use interdict_engine::sequencer::{Sequencer, SequencerLimits, Submission, Taken, Work};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

struct Counting;
// SAFETY: every call goes to the system's allocator unchanged; the count is a thread-local that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises for this very call.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises for this very call.
        unsafe { System.dealloc(at, layout) }
    }
}
#[global_allocator]
static COUNTING: Counting = Counting;

fn payment(number: u64, minor: i64) -> Submission {
    let mut tx =
        Transaction::new("default".into(), TransactionKind::Request, 1_522_540_800_000 + number as i64);
    tx.set_int(Field::AmountMinor, minor);
    tx.set_text(Field::AmountCurrency, "EUR");
    tx.set_text(Field::Channel, "chip");
    tx.set_text(Field::PayerName, "Łucja Brzęczyk");
    tx.set_text(Field::PayeeName, "Café de la Gare SARL");
    tx.set_text(Field::MerchantName, "CAFÉ  DE LA GARE");
    // Letters beyond ASCII, spaced-out ones and digits for letters: the folded view has three readings.
    tx.set_text(Field::Text, &format!("Rechnung für m e n ü 1e {number:06}"));
    for key in [KeyId::STATE, KeyId::SHARED] {
        tx.add_tag(Field::Card, key, Tag(7 + u128::from(number)));
        tx.add_tag(Field::Terminal, key, Tag(9));
    }
    let event = Event { tenant: "default".into(), arrival_ms: tx.time_ms, body: Body::Payment(Box::new(tx)) };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

fn taken(sequencer: &mut Sequencer, submission: Submission) -> Taken {
    let mut taken = Vec::new();
    sequencer.step([submission], &mut taken);
    taken.pop().unwrap()
}

fn work(sequencer: &mut Sequencer, submission: Submission) -> Work {
    match taken(sequencer, submission) {
        Taken::Work(work) => work,
        other => panic!("a payment came to {other:?}"),
    }
}

/// A sequencer with the default deployment's generation, whose bank has learned one fraud.
fn sequencer() -> Sequencer {
    let dir = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/default.toml");
    let loaded = interdict::config::load(std::path::Path::new(config)).unwrap();
    let (store, keys) = (Store::open(dir.path()).unwrap(), NodeKeys::open(dir.path(), true).unwrap());
    let generation = publish::build(&loaded, &store, &keys, &BTreeMap::new()).unwrap();
    let limits = SequencerLimits {
        features: Default::default(),
        identity: interdict_engine::identity::IdentityLimits {
            horizon_ms: 1,
            bytes_max: 1 << 20,
            ..Default::default()
        },
    };
    let mut sequencer = Sequencer::new(limits, recovery::empty_generation());
    let id = interdict_engine::domain::GenerationId { hash: generation.hash(), overlay: 0 };
    let publish = Event { tenant: "default".into(), arrival_ms: 0, body: Body::Publish { generation: id } };
    assert!(matches!(sequencer.publish(generation, publish), Taken::Noted(_)));
    let target = work(&mut sequencer, payment(0, 500)).accepted.sequence;
    let body = Body::Label { target, label: Label::Fraud, time_ms: 1_522_540_900_000 };
    let event = Event { tenant: "default".into(), arrival_ms: 0, body };
    let label = Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
    assert!(matches!(taken(&mut sequencer, label), Taken::Noted(_)));
    sequencer
}

/// What leaves a lane, and how many allocations it took.
fn count(work: &Work, scratch: &mut Scratch) -> (Verdict, Evidence, Recorded, u64) {
    let before = ALLOCATIONS.with(Cell::get);
    let generation = work.view.generation();
    let verdict = decide(work, &mut Open, scratch);
    let evidence = Evidence::of(&verdict, generation, &scratch.found);
    let recorded = scratch.found.to_record(generation);
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    (verdict, evidence, recorded, allocations)
}

#[test]
fn a_lane_does_not_allocate_for_a_payment_that_nothing_hits() {
    let mut sequencer = sequencer();
    let mut scratch = Scratch::default();
    let quiet: Vec<Work> = (1..65).map(|n| work(&mut sequencer, payment(n, 500))).collect();
    let loud = work(&mut sequencer, payment(65, 30_000));
    // The start: buffers grow to what the generation needs.
    for work in [&loud, &quiet[0]] {
        decide(work, &mut Open, &mut scratch);
    }
    for (number, work) in quiet.iter().enumerate() {
        let (verdict, evidence, recorded, allocations) = count(work, &mut scratch);
        let (found, reasons) = (&scratch.found, &verdict.reasons);
        let stages = [Stage::Lists, Stage::Patterns, Stage::Similarity, Stage::Models, Stage::Rules];
        assert!(stages.into_iter().all(|stage| found.ran(stage)), "payment {number}");
        assert!(found.screened(0).is_some() && found.likest(0).is_some(), "payment {number}");
        assert!(reasons.is_empty(), "payment {number} is meant to hit nothing: {reasons:?}");
        assert_eq!((evidence, recorded.banks.len()), (Evidence::default(), 1));
        assert_eq!(allocations, 0, "payment {number}");
    }
    let (verdict, _, _, allocations) = count(&loud, &mut scratch);
    // One for the reasons' vector, one for each reason that looked at more slots than fit inline, and one for the
    // resolution of precedence.
    let spilled = verdict.reasons.iter().filter(|reason| reason.slots.spilled()).count() as u64;
    assert!(!verdict.reasons.is_empty());
    assert!(allocations <= 2 + spilled, "{allocations} allocations for {} reasons", verdict.reasons.len());
}

/// A young state leaves a model's inputs undecided, so that it says nothing; here it has them all.
#[test]
fn a_model_that_answers_does_not_allocate_either() {
    let mut sequencer = sequencer();
    let mut scratch = Scratch::default();
    let mut asked = work(&mut sequencer, payment(1, 500));
    asked.accepted.features.iter_mut().for_each(|stamp| *stamp = stamp.or(Some(0)));
    decide(&asked, &mut Open, &mut scratch);
    let (verdict, evidence, _, allocations) = count(&asked, &mut scratch);
    assert!(scratch.found.model(0).is_some());
    let spilled = verdict.reasons.iter().filter(|reason| reason.slots.spilled()).count() as u64;
    let most = u64::from(!verdict.reasons.is_empty()) + spilled;
    assert!(allocations <= most, "{allocations} allocations, {:?}, {evidence:?}", verdict.reasons);
}
