//! The same events in the same order once more, through nodes with other numbers of lanes on a good disk: the same
//! records, byte for byte.

use super::books::{Failure, decode};
use super::clients::Op;
use super::clock::Ticking;
use super::node::{Node, key};
use super::packs;
use super::plan::Plan;
use interdict::node::core::{Answered, Job};
use interdict_engine::domain::{Accepted, Body, Decided};
use interdict_engine::sequencer::{Refers, Submission};
use interdict_ledger::faulty::MemoryStorage;
use interdict_ledger::journal::{Durability, OwnedRecord, Reader, RecordKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Goes through a journal's events again with 0, 1 and 3 lanes.
///
/// # Errors
/// What came out otherwise.
pub fn compare(records: &[OwnedRecord], ops: &[Op], plan: &Plan, seed: u64) -> Result<(), Failure> {
    let before = by_sequence(records)?;
    for lanes in [0, 1, 3] {
        let after = by_sequence(&run(records, ops, plan, lanes, seed)?)?;
        for (sequence, (accepted, decided)) in &before {
            let (again, decided_again) = after.get(sequence).ok_or_else(|| format!("{sequence} is gone"))?;
            let differs = |what: &str| Err(format!("with {lanes} lanes {what} of {sequence} differs"));
            if accepted != again {
                return differs("the accepted record");
            }
            // What had no time then has it now.
            if decided.as_ref().is_some_and(|(_, is_whole)| *is_whole)
                && decided.as_ref().map(|(verdict, _)| verdict) != decided_again.as_ref().map(|(v, _)| v)
            {
                return differs("the verdict");
            }
        }
        if after.len() != before.len() {
            return Err(format!("with {lanes} lanes {} events became {}", before.len(), after.len()));
        }
    }
    Ok(())
}

type Both = (Vec<u8>, Option<(Vec<u8>, bool)>);

fn by_sequence(records: &[OwnedRecord]) -> Result<BTreeMap<u64, Both>, Failure> {
    let mut all: BTreeMap<u64, Both> = BTreeMap::new();
    for record in records {
        let both = all.entry(record.sequence).or_default();
        match record.kind {
            RecordKind::Accepted => {
                both.0.extend(&record.open);
                both.0.extend(record.sealed.iter().flatten());
            }
            RecordKind::Decided => {
                let verdict = Decided::decode(&record.open).map_err(|e| e.to_string())?.verdict;
                both.1 = Some((verdict.encode(), verdict.skipped.is_empty()));
            }
            RecordKind::Finished => return Err("finished by nobody".into()),
        }
    }
    Ok(all)
}

fn run(
    records: &[OwnedRecord],
    ops: &[Op],
    plan: &Plan,
    lanes: usize,
    seed: u64,
) -> Result<Vec<OwnedRecord>, Failure> {
    let plan = Plan { lanes, durability: Durability::Os, quota: false, ..plan.clone() };
    let (storage, clock) = (MemoryStorage::new(seed), Arc::new(Ticking::new(0)));
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ lanes as u64);
    let (mut node, _) = Node::open(&plan, &storage, &clock, random.clone()).map_err(|e| e.to_string())?;
    node.in_order();
    for record in records.iter().filter(|record| record.kind == RecordKind::Accepted) {
        let accepted = decode(record)?;
        if let Body::Publish { generation } = &accepted.event.body {
            finish(&mut node, &clock);
            let generation = packs::generation(generation).ok_or("an unknown generation")?;
            node.publish(generation, accepted.event.arrival_ms, Box::new(|_| {}));
            continue;
        }
        let submission = submission(accepted, ops)?;
        node.bring(Job { submission, deadline: None, reply: Box::new(|_: Answered| {}) }, false);
        if random.random_range(0..3) == 0 {
            node.turn(true, random.random_range(0..2) == 0);
            clock.reach(clock.passed_ns() + random.random_range(0..=plan.lane_max_ns));
        }
    }
    finish(&mut node, &clock);
    node.close().map_err(|e| e.to_string())?;
    let reader = Reader::open(Arc::new(storage), &key()).map_err(|e| e.to_string())?;
    reader.records(1).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn finish(node: &mut Node, clock: &Ticking) {
    while !node.is_idle() {
        if let Some(at_ns) = node.lane_ns() {
            clock.reach(at_ns);
        }
        node.turn(true, true);
    }
}

/// What was submitted to become this record.
fn submission(accepted: Accepted, ops: &[Op]) -> Result<Submission, Failure> {
    let number = match &accepted.event.body {
        Body::Payment(tx) => tx.id.as_deref().unwrap_or_default().to_owned(),
        Body::Label { time_ms, .. } => time_ms.to_string(),
        _ => String::new(),
    };
    let refers = ops.iter().find(|op| op.number.to_string() == number).map(Op::refers).unwrap_or_default();
    Ok(Submission {
        event: accepted.event,
        identity: accepted.identity,
        alias: accepted.alias,
        payment_digest: accepted.payment_digest,
        refers_to: (!refers.is_empty()).then(|| Refers::new(refers)),
    })
}
