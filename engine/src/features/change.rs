//! What a label, reversal or completion does to an event that is counted: to its lane while it has one, to its
//! pane's sums after.

use super::block::ViewMut;

/// Where an event is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub sequence: u64,
    /// Its event time, ms.
    pub time_ms: i64,
    /// Nothing up to this is kept, ms.
    pub cutoff_ms: i64,
}

/// A change of one event in one group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Labelled; `was` is the label before.
    Fraud { was: bool, is: bool },
    /// Another amount: what the event counts before (for panes; a lane has it) and after, minor units of the group's
    /// currency; `None` when that is not known.
    Amount { before: Option<i64>, after: Option<i64> },
}

impl ViewMut<'_> {
    /// Changes a lane's event.
    pub fn change(&mut self, lane: usize, change: &Change) {
        let bit = 1 << lane;
        match change {
            Change::Fraud { is: true, .. } => self.head.fraud |= bit,
            Change::Fraud { is: false, .. } => self.head.fraud &= !bit,
            Change::Amount { after, .. } => {
                self.amounts[lane] = after.unwrap_or(0);
                self.head.unknown &= !bit;
                self.head.unknown |= u64::from(after.is_none()) << lane;
            }
        }
    }
}
