//! The slots as the verdict saw them. List slots come from the verdict's own reasons, not from a probe, so that a
//! list which has changed since does not change the story.

use super::was_skipped;
use crate::answer::Source;
use interdict_engine::Stage;
use interdict_engine::domain::{Effect, ReasonSource, SlotId, SlotView, Value};
use interdict_engine::lane::{self, Found};

/// One payment's slots.
pub(super) struct Row<'a> {
    inner: lane::Row<'a>,
    lists_from: u16,
    lists_to: u16,
    /// Bit n: the list of slot n is there.
    known: u64,
    /// Bit n: the list of slot n hit.
    hit: u64,
}

impl<'a> Row<'a> {
    pub(super) fn new(source: &Source<'a>, found: &'a Found) -> Row<'a> {
        let (slots, lists) = (source.view.generation().slots(), source.view.lists());
        let (mut known, mut hit) = (0, 0);
        let ran = !was_skipped(source.verdict, Stage::Lists);
        for (bit, name) in slots.list_names.iter().enumerate().filter(|_| ran) {
            let Some(number) = lists.find(name, &source.transaction.tenant) else { continue };
            let (mut is_hit, mut is_candidate) = (false, false);
            for reason in &source.verdict.reasons {
                let ReasonSource::Entry { list, entry, field } = reason.source else { continue };
                if lists.is_one(number, list) {
                    let candidate = source.is_candidate(list, field);
                    is_candidate |= candidate;
                    is_hit |= !candidate
                        && lists.entry(list, entry).is_none_or(|entry| entry.effect != Effect::Override);
                }
            }
            known |= u64::from(is_hit || !is_candidate) << bit;
            hit |= u64::from(is_hit) << bit;
        }
        let inner = lane::Row::new(source.transaction, source.features, source.view, found);
        Row { inner, lists_from: slots.starts.lists, lists_to: slots.starts.patterns, known, hit }
    }
}

impl SlotView for Row<'_> {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        if !(self.lists_from..self.lists_to).contains(&slot.0) {
            return self.inner.value(slot);
        }
        let bit = 1u64.checked_shl(u32::from(slot.0 - self.lists_from))?;
        (self.known & bit != 0).then_some(Value::Bool(self.hit & bit != 0))
    }
}
