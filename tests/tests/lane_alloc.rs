//! Invariant 2: a lane does not allocate after start. A counting allocator holds it to that for payments that nothing
//! hits. Exempt, and counted below: the verdict of a payment with reasons, which leaves the lane.
#![allow(unsafe_code, clippy::unwrap_used)]

use interdict::node::{keys::NodeKeys, publish, recovery, store::Store};
use interdict_engine::domain::{Body, Event, Field, KeyId, Tag, Transaction, TransactionKind};
use interdict_engine::lane::{Open, Scratch, decide};
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
    for key in [KeyId::STATE, KeyId::SHARED] {
        tx.add_tag(Field::Card, key, Tag(7 + u128::from(number)));
        tx.add_tag(Field::Terminal, key, Tag(9));
    }
    let event = Event { tenant: "default".into(), arrival_ms: tx.time_ms, body: Body::Payment(Box::new(tx)) };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

fn work(sequencer: &mut Sequencer, submission: Submission) -> Work {
    let mut taken = Vec::new();
    sequencer.step([submission], &mut taken);
    match taken.pop().unwrap() {
        Taken::Work(work) => work,
        other => panic!("a payment came to {other:?}"),
    }
}

#[test]
fn a_lane_does_not_allocate_for_a_payment_that_nothing_hits() {
    let dir = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/handbook.toml");
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

    let mut scratch = Scratch::default();
    let quiet: Vec<Work> = (0..64).map(|n| work(&mut sequencer, payment(n, 500))).collect();
    let loud = work(&mut sequencer, payment(64, 30_000));
    // The start: buffers grow to what the generation needs.
    for work in [&loud, &quiet[0]] {
        decide(work, &mut Open, &mut scratch);
    }
    for (number, work) in quiet.iter().enumerate() {
        let before = ALLOCATIONS.with(Cell::get);
        let verdict = decide(work, &mut Open, &mut scratch);
        let allocations = ALLOCATIONS.with(Cell::get) - before;
        assert!(
            verdict.reasons.is_empty(),
            "payment {number} is meant to hit nothing: {:?}",
            verdict.reasons
        );
        assert_eq!(allocations, 0, "payment {number}");
    }
    let before = ALLOCATIONS.with(Cell::get);
    let verdict = decide(&loud, &mut Open, &mut scratch);
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    // One for the reasons' vector, one for each reason that looked at more slots than fit inline, and one for the
    // resolution of precedence.
    let spilled = verdict.reasons.iter().filter(|reason| reason.slots.spilled()).count() as u64;
    assert!(!verdict.reasons.is_empty());
    assert!(allocations <= 2 + spilled, "{allocations} allocations for {} reasons", verdict.reasons.len());
}
