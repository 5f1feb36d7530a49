//! The same events in the same order once more, through nodes with other numbers of lanes on a good disk: the same
//! records, byte for byte.

use super::books::{Failure, decode};
use super::clients::Op;
use super::clock::Ticking;
use super::node::{Node, key};
use super::packs;
use super::plan::Plan;
use interdict::node::core::{Answered, Job};
use interdict_engine::domain::{Accepted, Body, ClearState, Decided, FoundNow, Outcome};
use interdict_engine::sequencer::{Refers, Submission};
use interdict_ledger::faulty::MemoryStorage;
use interdict_ledger::journal::{Durability, OwnedRecord, Reader, RecordKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Goes through a journal's events again with 0, 1 and 3 lanes.
///
/// # Errors
/// What came out otherwise.
pub fn compare(records: &[OwnedRecord], ops: &[Op], plan: &Plan, seed: u64) -> Result<(), Failure> {
    let before = by_sequence(records)?;
    // Of what had no time then other holds begin, and other things may be done with them.
    let is_whole = before.values().all(|(_, decided)| decided.as_ref().is_none_or(|(_, is_whole)| *is_whole));
    for lanes in [0, 1, 3] {
        let after = by_sequence(&run(records, ops, plan, (lanes, is_whole), seed)?)?;
        for (sequence, (accepted, decided)) in &before {
            let (again, decided_again) = after.get(sequence).ok_or_else(|| format!("{sequence} is gone"))?;
            let differs = |what: &str| Err(format!("with {lanes} lanes {what} of {sequence} differs"));
            let is_left_out = !is_whole && self::is_of_holds(accepted)?;
            if accepted != again && !is_left_out {
                return differs("the accepted record");
            }
            // What had no time then has it now.
            if decided.as_ref().is_some_and(|(_, is_whole)| *is_whole)
                && decided.as_ref().map(|(verdict, _)| verdict) != decided_again.as_ref().map(|(v, _)| v)
            {
                return differs("the verdict, or the hold that begins with it,");
            }
        }
        if after.len() != before.len() {
            return Err(format!("with {lanes} lanes {} events became {}", before.len(), after.len()));
        }
    }
    Ok(())
}

/// An accepted record's two parts, and what was decided, with whether all stages had a part in it.
type Both = ((Vec<u8>, Vec<u8>), Option<(Vec<u8>, bool)>);

fn is_of_holds((open, sealed): &(Vec<u8>, Vec<u8>)) -> Result<bool, Failure> {
    let accepted = Accepted::decode(open, Some(sealed)).map_err(|e| e.to_string())?;
    Ok(matches!(accepted.event.body, Body::Hunt(_) | Body::HoldAct(_) | Body::Clear(_) | Body::Hunted { .. }))
}

fn by_sequence(records: &[OwnedRecord]) -> Result<BTreeMap<u64, Both>, Failure> {
    let mut all: BTreeMap<u64, Both> = BTreeMap::new();
    for record in records {
        let both = all.entry(record.sequence).or_default();
        match record.kind {
            RecordKind::Accepted => {
                both.0 = (record.open.clone(), record.sealed.clone().unwrap_or_default());
            }
            RecordKind::Decided => {
                let decided = Decided::decode(&record.open).map_err(|e| e.to_string())?;
                let is_whole = decided.verdict.skipped.is_empty();
                both.1 = Some((Decided { recovered: false, ..decided }.encode(), is_whole));
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
    (lanes, is_whole): (usize, bool),
    seed: u64,
) -> Result<Vec<OwnedRecord>, Failure> {
    let declined = declined(records)?;
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
        let submission = match &accepted.event.body {
            // Asked for when all before it is decided, as it was; and the gate is to say it again.
            Body::Hunt(_) | Body::HoldAct(_) | Body::Clear(_) | Body::Hunted { .. } => {
                finish(&mut node, &clock);
                as_asked(accepted, &declined, is_whole)
            }
            _ => submission(accepted, ops)?,
        };
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

fn declined(records: &[OwnedRecord]) -> Result<BTreeSet<u64>, Failure> {
    let decided = records.iter().filter(|record| record.kind == RecordKind::Decided);
    let verdicts = decided.map(|record| Decided::decode(&record.open).map(|decided| decided.verdict));
    let verdicts: Vec<_> = verdicts.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let declined = verdicts.into_iter().filter(|verdict| verdict.outcome == Outcome::Decline);
    Ok(declined.map(|verdict| verdict.sequence).collect())
}

/// What was submitted to become an event of holds; something of no effect where it may not be what it was.
fn as_asked(mut accepted: Accepted, declined: &BTreeSet<u64>, is_whole: bool) -> Submission {
    match &mut accepted.event.body {
        body if !is_whole => *body = Body::Outcome { target: 1, outcome: Outcome::Approve },
        Body::Hunt(found) => {
            if let FoundNow::Stops { too_late, .. } = &mut found.now {
                *too_late = false;
            }
        }
        Body::Clear(clear) => {
            for one in &mut clear.payments {
                let is_declined = declined.contains(&one.sequence);
                one.state = if is_declined { ClearState::Held } else { ClearState::Go };
                one.flagged = false;
            }
        }
        _ => {}
    }
    Submission { event: accepted.event, identity: None, alias: None, payment_digest: 0, refers_to: None }
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
