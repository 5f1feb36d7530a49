//! What the journal says, against oracles that share no code with the engine: each payment once, its stamps as a plain
//! look through all events gives them, its outcome as a plain look through all list entries and three comparisons do.

use super::books::{Failure, decode};
use super::clients::Op;
use super::packs;
use crate::oracle::features::Oracle;
use crate::oracle::kinds::{Arriving, Kinds};
use crate::oracle::lists::Lists;
use interdict_engine::Stage;
use interdict_engine::domain::{
    Accepted, Body, Decided, Field, Outcome, Stamp, Transaction, TransactionKind, Verdict,
};
use interdict_engine::features::StateLimits;
use interdict_ledger::journal::{OwnedRecord, RecordKind};
use std::collections::BTreeMap;

/// Judges a journal, whole.
///
/// # Errors
/// What is not as the oracles have it.
pub fn judge(records: &[OwnedRecord], ops: &[Op]) -> Result<(), Failure> {
    let mut law = Law::new(ops);
    let mut verdicts = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind == RecordKind::Decided) {
        let decided = Decided::decode(&record.open).map_err(|e| e.to_string())?;
        verdicts.insert(record.sequence, decided.verdict);
    }
    for record in records.iter().filter(|record| record.kind == RecordKind::Accepted) {
        let accepted = decode(record)?;
        law.take(&accepted, verdicts.get(&record.sequence))
            .map_err(|what| format!("sequence {}: {what}", accepted.sequence))?;
    }
    Ok(())
}

struct Law<'a> {
    ops: &'a [Op],
    kinds: Kinds,
    lists: Lists,
    limit: i64,
    /// Where the stamps of the rules' features are.
    often: usize,
    much: usize,
}

impl Law<'_> {
    fn new(ops: &[Op]) -> Law<'_> {
        let plan = packs::generations()[0].plan();
        let specs = plan.specs().map(|spec| (spec.clone(), None)).collect();
        let lateness_ms = StateLimits::default().lateness_ms;
        let slot = |path: &str| {
            let found = plan.slots().iter().position(|slot| slot.0 == path);
            found.unwrap_or_else(|| panic!("the pack has {path}"))
        };
        Law {
            ops,
            kinds: Kinds::new(Oracle::new(specs, Box::new(|_, _, _, _| None), lateness_ms)),
            lists: Lists::default(),
            limit: 0,
            often: slot("features.card.count_1h"),
            much: slot("features.net.sum_1h"),
        }
    }
    fn take(&mut self, accepted: &Accepted, verdict: Option<&Verdict>) -> Result<(), Failure> {
        let (sequence, tenant) = (accepted.sequence, &*accepted.event.tenant);
        match &accepted.event.body {
            Body::Payment(tx) => {
                let verdict = verdict.ok_or("no verdict")?;
                return self.payment(accepted, tx, verdict);
            }
            Body::Label { target, label, time_ms } => {
                let op = self.op(&time_ms.to_string())?;
                let named = op.refers()[0];
                if self.kinds.sequence(tenant, named) != Some(*target) {
                    return Err(format!("a label of {target}, not of what it names"));
                }
                self.kinds.label(tenant, named, *label);
            }
            Body::ListDelta(delta) => self.lists.apply(sequence, tenant, delta),
            Body::Publish { generation } => {
                let all = packs::generations().iter();
                let at = all.zip(packs::LIMITS).find(|(known, _)| known.hash() == generation.hash);
                self.limit = at.ok_or("a generation that nobody published")?.1;
            }
            // `holds.rs` judges these.
            Body::Hunt(_) | Body::HoldAct(_) | Body::Clear(_) | Body::Hunted { .. } => {}
            other => return Err(format!("nobody asked for {other:?}")),
        }
        Ok(())
    }
    fn op(&self, number: &str) -> Result<&Op, Failure> {
        let found = self.ops.iter().find(|op| op.number.to_string() == number);
        found.ok_or_else(|| format!("nobody asked for op {number}"))
    }

    fn payment(&mut self, accepted: &Accepted, tx: &Transaction, verdict: &Verdict) -> Result<(), Failure> {
        let sequence = accepted.sequence;
        let op = self.op(tx.id.as_deref().unwrap_or_default())?;
        if (op.identity(), &op.tenant) != (accepted.identity, &accepted.event.tenant) {
            return Err("it is not what its client asked for".into());
        }
        // What has no identity is known by nothing that anybody could name.
        let identity = accepted.identity.unwrap_or(u128::MAX - u128::from(sequence));
        let refers = op.refers();
        let arriving = Arriving { tx, arrival_ms: accepted.event.arrival_ms, identity, refers: &refers };
        let expected = self.kinds.arrive(sequence, &arriving).ok_or("its payment was taken before")?;
        if expected != accepted.features {
            return Err(format!("stamps {:?}, expected {expected:?}", accepted.features));
        }
        let outcome = self.outcome(sequence, tx, &expected, verdict);
        if verdict.outcome != outcome {
            return Err(format!("{:?}, expected {outcome:?}: {verdict:?}", verdict.outcome));
        }
        if verdict.default_applied == verdict.skipped.is_empty() {
            return Err(format!("skipped {:?}, default: {}", verdict.skipped, verdict.default_applied));
        }
        Ok(())
    }
    fn outcome(&self, sequence: u64, tx: &Transaction, stamps: &[Stamp], verdict: &Verdict) -> Outcome {
        use TransactionKind::{Advice, Completion, Reversal};
        if [Advice, Completion, Reversal].contains(&tx.kind) {
            return Outcome::Recorded;
        }
        let ran = |stage| !verdict.skipped.iter().any(|(skipped, _)| *skipped == stage);
        let mut all = vec![Outcome::Approve];
        match ran(Stage::Lists) {
            true => all.extend(self.lists.resolve(&self.lists.probe(sequence, tx), &[]).0),
            false => all.push(Outcome::Review),
        }
        if !ran(Stage::Rules) {
            all.push(Outcome::Hold);
        } else {
            let is = |at: usize, least: i64| stamps[at].is_some_and(|value| value >= least);
            let hits = [
                (tx.int(Field::AmountMinor).is_some_and(|minor| minor >= self.limit), Outcome::Review),
                (is(self.often, packs::OFTEN), Outcome::Challenge),
                (is(self.much, packs::MUCH), Outcome::Hold),
            ];
            all.extend(hits.into_iter().filter(|(hit, _)| *hit).map(|(_, outcome)| outcome));
        }
        all.into_iter().max().unwrap_or(Outcome::Approve)
    }
}
