//! What a verdict's reasons name of what the stages found. It leaves the lane with the verdict, so that whoever answers
//! has no need to run the stages a second time.

use super::Found;
use crate::domain::{Reason, SlotId, Value, Verdict};
use crate::generation::Generation;
use smallvec::SmallVec;

/// Values of the slots that patterns, screens, banks and models fill, as far as reasons name them. Such values are
/// integers and booleans, so there is no text in it. Nothing is allocated where no reason names any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence(SmallVec<[(SlotId, Value<'static>); 4]>);

impl Evidence {
    /// Whether a reason names a slot that evidence is for.
    pub fn is_asked(reason: &Reason, generation: &Generation) -> bool {
        reason.slots.iter().any(|slot| slot.0 >= generation.slots().starts.patterns)
    }

    /// What `found` holds of a verdict's reasons.
    pub fn of(verdict: &Verdict, generation: &Generation, found: &Found) -> Evidence {
        let first = generation.slots().starts.patterns;
        let mut evidence = Evidence::default();
        for slot in verdict.reasons.iter().flat_map(|reason| &reason.slots).filter(|slot| slot.0 >= first) {
            if evidence.value(*slot).is_none()
                && let Some(value) = found.value(generation, *slot)
            {
                evidence.0.push((*slot, value));
            }
        }
        evidence
    }

    /// A slot's value; `None` where no reason names the slot, or it was missing.
    pub fn value(&self, slot: SlotId) -> Option<Value<'static>> {
        self.0.iter().find(|(known, _)| *known == slot).map(|(_, value)| *value)
    }
}
