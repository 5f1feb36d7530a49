//! One transaction as models and rules see it: fields, stamped features, and what the stages found.

use super::Found;
use crate::domain::{Effect, Field, SlotId, SlotView, Stamp, Transaction, Value};
use crate::generation::View;
use crate::packs::SlotStarts;
use crate::patterns::PatternSet;
use crate::stage::Stage;

/// A transaction's row of slots.
pub struct Row<'a> {
    patterns: &'a PatternSet,
    tx: &'a Transaction,
    features: &'a [Stamp],
    found: &'a Found,
    starts: SlotStarts,
    /// Bit n: the list of slot n is loaded and visible; unset, its slot is missing.
    lists_known: u64,
    /// Bit n: the list of slot n hit.
    lists_hit: u64,
}

impl<'a> Row<'a> {
    /// The row of a transaction. The slots of stages that did not run are missing.
    pub fn new(tx: &'a Transaction, features: &'a [Stamp], view: &'a View, found: &'a Found) -> Row<'a> {
        let slots = view.generation().slots();
        let (mut lists_known, mut lists_hit) = (0, 0);
        if found.ran(Stage::Lists) {
            let lists = view.lists();
            for (bit, name) in slots.list_names.iter().enumerate() {
                if let Some(number) = lists.find(name, &tx.tenant) {
                    let (mut hit, mut candidate) = (false, false);
                    for one in found.hits.iter().filter(|one| lists.is_one(number, one.list)) {
                        hit |= one.effect != Effect::Override && !one.is_candidate();
                        candidate |= one.is_candidate();
                    }
                    // Of a candidate alone nobody knows whether it is on the list.
                    lists_known |= u64::from(hit || !candidate) << bit;
                    lists_hit |= u64::from(hit) << bit;
                }
            }
        }
        let patterns = view.generation().patterns();
        Row { patterns, tx, features, found, starts: slots.starts, lists_known, lists_hit }
    }
}

impl SlotView for Row<'_> {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        let (at, starts) = (slot.0, &self.starts);
        if at < starts.features {
            return self.tx.get(Field::from_number(at as u8)?);
        }
        if at < starts.lists {
            let stamp = self.features.get(usize::from(at - starts.features)).copied().flatten();
            return stamp.map(Value::Int);
        }
        if at < starts.patterns {
            let bit = 1u64 << (at - starts.lists);
            return (self.lists_known & bit != 0).then_some(Value::Bool(self.lists_hit & bit != 0));
        }
        self.found.slot(self.patterns, starts, slot)
    }
    fn lifted(&self, lift: u32) -> Option<bool> {
        self.found.ran(Stage::Patterns).then(|| self.patterns.lifted(&self.found.patterns, lift)).flatten()
    }
}
