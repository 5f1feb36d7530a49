//! The lane: one transaction through its stages, a line each. A pure function of the stamped transaction and its
//! view, so the verdict does not depend on how many threads there are or which of them runs it.

use crate::decision;
use crate::domain::{Field, SlotId, SlotView, Stamp, Transaction, Value, Verdict};
use crate::generation::View;
use crate::lists::{Hits, Resolution};
use crate::rules::RuleResults;
use crate::sequencer::Work;
use crate::stage::{SkipReason, Stage};

/// What a lane works in: reused from one transaction to the next, so that none allocates once these have grown.
#[derive(Debug, Default)]
pub struct Scratch {
    /// List hits of the transaction at hand.
    pub hits: Hits,
    /// Rule results of the transaction at hand.
    pub rules: RuleResults,
    /// What precedence made of them.
    pub resolution: Resolution,
}

/// Asked before each stage: `None` to run it, or why it is skipped. Live, it looks at the deadline; replaying, at
/// what the record of law says was skipped.
pub trait Gate {
    /// Whether a stage is skipped.
    fn skip(&mut self, stage: Stage) -> Option<SkipReason>;
}

/// Skips nothing.
#[derive(Debug, Clone, Copy)]
pub struct Open;
impl Gate for Open {
    fn skip(&mut self, _: Stage) -> Option<SkipReason> {
        None
    }
}

/// Skips what a verdict says was skipped.
#[derive(Debug, Clone, Copy)]
pub struct AsRecorded<'a>(pub &'a [(Stage, SkipReason)]);
impl Gate for AsRecorded<'_> {
    fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        self.0.iter().find(|(skipped, _)| *skipped == stage).map(|(_, reason)| *reason)
    }
}

/// The verdict on one transaction. What each stage found stays in `scratch` for whoever counts it.
pub fn decide(work: &Work, gate: &mut dyn Gate, scratch: &mut Scratch) -> Verdict {
    run(work, gate, None, scratch)
}

/// The verdict as it would be if a stage had nothing to say: its slots absent, its hits none. For the count of
/// decisive stages.
pub fn decide_without(work: &Work, gate: &mut dyn Gate, absent: Stage, scratch: &mut Scratch) -> Verdict {
    run(work, gate, Some(absent), scratch)
}

fn run(work: &Work, gate: &mut dyn Gate, absent: Option<Stage>, scratch: &mut Scratch) -> Verdict {
    let (tx, view) = (work.transaction(), &*work.view);
    let mut skipped = Vec::new();
    let mut runs = |stage: Stage| {
        let reason = gate.skip(stage);
        skipped.extend(reason.map(|reason| (stage, reason)));
        reason.is_none() && absent != Some(stage)
    };
    scratch.hits.clear();
    scratch.rules.clear();
    let lists_ran = runs(Stage::Lists);
    if lists_ran {
        view.lists().probe(tx, &mut scratch.hits);
    }
    let features: &[Stamp] = if absent == Some(Stage::Features) { &[] } else { &work.accepted.features };
    let row = Row::new(tx, features, view, lists_ran.then_some(&scratch.hits));
    if runs(Stage::Rules) {
        let (generation, applies) = (view.generation(), view.generation().applies(&tx.tenant));
        generation.rules().evaluate_packs(&row, |pack| applies[usize::from(pack)], &mut scratch.rules);
    }
    decision::decide(work, &scratch.hits, &scratch.rules, skipped, &mut scratch.resolution)
}

/// One transaction as rules see it: fields, stamped features, list hits.
pub struct Row<'a> {
    tx: &'a Transaction,
    features: &'a [Stamp],
    features_from: u16,
    lists_from: u16,
    /// Bit n: the list of slot n is loaded and visible; unset, its slot is missing.
    lists_known: u64,
    /// Bit n: the list of slot n hit.
    lists_hit: u64,
}

impl<'a> Row<'a> {
    /// The row of a transaction; without `hits` (the stage did not run) list slots are missing.
    pub fn new(tx: &'a Transaction, features: &'a [Stamp], view: &View, hits: Option<&Hits>) -> Row<'a> {
        let slots = view.generation().slots();
        let (mut lists_known, mut lists_hit) = (0, 0);
        if let Some(hits) = hits {
            let lists = view.lists();
            for (bit, name) in slots.list_names.iter().enumerate() {
                if let Some(number) = lists.find(name, &tx.tenant) {
                    lists_known |= 1 << bit;
                    if hits
                        .iter()
                        .any(|hit| hit.list == number && hit.effect != crate::domain::Effect::Override)
                    {
                        lists_hit |= 1 << bit;
                    }
                }
            }
        }
        let (features_from, lists_from) = (slots.features, slots.lists);
        Row { tx, features, features_from, lists_from, lists_known, lists_hit }
    }
}

impl SlotView for Row<'_> {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        let at = slot.0;
        if at < self.features_from {
            return self.tx.get(Field::from_number(at as u8)?);
        }
        if at < self.lists_from {
            return self
                .features
                .get(usize::from(at - self.features_from))
                .copied()
                .flatten()
                .map(Value::Int);
        }
        let bit = 1u64 << (at - self.lists_from);
        (self.lists_known & bit != 0).then_some(Value::Bool(self.lists_hit & bit != 0))
    }
}
